"""Anything in any order: pushes, syncs, rollbacks, restores, epochs, rotations, rubbish and kills, against a real volume.

Whenever the puller is idle the volume holds one published manifest; the floor falls only with a new epoch; without a rewind
nothing is ever latched; and once nothing goes wrong any more, everything becomes READY at the head.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.core.names import CURRENT, trust_name
from shared.core.states import Condition
from shared.core.trust import next_trust, sign_trust
from shared.errors import ConflictError, SkillSyncError
from tests.fakes.breaking_store import BreakingStore, Killed
from tests.fakes.memory_store import MemoryStore
from tests.fakes.trusted import OPERATOR, a_signer, following
from tests.fakes.world import SIGNER, TRUST, World, skill
from tests.puller.edge import Edge, Quick
from tests.puller.test_crash import Counted
from tests.puller.test_crash import Killed as PullerKilled

if TYPE_CHECKING:
    from shared.model import Push

SECOND = a_signer(10)
TEXTS = st.sampled_from(["One.", "Two.", "Three.", "Four."])
ROUNDS = 8


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.world = World()
        self.edge = Edge(self.folder / "volume", self.world, max_bytes=2**30)
        self.published: set[frozenset[tuple[str, bytes]]] = {frozenset()}
        self.floor = (0, 0)
        self.snapshot: MemoryStore | None = None
        self.rewound = False
        self.pushed: Push | None = None
        self.chain = [TRUST]
        """The operator's own folder, which no restore of the bucket takes back."""
        self.envelopes: list[bytes] = []

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # What functions do

    def sync(self, act) -> None:  # noqa: ANN001 - any use case
        """Run a use case; a refusal is an answer, and whatever became live counts as published."""
        with suppress(SkillSyncError, Killed):
            act()
        self.note()

    def note(self) -> None:
        with suppress(SkillSyncError, AssertionError):
            self.published.add(frozenset(self.edge.wanted().items()))

    @initialize()
    def first(self) -> None:
        self.push({"a": "One.", "b": "One."}, webhook=True)
        self.look()

    @rule(texts=st.dictionaries(st.sampled_from("abc"), TEXTS), webhook=st.booleans())
    def push(self, texts: dict[str, str], *, webhook: bool) -> None:
        self.pushed = self.world.push(*(skill(key, text) for key, text in texts.items()))
        if webhook:
            self.deliver()

    @rule()
    def deliver(self) -> None:
        """The last webhook, perhaps once more, perhaps late."""
        pushed = self.pushed
        if pushed is not None:
            self.sync(lambda: self.world.webhook(pushed))

    @rule()
    def poll(self) -> None:
        self.sync(self.world.poll)

    @rule(back=st.integers(1, 4))
    def roll_back(self, back: int) -> None:
        def act() -> None:
            pointer = self.world.pointer
            self.world.roll_back(f"{pointer.epoch}-{max(1, pointer.seq - back)}")

        with suppress(AssertionError):  # nothing was ever deployed
            self.sync(act)

    @rule()
    def release(self) -> None:
        def act() -> None:
            self.world.release(*self.world.manifest.withheld)

        with suppress(AssertionError):
            self.sync(act)

    @rule(at=st.integers(1, 25), after=st.booleans())
    def kill_a_poll(self, at: int, *, after: bool) -> None:
        store = self.world.store
        self.world.store = BreakingStore(store, at=at, fault=Killed, after=after)
        try:
            with suppress(SkillSyncError, Killed):
                self.world.poll()
        finally:
            self.world.store = store
        self.note()

    @rule(seconds=st.sampled_from([1.0, 61.0, 600.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.world.clock.move(seconds)

    # What happens to the store

    @rule()
    def take_a_snapshot(self) -> None:
        self.snapshot = copied(self.world.store)

    @precondition(lambda self: self.snapshot is not None)
    @rule()
    def restore_the_bucket(self) -> None:
        """All of it, trust and reports too; instances begin anew."""
        assert self.snapshot is not None
        self.world.store = copied(self.snapshot)
        self.world.trust = TRUST
        self.rewound = True

    @rule()
    def write_rubbish(self) -> None:
        stored = self.world.store.get(CURRENT)
        if stored is not None:
            self.world.store.put(CURRENT, b"rubbish", if_generation=stored.generation)

    # What operators do

    def sign(self, **changes: object) -> None:
        """Sign the next version and upload all that the store lacks, as the operator's tool does."""
        new = following(self.chain[-1], **changes)
        envelope = sign_trust(new, OPERATOR)
        self.chain.append(next_trust(self.chain[-1], envelope))
        self.envelopes.append(envelope)
        self.upload()

    def upload(self) -> None:
        for number, envelope in enumerate(self.envelopes, 2):
            with suppress(ConflictError):
                self.world.store.put(trust_name(number), envelope, if_generation=0)

    @rule()
    def bump(self) -> None:
        self.sign(epoch=self.chain[-1].epoch + 1)

    @rule()
    def bump_and_acknowledge(self) -> None:
        self.sign(epoch=self.chain[-1].epoch + 1, ack=self.chain[-1].epoch, incident="INC-1")

    @rule()
    def rotate_the_signer(self) -> None:
        """As the runbook has it: name both, switch, wait until all is signed by the new one, name the new one alone."""
        old, new = self.world.signer, SECOND if self.world.signer is SIGNER else SIGNER
        keys = {each.key_id: each.public_key for each in (old, new)}
        self.sign(signer_keys=keys)
        self.sync(self.world.poll)
        self.look()
        self.world.signer = new
        self.world.clock.move(200)
        self.sync(self.world.poll)
        self.look()
        self.sign(signer_keys={new.key_id: new.public_key})

    # What the puller does

    @rule()
    def look(self) -> None:
        self.edge.look()

    @rule(at=st.integers(1, 40), after=st.booleans())
    def kill_the_puller(self, at: int, *, after: bool) -> None:
        self.edge.calls = Counted(at, PullerKilled, after=after)
        with suppress(PullerKilled):
            self.edge.restart()
            self.edge.look()
        self.edge.calls = Quick()
        self.edge.restart()

    # What always holds

    @invariant()
    def the_volume_holds_one_published_manifest(self) -> None:
        if self.edge.follower.state.installing is None:
            assert frozenset(self.edge.files().items()) in self.published

    @invariant()
    def the_floor_never_falls_within_an_epoch(self) -> None:
        floor = self.edge.follower.state.floor
        now = (0, 0) if floor is None else (floor.epoch, floor.seq)
        assert now >= self.floor
        self.floor = now

    @invariant()
    def nothing_is_latched_without_signed_evidence(self) -> None:
        if not self.rewound:
            assert self.edge.follower.state.latches == ()
            assert self.world.store.list("pauses/") == []

    def settle(self) -> None:
        """Let time go by without faults; an operator does what the states ask for."""
        for _ in range(ROUNDS):
            for _ in range(3):
                self.sync(self.world.poll)
                self.look()
                self.world.clock.move(61)
            if self.is_done():
                return
            self.operate()
        found = self.world.survey()
        raise AssertionError(f"{found.state}, {found.verdict.detail}, {self.edge.follower.standing}")

    def operate(self) -> None:
        found = self.world.survey()
        if found.verdict.reason == "pointer_unverifiable" and not found.witnesses:
            stored = self.world.store.get(CURRENT)
            assert stored is not None
            self.world.store.delete(CURRENT, if_generation=stored.generation)
            return
        if self.world.trust.version < self.chain[-1].version:
            self.upload()  # the trust was rewound too
        else:
            self.bump_and_acknowledge()

    def is_done(self) -> bool:
        conditions = {self.world.survey().state.condition, self.edge.follower.standing.condition}
        if conditions != {Condition.READY}:
            return False
        assert frozenset(self.edge.files().items()) == frozenset(self.edge.wanted().items())
        assert self.world.pointer.commit == self.world.repository.head
        withheld = set(self.world.manifest.withheld)
        head = self.world.repository.files(self.world.repository.head)
        live = self.world.live()
        assert {key for key in live if key not in withheld} == {path.split("/")[0] for path in head} - withheld
        return True


def copied(store: object) -> MemoryStore:
    """The same objects in another store, with generations that go on rising."""
    assert isinstance(store, MemoryStore)
    new = MemoryStore()
    new._objects = copy.copy(store._objects)
    new._last_generation = store._last_generation + 1000
    return new


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
