"""GitHub's rate limits: what its answers say about them, and until when this process stays away.

Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from shared.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.ports import Clock, Quota

FIRST_WAIT_SECONDS: Final = 60.0
LONGEST_WAIT_SECONDS: Final = 15 * 60.0
BELIEVED_SECONDS: Final = 2 * 3600.0
"""Limits are renewed every hour; a time further ahead than this is taken for a mistake."""
CAPPED_SECONDS: Final = 3600.0
_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY = 401, 403, 429
_DIGITS = re.compile(r"[0-9]{1,12}")
_SECONDARY: Final = b"secondary rate limit"


class ProcessQuota:
    """The `Quota` port in one process's memory, for all of its threads.

    Args:
        clock: Tells when a block is over.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: datetime | None = None

    def blocked_until(self) -> datetime | None:
        """Return the time (UTC) before which the API is not asked, None when it may be asked."""
        until = self._until
        return until if until is not None and until > self._clock.now() else None

    def block(self, until: datetime) -> None:
        """Stay away until then; an earlier time than the known one changes nothing."""
        with self._lock:
            if self._until is None or until > self._until:
                self._until = until


class RateLimits:
    """Reads every answer of one API for what it says about limits, and refuses requests while they hold.

    Args:
        quota: Remembers until when.
        clock: The time.
        where: How messages name the API.
    """

    def __init__(self, quota: Quota, clock: Clock, where: str) -> None:
        self._quota = quota
        self._clock = clock
        self._where = where
        self._lock = threading.Lock()
        self._unexplained = 0

    def check(self) -> None:
        """Refuse a request that may not be sent yet.

        Raises:
            UnavailableError: `SOURCE_RATE_LIMITED`.
        """
        until = self._quota.blocked_until()
        if until is not None and until > self._clock.now():
            raise self._limited(until)

    def note(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Learn from an answer.

        Args:
            status: Its status.
            headers: Its headers, found by their names in any case.
            body: The beginning of its body when it is an error.

        Raises:
            UnavailableError: `SOURCE_RATE_LIMITED`, the answer is a refusal for that reason.
        """
        if status == _UNAUTHORIZED:
            return  # a refused token has no limit: what is told is that of everybody at our address
        now = self._clock.now()
        with self._lock:
            # What was under way when a block began says nothing new: eight refused at once are one refusal.
            first = self._quota.blocked_until() is None
            if not is_limit(status, headers, body):
                self._unexplained = 0 if first else self._unexplained
                if headers.get("x-ratelimit-remaining") == "0":
                    self._quota.block(now + timedelta(seconds=_until_reset(headers, now)))
                return
            wait = told_wait(headers, now)
            if wait is None:
                self._unexplained = max(self._unexplained + first, 1)
                wait = min(FIRST_WAIT_SECONDS * 2 ** min(self._unexplained - 1, 10), LONGEST_WAIT_SECONDS)
            self._quota.block(now + timedelta(seconds=wait))
        raise self._limited(self._quota.blocked_until() or now)

    def _limited(self, until: datetime) -> UnavailableError:
        wait = max((until - self._clock.now()).total_seconds(), 1.0)
        message = f"{self._where} limits our rate; it is asked again in {wait:.0f} s"
        return UnavailableError("SOURCE_RATE_LIMITED", message, retry_after_seconds=wait)


def is_limit(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Say whether an answer is a refusal because of a rate limit, and not because of missing rights."""
    if status == _TOO_MANY:
        return True
    told = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
    return status == _FORBIDDEN and (told or _SECONDARY in body.lower())


def told_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how many seconds an answer tells us to stay away, at least one; None when it does not tell.

    `retry-after` (seconds or a date, RFC 9110, 10.2.3) counts first, then `x-ratelimit-reset` when nothing remains.
    """
    wait = _retry_after(headers.get("retry-after", ""), now)
    if wait is not None:
        return _believed(wait)
    return _until_reset(headers, now) if headers.get("x-ratelimit-remaining") == "0" else None


def _until_reset(headers: Mapping[str, str], now: datetime) -> float:
    text = headers.get("x-ratelimit-reset", "")
    return _believed(int(text) - now.timestamp()) if _DIGITS.fullmatch(text) else CAPPED_SECONDS


def _retry_after(text: str, now: datetime) -> float | None:
    if _DIGITS.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _believed(wait: float) -> float:
    return max(wait, 1.0) if wait <= BELIEVED_SECONDS else CAPPED_SECONDS
