"""Moving the pointer: what goes before it, what follows, and what it says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT, SUMMARY, object_name, timestamp
from shared.core.summary import LATENCY_BUCKETS_MS
from shared.core.verify import UnverifiedPointer, floor_of, verify_pointer
from shared.errors import ConflictError, DeadlineError, UnavailableError
from shared.model import Action, Status, Trigger
from tests.fakes.breaking_store import BreakingStore
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import TRUST, World, bad_skill, skill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.model import BlobId, CommitSha, Pointer, TreeEntry


def counted(world: World) -> BreakingStore:
    world.store = store = BreakingStore(world.store)
    return store


def test_everything_that_the_new_manifest_needs_is_written_before_the_pointer_and_the_rest_behind_it() -> None:
    world = World()
    world.deploy(skill("a"))
    push = world.push(skill("a", "Two."), bad_skill("b"))
    store = counted(world)
    world.webhook(push)
    writes = [call[4:] for call in store.calls if call.startswith("put ")]
    at = writes.index(CURRENT)
    archive, manifest = world.manifest.skills["a"].archive, world.pointer.manifest.sha256
    assert set(writes[:at]) == {object_name(archive), object_name(manifest), "deployments/1-1.json"}
    behind = [name.split("/")[0] for name in writes[at + 1 :]]
    assert behind == ["events", "deployments", SUMMARY]


def test_an_unchanged_archive_is_never_written_again() -> None:
    world = World()
    many = [skill(f"s{number}") for number in range(10)]
    world.deploy(*many)
    push = world.push(*many[1:], skill("s0", "Two."))
    store = counted(world)
    world.webhook(push)
    assert len([call for call in store.calls if call.startswith("put objects/")]) == 2


def test_an_archive_that_several_skills_share_is_written_once() -> None:
    world = World()
    content = skill("a")["a/SKILL.md"]
    push = world.push({f"s{number}/SKILL.md": content for number in range(12)})
    store = counted(world)
    world.webhook(push)
    assert set(Counter(call for call in store.calls if call.startswith("put objects/")).values()) == {1}
    assert len(world.live()) == 12


def test_a_pointer_says_which_head_it_was_decided_on_and_which_before() -> None:
    world = World()
    world.deploy(skill("a"))
    first = world.repository.head
    world.deploy(skill("a", "Two."))
    pointer = world.pointer
    assert (pointer.commit, pointer.previous_commit) == (world.repository.head, first)
    assert (pointer.manifest.skills, pointer.manifest.size) == (1, len(manifest_bytes_of(world)))
    assert (pointer.action, pointer.status, pointer.trigger) == (Action.DEPLOY, Status.SUCCESS, Trigger.WEBHOOK)


def manifest_bytes_of(world: World) -> bytes:
    stored = world.store.get(object_name(world.pointer.manifest.sha256))
    assert stored is not None
    return stored.data


def test_two_deployments_of_the_same_content_at_the_same_time_have_different_bytes() -> None:
    one, other = World(), World()
    for world in (one, other):
        world.deploy(skill("a"))
    assert one.pointer.manifest == other.pointer.manifest
    assert one.pointer.token != other.pointer.token


def test_every_pointer_is_accepted_by_a_puller_that_saw_any_earlier_one() -> None:
    world = World()
    seen: list[Pointer] = []
    steps = [
        lambda: world.deploy(skill("a")),
        lambda: world.deploy(skill("a"), {"README.md": b"x"}),
        lambda: world.deploy(skill("a", "Two."), bad_skill("b")),
        lambda: world.roll_back("1-1"),
        lambda: world.release("a"),
        world.poll,
        world.deploy,
    ]
    for step in steps:
        world.clock.move(151)
        step()
        stored = world.store.get(CURRENT)
        assert stored is not None
        for earlier in seen:
            verify_pointer(UnverifiedPointer(stored.data), TRUST, floor_of(earlier), world.clock.now())
        seen.append(world.pointer)
    assert [pointer.seq for pointer in seen] == [1, 1, 2, 3, 4, 4, 5]
    assert [pointer.issued_at for pointer in seen] == sorted({pointer.issued_at for pointer in seen})


def test_a_push_that_removes_the_last_skill_publishes_an_empty_manifest() -> None:
    world = World()
    world.deploy(skill("a"))
    assert world.deploy().removed == ("a",)
    assert (world.pointer.manifest.skills, world.live()) == (0, {})


def test_a_repository_without_skills_is_deployed_as_such_once() -> None:
    world = World()
    assert world.deploy({"README.md": b"x"}).deployment == "1-1"
    assert world.deploy({"README.md": b"y"}).status is None
    assert world.pointer.seq == 1


class Slow(MemorySource):
    """A source whose contents take some seconds."""

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__(world.repository)
        self._world = world
        self._seconds = seconds

    def blobs(self, commit: CommitSha, entries: Sequence[TreeEntry]) -> Mapping[BlobId, bytes]:
        self._world.clock.move(self._seconds)
        return super().blobs(commit, entries)


@pytest.mark.parametrize(("seconds", "bucket"), [(0.2, 0), (0.9, 2), (7.9, 5)])
def test_the_time_from_call_to_pointer_is_counted(seconds: float, bucket: int) -> None:
    world = World()
    world.source = Slow(world, seconds)
    world.deploy(skill("a"))
    (counters,) = world.summary.days.values()
    assert counters["latency"] == [int(number == bucket) for number in range(len(LATENCY_BUCKETS_MS) + 1)]


def test_a_pointer_says_when_the_call_came_in_that_made_it_and_a_refresh_does_not_change_that() -> None:
    world = World()
    world.source = Slow(world, 3.0)
    asked = world.clock.now()
    world.deploy(skill("a"))
    made = world.pointer
    world.clock.move(3600.0)
    world.poll()
    assert world.pointer.issued_at > made.issued_at
    assert world.pointer.asked_at == made.asked_at == timestamp(asked)
    assert made.asked_at < made.deployed_at


def test_a_sync_that_ran_out_of_time_while_fetching_leaves_what_it_stored_and_no_failure() -> None:
    world = World()
    world.deploy(skill("a"))
    push = world.push(skill("a", "Two."))
    world.source = Slow(world, 8.0)
    objects = len(world.store.list("objects/"))
    with pytest.raises(DeadlineError):
        world.webhook(push)
    assert world.pointer.seq == 1
    assert len(world.store.list("objects/")) == objects + 2
    assert "error" not in world.summary.poller
    assert world.poll().status is Status.SUCCESS


def test_a_sync_that_always_loses_gives_up_with_its_time_and_the_next_poll_finishes() -> None:
    world = World()
    world.deploy(skill("a"))
    push = world.push(skill("a", "Two."))

    class Busy(BreakingStore):
        def put(self, name: str, data: bytes, *, if_generation: int) -> int:
            if name == CURRENT:
                world.clock.move(1)
                raise ConflictError("GENERATION_MISMATCH", "somebody else")
            return super().put(name, data, if_generation=if_generation)

    inner, world.store = world.store, Busy(world.store)
    with pytest.raises(DeadlineError):
        world.webhook(push)
    world.store = inner
    assert world.pointer.seq == 1
    assert world.poll().status is Status.SUCCESS


def test_a_rollback_without_time_moves_nothing() -> None:
    world = World()
    world.deploy(skill("a"))
    world.deploy(skill("a", "Two."))

    class Late(BreakingStore):
        def get(self, name: str) -> object:
            world.clock.move(10)
            return super().get(name)

    inner, world.store = world.store, Late(world.store)
    with pytest.raises(DeadlineError):
        world.roll_back("1-1")
    world.store = inner
    assert world.pointer.seq == 2


def test_a_release_races_with_a_push_and_is_bound_to_what_the_person_saw() -> None:
    world = World()
    world.deploy(skill("a", "One."))
    world.deploy(skill("a", "Two."))
    world.roll_back("1-1")

    class Raced(BreakingStore):
        """Somebody pushes another version, which is deployed, just before the release's pointer moves."""

        def put(self, name: str, data: bytes, *, if_generation: int) -> int:
            if name == CURRENT and world.store is self:
                world.store = inner
                world.deploy(bad_skill("a"))
            return super().put(name, data, if_generation=if_generation)

    inner, world.store = world.store, Raced(world.store)
    outcome = world.release("a")
    assert outcome.status is None
    assert (world.texts(), world.withheld()) == ({"a": "One."}, {"a": "rejected"})
    assert world.pointer.seq == 4


# Nudges


def test_each_deployment_is_told_once_with_the_live_envelope() -> None:
    world = World()
    steps = [
        lambda: world.deploy(skill("a")),
        lambda: world.deploy(skill("a", "Two."), bad_skill("b")),
        lambda: world.deploy(bad_skill("a")),
        lambda: world.roll_back("1-1"),
    ]
    for number, step in enumerate(steps, 1):
        step()
        stored = world.store.get(CURRENT)
        assert stored is not None
        assert (len(world.nudges), world.nudges[-1]) == (number, stored.data)
        assert world.pointer.seq == number


def test_what_goes_back_is_told_too() -> None:
    world = World()
    world.deploy(skill("a"))
    world.deploy(skill("a", "Two."))
    world.fails("1-2")
    world.poll()
    stored = world.store.get(CURRENT)
    assert stored is not None
    assert (len(world.nudges), world.nudges[-1]) == (3, stored.data)


def test_where_nothing_is_deployed_nobody_is_told() -> None:
    world = World()
    world.deploy(skill("a"))
    world.deploy(skill("a"), {"README.md": b"x"})
    world.clock.move(200)
    assert [world.poll().status for _ in range(2)] == [None, None]
    assert len(world.nudges) == 1, "a refresh of the pointer is no deployment"


def test_a_sync_that_lost_tells_nobody_of_what_never_was_live() -> None:
    world = World()
    world.deploy(skill("a"))
    push = world.push(skill("a", "Two."))

    class Raced(BreakingStore):
        """Another instance deploys the same push just before the pointer moves."""

        def put(self, name: str, data: bytes, *, if_generation: int) -> int:
            if name == CURRENT and world.store is self:
                world.store = inner
                world.webhook(push)
            return super().put(name, data, if_generation=if_generation)

    inner, world.store = world.store, Raced(world.store)
    assert world.webhook(push).status is None
    assert len(world.nudges) == 2


def test_pullers_are_told_though_the_bookkeeping_fails() -> None:
    world = World()
    world.deploy(skill("a"))
    push = world.push(skill("a", "Two."))

    class Full(BreakingStore):
        def put(self, name: str, data: bytes, *, if_generation: int) -> int:
            if name == SUMMARY:
                raise UnavailableError("STORE_UNAVAILABLE", "no more today")
            return super().put(name, data, if_generation=if_generation)

    world.store = Full(world.store)
    assert world.webhook(push).deployment == "1-2"
    assert len(world.nudges) == 2
