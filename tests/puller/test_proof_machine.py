"""Good and bad pushes, polls, looks, restarts and a gateway that goes and comes, in any order: it always ends well."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from shared.errors import SkillSyncError
from shared.puller import prove
from tests.fakes.world import World, skill
from tests.puller.edge import Quick
from tests.puller.gateway import KILLS, STALE, Proving
from tests.puller.test_crash import Counted, Killed

NAMES = st.sampled_from("abc")
ROUNDS = 16
MOST_UNSEEN = 6
"""Deployments between two looks; of many more nobody can tell which is at fault, and a person has to."""


class ProofMachine(RuleBasedStateMachine):
    """The head, the functions, one puller, and the gateway beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.edge = Proving(self.folder, World())
        self.head: dict[str, str] = {}
        self.number = 0
        self.unseen = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        self.push({"a": "Good.", "b": "Good."})
        self.look()

    @rule(name=NAMES)
    def push_good(self, name: str) -> None:
        self.number += 1
        self.push({**self.head, name: f"Good {self.number}."})

    @rule(name=NAMES, kind=st.sampled_from([KILLS, STALE]))
    def push_bad(self, name: str, kind: str) -> None:
        self.number += 1
        if not (kind == KILLS and self.edge.gateway.is_down):  # it would be down before, and nobody's fault
            self.push({**self.head, name: f"{kind} {self.number}"})

    @rule(name=NAMES)
    def push_removal(self, name: str) -> None:
        self.push({key: text for key, text in self.head.items() if key != name} or self.head)

    def push(self, head: dict[str, str]) -> None:
        self.head = head
        self.edge.world.deploy(*(skill(key, text) for key, text in head.items()))
        self.unseen += 1
        if self.unseen > MOST_UNSEEN:
            self.look()

    @rule(name=NAMES)
    def release(self, name: str) -> None:
        if not self.edge.gateway.is_down:
            with suppress(SkillSyncError):
                self.edge.world.release(name)

    @rule()
    def poll(self) -> None:
        self.edge.world.poll()

    @rule(seconds=st.sampled_from([0.0, 2.0, 11.0, 70.0]))
    def look(self, seconds: float = 0.0) -> None:
        self.edge.world.clock.move(seconds)
        self.edge.look()
        self.unseen = 0

    @rule()
    def restart(self) -> None:
        self.edge.restart()

    @rule(at=st.integers(1, 120))
    def kill(self, at: int) -> None:
        self.edge.calls = Counted(at, Killed)
        with suppress(Killed):
            self.edge.restart()
            self.edge.look()
        self.edge.calls = Quick()
        self.edge.restart()

    @rule(number=st.integers(1, 4))
    def end_at_a_look(self, number: int) -> None:
        self.edge.gateway.stops_at = self.edge.gateway.looks + number
        self.edge.look()
        self.edge.gateway.stops_at = None
        self.edge.restart()

    @precondition(lambda self: not any(KILLS in text for text in self.edge.world.texts().values()))
    @rule()
    def goes_down(self) -> None:
        self.edge.gateway.is_down = True

    @rule()
    def comes_up(self) -> None:
        self.edge.gateway.is_down = False

    @rule()
    def all_is_quiet(self) -> None:
        """Whatever was before: with the gateway up, a while later, nothing bad is left and nothing good is lost."""
        edge = self.edge
        edge.gateway.is_down = False
        for _ in range(ROUNDS):
            edge.world.clock.move(prove.AGAIN_SECONDS + 1.0)
            edge.world.poll()
            edge.look()
        self.unseen = 0
        assert edge.files() == edge.wanted()
        assert edge.follower.state.proving is None
        assert edge.follower.state.deployment == edge.world.pointer.deployment
        assert edge.gateway.look().healthy
        for key, text in edge.world.texts().items():
            loaded = edge.gateway.loaded.get(key)
            assert loaded is None or loaded == edge.world.live()[key]["SKILL.md"], f"{key} is stale: {text}"
            assert loaded is not None or STALE in text
        for key, text in self.head.items():
            assert edge.world.texts().get(key) == text or key in edge.world.withheld()
        assert edge.world.poll().status is None


ProofMachine.TestCase.settings = settings(max_examples=10, stateful_step_count=20)
test_whatever_happens_it_ends_well_when_all_is_quiet = ProofMachine.TestCase
