"""`rotate calendar`: when credentials are due, as a table, an iCalendar file, or lines for a crontab."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.adapters.clock import SystemClock
from shared.cli.exits import Exit
from shared.cli.screen import BAD, DOUBTFUL, cell, items, line, table
from shared.core.calendar_feed import DueDay, crontab, icalendar, reminders
from shared.core.names import parse_timestamp
from shared.core.plain_text import fingerprint
from shared.errors import InputError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from shared.cli.client import Client
    from shared.cli.screen import Screen


def calendar(client: Client, screen: Screen, options: argparse.Namespace) -> Exit:
    """Show when which credential is due, and when people are reminded."""
    rows = [each for each in items(client.get("/api/rotation"), "credentials") if isinstance(each, dict)]
    dues = sorted((due for due in map(_due, rows) if due is not None), key=lambda due: (due.on, due.name))
    unknown = [str(row.get("name")) for row in rows if row.get("due_at") is None]
    now = SystemClock().now()
    if (options.ics or options.crontab) and not dues:
        raise NotFoundError("NO_DUE_DATES", "no due date is known: `rotate status` says of what the functions know")
    if options.ics:
        screen.verbatim(icalendar(dues, now=now, scope=fingerprint(client.address)))
    elif options.crontab:
        screen.verbatim(crontab(dues, now=now))
    else:
        document = {"due": [_described(due) for due in dues], "unknown": unknown}
        screen.result(document, table(("credential", "due", "days left", "reminders"), _rows(dues, now)))
    if unknown:
        screen.aside(line("no due date is known of:", ", ".join(unknown), style=DOUBTFUL))
    return Exit.DONE


def _due(row: Mapping[str, object]) -> DueDay | None:
    """Read one credential; None when it is not known when it is due."""
    if row.get("due_at") is None:
        return None
    try:
        due = parse_timestamp(str(row["due_at"]))
        lifetime = row.get("lifetime_days")
        if not isinstance(lifetime, int):
            raise InputError("NUMBER_INVALID", "no number of days")
        return DueDay(name=str(row.get("name")), on=due.date(), lifetime_days=lifetime)
    except InputError as error:
        # What becomes a line of a crontab is taken only as it must be.
        raise UnavailableError(
            "ANSWER_INVALID", f"the functions told a due date in another form: {error.message}"
        ) from None


def _described(due: DueDay) -> dict[str, object]:
    on = [(due.on - timedelta(days=days)).isoformat() for days in reminders(due)]
    return {"name": due.name, "due": due.on.isoformat(), "reminders": on}


def _rows(dues: list[DueDay], now: datetime) -> Iterator[tuple[object, ...]]:
    for due in dues:
        left = (due.on - now.date()).days
        days = ", ".join(str(due.on - timedelta(days=before)) for before in reminders(due))
        yield due.name, str(due.on), cell(left, BAD if left < 0 else ""), days
