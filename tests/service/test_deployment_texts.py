"""A deployment's texts are read a few at a time, beside what they were before."""

from __future__ import annotations

import pytest

from shared.core.names import object_name
from shared.errors import InputError, NotFoundError
from shared.model import SkillId
from shared.service.deployment_texts import MAX_UNPACKED_BYTES, TEXTS, Told, told
from tests.fakes.world import World, bad_skill, skill


def of(world: World, name: str, after: str = "") -> Told:
    return told(world.store, world.trust, world.together, name, after)


def lose(world: World, *digests: str) -> None:
    for digest in digests:
        name = object_name(digest)  # type: ignore[arg-type]
        stored = world.store.get(name)
        assert stored is not None
        world.store.delete(name, if_generation=stored.generation)


def test_a_changed_skill_stands_beside_what_it_was() -> None:
    world = World()
    world.deploy(skill("a", "One."), skill("b"))
    world.deploy(skill("a", "Two."), skill("b"), bad_skill("bad"))
    found = of(world, "1-2")
    (text,) = found.texts
    assert (b"One." in text.old, b"Two." in text.new, text.skill.id) == (True, True, "a")
    assert found.changes is not None
    assert [item.id for item in found.changes.withheld] == ["bad"]
    assert found.is_live


def test_what_is_new_has_nothing_before_it_and_what_is_removed_is_named() -> None:
    world = World()
    world.deploy(skill("a"), skill("b"))
    world.deploy(skill("b"), skill("c"))
    first, second = of(world, "1-1"), of(world, "1-2")
    assert [(text.skill.id, text.old, text.former) for text in first.texts] == [("a", b"", None), ("b", b"", None)]
    assert second.changes is not None
    assert [skill.id for skill in second.changes.removed] == ["a"]
    assert not first.is_live


def test_texts_come_a_few_at_a_time_and_all_of_them_in_the_end() -> None:
    world = World()
    world.deploy(*(skill(f"s{number:02d}") for number in range(2 * TEXTS + 1)))
    seen, after, pages = [], "", 0
    while True:
        found = of(world, "1-1", after)
        seen += [text.skill.id for text in found.texts]
        pages += 1
        if found.following is None:
            break
        after = found.following
    assert (seen, pages) == (sorted(world.manifest.skills), 3)


def test_a_lost_archive_is_named_by_its_code_beside_the_others() -> None:
    world = World()
    world.deploy(skill("a"), skill("b"))
    lose(world, world.manifest.skills[SkillId("a")].archive)
    assert [text.trouble for text in of(world, "1-1").texts] == ["OBJECT_MISSING", ""]


def test_a_skill_that_is_too_large_to_be_unpacked_for_a_page_is_not() -> None:
    world = World()
    half = "x" * (MAX_UNPACKED_BYTES // 4)
    world.deploy(skill("a", one=half, two=half, three=half, four=half, five=half))
    assert [text.trouble for text in of(world, "1-1").texts] == ["SKILL_LARGE"]


@pytest.mark.parametrize("which", [0, 1])
def test_of_collected_manifests_nothing_is_told(which: int) -> None:
    world = World()
    world.deploy(skill("a", "One."))
    old = world.pointer.manifest.sha256
    world.deploy(skill("a", "Two."))
    lose(world, (old, world.pointer.manifest.sha256)[which])
    found = of(world, "1-2")
    assert (found.changes, found.texts) == (None, ())


def test_the_first_deployment_of_an_epoch_that_opens_with_what_was_live_changed_nothing() -> None:
    world = World()
    world.deploy(skill("a"))
    world.bump()
    world.poll()
    found = of(world, "2-1")
    assert found.changes is not None
    assert (found.changes.published, found.texts) == ((), ())


def test_what_is_unknown_is_refused() -> None:
    world = World()
    with pytest.raises(NotFoundError):
        of(world, "1-1")
    world.deploy(skill("a"))
    with pytest.raises(NotFoundError):
        of(world, "1-9")
    with pytest.raises(InputError):
        of(world, "latest")
