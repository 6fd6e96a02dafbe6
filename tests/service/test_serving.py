"""Taking a puller's report: what is news in it is written down once, whatever breaks on the way."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT
from shared.errors import ConflictError, UnavailableError
from shared.service.serving import Sender, accept_report
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
    accept_report(store or world.store, world.trust, Sender(puller=puller, key="0" * 8), report, world.clock.now())


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
        world.clock.move(1.0)
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


# Installs and counters


def installed_report(world: World, **members: object) -> dict[str, object]:
    """What a puller reports that has just installed what is live."""
    stored = world.store.get(CURRENT)
    assert stored is not None
    floor = base64.b64encode(stored.data).decode()
    gateway = {"since": "2026-11-21T11:00:00.000Z", "watched_ms": 60_000, "up_ms": 59_000}
    install = {"ago_ms": 100, "proof": "holds"}
    named = {"deployment": world.pointer.deployment, "floor": floor, "at": AT}
    return {"outcome": "installed", **named, "install": install, "gateway": gateway, **members}


def kept_days(world: World) -> dict[str, object]:
    stored = world.store.get("pullers/edge.json")
    assert stored is not None
    days = json.loads(stored.data)["days"]
    assert isinstance(days, dict)
    return days


@pytest.mark.parametrize("fault", [unavailable, Killed])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_whatever_breaks_an_install_that_is_sent_again_counts_and_is_told_once(
    fault: Callable[[], BaseException], *, after: bool
) -> None:
    for at in range(1, 20):
        world = a_world()
        take(world, installed_report(world))
        world.deploy(skill("a", "Two."))
        breaking = BreakingStore(world.store, at=at, fault=fault, after=after)
        report = installed_report(world, drift=[DRIFT])
        world.clock.move(1.0)
        try:
            take(world, report, breaking)
        except (UnavailableError, Killed):
            world.clock.move(400.0)  # by now the time in its name would be another one
            report["install"] = {"ago_ms": 400_100, "proof": "holds"}
            take(world, report)
        told = [event for event in world.events() if not event.startswith("late")]
        assert told == ["1-1-installed-edge", "1-2-installed-edge", "drift-edge"], at
        (today,) = kept_days(world).values()
        counts = {"installs": 2, "proved": 2, "watched_ms": 60_000, "up_ms": 59_000, "slowest_ms": 900}
        assert today == {**counts, "latency": [0, 1, *[0] * 8]}, at
        if len(breaking.calls) < at:
            return
    pytest.fail("the report was never taken")


def test_a_heartbeat_tells_what_a_crash_left_out() -> None:
    world = a_world()
    with pytest.raises(Killed):
        take(world, held_report(world), BreakingStore(world.store, at=2, fault=Killed, after=True))
    assert world.events() == []
    world.clock.move(60.0)
    take(world, {"outcome": "held", "failed": held_report(world)["failed"]})
    assert world.events() == ["1-1-held-edge", "drift-edge"]


def test_two_reports_of_one_puller_at_once_are_both_counted() -> None:
    """Another instance takes a heartbeat between the read and the write: what it counted is not lost."""
    world = a_world()
    report = installed_report(world)

    class Rival(BreakingStore):
        def put(self, name: str, data: bytes, *, if_generation: int) -> int:
            if name == "pullers/edge.json" and not any(call.startswith("put pullers") for call in self.calls):
                self.calls.append(f"put {name}")
                take(world, {**report, "gateway": {**gateway, "watched_ms": 70_000, "up_ms": 69_000}})
                raise ConflictError("GENERATION_MISMATCH", "the rival came first")
            return super().put(name, data, if_generation=if_generation)

    gateway = report["gateway"]
    assert isinstance(gateway, dict)
    take(world, report, Rival(world.store))
    (today,) = kept_days(world).values()
    assert today == {"installs": 1, "proved": 1, "watched_ms": 70_000, "up_ms": 69_000}
    assert world.events() == ["1-1-installed-edge"]


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00.000Z", "2199-01-01T00:00:00.000Z", None])
def test_with_a_wrong_clock_news_is_told_once_and_at_our_time(at: str | None) -> None:
    world = a_world()
    for _ in range(3):
        take(world, {**installed_report(world), "at": at, "failed": held_report(world)["failed"]})
        world.clock.move(30.0)
    names = [entry.name for entry in world.store.list("events/")]
    assert names == [f"events/2026-11-21/120000.000-1-1-{kind}-edge.json" for kind in ("held", "installed")]
