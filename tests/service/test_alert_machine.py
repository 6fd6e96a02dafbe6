"""Whatever comes and goes, fails, crashes or runs at once: each cause is told once while it lasts, and its end once.

What is withheld and which code the last sync failed with are put into the summary by hand; everything behind it is real.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.core.names import SUMMARY
from shared.core.summary import Summary, summary_bytes
from shared.model import Trigger
from shared.service.alerting import tell_all
from tests.fakes.breaking_store import BreakingStore, Killed, unavailable
from tests.fakes.outbox import CHAT, OPS, Outbox
from tests.fakes.world import World
from tests.service.test_alerting import Between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.core.letters import Letter

SKILLS = ("alpha", "beta", "gamma")
CODES = ("SOURCE_UNAVAILABLE", "SOURCE_DENIED")
_LINE = re.compile(r"^- ([A-Za-z_]+)\b.*?(\(recovered after .*\))?$", re.MULTILINE)


class Recorder(Outbox):
    """Notes, address by address, what was told of each cause in which order: `+` for the cause, `-` for its end."""

    def __init__(self) -> None:
        super().__init__(OPS, CHAT)
        self.told: dict[tuple[str, str], str] = {}

    def __call__(self, letters: Sequence[Letter], seconds: float) -> list[frozenset[str]]:
        reached = super().__call__(letters, seconds)
        for letter, addresses in zip(letters, reached, strict=True):
            for name, over in _LINE.findall(letter.body):
                for address in addresses:
                    self.told[address, name] = self.told.get((address, name), "") + ("-" if over else "+")
        return reached


class Alerts(RuleBasedStateMachine):
    """`present` lasts; `crashes` counts what may have been told twice."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.recorder = Recorder()
        self.world.alert = self.recorder
        self.present: set[str] = set()
        self.began: Counter[str] = Counter()
        self.crashes = 0
        self.write()

    @rule(name=st.sampled_from(SKILLS))
    def comes(self, name: str) -> None:
        if name not in self.present:
            self.began[name] += 1
        self.present.add(name)
        self.write()

    @rule(name=st.sampled_from(SKILLS + CODES))
    def goes(self, name: str) -> None:
        self.present.discard(name)
        self.write()

    @rule(name=st.sampled_from(CODES))
    def fails(self, name: str) -> None:
        self.present -= set(CODES)
        self.present.add(name)
        self.began[name] += 1
        self.write()

    @rule(dead=st.sets(st.sampled_from([OPS, CHAT])))
    def looks(self, dead: set[str]) -> None:
        self.recorder.dead = dead
        self.look()

    @rule(seconds=st.sampled_from([1, 61, 130, 900]))
    def waits(self, seconds: int) -> None:
        self.world.clock.move(seconds)

    @rule(name=st.sampled_from(SKILLS), change=st.booleans())
    def two_at_once(self, name: str, *, change: bool) -> None:
        """A second one looks while the first one's messages are on their way, after something may have changed."""

        def meanwhile() -> None:
            if change:
                (self.goes if name in self.present else self.comes)(name)
            self.look()

        self.recorder.meanwhile = meanwhile
        self.look()
        self.recorder.meanwhile = lambda: None

    @rule(name=st.sampled_from(SKILLS), change=st.booleans())
    def one_overtakes(self, name: str, *, change: bool) -> None:
        """A second one looks, tells and is done before the first one could write its claim."""

        def first() -> None:
            if change:
                (self.goes if name in self.present else self.comes)(name)
            self.look()

        kept = self.world.store
        self.world.store = Between(self.world, first)
        self.look()
        self.world.store = kept

    @rule(at=st.integers(1, 8), after=st.booleans(), kill=st.booleans())
    def breaks(self, at: int, *, after: bool, kill: bool) -> None:
        """The process ends, or the store fails, at some request."""
        kept = self.world.store
        fault = Killed if kill else unavailable
        store = BreakingStore(kept, at=at, fault=fault, after=after)
        self.world.store = store
        with suppress(Killed):
            self.look()
        self.world.store = kept
        self.crashes += len(store.calls) >= at

    def look(self) -> None:
        tell_all(self.world.context, Trigger.WEBHOOK, 3.0)

    def write(self) -> None:
        skills = [
            {"id": name, "tree": "0123456789ab", "reason": "rejected", "codes": ["X"], "since": "1-1"}
            for name in sorted(self.present & set(SKILLS))
        ]
        line = {"id": "1-1", "timestamp": "2026-11-21T12:00:00.000Z", "status": "success"}
        summary = Summary(
            deployments=(line,),
            withheld={"deployment": "1-1", "more": 0, "skills": skills},
            # Far ahead, so that nobody is found to be stale.
            poller={"last_check": "2027-11-21T12:00:00.000Z"},
        )
        for code in self.present & set(CODES):
            summary = replace(summary, poller={**summary.poller, "error": code, "error_at": "2026-11-21T12:00:00.000Z"})
        stored = self.world.store.get(SUMMARY)
        self.world.store.put(SUMMARY, summary_bytes(summary), if_generation=0 if stored is None else stored.generation)

    @invariant()
    def nothing_is_told_twice(self) -> None:
        for (_, name), told in self.recorder.told.items():
            # One that was told twice in a row, or whose end was, was told so because of a crash.
            again = sum(one == other for one, other in pairwise(told))
            if name in SKILLS:
                assert again <= self.crashes
                assert told.count("+") <= self.began[name] + self.crashes
            assert self.crashes or told.startswith("+"), "nobody hears the end of what nobody told"

    def teardown(self) -> None:
        self.recorder.dead = set()
        for _ in range(4):
            self.world.clock.move(1000)
            self.look()
        for address in (OPS, CHAT):
            for name in SKILLS:
                told = self.recorder.told.get((address, name), "")
                assert told.endswith("+") if name in self.present else not told.endswith("+")
            told_codes = [self.recorder.told[address, code] for code in CODES if (address, code) in self.recorder.told]
            for code in self.present & set(CODES):
                assert self.recorder.told[address, code].endswith("+")
            # One fault that took another one's place ends with it; that is told once.
            assert self.present & set(CODES) or not told_codes or any(told.endswith("-") for told in told_codes)
        settled = self.recorder.calls
        self.look()
        assert self.recorder.calls == settled, "then nothing is left to tell"


Alerts.TestCase.settings = settings(max_examples=80, stateful_step_count=30)
TestAlerts = Alerts.TestCase
