"""Health costs one round of bounded reads, and still tells what it must: pauses, rewinds, pullers that never came."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT, SUMMARY
from shared.core.states import MISMATCH
from shared.core.summary import summary_bytes
from shared.model import Latch
from shared.service.health import Watched, glance, health
from shared.service.witnesses import MAX_PULLERS
from tests.fakes.breaking_store import BreakingStore
from tests.fakes.world import World, skill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from shared.ports import Store, StoredObject

    T = TypeVar("T")


def a_world(*pullers: str, deployments: int = 2) -> World:
    """Some deployments, and pullers that have installed the last one."""
    world = World()
    for number in range(deployments):
        world.deploy(skill("a", f"Text {number}."))
    for puller in pullers:
        follow(world, puller)
    return world


def follow(world: World, puller: str) -> None:
    stored = world.store.get(CURRENT)
    assert stored is not None
    floor = base64.b64encode(stored.data).decode()
    world.report(puller, outcome="installed", deployment=world.pointer.deployment, floor=floor)


def seen(world: World, *pullers: str, store: Store | None = None) -> dict:
    watched = Watched(webhook_configured=True, poll_seconds=300.0, pullers=pullers)
    now = world.clock.now()
    found = glance(store or world.store, world.trust, world.together, now, pullers)
    return health(found, world.trust, now, watched, trouble=world.trouble)


def put(world: World, name: str, data: bytes) -> None:
    stored = world.store.get(name)
    world.store.put(name, data, if_generation=0 if stored is None else stored.generation)


def rewind(world: World) -> None:
    """Take the pointer back by one deployment, as a restored bucket would."""
    former = world.store.get("deployments/1-1.json")
    assert former is not None
    put(world, CURRENT, former.data)


def test_it_reads_the_pointer_the_summary_and_each_puller_once_in_one_round() -> None:
    world = a_world("edge", "other", deployments=60)
    rounds: list[int] = []

    def together(calls: Sequence[Callable[[], T]]) -> list[T]:
        rounds.append(len(calls))
        return [call() for call in calls]

    world.together = together
    counting = BreakingStore(world.store)
    found = seen(world, "edge", "other", store=counting)
    assert sorted(counting.calls) == [
        f"get {CURRENT}",
        "get pullers/edge.json",
        "get pullers/other.json",
        f"get {SUMMARY}",
    ]
    assert rounds == [4]
    assert found["status"] == "healthy"
    assert [puller["status"] for puller in found["services"]["pullers"]] == ["current", "current"]


def test_where_no_puller_is_named_one_listing_finds_those_that_reported() -> None:
    world = a_world("edge")
    counting = BreakingStore(world.store)
    assert [puller["id"] for puller in seen(world, store=counting)["services"]["pullers"]] == ["edge"]
    assert [call for call in counting.calls if call.startswith("list")] == ["list pullers/"]
    assert len(counting.calls) == 4


def test_more_pullers_than_the_maximum_cost_no_more_reads() -> None:
    counting = BreakingStore(a_world().store)
    seen(a_world(), *(f"p-{number}" for number in range(MAX_PULLERS + 9)), store=counting)
    assert len(counting.calls) == MAX_PULLERS + 2


def test_a_puller_that_has_a_key_and_never_reported_is_silent_and_red() -> None:
    found = seen(a_world("edge"), "edge", "lost")
    told = {puller["id"]: (puller["status"], puller["last_report"]) for puller in found["services"]["pullers"]}
    assert told["lost"] == ("silent", None)
    assert found["status"] == "unhealthy"


def test_one_that_lost_its_key_is_no_longer_watched() -> None:
    found = seen(a_world("edge", "former"), "edge")
    assert ([puller["id"] for puller in found["services"]["pullers"]], found["status"]) == (["edge"], "healthy")


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"id": "other"}', b'{"floor": 7, "days": 7, "reasons": 7}'])
def test_a_report_that_somebody_damaged_counts_as_none(data: bytes) -> None:
    world = a_world("edge")
    put(world, "pullers/edge.json", data)
    (puller,) = seen(world, "edge")["services"]["pullers"]
    assert (puller["id"], puller["status"]) == ("edge", "silent")


def test_it_tells_that_the_functions_are_paused() -> None:
    world = a_world("edge")
    latch = Latch(reason=MISMATCH, epoch=1, since="2026-11-21T11:00:00.000Z")
    put(world, SUMMARY, summary_bytes(replace(world.summary, latches=(latch,))))
    found = seen(world, "edge")
    assert (found["status"], found["state"], found["reasons"]) == ("unhealthy", "PAUSED", [MISMATCH])


def test_a_pullers_floor_proves_a_rewind_before_any_poll_has_looked() -> None:
    world = a_world("edge")
    rewind(world)
    found = seen(world, "edge")
    assert (found["status"], found["state"], found["reasons"]) == ("unhealthy", "PAUSED", [MISMATCH])


def test_a_pause_ends_with_a_new_epoch() -> None:
    world = a_world("edge")
    rewind(world)
    world.bump()
    world.poll()
    world.poll()
    follow(world, "edge")
    found = seen(world, "edge")
    assert (found["status"], found["state"]) == ("healthy", "READY")


def test_a_deployment_between_two_of_the_reads_accuses_nobody() -> None:
    """The pointer is read, then a deployment goes through and its puller reports, then that report is read."""
    world = a_world("edge")
    first = world.store.get(CURRENT)
    assert first is not None
    world.deploy(skill("a", "Newer."))
    follow(world, "edge")

    class Late(BreakingStore):
        def get(self, name: str) -> StoredObject | None:
            found = super().get(name)
            return first if name == CURRENT and self.calls.count(f"get {CURRENT}") == 1 else found

    late = Late(world.store)
    found = seen(world, "edge", store=late)
    assert (found["status"], found["services"]["pullers"][0]["status"]) == ("healthy", "current")
    assert late.calls.count(f"get {CURRENT}") == 2


@pytest.mark.parametrize("data", [b"", b"{}", b"rubbish"])
def test_a_pointer_that_nobody_signed_is_none(data: bytes) -> None:
    world = a_world("edge")
    put(world, CURRENT, data)
    found = seen(world, "edge")
    assert (found["status"], found["reasons"], found["skills"]["count"]) == ("unhealthy", ["pointer_unverifiable"], 0)
