"""What a sync asks for: of the source only contents that no archive holds, of the store only archives that it needs."""

from __future__ import annotations

import pytest

from shared.core.names import object_name
from shared.model import SkillId, Status
from tests.fakes.breaking_store import BreakingStore
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import World, bad_skill, skill


def watched(world: World) -> tuple[MemorySource, BreakingStore]:
    """Source and store that note what they are asked for from now on."""
    source, store = MemorySource(world.repository), BreakingStore(world.store)
    world.source, world.store = source, store
    return source, store


def archive_of(world: World, key: str) -> str:
    return object_name(world.manifest.skills[SkillId(key)].archive)


def test_only_the_file_that_changed_is_fetched() -> None:
    world = World()
    world.deploy(skill("a", x="1", y="2"), skill("b"))
    push = world.push(skill("a", x="1", y="3"), skill("b"))
    source, _ = watched(world)
    world.webhook(push)
    assert (source.asked, source.blobs_asked) == (["head", "listing", "blobs"], ["a/y.txt"])


def test_the_same_content_in_many_places_is_fetched_once() -> None:
    world = World()
    push = world.push(*(skill(f"s{number}", licence="MIT") for number in range(5)))
    source, _ = watched(world)
    world.webhook(push)
    assert len([path for path in source.blobs_asked if "licence" in path]) == 1
    assert all(files["licence.txt"] == b"MIT" for files in world.live().values())


def test_of_skills_that_share_a_file_only_the_changed_ones_archive_is_read() -> None:
    world = World()
    many = [skill(f"s{number}", licence="MIT") for number in range(20)]
    world.deploy(*many)
    world.deploy(*many[:-1], skill("s19", "Two.", licence="MIT"))
    push = world.push(*many[:-1], skill("s19", "Three.", licence="MIT"))
    archives = {object_name(entry.archive): key for key, entry in world.manifest.skills.items()}
    source, store = watched(world)
    world.webhook(push)
    assert [archives[call[4:]] for call in store.calls if call[4:] in archives and call.startswith("get")] == ["s19"]
    assert source.blobs_asked == ["s19/SKILL.md"]


def test_a_file_that_moved_to_another_skill_is_taken_from_the_archive_that_has_it() -> None:
    world = World()
    world.deploy(skill("a", x="moved"), skill("b"))
    push = world.push(skill("a"), skill("b", x="moved"))
    source, _ = watched(world)
    world.webhook(push)
    assert source.blobs_asked == []
    assert world.live()["b"]["x.txt"] == b"moved"


@pytest.mark.parametrize("damage", ["missing", "rubbish", "unreachable"])
def test_an_archive_that_cannot_be_read_is_no_fault_the_source_still_has_it(damage: str) -> None:
    world = World()
    world.deploy(skill("a", "One.", x="kept"))
    name = archive_of(world, "a")
    stored = world.store.get(name)
    assert stored is not None
    if damage == "missing":
        world.store.delete(name, if_generation=stored.generation)
    elif damage == "rubbish":
        world.store.put(name, b"rubbish", if_generation=stored.generation)
    push = world.push(skill("a", "Two.", x="kept"))
    source, store = watched(world)
    if damage == "unreachable":
        world.store = store = BreakingStore(store, at=4)  # pointer, summary, manifest, archive
    assert world.webhook(push).status is Status.SUCCESS
    assert sorted(source.blobs_asked) == ["a/SKILL.md", "a/x.txt"]
    assert world.live()["a"]["x.txt"] == b"kept"
    assert damage != "unreachable" or store.calls[3] == f"get {name}"


def test_nothing_is_fetched_of_a_skill_that_its_listing_condemns() -> None:
    world = World()
    push = world.push(skill("Not-a-slug", x="1"), skill("ok"))
    source, _ = watched(world)
    world.webhook(push)
    assert source.blobs_asked == ["ok/SKILL.md"]
    assert world.withheld() == {"Not-a-slug": "rejected"}


def test_nothing_is_fetched_again_of_what_was_rejected_at_the_same_tree() -> None:
    world = World()
    world.deploy(bad_skill("a"), skill("b"))
    push = world.push(bad_skill("a"), skill("b", "Two."))
    source, _ = watched(world)
    world.webhook(push)
    assert source.blobs_asked == ["b/SKILL.md"]


def test_a_removal_needs_no_content_at_all() -> None:
    world = World()
    world.deploy(skill("a"), skill("b"))
    push = world.push(skill("b"))
    manifest = object_name(world.pointer.manifest.sha256)
    source, store = watched(world)
    world.webhook(push)
    assert source.asked == ["head", "listing"]
    assert [call for call in store.calls if call.startswith("get objects/")] == [f"get {manifest}"]


def test_the_publish_root_bounds_what_is_seen() -> None:
    world = World()
    world.root = "skills"
    below = {f"skills/{path}": data for path, data in skill("a").items()}
    world.deploy(below, skill("outside"), {"skills-old/x/SKILL.md": b"x"})
    assert set(world.live()) == {"a"}
    assert world.manifest.root == "skills"


def test_another_publish_root_is_taken_up_by_the_next_poll_and_guarded_like_any_deletion() -> None:
    world = World()
    world.deploy(*(skill(f"s{number}") for number in range(6)))
    world.root = "skills"
    world.poll()
    assert len(world.live()) == 6
    assert set(world.withheld().values()) == {"deletion_guard"}
    assert world.manifest.root == "skills"
