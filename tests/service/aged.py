"""A store with a past: some of what it holds is old and named by nobody any more."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from functools import cache

from shared.core.names import object_name
from shared.model import DeploymentId
from shared.service.collect import Collected, Reach, collect
from shared.service.context import Deadline
from shared.service.objects import read_manifest, read_object, read_record
from tests.fakes.memory_store import MemoryStore
from tests.fakes.world import TRUST, World, in_order, skill

LAST = 21
FIRST_KEPT = 5
"""The live pointer's history names the sixteen before it."""
OLD = (skill("a", "Old."), skill("b", "0"))
GARBAGE = 8
"""Four deployments' manifests, the old `a`, and what `b` was in them."""


class AgedStore(MemoryStore):
    """A store whose time is that of a world, and that can be copied."""

    def __init__(self, world: World) -> None:
        super().__init__(now=world.clock.now)

    def fill(self, other: MemoryStore) -> None:
        self._objects = dict(other._objects)
        self._last_generation = other._last_generation

    def names(self) -> set[str]:
        return set(self._objects)


def live_through(world: World) -> None:
    """Deploy twenty-one times: nineteen times now, by the world's clock, and twice 40 days later."""
    world.deploy(*OLD)
    world.deploy(skill("a", "New."), skill("b", "0"))
    for number in range(1, 18):
        world.deploy(skill("a", "New."), skill("b", f"{number}"))
    world.clock.move(timedelta(days=40).total_seconds())
    for number in (18, 19):
        world.deploy(skill("a", "New."), skill("b", f"{number}"))
    world.poll()
    assert world.pointer.deployment == f"1-{LAST}"


@cache
def _past() -> tuple[World, AgedStore]:
    world = World()
    store = AgedStore(world)
    world.store = store
    live_through(world)
    return world, store


def aged_world() -> tuple[World, AgedStore]:
    """A world that has lived through them, each time a new copy."""
    past, filled = _past()
    world = World(repository=deepcopy(past.repository))
    store = AgedStore(world)
    store.fill(filled)
    world.store = store
    world.clock.moment = past.clock.moment
    return world, store


def gc(world: World, *, delete: bool = True, seconds: float = 60.0, most: int = 2000) -> Collected:
    reach = Reach(store=world.store, trust=world.trust, clock=world.clock, together=in_order, audit=world.audit)
    return collect(reach, Deadline(world.clock, seconds), delete=delete, most=most)


def objects_of(world: World, deployment: str) -> set[str]:
    """The names of all objects that a deployment needs; each of them is there and is what its name says."""
    record = read_record(world.store, TRUST, DeploymentId(deployment))
    assert record is not None
    manifest = read_manifest(world.store, record.manifest.sha256)
    archives = {entry.archive for entry in manifest.skills.values()}
    assert all(read_object(world.store, archive) for archive in archives)
    return {object_name(digest) for digest in (record.manifest.sha256, *archives)}
