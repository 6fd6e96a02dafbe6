"""No interleaving, lagging head, lost answer or kill makes a sync lose a push, go back, or publish by halves.

The real use cases run over every schedule that their operations on shared state allow. Bounds, all else is complete:

- Two processes: every interleaving. Three: at most three preemptions.
- Faults: one faulty operation a run, of any kind and anywhere, in every interleaving; for two webhooks with at most two
  preemptions.
- Kills: one process dies before any one of its writes, in every interleaving. Two dead and a fault: without preemptions.
- Lag: up to three stale heads a run, which is what a sync waits out; with a rollback up to two; for two webhooks three with
  at most one preemption, and one in every interleaving. What a longer lag does is shown too. Lag and forced pushes are not
  searched together: a head from before a forced push cannot be told from another forced push.
- Reads and writes of immutable objects let nobody else go first; they fail and die like all others.
- Clocks stand still but for a process's own sleeping; independent calls of one process take effect in order or in reverse.

Each ends with a clean poll. The rules are in `stepping_rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from shared.model import DeploymentId
from shared.service.context import random_token
from tests.fakes.world import bad_skill, skill
from tests.service.stepping import Wiring
from tests.service.stepping_broken import (
    Blind,
    Careless,
    PointerFirst,
    Trusting,
    WithoutEvents,
    WithoutRecords,
    reads_the_head_first,
    with_store,
)
from tests.service.stepping_programs import change, in_order, in_reverse, only, poll, release, rollback, webhook
from tests.service.stepping_search import LATER_SECONDS, Scenario, ViolationError, explore
from tests.service.stepping_state import SOUND, Limits
from tests.service.stepping_world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Together
    from shared.service.context import Context
    from shared.service.sync import Outcome
    from tests.service.stepping_programs import Hands
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


def scenario(name: str, limits: Limits, together: Together = in_order, preemptions: int | None = None) -> Scenario:
    situation, world = SITUATIONS[name], World()
    return Scenario(
        world=world,
        before=tuple(world.process(each, program) for each, program in situation.before),
        processes=tuple(
            world.process(each, program, Wiring(clock_seconds=ahead, together=together))
            for each, program, ahead in situation.at_once
        ),
        limits=limits,
        preemptions=preemptions,
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
def test_every_interleaving_of_two_keeps_the_rules(
    search: Callable[..., Report], name: str, together: Together
) -> None:
    search(scenario(name, SOUND, together), least=100)


@pytest.mark.parametrize(
    ("name", "preemptions", "least"),
    [("two webhooks and a poll", 3, 60_000), ("webhook, rollback and poll", 3, 60_000)],
)
def test_three_at_once_keep_the_rules_under_few_preemptions(
    search: Callable[..., Report], name: str, preemptions: int, least: int
) -> None:
    search(scenario(name, SOUND, preemptions=preemptions), least=least)


@pytest.mark.parametrize(
    ("name", "stale", "preemptions", "least"),
    [
        ("webhook and poll", 3, None, 5000),
        ("two webhooks", 1, None, 8000),
        ("two webhooks", 3, 1, 4000),
        ("webhook and rollback", 2, None, 4000),
    ],
)
def test_a_lagging_head_loses_nothing_and_moves_nothing_back(
    search: Callable[..., Report], name: str, stale: int, preemptions: int | None, least: int
) -> None:
    search(scenario(name, Limits(stale=stale), preemptions=preemptions), least=least)


@pytest.mark.parametrize(
    ("name", "together", "preemptions", "least"),
    [
        ("the first two webhooks", in_order, 2, 6000),
        ("two webhooks", in_order, 2, 10_000),
        ("webhook and poll", in_order, None, 10_000),
        ("webhook and rollback", in_reverse, None, 10_000),
        ("webhook and release of the same skill", in_reverse, None, 8000),
        ("webhook without a skill, and poll", in_reverse, None, 1000),
        ("polls and a forced push of the same skills", in_order, None, 2000),
    ],
)
def test_one_faulty_operation_breaks_no_rule(
    search: Callable[..., Report], name: str, together: Together, preemptions: int | None, least: int
) -> None:
    search(scenario(name, Limits(faults=1), together, preemptions), least=least)


@pytest.mark.parametrize(
    ("name", "together"), [*((name, in_reverse) for name in PAIRS), *((name, in_order) for name in PAIRS[:4])]
)
def test_the_next_sync_finishes_what_a_killed_process_began(
    search: Callable[..., Report], name: str, together: Together
) -> None:
    search(scenario(name, Limits(kills=1), together), least=150)


@pytest.mark.parametrize("name", ["webhook and poll", "rollback and release"])
def test_two_kills_and_one_faulty_operation_without_preemptions_break_no_rule(
    search: Callable[..., Report], name: str
) -> None:
    search(scenario(name, Limits(kills=2, faults=1), preemptions=0), least=500)


# The search can fail: each rule is broken by a sync that is wrong in one thing, and the search finds the schedule.


def broken(name: str, limits: Limits, wiring: Wiring) -> Scenario:
    """A situation in which every process is wired in the same wrong way."""
    sound = scenario(name, limits)
    situation, world = SITUATIONS[name], sound.world
    processes = [
        world.process(each, program, replace(wiring, clock_seconds=ahead)) for each, program, ahead in situation.at_once
    ]
    return replace(sound, processes=tuple(processes))


@pytest.mark.parametrize(
    ("name", "limits", "wrong", "rule"),
    [
        ("two webhooks", SOUND, reads_the_head_first, "the pointer went back to commit 2"),
        ("two webhooks", SOUND, with_store(Blind), "another 1-2 replaced it"),
        ("webhook and rollback", SOUND, with_store(Blind), "another 1-3 replaced it"),
        ("two webhooks", SOUND, with_store(Trusting), "holds a pointer that never was live"),
        ("webhook and poll", SOUND, with_store(PointerFirst), "1-2 is visible without its manifest"),
        ("two webhooks", SOUND, with_store(WithoutRecords), "the pointer moved on, 1-2 has no record"),
        ("webhook and poll", SOUND, with_store(WithoutEvents), "events {}, expected"),
    ],
)
def test_the_search_finds_what_a_broken_sync_does(
    name: str, limits: Limits, wrong: Callable[[Context], Context], rule: str
) -> None:
    with pytest.raises(ViolationError) as found:
        explore(broken(name, limits, Wiring(disguise=wrong)))
    message, *trace = str(found.value).splitlines()
    print(found.value)  # noqa: T201  `pytest -rP` shows what a trace looks like
    assert rule in message
    assert any("put   current.json" in line for line in trace), "the trace names the operations"


def test_the_search_finds_a_kill_that_nobody_makes_good() -> None:
    # Record and summary are written side by side: the line may be there without the record, which a poll then writes.
    searched = scenario("webhook and poll", Limits(kills=1), in_reverse)
    wiring = Wiring(clock_seconds=LATER_SECONDS, disguise=with_store(Careless))
    with pytest.raises(ViolationError, match=r"1-2 has no record\n(.*\n)*.*killed before put deployments/1-2.json"):
        explore(replace(searched, last=searched.world.process("last poll", poll, wiring)))


def test_the_search_finds_an_answer_that_is_not_true() -> None:
    world = World()
    liar = world.process("liar", lambda hands: replace(poll(hands), deployment=DeploymentId("1-2")))
    with pytest.raises(ViolationError, match=r"liar says answered unchanged 1-2 at 0+1, which never was live"):
        explore(Scenario(world=world, before=(world.process(*FIRST),), processes=(liar,)))


def test_without_a_token_two_syncs_would_both_believe_that_they_deployed() -> None:
    world = World()
    searched = Scenario(
        world=world,
        before=(world.process(*FIRST), world.process("push", only(change(skill("a", "two"))))),
        processes=tuple(world.process(name, poll, Wiring(token="same")) for name in ("poll", "poll too")),
    )
    with pytest.raises(ViolationError, match="several processes say that they made"):
        explore(searched)


def test_a_head_that_lags_for_longer_than_a_sync_waits_moves_it_back() -> None:
    # The known limit: four stale answers in a row cannot be told from a push that was forced back. The next poll mends it.
    with pytest.raises(ViolationError, match="the pointer went back to commit 1"):
        explore(scenario("webhook and poll", Limits(stale=4)))


def test_the_search_refuses_a_process_that_is_no_function_of_what_it_sees() -> None:
    wiring = Wiring(disguise=lambda context: replace(context, token=random_token))
    with pytest.raises(ViolationError, match="not a function of what it saw"):
        explore(broken("webhook and poll", SOUND, wiring))
