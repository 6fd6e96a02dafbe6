"""When credentials are due, for calendars and for cron: reminders that do not depend on the service that they are about.

No value and no fingerprint of one stands in either. Sources: RFC 5545 (iCalendar), crontab(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from shared.core.credentials import kind_of
from shared.core.dues import thresholds_of
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CRON_HOUR = 9
MAX_LINE_OCTETS = 75
"""RFC 5545, section 3.1: without the line break."""
_EPOCH = date(1970, 1, 1)
_YEARS = range(2000, 9000)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueDay:
    """When a credential must have been replaced.

    Args:
        name: As `core.credentials.kind_of` knows it.
        on: The day, in UTC.
        lifetime_days: How long its value is used altogether.

    Raises:
        InputError: `ROTATION_NAME_UNKNOWN`; a name goes into a command line, so no other text may pass for one.
            `DATE_INVALID`.
    """

    name: str
    on: date
    lifetime_days: int

    def __post_init__(self) -> None:
        kind_of(self.name)
        if self.on.year not in _YEARS:
            raise InputError("DATE_INVALID", f"expected a day in the years {_YEARS[0]} to {_YEARS[-1]}")


def reminders(due: DueDay) -> tuple[int, ...]:
    """Return how many days before the due date people are reminded, the longest first: as alerts are sent."""
    return thresholds_of(due.lifetime_days)


def icalendar(dues: Iterable[DueDay], *, now: datetime, scope: str) -> str:
    """Write an iCalendar file: one all-day event a due date, with an alarm for each reminder.

    An event keeps its UID when the credential has been rotated, and its SEQUENCE grows: a calendar that takes the file again
    moves the event.

    Args:
        dues: At least one; the format knows no empty calendar.
        now: When it is written.
        scope: What tells the events of several installations apart; letters and digits.

    Returns:
        The text, its lines ended by CRLF and folded.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//skill-sync//credentials//EN", "CALSCALE:GREGORIAN"]
    for due in dues:
        lines += _event(due, now, scope)
    lines.append("END:VCALENDAR")
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def crontab(dues: Iterable[DueDay], *, now: datetime) -> str:
    """Write lines for a person's crontab: each prints one reminder on its day, and cron mails what is printed.

    Cron knows no year, so each line asks for it itself. What lies before today is left out.

    Args:
        dues: When what is due.
        now: When it is written.
    """
    today = now.astimezone(UTC).date()
    lines = [f"# When skill-sync's credentials are due, as known on {today}. Write it anew after each rotation."]
    for due in dues:
        if due.on < today:
            lines.append(f"# {due.name} is overdue since {due.on}")
        lines += [_cron_line(due, days) for days in (*reminders(due), 0) if due.on - timedelta(days=days) >= today]
    return "\n".join(lines) + "\n"


def _event(due: DueDay, now: datetime, scope: str) -> Iterator[str]:
    what = (
        f"The value of {due.name} should be replaced by {due.on}: python -m shared.cli rotate begin {due.name}\n"
        f"If it lapses: {kind_of(due.name).symptom}."
    )
    yield "BEGIN:VEVENT"
    yield f"UID:{due.name}.{scope}@skill-sync"
    yield f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    yield f"SEQUENCE:{(due.on - _EPOCH).days}"
    yield f"DTSTART;VALUE=DATE:{due.on:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{due.on + timedelta(days=1):%Y%m%d}"
    yield "TRANSP:TRANSPARENT"
    yield f"SUMMARY:{_escaped(f'skill-sync: rotate {due.name}')}"
    yield f"DESCRIPTION:{_escaped(what)}"
    for days in reminders(due):
        yield "BEGIN:VALARM"
        yield "ACTION:DISPLAY"
        yield f"TRIGGER:-P{days}D"
        yield f"DESCRIPTION:{_escaped(f'skill-sync: {due.name} is due {_in(days)}')}"
        yield "END:VALARM"
    yield "END:VEVENT"


def _cron_line(due: DueDay, days: int) -> str:
    on = due.on - timedelta(days=days)
    said = f"skill-sync: {due.name} is due {_in(days)} ({due.on}): python -m shared.cli rotate begin {due.name}"
    # An unescaped % would end the command.
    command = f"[ \"$(date +%Y)\" = {on.year} ] && echo '{said}'".replace("%", r"\%")
    return f"0 {CRON_HOUR} {on.day} {on.month} * {command}"


def _in(days: int) -> str:
    return "today" if days == 0 else "tomorrow" if days == 1 else f"in {days} days"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace(";", r"\;").replace(",", r"\,").replace("\n", r"\n")


def _folded(line: str) -> Iterator[str]:
    """Break a line, never inside of a character."""
    part, size = "", 0
    for char in line:
        octets = len(char.encode())
        if size + octets > MAX_LINE_OCTETS:
            yield part
            part, size = " ", 1
        part, size = part + char, size + octets
    yield part
