"""The look at what is due, and rotations that are cut off: nothing is lost, and the next call goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.core.credential_notes import Use, dues_noted, open_noted, with_uses
from shared.core.names import SUMMARY, timestamp
from shared.errors import ConflictError, SkillSyncError
from shared.service import rotation
from shared.service.context import Deadline
from shared.service.due_dates import note_dues
from shared.service.housekeeping import keep_house
from shared.service.rotation_bench import Bench, look
from shared.service.summary_store import change_summary
from tests.fakes.breaking_store import BreakingStore, Killed, unavailable
from tests.fakes.world import World, in_order, skill

if TYPE_CHECKING:
    from collections.abc import Callable

OLD, NEW = "aaaaaaaa", "bbbbbbbb"
NAME = "GITHUB_WEBHOOK_SECRET"
ROTATION = "rotation/active.json"


def bench(world: World, *accepted: str, store: object = None) -> Bench:
    return Bench(
        store=store or world.store,  # type: ignore[arg-type]
        trust=world.trust,
        clock=world.clock,
        together=in_order,
        poll_seconds=300.0,
        held={NAME: accepted or (OLD,)},
    )


def a_call_comes_in(world: World, fingerprint: str) -> None:
    use = Use(name=NAME, fingerprint=fingerprint, accepted=(NEW, OLD))
    change_summary(world.store, lambda summary: with_uses(summary, [use], timestamp(world.clock.now())))


def up_to_finish(world: World) -> None:
    """Begun, verified, and quiet for long enough."""
    rotation.begin(bench(world), NAME)
    world.clock.move(60)
    a_call_comes_in(world, NEW)
    rotation.verify(bench(world, NEW, OLD), NAME, "", 1.0)
    world.clock.move(600)


@pytest.fixture
def world() -> World:
    made = World()
    made.deploy(skill("a"))
    return made


def test_a_whole_rotation_leaves_one_record_and_no_open_one(world: World) -> None:
    up_to_finish(world)
    assert open_noted(world.summary) is not None
    rotation.finish(bench(world, NEW, OLD), NAME)
    seen = look(bench(world, NEW, OLD))
    assert seen.kept.active is None
    assert (seen.kept.records[NAME].fingerprint, seen.kept.records[NAME].retired) == (NEW, OLD)
    assert open_noted(world.summary) is None
    assert [(due.fingerprint, due.known_from) for due in dues_noted(world.summary)] == [(NEW, "rotation")]


STEPS: dict[str, Callable[[Bench], object]] = {
    "begin": lambda each: rotation.begin(each, NAME),
    "finish": lambda each: rotation.finish(each, NAME),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", [Killed, unavailable])
def test_a_finish_that_is_cut_off_at_any_call_is_simply_called_again(
    fault: Callable[[], BaseException], *, after: bool
) -> None:
    at = 0
    while True:
        at += 1
        world = World()
        world.deploy(skill("a"))
        up_to_finish(world)
        broken = BreakingStore(world.store, at=at, fault=fault, after=after)
        try:
            rotation.finish(bench(world, NEW, OLD, store=broken), NAME)
            done = True
        except (SkillSyncError, Killed):
            done = False
        if len(broken.calls) < at:
            break
        if not done and world.store.get(ROTATION) is not None:
            rotation.finish(bench(world, NEW, OLD), NAME)
        note_dues(bench(world, NEW, OLD))
        seen = look(bench(world, NEW, OLD))
        assert seen.kept.active is None, broken.calls[at - 1]
        assert (seen.kept.records[NAME].fingerprint, seen.kept.records[NAME].retired) == (NEW, OLD), broken.calls
        assert open_noted(world.summary) is None
    assert at > 5


def test_of_two_that_begin_at_once_one_does(world: World) -> None:
    class Overtaken(BreakingStore):
        """Somebody else begins between this one's look and its own write."""

        overtaken = False

        def put(self, name: str, data: bytes, *, if_generation: int) -> int:
            if name == ROTATION and not self.overtaken:
                self.overtaken = True
                rotation.begin(bench(world), NAME)
            return super().put(name, data, if_generation=if_generation)

    with pytest.raises(ConflictError) as caught:
        rotation.begin(bench(world, store=Overtaken(world.store)), NAME)
    assert caught.value.code == "ROTATION_OPEN"
    kept = look(bench(world)).kept
    assert kept.active is not None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"name":"SIGNING_KEY"}', b"\xff", b'{"name":1}'])
def test_a_record_that_cannot_be_read_is_written_anew(world: World, data: bytes) -> None:
    note_dues(bench(world))
    stored = world.store.get(f"rotation/{NAME}.json")
    assert stored is not None
    world.store.put(f"rotation/{NAME}.json", data, if_generation=stored.generation)
    note_dues(bench(world))
    assert look(bench(world)).kept.records[NAME].fingerprint == OLD


def test_a_record_under_another_name_counts_for_nobody(world: World) -> None:
    note_dues(bench(world))
    stored = world.store.get(f"rotation/{NAME}.json")
    assert stored is not None
    world.store.put("rotation/GITHUB_TOKEN.json", stored.data, if_generation=0)
    assert "GITHUB_TOKEN" not in look(bench(world)).kept.records


def test_a_value_that_was_changed_without_a_rotation_is_taken_down_as_such(world: World) -> None:
    note_dues(bench(world))
    world.clock.move(86_400)
    note_dues(bench(world, NEW))
    (due,) = dues_noted(world.summary)
    assert (due.fingerprint, due.known_from, due.since) == (NEW, "changed", timestamp(world.clock.now()))


def test_polls_look_once_an_hour_and_otherwise_only_read_the_summary(world: World) -> None:
    keep_house(world.context, Deadline(world.clock, 1.0))
    counting = BreakingStore(world.store)
    world.store = counting
    keep_house(world.context, Deadline(world.clock, 1.0))
    assert counting.calls == [f"get {SUMMARY}"]
    world.clock.move(3600)
    keep_house(world.context, Deadline(world.clock, 1.0))
    assert "list rotation/" in counting.calls


@pytest.mark.parametrize(("used", "left"), [("GITHUB_APP_KEY", "GITHUB_TOKEN"), ("GITHUB_TOKEN", "GITHUB_APP_KEY")])
def test_what_an_app_took_the_place_of_is_due_no_more_and_the_other_way_round(
    world: World, used: str, left: str
) -> None:
    note_dues(replace(bench(world), held={left: (OLD,)}))
    note_dues(bench(world))  # a function that holds neither cannot tell
    assert left in {due.name for due in dues_noted(world.summary)}
    note_dues(replace(bench(world), held={used: (NEW,)}))
    assert {due.name for due in dues_noted(world.summary)} & {used, left} == {used}
    assert left not in look(bench(world)).kept.records
