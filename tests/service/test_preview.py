"""A preview foretells exactly what the next sync by an operator does, and leaves every byte of the store as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT, SUMMARY
from shared.core.rules import ValidationPolicy
from shared.errors import DeadlineError, PausedError, UnavailableError
from shared.service.context import Deadline
from shared.service.preview import Preview, preview
from tests.fakes.breaking_store import BreakingStore
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import World, bad_skill, skill

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model import CommitSha

MANY = [skill(f"s{number}") for number in range(9)]


def contents(world: World) -> dict[str, tuple[bytes, int]]:
    """Every object with its generation."""
    found: dict[str, tuple[bytes, int]] = {}
    after = ""
    while page := world.store.list("", after=after):
        for entry in page:
            stored = world.store.get(entry.name)
            assert stored is not None
            found[entry.name] = (stored.data, stored.generation)
        after = page[-1].name
    return found


def asked(world: World) -> Preview:
    """Ask for a preview, which must write nothing."""
    before, store = contents(world), world.store
    counted = BreakingStore(store)
    world.store = counted
    try:
        return world.preview()
    finally:
        world.store = store
        assert not [call for call in counted.calls if not call.startswith(("get ", "list "))]
        assert contents(world) == before


def new_skill(world: World) -> None:
    world.push(skill("a"), skill("b"), skill("c"))


def changed_skill(world: World) -> None:
    world.push(skill("a", "New.", version="1.1.0"), skill("b"))


def removed_skill(world: World) -> None:
    world.push(skill("b"))


def withheld_skill(world: World) -> None:
    world.push(bad_skill("a"), skill("b"), bad_skill("c"))


def everything_at_once(world: World) -> None:
    world.push(skill("a", "New."), bad_skill("c"), skill("d", more="text"))


def moved_skill(world: World) -> None:
    world.push({f"deep/{path}": data for path, data in skill("a").items()}, skill("b"))


def no_skill_changed(world: World) -> None:
    world.push(skill("a"), skill("b"), {"README.md": b"x"})


def nothing_pushed(_: World) -> None:
    pass


def mended_after_a_rejection(world: World) -> None:
    world.deploy(bad_skill("a"), skill("b"))
    world.push(skill("a", "Mended."), skill("b"))


def rejected_as_before(world: World) -> None:
    world.deploy(bad_skill("a"), skill("b"))
    world.push(bad_skill("a"), skill("b"), {"README.md": b"x"})


def deletion_guard(world: World) -> None:
    world.deploy(*MANY)
    world.push(*MANY[:4])


def rolled_back(world: World) -> None:
    world.deploy(skill("a", "Two."), skill("b"))
    world.roll_back("1-1")
    world.push(skill("a", "Two."), skill("b", "Two."))


def forced_back(world: World) -> None:
    first = world.repository.head
    world.deploy(skill("a", "Two."), skill("b"))
    world.repository.commit(skill("a", "Other.") | skill("b"), parent=first)


def new_epoch(world: World) -> None:
    world.bump()
    world.look_at_trust()


def new_epoch_and_new_head(world: World) -> None:
    new_epoch(world)
    world.push(skill("a", "New."), skill("c"))


def new_epoch_with_a_lost_archive(world: World) -> None:
    new_epoch(world)
    archive = next(
        name for name, (data, _) in contents(world).items() if name.startswith("objects/") and data[:1] != b"{"
    )
    world.store.delete(archive, if_generation=contents(world)[archive][1])


def lost_pointer(world: World) -> None:
    stored = world.store.get(CURRENT)
    assert stored is not None
    world.store.put(CURRENT, b"rubbish", if_generation=stored.generation)
    world.push(skill("a", "New."), skill("b"))


def lost_records(world: World) -> None:
    stored = world.store.get(SUMMARY)
    assert stored is not None
    world.store.delete(SUMMARY, if_generation=stored.generation)
    world.push(skill("a", "New."), skill("b"))


CHANGES = [
    new_skill,
    changed_skill,
    removed_skill,
    withheld_skill,
    everything_at_once,
    moved_skill,
    no_skill_changed,
    nothing_pushed,
    mended_after_a_rejection,
    rejected_as_before,
    deletion_guard,
    rolled_back,
    forced_back,
    new_epoch,
    new_epoch_and_new_head,
    new_epoch_with_a_lost_archive,
    lost_pointer,
    lost_records,
]


@pytest.mark.parametrize("policy", ValidationPolicy)
@pytest.mark.parametrize("change", CHANGES)
def test_a_sync_does_exactly_what_was_foretold(change: Callable[[World], None], policy: ValidationPolicy) -> None:
    world = World(policy=policy)
    world.deploy(skill("a"), skill("b"))
    change(world)
    found = asked(world)
    assert asked(world) == found
    done = world.manual()
    assert (found.commit, found.published, found.removed, found.withheld) == (
        done.commit,
        done.published,
        done.removed,
        done.withheld,
    )
    assert found.deploys is (done.deployment != found.deployment)
    assert found.deploys or done.status is None


def test_a_new_epoch_is_foretold_as_a_deployment_although_no_skill_changes() -> None:
    world = World()
    world.deploy(skill("a"))
    new_epoch(world)
    found = asked(world)
    assert (found.deploys, found.deployment, found.published) == (True, "1-1", ())
    assert world.manual().deployment == "2-1"


def test_the_first_deployment_is_foretold_with_nothing_live() -> None:
    world = World()
    world.push(skill("a"), bad_skill("b"))
    found = asked(world)
    assert (found.deploys, found.deployment, found.published) == (True, None, (("a", "1.0.0"),))
    assert [item.id for item in found.withheld] == ["b"]
    assert world.manual().published == found.published


def test_what_is_foretold_is_told_of_the_kinds_of_changes() -> None:
    world = World()
    world.deploy(skill("a"), skill("b"), skill("e"))
    world.push(skill("a", "New.", version="1.1.0"), bad_skill("b"), skill("d"))
    found = asked(world)
    assert (found.deploys, found.deployment) == (True, "1-1")
    assert (found.published, found.removed) == ((("a", "1.1.0"), ("d", "1.0.0")), ("e",))
    assert [item.id for item in found.withheld] == ["b"]


def test_while_paused_it_is_refused_as_a_sync_is_and_raises_no_latch() -> None:
    world = World()
    world.deploy(skill("a"))
    first = world.store.get(CURRENT)
    world.deploy(skill("a", "Two."))
    newer = world.store.get(CURRENT)
    assert first is not None
    assert newer is not None
    world.store.put(CURRENT, first.data, if_generation=newer.generation)
    with pytest.raises(PausedError) as unlatched:
        asked(world)
    assert not world.store.list("pauses/")
    with pytest.raises(PausedError):
        world.manual()
    assert world.store.list("pauses/")
    with pytest.raises(PausedError) as latched:
        asked(world)
    assert unlatched.value.reasons == latched.value.reasons == ("mismatch_detected",)


def test_a_source_that_is_down_is_told_and_noted_nowhere() -> None:
    class Down(MemorySource):
        def head(self, known: CommitSha | None) -> CommitSha:
            del known
            raise UnavailableError("SOURCE_UNAVAILABLE", "down")

    world = World()
    world.deploy(skill("a"))
    world.source = Down(world.repository)
    with pytest.raises(UnavailableError) as raised:
        asked(world)
    assert raised.value.code == "SOURCE_UNAVAILABLE"


def test_without_time_nothing_is_asked() -> None:
    world = World()
    world.push(skill("a"))
    with pytest.raises(DeadlineError):
        preview(world.context, Deadline(world.clock, 0.0))
    assert isinstance(world.source, MemorySource)
    assert world.source.asked == []


def test_a_source_that_the_deadline_cuts_off_has_not_failed() -> None:
    class Slow(MemorySource):
        def head(self, known: CommitSha | None) -> CommitSha:
            del known
            world.clock.sleep(30.0)
            raise UnavailableError("SOURCE_TOO_SLOW", "slow")

    world = World()
    world.deploy(skill("a"))
    world.source = Slow(world.repository)
    with pytest.raises(DeadlineError):
        asked(world)


def test_only_what_is_not_known_yet_is_fetched() -> None:
    world = World()
    world.deploy(skill("a"), skill("b", more="text"))
    world.push(skill("a", "New."), skill("b", more="text"))
    assert isinstance(world.source, MemorySource)
    world.source.blobs_asked.clear()
    asked(world)
    assert world.source.blobs_asked == ["a/SKILL.md"]
