"""When a credential is due, and at which days before a person is told. Who is told is `alerts`' business. Pure.

A threshold counts only where it is at most half of the lifetime: what lives for a month is not due from its first day on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.credentials import kind_of
from shared.core.names import later, parse_timestamp, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.core.credentials import TokenNote
    from shared.core.rotation import Record

THRESHOLDS_DAYS = (30, 14, 7, 1)
_DAY = timedelta(days=1)
_HALF = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """When the value in use must be replaced.

    Args:
        name: The credential.
        fingerprint: The value in use.
        since: Since when it is.
        due_at: When it has to be another one.
        lifetime_days: From the one to the other.
        known_from: How that is known: `rotation`, `first_seen`, `changed`, `trust`, or `header` where the issuer says it.
        retired: An old value that is still accepted; empty when none is.
        retired_at: Since when it should not be.
    """

    name: str
    fingerprint: str
    since: str
    due_at: str
    lifetime_days: int
    known_from: str
    retired: str = ""
    retired_at: str = ""


def due_of(record: Record, *, ends: str = "", ends_from: str = "", retired: str = "") -> Due:
    """Say when the value of a record is due: after its cadence, or when it ends by itself, whichever comes first.

    Args:
        record: What is known of the value.
        ends: When it ends by itself; empty when nobody says.
        ends_from: Who says so.
        retired: The old value, if it is still accepted.
    """
    cadence = kind_of(record.name).cadence_days
    by_cadence = later(record.since, days=cadence)
    is_earlier = bool(ends) and ends < by_cadence
    due_at = ends if is_earlier else by_cadence
    # Of what was merely found, nobody knows how long it has lived: its cadence is the best guess.
    measured = record.known_from != "first_seen" and is_earlier
    lifetime = (parse_timestamp(due_at) - parse_timestamp(record.since)) // _DAY if measured else cadence
    return Due(
        name=record.name,
        fingerprint=record.fingerprint,
        since=record.since,
        due_at=due_at,
        lifetime_days=max(0, lifetime),
        known_from=ends_from if is_earlier else record.known_from,
        retired=retired,
        retired_at=record.retired_at if retired else "",
    )


def token_end(note: TokenNote | None, fingerprint: str) -> str:
    """Return when a token ends, as its issuer said of that very token; empty when it did not."""
    if note is None or note.fingerprint != fingerprint or note.expires_at is None:
        return ""
    return timestamp(note.expires_at)


def thresholds_of(lifetime_days: int) -> tuple[int, ...]:
    """Return the days before the end at which somebody is told, longest first."""
    return tuple(days for days in THRESHOLDS_DAYS if days * _HALF <= lifetime_days)


def days_left(due_at: str, now: datetime) -> int:
    """Return how many days are left, begun ones counted; 0 and below when it is overdue."""
    return -((now - parse_timestamp(due_at)) // _DAY)


def stage_of(due_at: str, lifetime_days: int, now: datetime) -> str:
    """Return the threshold that was passed last, as `7` or, each day anew, `overdue-3`; empty before the first.

    Args:
        due_at: When it is due.
        lifetime_days: How long it lives in all.
        now: The time.
    """
    left = parse_timestamp(due_at) - now
    if left <= timedelta(0):
        return f"overdue-{-left // _DAY}"
    passed = [days for days in thresholds_of(lifetime_days) if left <= days * _DAY]
    return str(min(passed)) if passed else ""


def state_of(due_at: str, lifetime_days: int, now: datetime) -> str:
    """Return `ok`, `due` or `overdue`."""
    stage = stage_of(due_at, lifetime_days, now)
    return "overdue" if stage.startswith("overdue") else "due" if stage else "ok"


def due_document(due: Due) -> dict[str, object]:
    """Write it as a part of the summary."""
    return {
        "name": due.name,
        "fingerprint": due.fingerprint,
        "since": due.since,
        "due_at": due.due_at,
        "lifetime_days": due.lifetime_days,
        "known_from": due.known_from,
        "retired": due.retired,
        "retired_at": due.retired_at,
    }


def parse_due(value: Mapping[str, object]) -> Due:
    """Read it back.

    Raises:
        InputError: a member is missing, or no time.
        ValueError: `lifetime_days` is no number.
    """
    due = Due(
        name=str(value.get("name")),
        fingerprint=str(value.get("fingerprint")),
        since=str(value.get("since")),
        due_at=str(value.get("due_at")),
        lifetime_days=int(str(value.get("lifetime_days"))),
        known_from=str(value.get("known_from")),
        retired=str(value.get("retired") or ""),
        retired_at=str(value.get("retired_at") or ""),
    )
    kind_of(due.name)
    for moment in (due.since, due.due_at, *filter(None, [due.retired_at])):
        parse_timestamp(moment)
    return due
