"""No interleaving, lagging head, lost answer or kill makes a sync lose a push, go back, or publish by halves.

The real use cases run over every schedule that their operations on shared state allow. Bounds, all else is complete:

- Two processes: every interleaving. Three: at most three preemptions (two where one of them is a rollback).
- Faults: one faulty operation a run, of any kind and anywhere, in every interleaving.
- Kills: one process dies before any one of its writes, in every interleaving; one after the other, two die.
- Lag: up to three stale heads a run, which is what a sync waits out; for two webhooks with at most one preemption, one
  stale head in every interleaving. What a longer lag does is shown too.
- Reads and writes of immutable objects let nobody else go first; they fail and die like all others.
- Clocks stand still but for a process's own sleeping; independent calls of one process take effect in order or in reverse.

Each ends with a clean poll. The rules are in `stepping_rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT
from tests.fakes.world import bad_skill, skill
from tests.service.stepping import Wiring, change, in_order, in_reverse, only, poll, release, rollback, webhook
from tests.service.stepping_search import LATER_SECONDS, Scenario, ViolationError, explore
from tests.service.stepping_world import Limits, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model import CommitSha
    from shared.ports import Source, Store, StoredName, StoredObject, Together
    from shared.service.context import Context
    from shared.service.sync import Outcome
    from tests.service.stepping import Hands
    from tests.service.stepping_search import Report

    Program = Callable[[Hands], Outcome | None]

POLL_AHEAD = 200.0
"""A poll whose clock is so far ahead finds a pointer of the others old enough to be signed again."""

FIRST = ("first", webhook(change(skill("a"), skill("b"))))
SECOND = ("second", webhook(change(skill("a", "two"))))
BACK = ("back", rollback("1-1"))
README = {"README.md": b"Read me.\n"}
HOOK_A = ("hook a", webhook(change(skill("a", "three"))), 0.0)
HOOK_B = ("hook b", webhook(change(skill("b", "two"), bad_skill("c"))), -2.0)
HOOK_README = ("hook readme", webhook(change(README)), 0.0)
POLL = ("poll", poll, POLL_AHEAD)
POLL_TOO = ("poll too", poll, 0.0)
ROLLBACK = ("rollback", rollback("1-1"), 0.0)
RELEASE = ("release", release("a"), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What stands when it begins, and what then happens at once: name, program, seconds by which its clock is ahead."""

    before: tuple[tuple[str, Program], ...]
    at_once: tuple[tuple[str, Program, float], ...]
    optional: frozenset[str] = frozenset()
    may_raise: frozenset[str] = frozenset()


SITUATIONS = {
    "the first two webhooks": Situation(
        before=(), at_once=(("hook a", FIRST[1], 0.0), ("hook b", webhook(change(skill("c"))), -2.0))
    ),
    "two webhooks": Situation(before=(FIRST,), at_once=(HOOK_A, HOOK_B)),
    "webhook and poll": Situation(before=(FIRST,), at_once=(HOOK_B, POLL)),
    "webhook and rollback": Situation(
        before=(FIRST, SECOND), at_once=(HOOK_B, ROLLBACK), optional=frozenset({"rollback"})
    ),
    "webhook and release": Situation(
        before=(FIRST, SECOND, BACK), at_once=(HOOK_B, RELEASE), optional=frozenset({"release"})
    ),
    "webhook and release of the same skill": Situation(
        before=(FIRST, SECOND, BACK),
        at_once=(HOOK_A, RELEASE),
        optional=frozenset({"release"}),
        may_raise=frozenset({"NOT_WITHHELD"}),
    ),
    "rollback and release": Situation(
        before=(FIRST, SECOND, BACK, ("on", webhook(change(skill("b", "two"))))),
        at_once=(ROLLBACK, RELEASE),
        optional=frozenset({"rollback", "release"}),
    ),
    "webhook without a skill, and webhook": Situation(before=(FIRST,), at_once=(HOOK_README, HOOK_B)),
    "webhook without a skill, and poll": Situation(before=(FIRST,), at_once=(HOOK_README, POLL)),
    "polls and a forced push": Situation(
        before=(FIRST, SECOND), at_once=(POLL, POLL_TOO, ("forced", only(change(skill("a", "three"), dropped=1)), 0.0))
    ),
    "polls and a forced push back": Situation(
        before=(FIRST, SECOND), at_once=(POLL, POLL_TOO, ("forced", only(change(dropped=1)), 0.0))
    ),
    "polls and a forced push of the same skills": Situation(
        before=(FIRST, SECOND),
        at_once=(POLL, POLL_TOO, ("forced", only(change(skill("a", "two"), README, dropped=1)), 0.0)),
    ),
    "two webhooks and a poll": Situation(before=(FIRST,), at_once=(HOOK_A, HOOK_B, POLL)),
    "webhook, rollback and poll": Situation(
        before=(FIRST, SECOND), at_once=(HOOK_B, ROLLBACK, POLL), optional=frozenset({"rollback"})
    ),
}
PAIRS = [name for name in SITUATIONS if name not in {"two webhooks and a poll", "webhook, rollback and poll"}]


def scenario(name: str, limits: Limits, together: Together = in_order) -> Scenario:
    situation, world = SITUATIONS[name], World()
    return Scenario(
        world=world,
        before=tuple(world.process(each, program) for each, program in situation.before),
        processes=tuple(
            world.process(each, program, Wiring(clock_seconds=ahead, together=together))
            for each, program, ahead in situation.at_once
        ),
        limits=limits,
        optional=situation.optional,
        may_raise=situation.may_raise,
    )


@pytest.fixture
def search(record_property: Callable[[str, object], None]) -> Callable[..., Report]:
    """Search a scenario and say how far that went; one that reaches less than `least` states has not been searched."""

    def run(searched: Scenario, *, least: int) -> Report:
        report = explore(searched)
        record_property("search", str(report))
        print(report)  # noqa: T201  `pytest -rP` shows it
        assert report.states >= least, f"the search has become blind: {report}"
        assert report.merged > 0, f"states are no longer recognised: {report}"
        return report

    return run


@pytest.mark.parametrize("together", [in_order, in_reverse])
@pytest.mark.parametrize("name", PAIRS)
def test_every_interleaving_of_two_keeps_the_rules(search: Callable[..., Report], name: str, together: Together) -> None:
    search(scenario(name, Limits(), together), least=100)


@pytest.mark.parametrize(
    ("name", "switches", "least"), [("two webhooks and a poll", 3, 60_000), ("webhook, rollback and poll", 2, 8000)]
)
def test_three_at_once_keep_the_rules_under_few_preemptions(
    search: Callable[..., Report], name: str, switches: int, least: int
) -> None:
    search(scenario(name, Limits(switches=switches)), least=least)


@pytest.mark.parametrize(
    ("name", "limits", "least"),
    [
        ("webhook and poll", Limits(stale=3), 5000),
        ("webhook without a skill, and webhook", Limits(stale=1), 5000),
        ("two webhooks", Limits(stale=1), 8000),
        ("two webhooks", Limits(stale=3, switches=1), 6000),
        ("webhook and rollback", Limits(stale=3), 2000),
    ],
)
def test_a_lagging_head_loses_nothing_and_moves_nothing_back(
    search: Callable[..., Report], name: str, limits: Limits, least: int
) -> None:
    search(scenario(name, limits), least=least)


@pytest.mark.parametrize(
    ("name", "together", "least"),
    [
        ("the first two webhooks", in_order, 15_000),
        ("webhook and poll", in_order, 10_000),
        ("webhook and rollback", in_reverse, 10_000),
        ("webhook and release of the same skill", in_reverse, 8000),
        ("webhook without a skill, and poll", in_reverse, 1000),
        ("polls and a forced push of the same skills", in_order, 2000),
    ],
)
def test_one_faulty_operation_breaks_no_rule(
    search: Callable[..., Report], name: str, together: Together, least: int
) -> None:
    search(scenario(name, Limits(faults=1), together), least=least)


@pytest.mark.parametrize("together", [in_order, in_reverse])
@pytest.mark.parametrize("name", PAIRS)
def test_the_next_sync_finishes_what_a_killed_process_began(
    search: Callable[..., Report], name: str, together: Together
) -> None:
    search(scenario(name, Limits(kills=1), together), least=150)


@pytest.mark.parametrize("name", ["webhook and poll", "rollback and release"])
def test_two_kills_and_one_faulty_operation_one_after_the_other_break_no_rule(
    search: Callable[..., Report], name: str
) -> None:
    search(scenario(name, Limits(kills=2, faults=1, switches=0)), least=500)
