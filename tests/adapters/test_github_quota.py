"""What an answer says about rate limits, and how long everybody then stays away."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.adapters.github_quota import ProcessQuota, RateLimits, is_limit, told_wait
from shared.adapters.threads import in_threads
from shared.errors import UnavailableError
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = FakeClock().now()
SECONDARY = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}'
LIMIT = (403, {}, SECONDARY)


def reset(seconds: int) -> dict[str, str]:
    return {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp()) + seconds)}


def later(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("status", "headers", "body", "limited"),
    [
        (429, {}, b"", True),
        (403, {"Retry-After": "60"}, b"", True),
        (403, reset(60), b"", True),
        (403, {"X-RateLimit-Remaining": "0"}, b"", True),
        (403, {}, SECONDARY, True),
        (403, {}, SECONDARY.upper(), True),
        (403, {}, b'{"message": "Resource not accessible by personal access token"}', False),
        (403, {"X-RateLimit-Remaining": "4999"}, b"", False),
        (401, reset(60), SECONDARY, False),
        (404, {"Retry-After": "60"}, b"", False),
        (200, reset(60), b"", False),
    ],
)
def test_a_limit_is_told_apart_from_other_refusals(
    status: int, headers: Mapping[str, str], body: bytes, limited: object
) -> None:
    assert is_limit(status, httpx.Headers(headers), body) is limited


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": later(90)}, 90),
        ({"Retry-After": later(90).replace("GMT", "-0000")}, 90),
        ({"Retry-After": later(-90)}, 1),
        ({"Retry-After": "7200"}, 7200),
        ({"Retry-After": "7201"}, 3600),
        ({"Retry-After": later(86400)}, 3600),
        ({"Retry-After": "999999999999"}, 3600),
        ({"Retry-After": "17", **reset(900)}, 17),
        ({"Retry-After": "soon", **reset(900)}, 900),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1e3"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "Sat, 99 Nov 2026 12:00:00 GMT"}, None),
        (reset(900), 900),
        (reset(-900), 1),
        (reset(3 * 3600), 3600),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "tomorrow"}, 3600),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "nan"}, 3600),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 400}, 3600),
        ({"X-RateLimit-Remaining": "0"}, 3600),
        ({**reset(900), "X-RateLimit-Remaining": "12"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_what_the_headers_say_within_reason(headers: Mapping[str, str], wait: float | None) -> None:
    assert told_wait(httpx.Headers(headers), NOW) == wait


class Limits:
    """Rate limits with a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.quota = ProcessQuota(self.clock)
        self.limits = RateLimits(self.quota, self.clock, "https://api.github.com/repos/o/n")

    def note(self, status: int = 200, headers: Mapping[str, str] | None = None, body: bytes = b"") -> float | None:
        """Note an answer; return how long it said to wait."""
        try:
            self.limits.note(status, httpx.Headers(dict(headers or {})), body)
        except UnavailableError as error:
            return error.retry_after_seconds if error.code == "SOURCE_RATE_LIMITED" else -1
        return None


def test_a_limit_without_a_time_is_a_minute_and_doubles_up_to_a_quarter_of_an_hour() -> None:
    case = Limits()
    waits = []
    for _ in range(7):
        waits.append(wait := case.note(*LIMIT) or 0)
        case.clock.move(wait)
    assert waits == [60, 120, 240, 480, 900, 900, 900]


def test_refusals_of_requests_that_were_under_way_together_count_as_one() -> None:
    case = Limits()
    assert [case.note(*LIMIT) for _ in range(8)] == [60] * 8
    case.clock.move(60)
    assert case.note(*LIMIT) == 120


def test_an_answer_after_the_block_ends_the_doubling() -> None:
    case = Limits()
    case.note(*LIMIT)
    case.note(200)  # was under way before
    case.clock.move(60)
    assert case.note(*LIMIT) == 120
    case.clock.move(120)
    assert case.note(200) is None
    assert case.note(*LIMIT) == 60


def test_nothing_is_asked_while_a_block_holds_and_something_right_after() -> None:
    case = Limits()
    case.limits.check()
    case.note(429, {"Retry-After": "30"})
    case.clock.move(29)
    with pytest.raises(UnavailableError, match="SOURCE_RATE_LIMITED") as caught:
        case.limits.check()
    assert caught.value.retry_after_seconds == 1
    case.clock.move(1)
    case.limits.check()


def test_the_last_answer_that_is_allowed_blocks_until_the_reset() -> None:
    case = Limits()
    assert case.note(200, reset(600)) is None
    assert case.quota.blocked_until() == NOW + timedelta(seconds=600)
    with pytest.raises(UnavailableError, match="SOURCE_RATE_LIMITED"):
        case.limits.check()


def test_what_is_told_to_a_refused_token_is_not_our_limit() -> None:
    case = Limits()
    assert case.note(401, reset(600)) is None
    assert case.quota.blocked_until() is None


def test_a_plain_answer_blocks_nothing() -> None:
    case = Limits()
    case.note(200, {"X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "1"})
    assert case.quota.blocked_until() is None


def test_the_quota_knows_only_later_times_and_forgets_when_they_are_over() -> None:
    clock = FakeClock()
    quota = ProcessQuota(clock)
    quota.block(NOW + timedelta(seconds=60))
    quota.block(NOW + timedelta(seconds=30))
    assert quota.blocked_until() == NOW + timedelta(seconds=60)
    quota.block(NOW + timedelta(seconds=90))
    clock.move(89)
    assert quota.blocked_until() == NOW + timedelta(seconds=90)
    clock.move(1)
    assert quota.blocked_until() is None


def test_the_latest_of_many_threads_blocks_counts() -> None:
    quota = ProcessQuota(FakeClock())
    times = [NOW + timedelta(seconds=number) for number in range(1, 200)]
    in_threads([lambda until=until: quota.block(until) for until in reversed(times)])  # type: ignore[misc]
    assert quota.blocked_until() == times[-1]
