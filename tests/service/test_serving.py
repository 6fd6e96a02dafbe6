"""Taking a puller's report: what is news in it is written down once, whatever breaks on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.errors import UnavailableError
from shared.service.serving import accept_report
from tests.fakes.breaking_store import BreakingStore, Killed, unavailable
from tests.fakes.world import World, skill

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Store

AT = "2026-11-21T12:34:56.789Z"
DRIFT = {"path": "a/SKILL.md", "what": "changed", "action": "repaired"}


def a_world() -> World:
    world = World()
    world.deploy(skill("a"))
    return world


def held_report(world: World) -> dict[str, object]:
    failed = {"deployment": "1-1", "manifest": world.pointer.manifest.sha256, "skills": ["a"]}
    return {"outcome": "held", "at": AT, "reasons": ["skill_lost"], "failed": failed, "drift": [DRIFT]}


def take(world: World, report: dict[str, object], store: Store | None = None, puller: str = "edge") -> None:
    accept_report(store or world.store, world.trust, puller, report, world.clock.now())


def test_a_failure_is_told_once_while_it_lasts_and_again_by_another_puller() -> None:
    world = a_world()
    report = {**held_report(world), "drift": []}
    for minute in range(3):
        take(world, {**report, "at": f"2026-11-21T12:3{minute}:00.000Z"})
    take(world, report, puller="other")
    assert world.events() == ["1-1-held-edge", "1-1-held-other"]


def test_drift_is_told_for_every_report_and_once_for_one_that_is_sent_again() -> None:
    world = a_world()
    report = {"outcome": "current", "at": AT, "drift": [DRIFT]}
    for told in (report, report, {**report, "at": "2026-11-21T12:34:57.789Z"}):
        take(world, told)
    take(world, {**report, "drift": []})
    assert world.events() == ["drift-edge", "drift-edge"]


@pytest.mark.parametrize("fault", [unavailable, Killed])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_whatever_breaks_a_report_that_is_sent_again_is_kept_and_told_once(
    fault: Callable[[], BaseException], *, after: bool
) -> None:
    for at in range(1, 20):
        world = a_world()
        breaking = BreakingStore(world.store, at=at, fault=fault, after=after)
        try:
            take(world, held_report(world), breaking)
        except (UnavailableError, Killed):
            take(world, held_report(world))
        assert world.events() == ["1-1-held-edge", "drift-edge"], at
        assert world.store.get("pullers/edge.json") is not None
        if len(breaking.calls) < at:
            return
    pytest.fail("the report was never taken")


def test_a_report_before_that_nobody_can_read_is_replaced() -> None:
    world = a_world()
    world.store.put("pullers/edge.json", b"{", if_generation=0)
    take(world, held_report(world))
    assert world.events() == ["1-1-held-edge", "drift-edge"]
