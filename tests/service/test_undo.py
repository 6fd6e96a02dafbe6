"""A deployment that failed its health check at a puller: the next poll takes back what it changed, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT, object_name, record_name
from shared.errors import PausedError, SkillSyncError, UnavailableError
from shared.model import Action, DeploymentId, SkillId, Status, Trigger
from shared.service import recovery_status
from tests.fakes.breaking_store import BreakingStore, Killed, unavailable
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import World, bad_skill, skill

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model import CommitSha


class Down(MemorySource):
    """A source that does not answer."""

    def head(self, known: CommitSha | None) -> CommitSha:
        super().head(known)
        raise UnavailableError("SOURCE_UNAVAILABLE", "the source is down")


def failing() -> World:
    """1-2 changes `a`, adds `new` and removes `gone`; it failed at a puller."""
    world = World()
    world.deploy(skill("a", "One."), skill("gone"), skill("same"))
    world.deploy(skill("a", "Two."), skill("new"), skill("same"))
    world.fails("1-2")
    return world


def drop(world: World, name: str) -> None:
    stored = world.store.get(name)
    assert stored is not None
    world.store.delete(name, if_generation=stored.generation)


def test_the_next_poll_takes_back_what_failed_in_one_deployment() -> None:
    world = failing()
    outcome = world.poll()
    assert (outcome.status, outcome.deployment) == (Status.SUCCESS, "1-3")
    assert (outcome.published, outcome.removed) == ((("a", "1.0.0"), ("gone", "1.0.0")), ("new",))
    assert world.texts() == {"a": "One.", "gone": "Text.", "same": "Text."}
    assert world.withheld() == dict.fromkeys(["a", "gone", "new"], "unhealthy")
    pointer = world.pointer
    assert (pointer.action, pointer.trigger, pointer.commit) == (Action.DEPLOY, Trigger.POLLING, world.repository.head)
    assert [line["id"] for line in world.summary.deployments] == ["1-1", "1-2", "1-3"]
    assert sorted(world.events()) == ["1-2-held-edge", "1-3-unhealthy"]


def test_nothing_is_done_twice_however_long_the_report_lies_there() -> None:
    world = failing()
    world.poll()
    for _ in range(3):
        assert world.poll().status is None
    world.deploy(skill("a", "Two."), skill("new"), skill("same"), skill("later"))
    assert world.poll().status is None
    assert world.texts() == {"a": "One.", "gone": "Text.", "same": "Text.", "later": "Text."}


def test_only_a_poll_takes_anything_back() -> None:
    world = failing()
    assert world.deploy(skill("a", "Two."), skill("new"), skill("same"), {"README.md": b"x"}).status is None
    assert world.texts()["a"] == "Two."


def test_it_goes_back_while_the_source_is_down() -> None:
    world = failing()
    world.source = down = Down(world.repository)
    assert world.poll().deployment == "1-3"
    assert down.asked == []
    assert world.texts()["a"] == "One."
    with pytest.raises(UnavailableError):
        world.poll()
    assert world.pointer.seq == 3


def test_a_poll_without_a_failure_reads_no_more_than_before() -> None:
    world = World()
    world.deploy(skill("a"))
    world.report()
    world.poll()
    world.store = counting = BreakingStore(world.store)
    world.poll()
    assert len([call for call in counting.calls if call.startswith("list ")]) == 1
    assert [call for call in counting.calls if call.startswith("get objects/")] == [
        f"get {object_name(world.pointer.manifest.sha256)}"
    ]


# What is newer stays


def test_a_late_report_about_an_older_deployment_undoes_nothing_newer() -> None:
    world = World()
    world.deploy(skill("a", "One."), skill("b", "One."))
    world.deploy(skill("a", "Two."), skill("b", "Two."))
    world.deploy(skill("a", "Three."), skill("b", "Two."))
    world.fails("1-2")
    world.poll()
    assert world.texts() == {"a": "Three.", "b": "One."}
    assert world.withheld() == {"b": "unhealthy"}


def test_two_pullers_that_report_the_same_make_one_deployment_and_two_failures_too() -> None:
    world = failing()
    world.fails("1-2", "a", puller="other")
    world.deploy(skill("a", "Two."), skill("new"), skill("same", "Two."))
    world.fails("1-3", puller="third")
    assert world.poll().deployment == "1-4"
    assert world.texts() == {"a": "One.", "gone": "Text.", "same": "Text."}
    assert world.poll().status is None


def test_what_was_released_afterwards_stays_though_the_report_still_lies_there() -> None:
    world = failing()
    world.poll()
    assert world.release("a", "gone").published == (("a", "1.0.0"),)
    assert world.texts() == {"a": "Two.", "same": "Text."}
    assert world.poll().status is None
    assert world.texts() == {"a": "Two.", "same": "Text."}
    assert world.withheld() == {"new": "unhealthy"}


def test_a_release_that_fails_itself_goes_back_again() -> None:
    world = failing()
    world.poll()
    world.release("a")
    world.fails("1-4", "a")
    assert world.poll().deployment == "1-5"
    assert (world.texts()["a"], world.withheld()["a"]) == ("One.", "unhealthy")


def test_a_version_that_is_pushed_afterwards_goes_live() -> None:
    world = failing()
    world.poll()
    world.deploy(skill("a", "Three."), skill("new", "Mended."), skill("same"))
    assert world.texts() == {"a": "Three.", "gone": "Text.", "new": "Mended.", "same": "Text."}
    assert world.withheld() == {"gone": "unhealthy"}
    assert world.poll().status is None


def test_a_withheld_one_that_is_deleted_at_head_goes_away() -> None:
    world = failing()
    world.poll()
    world.deploy(skill("same"))
    assert (world.texts(), world.withheld()) == (
        {"gone": "Text.", "same": "Text."},
        {"gone": "unhealthy"},
    )
    world.release("gone")
    assert (world.texts(), world.withheld()) == ({"same": "Text."}, {})


def test_a_rejection_at_head_stays_noted() -> None:
    world = World()
    world.deploy(skill("a", "One."))
    world.deploy(skill("a", "Two."))
    world.deploy(bad_skill("a"))
    world.fails("1-2")
    world.poll()
    assert (world.texts(), world.withheld()) == ({"a": "One."}, {"a": "rejected"})
    assert world.poll().status is None


# What is not undone


def test_a_rollback_is_never_undone() -> None:
    world = World()
    world.deploy(skill("a", "One."))
    world.deploy(skill("a", "Two."))
    world.roll_back("1-1")
    world.fails("1-3")
    assert world.poll().status is None
    assert world.texts() == {"a": "One."}


@pytest.mark.parametrize("readme", [False, True])
def test_what_went_back_is_not_brought_forward_when_it_fails_too(*, readme: bool) -> None:
    world = World()
    world.deploy(skill("a", "One."))
    world.deploy(skill("a", "Two."))
    world.deploy(bad_skill("a"))
    world.fails("1-2")
    world.poll()
    if readme:  # the pointer is refreshed and names another head
        world.deploy(bad_skill("a"), {"README.md": b"x"})
    world.fails("1-4")
    assert world.poll().status is None
    assert world.texts() == {"a": "One."}


def test_the_first_deployment_of_all_goes_back_to_nothing_whatever_the_deletion_guard_says() -> None:
    world = World()
    world.deploy(*(skill(f"s{number}") for number in range(9)))
    world.fails("1-1")
    world.poll()
    assert (world.live(), set(world.withheld().values())) == ({}, {"unhealthy"})
    assert world.poll().status is None
    world.release("s0")
    assert set(world.live()) == {"s0"}


def test_another_epochs_failure_undoes_nothing() -> None:
    world = failing()
    world.bump()
    world.poll()
    assert (world.pointer.epoch, world.texts()["a"]) == (2, "Two.")
    assert world.poll().status is None


def test_a_failure_that_names_another_manifest_undoes_nothing() -> None:
    world = failing()
    first = world.pointer.history[0][1]
    world.report(outcome="held", failed={"deployment": "1-2", "manifest": first})
    assert world.poll().status is None


def test_a_paused_store_is_left_as_it_is() -> None:
    world = failing()
    world.roll_back("1-1")
    ahead = world.store.get(CURRENT)
    assert ahead is not None
    record = world.store.get(record_name(DeploymentId("1-2")))
    assert record is not None
    world.store.put(CURRENT, record.data, if_generation=ahead.generation)
    with pytest.raises(PausedError):
        world.poll()
    after = world.store.get(CURRENT)
    assert after is not None
    assert after.data == record.data


# What is lost


@pytest.mark.parametrize("which", [0, 1, 2], ids=["the one before", "the failed one", "one since"])
@pytest.mark.parametrize("damage", [None, b"{"], ids=["lost", "damaged"])
def test_where_a_manifest_cannot_be_read_any_more_the_poll_goes_on(which: int, damage: bytes | None) -> None:
    world = failing()
    world.deploy(skill("a", "Two."), skill("new"), skill("same", "Three."))
    world.deploy(skill("a", "Two."), skill("new"), skill("same", "Four."))
    name = object_name(world.pointer.history[which][1])
    stored = world.store.get(name)
    assert stored is not None
    if damage is None:
        world.store.delete(name, if_generation=stored.generation)
    else:
        world.store.put(name, damage, if_generation=stored.generation)
    world.push(skill("a", "Two."), skill("new"), skill("same", "Five."))
    assert world.poll().deployment == "1-5"
    assert world.texts() == {"a": "Two.", "new": "Text.", "same": "Five."}


def test_without_its_record_nobody_knows_what_kind_of_deployment_it_was() -> None:
    world = failing()
    drop(world, record_name(DeploymentId("1-2")))
    world.store.put(record_name(DeploymentId("1-2")), b"{}", if_generation=0)
    assert world.poll().status is None


def test_a_skill_whose_former_archive_is_lost_stays_and_the_others_go_back() -> None:
    world = World()
    world.deploy(skill("a", "One."), skill("b", "One."))
    lost = world.manifest.skills[SkillId("a")].archive
    world.deploy(skill("a", "Two."), skill("b", "Two."))
    world.fails("1-2")
    drop(world, object_name(lost))
    world.poll()
    assert (world.texts(), world.withheld()) == ({"a": "Two.", "b": "One."}, {"b": "unhealthy"})
    assert world.poll().status is None


# Crashes and rivals


@pytest.mark.parametrize("fault", [unavailable, Killed])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_whatever_breaks_at_whichever_call_the_next_poll_has_it_back_once(
    fault: Callable[[], BaseException], *, after: bool
) -> None:
    for at in range(1, 60):
        world = failing()
        plain, breaking = world.store, BreakingStore(world.store, at=at, fault=fault, after=after)
        world.store = breaking
        with suppress(Killed, SkillSyncError):
            world.poll()
        world.store = plain
        world.poll()
        assert world.texts() == {"a": "One.", "gone": "Text.", "same": "Text."}, at
        assert world.poll().status is None, at
        assert world.records() == ["1-1", "1-2", "1-3"], at
        assert [line["id"] for line in world.summary.deployments] == ["1-1", "1-2", "1-3"], at
        told = sorted(event for event in world.events() if not event.startswith("failed"))
        assert told == ["1-2-held-edge", "1-3-unhealthy"], at
        if len(breaking.calls) < at:
            assert at > 10
            return
    pytest.fail("the poll never got through")


def test_a_push_that_comes_first_is_gathered_again_and_stays() -> None:
    world = failing()

    class Raced(BreakingStore):
        """A mended `a` is deployed just before the pointer moves."""

        def put(self, name: str, data: bytes, *, if_generation: int) -> int:
            if name == CURRENT and world.store is self:
                world.store = plain
                world.deploy(skill("a", "Three."), skill("new"), skill("same"))
                world.store = self
                self.put = plain.put  # type: ignore[method-assign]
            return super().put(name, data, if_generation=if_generation)

    plain = world.store
    world.store = Raced(plain)
    assert world.poll().deployment == "1-4"
    assert world.texts() == {"a": "Three.", "gone": "Text.", "same": "Text."}
    assert world.withheld() == {"gone": "unhealthy", "new": "unhealthy"}


def test_a_puller_that_is_held_shows_at_boot() -> None:
    world = failing()
    gates = recovery_status.boot(world.survey())["gates"]
    assert [gate["gate"] for gate in gates if gate["status"] == "warn"] == [7]  # type: ignore[attr-defined]


def test_a_second_bad_version_of_the_same_skill_does_not_go_back_to_the_first() -> None:
    world = World()
    world.deploy(skill("a", "Good."), skill("b"))
    world.deploy(skill("a", "Bad."), skill("b"))
    world.deploy(skill("a", "Worse."), skill("b"))
    before = {"deployment": "1-2", "manifest": world.pointer.history[-1][1]}
    failed = {"deployment": "1-3", "manifest": world.pointer.manifest.sha256}
    world.report(outcome="held", deployment="1-1", failed=failed, failed_before=[before])
    world.poll()
    assert (world.texts()["a"], world.withheld()) == ("Good.", {"a": "unhealthy"})
    assert world.poll().status is None


@pytest.mark.parametrize("standing", ["1-1", None])
def test_what_a_puller_skipped_is_undone_when_nothing_else_is_left(standing: str | None) -> None:
    world = World()
    world.deploy(skill("a", "Good."), skill("b", "One."))
    world.deploy(skill("a", "Bad."), skill("b", "One."))
    world.deploy(skill("a", "Bad."), skill("b", "Two."))
    for _ in range(3):
        failed = {"deployment": world.pointer.deployment, "manifest": world.pointer.manifest.sha256}
        world.report(outcome="held", deployment=standing, failed=failed)
        world.poll()
    assert world.texts() == {"a": "Bad." if standing is None else "Good.", "b": "One."}


def test_a_puller_that_was_away_for_long_makes_nothing_go_back_but_what_failed() -> None:
    world = World()
    for number in range(10):
        world.deploy(skill("a", f"{number}"), skill("b", f"{number}"))
    for _ in range(3):
        failed = {"deployment": world.pointer.deployment, "manifest": world.pointer.manifest.sha256}
        world.report(outcome="held", deployment="1-1", failed=failed)
        world.poll()
    assert world.texts() == {"a": "8", "b": "8"}
