"""Webhook calls that never arrived: found by the poll that brought their commits, told once each, and in nobody's way."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from shared.core.canonical import parse_object
from shared.core.kpis import kpis
from shared.errors import RejectedError, SkillSyncError, UnavailableError
from shared.model import FailedDelivery
from tests.fakes.breaking_store import BreakingStore, Killed, unavailable
from tests.fakes.world import World, skill

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 11, 3, 12, tzinfo=UTC)


class ListedHooks:
    """The forge's list of failed deliveries; None where the token may not read it."""

    def __init__(self, *found: FailedDelivery) -> None:
        self.found: list[FailedDelivery] | None = list(found)
        self.error: SkillSyncError | None = None
        self.asked: list[int | None] = []

    def failed_deliveries(self, hook: int | None) -> list[FailedDelivery] | None:
        self.asked.append(hook)
        if self.error is not None:
            raise self.error
        return self.found


def failed(number: int, status: int = 503) -> FailedDelivery:
    at = START + timedelta(minutes=number)
    return FailedDelivery(id=number, guid=f"guid-{number}", delivered_at=at, status_code=status)


def world_with(*found: FailedDelivery) -> tuple[World, ListedHooks]:
    world, hooks = World(), ListedHooks(*found)
    world.hooks = hooks
    world.webhook(world.push(skill("a")), hook=7)
    return world, hooks


def lost_events(world: World) -> list[dict[str, object]]:
    names = [entry.name for entry in world.store.list("events/") if "webhook-lost" in entry.name]
    return [parse_object(world.store.get(name).data, what="an event") for name in names]


def test_a_poll_that_finds_new_commits_records_each_lost_call_with_one_event() -> None:
    world, hooks = world_with(failed(1), failed(2, 0))
    world.push(skill("a", "New."))
    world.poll()
    assert hooks.asked == [7]
    assert [(found["kind"], found["delivery"], found["status_code"]) for found in lost_events(world)] == [
        ("webhook-lost", "guid-1", 503),
        ("webhook-lost", "guid-2", 0),
    ]
    assert world.summary.webhook["last_lost"] == "2026-11-03T12:02:00.000Z"
    assert kpis(world.summary, (), world.clock.now())["webhooks_lost"] == 2


def test_a_call_that_told_of_a_rejected_push_has_arrived() -> None:
    world, _ = world_with(failed(1, 400), failed(2, 401))
    world.push(skill("a", "New."))
    world.poll()
    assert [found["status_code"] for found in lost_events(world)] == [401]
    assert kpis(world.summary, (), world.clock.now())["webhooks_lost"] == 1


def test_the_same_lost_call_is_told_and_counted_once() -> None:
    world, hooks = world_with(failed(1))
    for text in ("One.", "Two."):
        world.push(skill("a", text))
        world.poll()
    hooks.found = [failed(1), failed(2)]
    world.push(skill("a", "Three."))
    world.poll()
    assert [found["delivery"] for found in lost_events(world)] == ["guid-1", "guid-2"]
    assert kpis(world.summary, (), world.clock.now())["webhooks_lost"] == 2


def test_polls_that_find_nothing_new_and_webhooks_do_not_ask() -> None:
    world, hooks = world_with(failed(1))
    world.poll()
    world.deploy(skill("a", "By webhook."))
    world.release()
    assert hooks.asked == []


def test_new_commits_without_any_change_of_skills_are_asked_about_too() -> None:
    world, hooks = world_with(failed(1))
    world.push(skill("a"), {"README.md": b"new"})
    assert world.poll().status is None
    assert hooks.asked == [7]
    assert len(lost_events(world)) == 1


def test_a_hook_that_never_called_has_no_known_number() -> None:
    world, hooks = World(), ListedHooks()
    world.hooks = hooks
    world.push(skill("a"))
    world.poll()
    assert hooks.asked == [None]


@pytest.mark.parametrize(
    "error", [UnavailableError("SOURCE_RATE_LIMITED", "later"), RejectedError("SOURCE_DENIED", "no"), None]
)
def test_a_list_that_cannot_be_read_changes_nothing_for_the_deployment(error: SkillSyncError | None) -> None:
    world, hooks = world_with()
    hooks.error, hooks.found = error, None
    world.push(skill("a", "New."))
    assert world.poll().published == (("a", "1.0.0"),)
    assert world.texts() == {"a": "New."}
    assert "error" not in world.summary.poller
    assert lost_events(world) == []


@pytest.mark.parametrize("fault", [unavailable, Killed])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_what_breaks_while_lost_calls_are_recorded_is_made_good_at_the_next_new_commit(
    fault: Callable[[], BaseException], *, after: bool
) -> None:
    for at in range(1, 40):
        world, _ = world_with(failed(1), failed(2))
        world.push(skill("a", "New."))
        plain, breaking = world.store, BreakingStore(world.store, at=at, fault=fault, after=after)
        world.store = breaking
        with suppress(UnavailableError, Killed):
            world.poll()
        world.store = plain
        world.push(skill("a", "Newer."))
        world.poll()
        assert [found["delivery"] for found in lost_events(world)] == ["guid-1", "guid-2"], at
        assert kpis(world.summary, (), world.clock.now())["webhooks_lost"] == 2, at
        if len(breaking.calls) < at:
            assert at > 10
            return
    pytest.fail("the poll never got through")
