"""The collection of garbage: what goes, what stays, and that it deletes nothing where it does not know enough."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest

from shared.core.names import CURRENT, SUMMARY, object_name, record_name
from shared.errors import DeadlineError, PausedError, SkillSyncError, UnavailableError, UnverifiedError
from shared.model import DeploymentId
from shared.service.collect import Collected, Reach, collect
from shared.service.context import Deadline
from tests.fakes.breaking_store import BreakingStore, Killed, unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.world import World, in_order, skill
from tests.service.aged import FIRST_KEPT, GARBAGE, LAST, OLD, AgedStore, aged_world, gc, objects_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Store, StoredName


def overwrite(store: Store, name: str, data: bytes) -> None:
    stored = store.get(name)
    store.put(name, data, if_generation=0 if stored is None else stored.generation)


def remove(store: Store, name: str) -> None:
    stored = store.get(name)
    assert stored is not None
    store.delete(name, if_generation=stored.generation)


def test_a_dry_run_counts_and_deletes_nothing() -> None:
    world, store = aged_world()
    before = store.names()
    found = gc(world, delete=False)
    assert (found.garbage, found.deleted, found.skipped, found.left) == (GARBAGE, 0, 0, GARBAGE)
    assert found.listed == found.kept + found.young + found.garbage == sum(n.startswith("objects/") for n in before)
    assert found.garbage_bytes > 0
    assert store.names() == before


def test_exactly_the_garbage_goes_and_every_deployment_that_is_kept_can_be_gone_back_to() -> None:
    world, store = aged_world()
    before = store.names()
    found = gc(world)
    assert (found.garbage, found.deleted, found.skipped, found.left) == (GARBAGE, GARBAGE, 0, 0)
    gone = before - store.names()
    assert len(gone) == GARBAGE
    assert all(name.startswith("objects/") for name in gone)
    for seq in range(FIRST_KEPT, LAST + 1):
        assert objects_of(world, f"1-{seq}")
    world.roll_back(f"1-{FIRST_KEPT}")
    assert world.texts() == {"a": "New.", "b": "3"}
    # The rollback has a manifest of its own; the one that it went back to is the seventeenth before it.
    assert gc(world).garbage == 1
    assert gc(world).garbage == 0


def test_old_content_that_a_push_brings_back_is_fetched_and_stored_again() -> None:
    world, _ = aged_world()
    gc(world)
    world.deploy(*OLD)
    assert world.texts() == {"a": "Old.", "b": "0"}


def test_a_rollback_to_what_was_collected_says_so_and_moves_nothing() -> None:
    world, _ = aged_world()
    gc(world)
    with pytest.raises(SkillSyncError, match="OBJECT_MISSING"):
        world.roll_back("1-1")
    assert world.pointer.seq == LAST


def test_what_was_live_within_the_month_stays_however_many_came_since() -> None:
    world, _ = aged_world()
    for number in range(20, 45):
        world.deploy(skill("a", "New."), skill("b", f"{number}"))
    gc(world)
    # 1-19 was live until the 40 days were over; what came before it was not.
    assert objects_of(world, "1-19")
    with pytest.raises(SkillSyncError, match="OBJECT_MISSING"):
        objects_of(world, "1-18")


def test_objects_that_a_failed_sync_left_go_after_a_month() -> None:
    world, store = aged_world()
    store.put(object_name("0" * 64), b"left", if_generation=0)  # type: ignore[arg-type]
    assert gc(world).young >= 1
    world.clock.move(timedelta(days=31).total_seconds())
    world.poll()
    gc(world)
    assert object_name("0" * 64) not in store.names()  # type: ignore[arg-type]


def test_where_nothing_was_ever_deployed_nothing_is_done() -> None:
    world = World()
    world.store.put("objects/" + "0" * 64, b"", if_generation=0)
    assert gc(world) == Collected()


def manifest_of(world: World, seq: int) -> str:
    digests = dict(world.pointer.history)
    return object_name(digests[seq])


@pytest.mark.parametrize("seq", [FIRST_KEPT, FIRST_KEPT + 1, LAST - 1])
@pytest.mark.parametrize("damage", ["lost", "other content"])
def test_where_the_manifest_of_a_deployment_that_is_kept_cannot_be_read_nothing_is_deleted(
    seq: int, damage: str
) -> None:
    world, store = aged_world()
    name = manifest_of(world, seq)
    if damage == "lost":
        remove(store, name)
    else:
        overwrite(store, name, b"{}")
    before = store.names()
    with pytest.raises(UnavailableError, match="GC_INCOMPLETE"):
        gc(world)
    assert store.names() == before


def test_where_a_record_cannot_be_verified_nothing_is_deleted() -> None:
    world, store = aged_world()
    overwrite(store, record_name(DeploymentId("1-10")), b"{}")
    before = store.names()
    with pytest.raises(UnavailableError, match="GC_INCOMPLETE"):
        gc(world)
    assert store.names() == before


def test_a_lost_record_keeps_nothing_from_being_collected_and_the_pointers_history_keeps_its_objects() -> None:
    world, store = aged_world()
    kept = objects_of(world, "1-10")
    remove(store, record_name(DeploymentId("1-10")))
    assert gc(world).deleted > 0
    assert kept <= store.names()


def test_while_the_store_is_paused_nothing_is_deleted() -> None:
    world, store = aged_world()
    earlier = store.get(record_name(DeploymentId("1-20")))
    assert earlier is not None
    overwrite(store, CURRENT, earlier.data)  # rewound: the record of 1-21 says so
    before = store.names()
    with pytest.raises(PausedError):
        gc(world)
    assert store.names() == before


def test_where_nobody_we_know_signed_the_pointer_nothing_is_deleted() -> None:
    world, store = aged_world()
    overwrite(store, CURRENT, b"{}")
    before = store.names()
    with pytest.raises((UnverifiedError, PausedError)):
        gc(world)
    assert store.names() == before


def test_before_the_first_deployment_of_an_epoch_nothing_is_deleted_and_after_it_the_former_ones_last_stay() -> None:
    world, store = aged_world()
    world.bump()
    world.look_at_trust()
    before = store.names()
    with pytest.raises(PausedError):
        gc(world)
    assert store.names() == before
    world.poll()
    assert world.pointer.deployment == "2-1"
    # Fifteen of the former epoch beside this one, whose own history is empty: two manifests less, and what they alone named.
    assert gc(world).deleted == GARBAGE + 4
    assert all(objects_of(world, f"1-{seq}") for seq in range(LAST - 14, LAST + 1))


def test_a_clock_that_is_a_year_ahead_makes_nothing_older_than_the_store_says() -> None:
    world, _ = aged_world()
    ahead = FakeClock()
    ahead.moment = world.clock.moment + timedelta(days=365)
    reach = Reach(store=world.store, trust=world.trust, clock=ahead, together=in_order)
    assert collect(reach, Deadline(ahead, 60.0), delete=False).garbage == GARBAGE


def test_listings_of_many_pages_are_read_to_their_end() -> None:
    class Paged(AgedStore):
        def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[StoredName]:
            return super().list(prefix, after=after, limit=min(limit, 3))

    world, store = aged_world()
    paged = Paged(world)
    paged.fill(store)
    world.store = paged
    assert gc(world).deleted == GARBAGE
    assert all(objects_of(world, f"1-{seq}") for seq in range(FIRST_KEPT, LAST + 1))


def test_one_run_deletes_no_more_than_it_may_and_the_next_goes_on() -> None:
    world, _ = aged_world()
    first = gc(world, most=3)
    assert (first.garbage, first.deleted, first.left) == (GARBAGE, 3, GARBAGE - 3)
    assert gc(world, most=100).deleted == GARBAGE - 3


class Slow(BreakingStore):
    """Every call takes a second."""

    clock: ClassVar[FakeClock]

    def _run(self, call: str, run: Callable[[], object]) -> object:  # type: ignore[override]
        self.clock.move(1.0)
        return super()._run(call, run)


def test_whenever_the_time_is_over_it_stops_and_what_was_deleted_was_garbage() -> None:
    ends = []
    for seconds in range(0, 90, 3):
        world, store = aged_world()
        Slow.clock = world.clock
        world.store = Slow(store)
        before = store.names()
        try:
            found = gc(world, seconds=seconds)
        except DeadlineError:
            assert store.names() == before
            ends.append("refused")
        else:
            assert found.deleted == len(before) - len(store.names())
            ends.append("whole" if not found.left else "left")
        assert all(objects_of(world, f"1-{seq}") for seq in range(FIRST_KEPT, LAST + 1))
    assert set(ends) == {"refused", "left", "whole"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", [Killed, unavailable], ids=["killed", "failing"])
def test_whatever_breaks_at_whichever_call_the_next_run_finishes_the_job(
    fault: Callable[[], BaseException], *, after: bool
) -> None:
    world, clean = aged_world()
    counting = BreakingStore(clean)
    world.store = counting
    gc(world)
    assert sum(call.startswith("delete ") for call in counting.calls) == GARBAGE
    for at in range(1, len(counting.calls) + 1):
        world, store = aged_world()
        world.store = BreakingStore(store, at=at, fault=fault, after=after)
        with pytest.raises((Killed, SkillSyncError)):
            gc(world)
        world.store = store
        assert objects_of(world, f"1-{FIRST_KEPT}")
        gc(world)
        assert store.names() == clean.names(), counting.calls[at - 1]


def test_two_runs_at_once_delete_the_same_and_count_it_once() -> None:
    world, clean = aged_world()
    counting = BreakingStore(clean)
    world.store = counting
    gc(world)
    for at in range(1, len(counting.calls) + 1):
        world, store = aged_world()
        other, shared = World(), store
        other.store, other.clock = shared, world.clock
        seen: list[Collected] = []

        class Interrupted(BreakingStore):
            def _run(self, call: str, run: Callable[[], object]) -> object:  # type: ignore[override]
                if len(self.calls) + 1 == at:  # noqa: B023 - used within the round
                    seen.append(gc(other))  # noqa: B023
                return super()._run(call, run)

        world.store = Interrupted(store)
        found = gc(world)
        assert found.deleted + seen[0].deleted == GARBAGE
        assert found.left == 0
        assert store.names() == clean.names()


def test_it_reads_and_deletes_and_writes_nothing() -> None:
    world, store = aged_world()
    counting = BreakingStore(store)
    world.store = counting
    gc(world)
    assert not [call for call in counting.calls if call.startswith("put ")]
    assert SUMMARY in store.names()
