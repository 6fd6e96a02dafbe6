"""A sync that is killed, or whose store fails, at any single call: nothing half-published is seen, the next poll finishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from shared.core.manifest import parse_manifest
from shared.core.names import CURRENT, object_name
from shared.core.verify import UnverifiedPointer, read_pointer
from shared.errors import SkillSyncError
from shared.model import Status
from tests.fakes.breaking_store import BreakingStore, Killed, unavailable
from tests.fakes.memory_store import MemoryStore
from tests.fakes.world import TRUST, World, bad_skill, skill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.model import Push
    from shared.ports import Store

T = TypeVar("T")


def world_before_the_push() -> tuple[World, Push]:
    """Two deployments, then a push that publishes, updates, removes and has one skill rejected."""
    world = World()
    world.deploy(skill("a", "One."), skill("gone"))
    world.deploy(skill("a", "Two."), skill("gone"), skill("b"))
    return world, world.push(skill("a", "Three."), skill("b"), skill("c"), bad_skill("d"))


def clean_run() -> tuple[World, list[str]]:
    world, push = world_before_the_push()
    counting = BreakingStore(world.store)
    world.store = counting
    world.webhook(push)
    calls = list(counting.calls)
    world.poll()
    return world, calls


def everything_named_exists(store: Store) -> None:
    """What a puller would read now is whole: the pointer verifies, and all that it names is there."""
    stored = store.get(CURRENT)
    if stored is None:
        return
    pointer = read_pointer(UnverifiedPointer(stored.data), TRUST)
    manifest = store.get(object_name(pointer.manifest.sha256))
    assert manifest is not None
    for entry in parse_manifest(manifest.data).skills.values():
        assert store.get(object_name(entry.archive)) is not None, entry.id


class Watched(MemoryStore):
    """A store that looks, after every write, whether what is visible is whole."""

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        generation = super().put(name, data, if_generation=if_generation)
        everything_named_exists(self)
        return generation


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", [Killed, unavailable], ids=["killed", "failing"])
def test_whatever_breaks_at_whichever_call_the_next_poll_finishes_the_job(
    fault: Callable[[], BaseException], *, after: bool
) -> None:
    clean, calls = clean_run()
    assert len(calls) >= 10
    for at in range(1, len(calls) + 1):
        world, push = world_before_the_push()
        inner = world.store
        world.store = BreakingStore(inner, at=at, fault=fault, after=after)
        try:
            world.webhook(push)
        except (Killed, SkillSyncError):
            everything_named_exists(inner)
        world.store = inner
        world.poll()
        where = f"{fault.__name__} {'after' if after else 'before'} call {at}, {calls[at - 1]}"
        assert world.live() == clean.live(), where
        assert world.withheld() == clean.withheld(), where
        assert world.records() == ["1-1", "1-2", "1-3"], where
        assert [line["id"] for line in world.summary.deployments] == ["1-1", "1-2", "1-3"], where
        assert [event for event in world.events() if not event.startswith("failed")] == ["1-3-rejected"], where
        assert world.pointer.commit == world.repository.head, where
        world.poll()
        assert world.pointer.seq == 3, where


def test_at_no_write_is_anything_half_published_visible() -> None:
    world = World(store=Watched())
    for parts in ([skill("a")], [skill("a", "Two."), skill("b")], [skill("b")], [bad_skill("b"), skill("c")]):
        world.deploy(*parts)
    world.roll_back("1-2")
    world.release("c")
    assert world.pointer.seq == 6


def test_a_lost_answer_of_the_pointers_own_write_is_recognised_as_success() -> None:
    world, push = world_before_the_push()
    _, calls = clean_run()
    at = calls.index(f"put {CURRENT}") + 1
    world.store = BreakingStore(world.store, at=at, after=True)
    outcome = world.webhook(push)
    assert (outcome.status, outcome.deployment) == (Status.SUCCESS, "1-3")


def test_a_rollback_that_breaks_at_any_call_either_moved_the_pointer_or_did_nothing() -> None:
    world, push = world_before_the_push()
    world.webhook(push)
    counting = BreakingStore(world.store)
    world.store = counting
    world.roll_back("1-1")
    for at in range(1, len(counting.calls) + 1):
        world, push = world_before_the_push()
        world.webhook(push)
        before, inner = world.live(), world.store
        world.store = BreakingStore(inner, at=at, fault=Killed)
        with pytest.raises(Killed):
            world.roll_back("1-1")
        world.store = inner
        everything_named_exists(inner)
        moved = world.pointer.seq == 4
        assert moved or world.live() == before
        world.poll()
        assert set(world.texts()) == ({"a", "gone"} if moved else {"a", "b", "c"})
        assert world.records() == [f"1-{seq}" for seq in range(1, world.pointer.seq + 1)]


def test_a_push_of_one_changed_file_costs_three_source_and_ten_store_requests_six_in_sequence() -> None:
    world = World()
    world.deploy(skill("a", notes="n"), skill("b"))
    world.deploy(skill("a", "Two.", notes="n"), skill("b"))
    push = world.push(skill("a", "Three.", notes="n"), skill("b"))
    counting = BreakingStore(world.store)
    world.store = counting
    world.source.asked.clear()  # type: ignore[attr-defined]
    saved = 0

    def side_by_side(calls: Sequence[Callable[[], T]]) -> list[T]:
        nonlocal saved
        results, spans = [], [0]
        for call in calls:
            before = len(counting.calls) - saved
            results.append(call())
            spans.append(len(counting.calls) - saved - before)
        saved += sum(spans) - max(spans)
        return results

    world.together = side_by_side
    world.webhook(push)
    assert world.source.asked == ["head", "listing", "blobs"]  # type: ignore[attr-defined]
    assert len(counting.calls) == 10
    assert len(counting.calls) - saved == 6
