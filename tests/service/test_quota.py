"""A rate limit that one process was told of is kept in the summary and obeyed by every other one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from shared.core.names import SUMMARY, timestamp
from shared.core.summary import LONGEST_BLOCK, Summary, blocked_until, summary_bytes, with_blocked
from shared.errors import UnavailableError
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import World, skill

if TYPE_CHECKING:
    from shared.model import CommitSha

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class TestedQuota:
    """The `Quota` port without a clock."""

    __test__ = False

    def __init__(self, until: datetime | None = None) -> None:
        self.until = until

    def blocked_until(self) -> datetime | None:
        return self.until

    def block(self, until: datetime) -> None:
        self.until = until if self.until is None else max(self.until, until)


class LimitedSource(MemorySource):
    """A source that is over its limit, by API and by git."""

    def head(self, known: CommitSha | None) -> CommitSha:
        del known
        raise UnavailableError("SOURCE_RATE_LIMITED", "later")


def in_minutes(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def test_what_one_process_was_told_the_next_one_obeys() -> None:
    world = World()
    world.quota = TestedQuota(in_minutes(30))
    world.deploy(skill("a"))
    world.quota = TestedQuota()
    world.deploy(skill("a", "New."))
    assert world.quota.until == in_minutes(30)


def test_a_limit_that_is_over_is_forgotten() -> None:
    world = World()
    world.quota = TestedQuota(in_minutes(30))
    world.deploy(skill("a"))
    world.quota = TestedQuota()
    world.clock.move(31 * 60)
    world.poll()
    assert world.quota.until is None
    assert world.summary.source == {}


def test_a_failed_sync_keeps_the_limit_too() -> None:
    world = World()
    world.deploy(skill("a"))
    world.quota = TestedQuota(in_minutes(10))
    world.source = LimitedSource(world.repository)
    with pytest.raises(UnavailableError):
        world.poll()
    assert blocked_until(world.summary, NOW) == in_minutes(10)
    assert world.summary.poller["error"] == "SOURCE_RATE_LIMITED"


def test_a_process_without_an_api_leaves_the_note_of_others_alone() -> None:
    world = World()
    world.quota = TestedQuota(in_minutes(30))
    world.deploy(skill("a"))
    world.quota = None
    world.deploy(skill("a", "New."))
    assert blocked_until(world.summary, NOW) == in_minutes(30)


@pytest.mark.parametrize(
    "written", [timestamp(NOW + LONGEST_BLOCK + timedelta(seconds=1)), timestamp(NOW), "soon", 12, None]
)
def test_an_absurd_past_or_broken_time_blocks_nothing(written: object) -> None:
    world = World()
    world.deploy(skill("a"))
    stored = world.store.get(SUMMARY)
    damaged = replace(world.summary, source={"blocked_until": written})
    world.store.put(SUMMARY, summary_bytes(damaged), if_generation=stored.generation)
    world.quota = TestedQuota()
    world.poll()
    assert world.quota.until is None


def test_the_later_of_two_limits_counts() -> None:
    early, late = with_blocked(Summary(), in_minutes(5), NOW), with_blocked(Summary(), in_minutes(9), NOW)
    assert blocked_until(with_blocked(early, in_minutes(9), NOW), NOW) == in_minutes(9)
    assert blocked_until(with_blocked(late, in_minutes(5), NOW), NOW) == in_minutes(9)
    assert with_blocked(late, None, NOW) == late
