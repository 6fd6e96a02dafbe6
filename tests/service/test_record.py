"""The bookkeeping behind the pointer: complete after any fault, never the reason why a deployment fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT, SUMMARY, object_name, record_name
from shared.errors import (
    ConflictError,
    NotFoundError,
    RejectedError,
    SkillSyncError,
    UnavailableError,
    UnverifiedError,
)
from shared.model import Action, CommitSha, DeploymentId, Status, Trigger
from tests.fakes.breaking_store import BreakingStore, Killed
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import World, a_push, bad_skill, skill

if TYPE_CHECKING:
    from shared.ports import Store


class Refusing(MemorySource):
    """A source that a person must see to."""

    def head(self, known: CommitSha | None) -> CommitSha:
        del known
        raise RejectedError("BRANCH_NOT_FOUND", "gone")


class Stuck(BreakingStore):
    """A store in which one object cannot be written."""

    def __init__(self, store: Store, name: str, error: BaseException) -> None:
        super().__init__(store)
        self._name = name
        self._error = error

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        if name == self._name:
            raise self._error
        return super().put(name, data, if_generation=if_generation)


def overwrite(store: Store, name: str, data: bytes) -> None:
    stored = store.get(name)
    store.put(name, data, if_generation=0 if stored is None else stored.generation)


def forget(store: Store, name: str) -> None:
    stored = store.get(name)
    assert stored is not None
    store.delete(name, if_generation=stored.generation)


def document(world: World, kind: str) -> dict:
    name = next(entry.name for entry in world.store.list("events/") if entry.name.endswith(f"{kind}.json"))
    stored = world.store.get(name)
    assert stored is not None
    return json.loads(stored.data)


def lines(world: World) -> list[object]:
    return [line["id"] for line in world.summary.deployments]


def three_deployments() -> World:
    world = World()
    for text in ("One.", "Two.", "Three."):
        world.clock.move(60)
        world.deploy(skill("a", text))
    return world


# What is written


def test_each_deployment_has_a_record_that_is_its_signed_pointer() -> None:
    world = three_deployments()
    assert world.records() == ["1-1", "1-2", "1-3"]
    current, record = world.store.get(CURRENT), world.store.get(record_name(DeploymentId("1-3")))
    assert current is not None
    assert record is not None
    assert record.data == current.data


def test_a_record_stays_what_it_was_when_the_pointer_is_refreshed() -> None:
    world = three_deployments()
    before = world.store.get(record_name(DeploymentId("1-3")))
    world.deploy(skill("a", "Three."), {"README.md": b"x"})
    world.deploy(skill("a", "Four."))
    assert world.store.get(record_name(DeploymentId("1-3"))) == before


def test_the_pointer_and_the_summary_say_what_kind_of_deployment_it_was() -> None:
    world = World()
    world.deploy(skill("a"))
    world.push(skill("a", "Two."))
    world.poll()
    world.roll_back("1-1")
    world.release("a")
    world.deploy(bad_skill("a"))
    kinds = [(line["action"], line["trigger"], line["status"]) for line in world.summary.deployments]
    assert kinds == [
        (Action.DEPLOY, Trigger.WEBHOOK, Status.SUCCESS),
        (Action.DEPLOY, Trigger.POLLING, Status.SUCCESS),
        (Action.ROLLBACK, Trigger.ROLLBACK, Status.ROLLED_BACK),
        (Action.RELEASE, Trigger.MANUAL, Status.SUCCESS),
        (Action.DEPLOY, Trigger.WEBHOOK, Status.REJECTED),
    ]
    assert world.events() == ["1-3-rolled-back", "1-5-rejected"]


def test_an_event_of_a_rejection_holds_codes_and_no_hint() -> None:
    world = World()
    world.deploy(bad_skill("a"))
    told = document(world, "rejected")["skills"]["a"]["findings"]
    assert told == [{"code": "FM_MISSING", "path": "a/SKILL.md", "line": 1}]


def test_the_days_counters_and_latencies_add_up() -> None:
    world = World()
    world.deploy(skill("a"))
    world.deploy(bad_skill("a"))
    world.deploy(bad_skill("a"), {"README.md": b"x"})
    world.poll()
    (counters,) = world.summary.days.values()
    histogram = counters.pop("latency")
    assert counters == {"deployments": 1, "rejected": 1, "webhooks": 3, "polls": 1}
    assert sum(histogram) == 2  # type: ignore[arg-type] # a list of numbers


def test_a_replayed_webhook_counts_as_one_that_came() -> None:
    world = World()
    push = world.push(skill("a"))
    for _ in range(3):
        world.webhook(push)
    (counters,) = world.summary.days.values()
    assert (counters["webhooks"], counters["deployments"]) == (3, 1)


# What never stops a deployment


@pytest.mark.parametrize("error", [UnavailableError("X", "stuck"), ConflictError("X", "stuck")])
def test_a_summary_that_cannot_be_written_fails_no_call_and_is_mended_by_the_next(error: SkillSyncError) -> None:
    world = World()
    world.deploy(skill("a"))
    inner, world.store = world.store, Stuck(world.store, SUMMARY, error)
    assert world.deploy(skill("a", "Two.")).status is Status.SUCCESS
    world.store = inner
    world.poll()
    assert lines(world) == ["1-1", "1-2"]


def test_a_refresh_fails_on_nothing_that_is_only_counted() -> None:
    world = World()
    world.deploy(skill("a"))
    world.store = Stuck(world.store, SUMMARY, UnavailableError("X", "stuck"))
    assert world.deploy(skill("a"), {"README.md": b"x"}).status is None
    assert world.pointer.commit == world.repository.head


@pytest.mark.parametrize("damage", ["missing", "rubbish"])
def test_an_old_manifest_that_is_gone_or_damaged_stops_no_rebuilding_of_the_summary(damage: str) -> None:
    world = three_deployments()
    first = object_name(world.pointer.history[0][1])
    if damage == "missing":
        forget(world.store, first)
    else:
        overwrite(world.store, first, b"rubbish")
    overwrite(world.store, SUMMARY, b"rubbish")
    world.push(skill("a", "Four."))
    assert world.poll().status is Status.SUCCESS
    assert lines(world) == ["1-1", "1-2", "1-3", "1-4"]


def test_of_a_deployment_whose_manifests_are_gone_nothing_is_told_that_is_not_known() -> None:
    world = World()
    world.deploy(skill("a"), skill("b"))
    world.deploy(skill("a"), bad_skill("b"))
    world.deploy(skill("a", "Two."), bad_skill("b"))
    forget(world.store, object_name(world.pointer.history[1][1]))
    forget(world.store, SUMMARY)
    events = world.events()
    world.poll()
    told = {line["id"]: (line["published"], line["removed"], line["held"]) for line in world.summary.deployments}
    assert told == {"1-1": (["a", "b"], [], []), "1-2": ([], [], []), "1-3": ([], [], [])}
    assert world.events() == events


def test_a_record_that_is_missing_leaves_a_gap_and_nothing_worse() -> None:
    world = three_deployments()
    forget(world.store, record_name(DeploymentId("1-2")))
    forget(world.store, SUMMARY)
    world.poll()
    assert lines(world) == ["1-1", "1-3"]
    world.poll()
    assert world.pointer.seq == 3


def test_a_record_that_was_put_in_anothers_place_is_not_believed() -> None:
    world = three_deployments()
    first = world.store.get(record_name(DeploymentId("1-1")))
    assert first is not None
    overwrite(world.store, record_name(DeploymentId("1-2")), first.data)
    with pytest.raises(UnverifiedError, match="pointer_unverifiable"):
        world.roll_back("1-2")
    assert world.pointer.seq == 3
    forget(world.store, SUMMARY)
    world.poll()
    assert lines(world) == ["1-1", "1-3"]


def test_a_record_that_nobody_signed_is_not_rolled_back_to() -> None:
    world = three_deployments()
    overwrite(world.store, record_name(DeploymentId("1-1")), b"rubbish")
    with pytest.raises(UnverifiedError, match="pointer_unverifiable"):
        world.roll_back("1-1")
    assert world.texts() == {"a": "Three."}


def test_rebuilding_a_lost_summary_counts_each_deployment_on_its_own_day() -> None:
    world = World()
    world.deploy(skill("a"))
    world.clock.move(24 * 3600)
    world.deploy(skill("a", "Two."))
    world.clock.move(24 * 3600)
    forget(world.store, SUMMARY)
    world.poll()
    assert {day: counters.get("deployments", 0) for day, counters in world.summary.days.items()} == {
        "2026-11-21": 1,
        "2026-11-22": 1,
        "2026-11-23": 0,
    }


# Failures


def test_a_failure_is_one_event_while_it_lasts_and_another_when_it_changes() -> None:
    world = World()
    world.deploy(skill("a"))
    source = world.source
    for _ in range(3):
        world.source = Refusing(world.repository)
        with pytest.raises(RejectedError, match="BRANCH_NOT_FOUND"):
            world.poll()
        world.clock.move(1)
    assert world.events() == ["failed-branch_not_found"]
    assert world.summary.days["2026-11-21"]["failed"] == 3
    world.source = source
    world.poll()
    assert "error" not in world.summary.poller
    world.source = Refusing(world.repository)
    with pytest.raises(RejectedError):
        world.poll()
    assert world.events() == ["failed-branch_not_found"] * 2


def test_a_live_manifest_that_is_gone_or_damaged_is_a_failure_that_is_noted() -> None:
    for damage, code in (("missing", "OBJECT_MISSING"), ("rubbish", "OBJECT_CORRUPT")):
        world = three_deployments()
        name, before = object_name(world.pointer.manifest.sha256), world.store.get(CURRENT)
        if damage == "missing":
            forget(world.store, name)
        else:
            overwrite(world.store, name, b"rubbish")
        with pytest.raises((NotFoundError, UnavailableError), match=code):
            world.poll()
        assert world.summary.poller["error"] == code
        assert world.store.get(CURRENT) == before


def test_a_release_of_what_is_not_withheld_is_the_callers_fault_and_not_noted() -> None:
    world = three_deployments()
    with pytest.raises(NotFoundError, match="NOT_WITHHELD"):
        world.release("a")
    assert "error" not in world.summary.poller
    assert world.events() == []


def test_a_pointer_that_nobody_signed_is_noted_and_nothing_of_a_deployment_is_written() -> None:
    world = three_deployments()
    overwrite(world.store, CURRENT, b"rubbish")
    for name in (SUMMARY, *(entry.name for entry in world.store.list("deployments/"))):
        forget(world.store, name)  # else the newest record would tell what was live
    objects, records = world.store.list("objects/"), world.records()
    world.push(skill("a", "Four."))
    with pytest.raises(UnverifiedError, match="pointer_unverifiable"):
        world.poll()
    assert (world.store.list("objects/"), world.records()) == (objects, records)
    assert world.store.get(CURRENT).data == b"rubbish"  # type: ignore[union-attr]
    assert world.events() == ["failed-pointer_unverifiable"]


def test_a_failure_that_cannot_be_noted_still_tells_its_own_error() -> None:
    world = World()
    world.deploy(skill("a"))
    world.source = Refusing(world.repository)
    world.store = Stuck(world.store, SUMMARY, UnavailableError("STORE_UNAVAILABLE", "down"))
    with pytest.raises(RejectedError, match="BRANCH_NOT_FOUND"):
        world.poll()


# History that was rewritten


def test_a_forced_push_without_a_change_of_skills_is_one_event_also_when_it_is_seen_twice() -> None:
    world = World()
    base = world.push(skill("a")).after
    world.poll()
    world.deploy(skill("a", "Two."))
    before = world.repository.head
    after = world.repository.commit(skill("a", "Two.") | {"n": b"1"}, parent=base)
    push = a_push(before, after, forced=True)
    inner, world.store = world.store, Stuck(world.store, CURRENT, Killed())
    with pytest.raises(Killed):
        world.webhook(push)
    world.store = inner
    world.clock.move(5)
    world.poll()
    assert world.pointer.commit == after
    assert [kind for kind in world.events() if "history-rewritten" in kind] == [f"history-rewritten-{after[:12]}"]
    assert document(world, f"history-rewritten-{after[:12]}")["previous_commit"] == before


def test_a_forced_push_with_a_change_of_skills_tells_so_in_its_deployment() -> None:
    world = World()
    base = world.push(skill("a")).after
    world.poll()
    world.deploy(skill("a", "Two."))
    before = world.repository.head
    after = world.repository.commit(skill("a", "Three."), parent=base)
    world.webhook(a_push(before, after, forced=True))
    assert world.pointer.history_rewritten
    assert world.events() == ["1-3-history-rewritten"]
    world.deploy(skill("a", "Four."))
    assert not world.pointer.history_rewritten
