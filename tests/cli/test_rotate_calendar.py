"""`rotate calendar`: due dates as a table, as JSON, as an iCalendar file and as a crontab, and what no file is made of."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta

import httpx
import icalendar
import pytest

from tests.cli.rotation_server import RotationDesk, document, row

SOON = datetime.now(UTC) + timedelta(days=40)


def told(rotation: RotationDesk, *rows: dict[str, object]) -> None:
    rotation.server.rotation = [httpx.Response(200, json=document(*rows))]


def at(day: datetime | date) -> str:
    return f"{day:%Y-%m-%d}T12:00:00.000Z"


ROWS = (
    row("SIGNING_KEY", due_at=at(SOON)),
    row("GITHUB_TOKEN", due_at=at(SOON - timedelta(days=5)), lifetime_days=20),
    row("OPERATOR_KEY", due_at=None, days_left=None),
)


def test_due_dates_are_listed_in_their_order_with_the_reminders(rotation: RotationDesk) -> None:
    told(rotation, *ROWS)
    status, out = rotation.run("rotate", "calendar")
    first, second = out.splitlines()[1:3]
    assert (status, first.split()[0], second.split()[0]) == (0, "GITHUB_TOKEN", "SIGNING_KEY")
    assert "no due date is known of: OPERATOR_KEY" in rotation.err
    told(rotation, *ROWS)
    _, found = rotation.json("rotate", "calendar")
    assert [each["name"] for each in found["due"]] == ["GITHUB_TOKEN", "SIGNING_KEY"]
    assert found["unknown"] == ["OPERATOR_KEY"]


def test_of_a_value_that_lives_shorter_than_its_cadence_fewer_reminders_are_given(rotation: RotationDesk) -> None:
    told(rotation, *ROWS)
    short, usual = rotation.json("rotate", "calendar")[1]["due"]
    # 20 days altogether, and 90.
    assert [len(each["reminders"]) for each in (short, usual)] == [2, 4]


def test_the_calendar_file_is_printed_byte_by_byte(rotation: RotationDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    told(rotation, *ROWS)
    written = io.BytesIO()
    with io.TextIOWrapper(written, encoding="utf-8", newline="\r\n") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        assert rotation.run("rotate", "calendar", "--ics")[0] == 0
        stream.flush()
        text = written.getvalue()
    assert text.count(b"\n") == text.count(b"\r\n") == text.count(b"\r")
    found = [event for event in icalendar.Calendar.from_ical(text).walk("VEVENT") if isinstance(event, icalendar.Event)]
    assert [event["DTSTART"].dt for event in found] == [(SOON - timedelta(days=5)).date(), SOON.date()]
    assert len({event["UID"] for event in found}) == 2


def test_events_of_another_installation_are_others(rotation: RotationDesk) -> None:
    uids = set()
    for address in ("https://a.example", "https://user:secretword@b.example"):
        rotation.set("SKILL_SYNC_URL", address)
        told(rotation, *ROWS)
        out = rotation.run("rotate", "calendar", "--ics")[1]
        assert "secretword" not in out
        uids |= {line for line in out.splitlines() if line.startswith("UID:")}
    assert len(uids) == 4


def test_the_crontab_is_printed_alone(rotation: RotationDesk) -> None:
    told(rotation, *ROWS)
    status, out = rotation.run("rotate", "calendar", "--crontab")
    lines = out.splitlines()
    assert (status, lines[0][0], len(lines)) == (0, "#", 1 + 3 + 5)
    assert all(line.startswith("0 9 ") and line.count("%") == line.count(r"\%") == 1 for line in lines[1:])


@pytest.mark.parametrize("form", ["--ics", "--crontab"])
def test_without_any_due_date_no_file_is_made(rotation: RotationDesk, form: str) -> None:
    told(rotation, ROWS[2])
    assert rotation.run("rotate", "calendar", form) == (1, "")
    assert "[NO_DUE_DATES]" in rotation.err


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "X'; rm -rf /; echo '"},
        {"name": "GITHUB_TOKEN\n* * * * * rm -rf /"},
        {"name": None},
        {"due_at": "tomorrow"},
        {"due_at": 5},
        {"due_at": "9999-12-31T00:00:00.000Z"},
        {"lifetime_days": "30"},
        {"lifetime_days": None},
    ],
)
@pytest.mark.parametrize("form", ["--ics", "--crontab", "--json"])
def test_an_answer_of_another_form_makes_no_file_at_all(
    rotation: RotationDesk, odd: dict[str, object], form: str
) -> None:
    told(rotation, ROWS[0], {**ROWS[1], **odd})
    status, out = rotation.run("rotate", "calendar", form)
    assert status == 69
    assert "[ANSWER_INVALID]" in rotation.err
    assert form == "--json" or out == ""
