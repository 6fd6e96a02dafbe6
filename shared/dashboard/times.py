"""Times and durations for people. A page shows UTC, and says how long ago that was; a script adds the viewer's own zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.names import parse_timestamp
from shared.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SECOND_MS = 1000
_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time as it stands on a page. `iso` is for machines."""

    iso: str
    utc: str
    age: str


def moment(written: object, now: datetime) -> Moment | None:
    """Describe a time; None where there is none, or none that can be read.

    Args:
        written: As `timestamp` writes it.
        now: The time.
    """
    try:
        found = parse_timestamp(str(written))
    except InputError:
        return None
    seconds = (now - found).total_seconds()
    words = f"in {span(-seconds)}" if seconds < 0 else f"{span(seconds)} ago"
    return Moment(iso=str(written), utc=f"{found:%Y-%m-%d %H:%M} UTC", age=words)


def span(seconds: float) -> str:
    """Say how long that is, in its largest unit."""
    whole = int(seconds)
    return next((f"{whole // step} {unit}" for step, unit in _STEPS if whole >= step), f"{whole} s")


def milliseconds_between(start: object, end: object) -> int | None:
    """Return how long it took; None where either end is not known, or they are the wrong way round."""
    try:
        taken = parse_timestamp(str(end)) - parse_timestamp(str(start))
    except InputError:
        return None
    found = round(taken.total_seconds() * 1000)
    return found if found >= 0 else None


def duration(milliseconds: float | None) -> str:
    """Write a duration."""
    if milliseconds is None:
        return "not known"
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / _SECOND_MS:.1f} s"


def size(count: int) -> str:
    """Write a number of bytes."""
    if count < _KIB:
        return f"{count} B"
    return f"{count / _KIB:.1f} KiB" if count < _KIB**2 else f"{count / _KIB**2:.1f} MiB"
