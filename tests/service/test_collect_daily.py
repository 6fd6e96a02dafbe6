"""The poll's daily collection: once a day, whoever polls, and never at the poll's cost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT, SUMMARY, record_name
from shared.errors import SkillSyncError
from shared.model import DeploymentId
from shared.service.context import Deadline
from shared.service.housekeeping import keep_house
from tests.fakes.breaking_store import BreakingStore, Killed, unavailable
from tests.service.aged import GARBAGE, AgedStore, aged_world, gc

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.world import World


def daily(world: World, *, seconds: float = 200.0) -> None:
    keep_house(world.context, Deadline(world.clock, seconds))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [
        found for line in capsys.readouterr().out.splitlines() if "arbage" in (found := json.loads(line))["message"]
    ]


def test_a_poll_with_time_left_collects_once_a_day_and_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    world, _ = aged_world()
    daily(world)
    (told,) = lines(capsys)
    assert (told["message"], told["severity"]) == ("Garbage was collected", "INFO")
    assert (told["garbage"], told["deleted"], told["skipped"], told["left"]) == (GARBAGE, GARBAGE, 0, 0)
    world.clock.move(timedelta(hours=23).total_seconds())
    daily(world)
    assert lines(capsys) == []
    world.clock.move(timedelta(hours=1).total_seconds())
    daily(world)
    assert [line["garbage"] for line in lines(capsys)] == [0]


def test_a_poll_of_a_day_that_is_claimed_costs_one_read() -> None:
    world, store = aged_world()
    daily(world)
    counting = BreakingStore(store)
    world.store = counting
    daily(world)
    assert counting.calls == [f"get {SUMMARY}"]


def test_a_poll_without_much_time_left_leaves_it_to_the_next() -> None:
    world, store = aged_world()
    counting = BreakingStore(store)
    world.store = counting
    daily(world, seconds=29.0)
    assert "list objects/" not in counting.calls
    daily(world, seconds=30.0)
    assert gc(world).garbage == 0


def test_of_two_polls_at_once_one_collects() -> None:
    world, store = aged_world()

    class Overtaken(AgedStore):
        """Another poll claims the day between this one's look and its own claim."""

        overtaken = False

        def put(self, name: str, data: bytes, *, if_generation: int) -> int:
            if name == SUMMARY and not self.overtaken:
                self.overtaken = True
                daily(world)
            return super().put(name, data, if_generation=if_generation)

    raced = Overtaken(world)
    raced.fill(store)
    counting = BreakingStore(raced)
    world.store = counting
    daily(world)
    assert sum(call == "list objects/" for call in counting.calls) == 2  # one run: its page, and the end behind it


def test_what_the_summary_knows_stays_in_it() -> None:
    world, _ = aged_world()
    before = world.summary
    daily(world)
    after = world.summary
    assert (after.deployments, after.poller, after.days) == (before.deployments, before.poller, before.days)
    world.poll()
    assert world.summary.gc == after.gc


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_collection_that_is_killed_at_any_call_is_made_good_the_next_day(*, after: bool) -> None:
    world, store = aged_world()
    counting = BreakingStore(store)
    world.store = counting
    daily(world)
    for at in range(1, len(counting.calls) + 1):
        world, store = aged_world()
        world.store = BreakingStore(store, at=at, fault=Killed, after=after)
        with pytest.raises(Killed):
            daily(world)
        world.store = store
        world.clock.move(timedelta(days=1).total_seconds())
        daily(world)
        assert gc(world).garbage == 0


def broken() -> BaseException:
    return RuntimeError("nobody foresaw this")


@pytest.mark.parametrize("fault", [unavailable, broken])
def test_whatever_goes_wrong_the_poll_hears_nothing_of_it(
    fault: Callable[[], BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    world, store = aged_world()
    counting = BreakingStore(store)
    world.store = counting
    daily(world)
    capsys.readouterr()
    for at in range(1, len(counting.calls) + 1):
        world, store = aged_world()
        world.store = BreakingStore(store, at=at, fault=fault)
        daily(world)
        logged = map(json.loads, capsys.readouterr().out.splitlines())
        told = [line for line in logged if line["severity"] in {"WARNING", "ERROR"}]
        assert len(told) == 1, counting.calls[at - 1]


def test_while_the_store_is_paused_nothing_is_collected(capsys: pytest.CaptureFixture[str]) -> None:
    world, store = aged_world()
    earlier, current = store.get(record_name(DeploymentId("1-20"))), store.get(CURRENT)
    assert earlier is not None
    assert current is not None
    store.put(CURRENT, earlier.data, if_generation=current.generation)
    before = {name for name in store.names() if name.startswith("objects/")}
    with pytest.raises(SkillSyncError):
        world.poll()
    daily(world)
    assert [line["code"] for line in lines(capsys)] == ["PAUSED"]
    assert before <= store.names()
