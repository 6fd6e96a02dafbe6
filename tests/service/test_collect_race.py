"""Garbage collection beside a sync or rollback that brings old content back: nothing that is live is ever deleted.

Every order with at most two switches between the two, at every call that the other one could notice, and any number of
switches at random. After every single write and deletion all that the live pointer names is there, and is what its name
says. The same search finds the loss where objects that come back keep their generation, and where deletions ignore it.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.canonical import digest_of
from shared.core.manifest import parse_manifest
from shared.core.names import CURRENT, object_name
from shared.core.verify import UnverifiedPointer, read_pointer
from shared.errors import SkillSyncError
from tests.fakes.world import TRUST, World
from tests.service.aged import GARBAGE, LAST, OLD, AgedStore, aged_world, gc
from tests.service.taking_turns import Process, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shared.ports import Store

GC, OTHER = 0, 1


class LostError(AssertionError):
    """Something that the live pointer names is gone, or is not what its name says."""


def check_live(store: Store) -> None:
    stored = store.get(CURRENT)
    assert stored is not None
    pointer = read_pointer(UnverifiedPointer(stored.data), TRUST)
    manifest = store.get(object_name(pointer.manifest.sha256))
    if manifest is None or digest_of(manifest.data) != pointer.manifest.sha256:
        raise LostError(f"the manifest of {pointer.deployment}")
    for entry in parse_manifest(manifest.data).skills.values():
        archive = store.get(object_name(entry.archive))
        if archive is None or digest_of(archive.data) != entry.archive:
            raise LostError(f"{entry.id} of {pointer.deployment}")


class Shared(AgedStore):
    """The store; `lost` is the first thing that was missing after a write or a deletion."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.lost = ""

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        generation = super().put(name, data, if_generation=if_generation)
        self._look(name)
        return generation

    def delete(self, name: str, *, if_generation: int) -> None:
        super().delete(name, if_generation=if_generation)
        self._look(name)

    def _look(self, name: str) -> None:
        if name == CURRENT or name.startswith("objects/"):
            try:
                check_live(self)
            except LostError as error:
                self.lost = self.lost or str(error)


class NeverRenewed(Shared):
    """What is written over itself keeps its generation and its age: nobody sees that it comes back."""

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        if name.startswith("objects/") and if_generation:
            self._expect(name, if_generation)
            return if_generation
        return super().put(name, data, if_generation=if_generation)


class Careless(Shared):
    """Deletions take whatever generation is there."""

    def delete(self, name: str, *, if_generation: int) -> None:
        found = self.get(name)
        super().delete(name, if_generation=if_generation if found is None else found.generation)


def rollback(world: World) -> None:
    world.roll_back("1-1")


def revert(world: World) -> None:
    world.deploy(*OLD)


OTHERS = {"rollback": rollback, "sync of a revert": revert}


@cache
def returning() -> frozenset[str]:
    """The names of the objects that come back."""
    world, store = aged_world()
    before = {entry.name: entry.generation for entry in store.list("objects/")}
    world.roll_back("1-1")
    found = {
        entry.name for entry in store.list("objects/") if before.get(entry.name, entry.generation) != entry.generation
    }
    assert len(found) == 2
    return frozenset(found)


def can_be_noticed(call: str) -> bool:
    """Whether it reads or writes what the other one may change: the pointer, what comes back, the two listings."""
    verb, _, name = call.partition(" ")
    is_shared = name in {CURRENT, "objects/", "deployments/", *returning()}
    return is_shared or (verb == "put" and name.startswith("objects/"))


def race(other: Callable[[World], None], schedule: Iterable[int], kind: type[Shared] = Shared) -> tuple[int, int]:
    """Run both in that order, and check; returns how many steps each took."""
    world, filled = aged_world()
    store = kind(world)
    store.fill(filled)
    collector, syncer = Process(store, can_be_noticed), Process(store, can_be_noticed)
    beside = World(repository=world.repository)
    beside.clock, beside.store, world.store = world.clock, collector, syncer
    collector.start(lambda: gc(beside))
    syncer.start(lambda: other(world))
    take_turns((collector, syncer), schedule)
    if store.lost:
        raise LostError(store.lost)
    assert collector.error is None, collector.error
    world.store = beside.store = store
    if syncer.error is None:
        assert world.texts() == {"a": "Old.", "b": "0"}
    else:
        # Only a rollback needs what only the store has: it then found that it is gone, and moved nothing.
        assert other is rollback
        assert isinstance(syncer.error, SkillSyncError)
        assert syncer.error.code == "OBJECT_MISSING"
        assert world.pointer.seq == LAST
    gc(beside)
    check_live(store)
    return collector.steps, syncer.steps


def two_switches(other: Callable[[World], None]) -> list[list[int]]:
    """Either begins, goes so far, lets the other one go so far, and ends before it."""
    # Alone each goes its longest way: behind a collection a rollback has little to do.
    steps = (race(other, [])[GC], race(other, [OTHER] * 100)[OTHER])
    found = []
    for first, second in ((GC, OTHER), (OTHER, GC)):
        for ahead, then in itertools.product(range(steps[first]), range(1, steps[second] + 1)):
            found.append([first] * ahead + [second] * then + [first] * 100)
    return found


@pytest.mark.parametrize("name", OTHERS)
def test_in_no_order_with_two_switches_is_anything_deleted_that_is_live(name: str) -> None:
    other = OTHERS[name]
    schedules = two_switches(other)
    assert len(schedules) >= 150, "the search has become blind"
    for schedule in schedules:
        race(other, schedule)


@pytest.mark.parametrize("name", OTHERS)
@settings(max_examples=60, deadline=None)
@given(schedule=st.lists(st.integers(GC, OTHER), max_size=40))
def test_in_no_order_at_all_is_anything_deleted_that_is_live(name: str, schedule: list[int]) -> None:
    race(OTHERS[name], schedule)


@pytest.mark.parametrize("kind", [NeverRenewed, Careless])
@pytest.mark.parametrize("name", OTHERS)
def test_the_search_finds_the_loss_where_generations_do_not_tell_what_comes_back(name: str, kind: type[Shared]) -> None:
    def is_lost(schedule: list[int]) -> bool:
        try:
            race(OTHERS[name], schedule, kind)
        except LostError:
            return True
        return False

    assert any(is_lost(schedule) for schedule in two_switches(OTHERS[name]))


def test_what_comes_back_before_its_deletion_is_skipped_and_counted() -> None:
    world, store = aged_world()
    intruded: list[bool] = []

    class Late(AgedStore):
        def delete(self, name: str, *, if_generation: int) -> None:
            if not intruded:
                intruded.append(True)
                world.roll_back("1-1")
            super().delete(name, if_generation=if_generation)

    late = Late(world)
    late.fill(store)
    world.store = late
    found = gc(world)
    assert (found.garbage, found.deleted, found.skipped, found.left) == (GARBAGE, GARBAGE - 2, 2, 0)
    assert world.texts() == {"a": "Old.", "b": "0"}
