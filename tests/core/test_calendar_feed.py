"""DueDay dates as an iCalendar file that another library reads, and as lines that cron and a shell take."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import icalendar as reader
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.calendar_feed import MAX_LINE_OCTETS, DueDay, crontab, icalendar, reminders
from shared.core.credentials import KINDS
from shared.core.dues import THRESHOLDS_DAYS
from shared.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, 17, 0, 5, 123_000, tzinfo=UTC)
NAMES = [
    *(name for name in KINDS if name != "PULLER_KEY"),
    "PULLER_KEY.edge",
    "PULLER_KEY.a-rather-long-name-of-a-host-0",
]
_CRON = re.compile(r"(\d{1,2}) (\d{1,2}) (\d{1,2}) (\d{1,2}) \* (\S.*)")


def due(name: str = "GITHUB_TOKEN", on: date = date(2027, 2, 1), lifetime_days: int = 90) -> DueDay:
    return DueDay(name=name, on=on, lifetime_days=lifetime_days)


def events(text: str) -> list[reader.Event]:
    return [each for each in reader.Calendar.from_ical(text).walk("VEVENT") if isinstance(each, reader.Event)]


@pytest.mark.parametrize(
    ("lifetime", "days"),
    [
        (365, (30, 14, 7, 1)),
        (90, (30, 14, 7, 1)),
        (60, (30, 14, 7, 1)),
        (59, (14, 7, 1)),
        (30, (14, 7, 1)),
        (27, (7, 1)),
        (7, (1,)),
        (2, (1,)),
        (1, ()),
        (0, ()),
    ],
)
def test_people_are_reminded_where_the_time_is_at_most_half_the_lifetime(lifetime: int, days: tuple[int, ...]) -> None:
    assert reminders(due(lifetime_days=lifetime)) == days


@pytest.mark.parametrize("name", ["", "x", "PULLER_KEY", "PULLER_KEY.", "PULLER_KEY.a;b", "PULLER_KEY.'", "A\nB", "%"])
def test_a_name_that_is_no_credentials_never_reaches_a_calendar_or_a_shell(name: str) -> None:
    with pytest.raises(InputError) as raised:
        due(name)
    assert raised.value.code == "ROTATION_NAME_UNKNOWN"


@pytest.mark.parametrize("on", [date(1, 1, 1), date(1999, 12, 31), date(9000, 1, 1), date(9999, 12, 31)])
def test_a_day_that_no_calendar_counts_with_is_refused(on: date) -> None:
    with pytest.raises(InputError) as raised:
        due(on=on)
    assert raised.value.code == "DATE_INVALID"


@pytest.mark.parametrize("name", NAMES)
def test_another_library_reads_each_due_date_with_its_alarms(name: str) -> None:
    (event,) = events(icalendar([due(name, lifetime_days=90)], now=NOW, scope="ab12cd34"))
    assert event.errors == []
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (date(2027, 2, 1), date(2027, 2, 2))
    assert (event["DTSTAMP"].dt, event["UID"]) == (NOW.replace(microsecond=0), f"{name}.ab12cd34@skill-sync")
    assert event["SUMMARY"] == f"skill-sync: rotate {name}"
    assert f"rotate begin {name}\n" in event["DESCRIPTION"]
    alarms = [each for each in event.walk("VALARM") if isinstance(each, reader.Alarm)]
    assert [alarm["TRIGGER"].dt for alarm in alarms] == [timedelta(days=-days) for days in THRESHOLDS_DAYS]
    assert {alarm["ACTION"] for alarm in alarms} == {"DISPLAY"}
    assert all(name in alarm["DESCRIPTION"] for alarm in alarms)


def test_the_event_of_a_credential_keeps_its_uid_and_grows_its_sequence_when_it_moves() -> None:
    (first,), (moved,) = (
        events(icalendar([due(on=on)], now=NOW, scope="s")) for on in (date(2027, 2, 1), date(2027, 5, 2))
    )
    assert first["UID"] == moved["UID"]
    assert first["SEQUENCE"] < moved["SEQUENCE"]
    other = events(icalendar([due("NEO4J_PASSWORD"), due()], now=NOW, scope="t"))
    assert len({each["UID"] for each in (*other, first)}) == 3


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.dates(date(2000, 1, 1), date(8999, 12, 31)), st.integers(-5, 4000)),
        min_size=1,
        max_size=5,
    )
)
def test_lines_are_ended_by_crlf_and_folded_at_75_octets(rows: list[tuple[str, date, int]]) -> None:
    dues = [due(*row) for row in rows]
    text = icalendar(dues, now=NOW, scope="0123abcd")
    lines = text.split("\r\n")
    assert lines[-1] == ""
    assert not re.search(r"[\r\n]", "".join(lines))
    assert all(0 < len(line.encode()) <= MAX_LINE_OCTETS for line in lines[:-1])
    assert (lines[0], lines[-2]) == ("BEGIN:VCALENDAR", "END:VCALENDAR")
    assert [event["DTSTART"].dt for event in events(text)] == [each.on for each in dues]


def test_the_same_dates_at_the_same_time_are_the_same_bytes() -> None:
    assert icalendar([due()], now=NOW, scope="s") == icalendar([due()], now=NOW, scope="s")
    assert crontab([due()], now=NOW) == crontab([due()], now=NOW)


def lines_of(text: str) -> list[tuple[tuple[int, int, int, int], str]]:
    """Read a crontab strictly: comments, and lines of five fields and a command; a % that is not escaped ends a command."""
    assert text.endswith("\n")
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = _CRON.fullmatch(line)
        assert match, line
        minute, hour, day, month = (int(match[number]) for number in range(1, 5))
        assert 0 <= minute <= 59
        assert 0 <= hour <= 23
        assert 1 <= day <= 31
        assert 1 <= month <= 12
        assert not re.search(r"(?<!\\)%", match[5])
        assert len(line) < 998
        found.append(((minute, hour, day, month), match[5].replace(r"\%", "%")))
    return found


def said(command: str, year: int, folder: Path) -> tuple[int, str]:
    """Run a command as cron does, in that year."""
    fake = folder / "date"
    fake.write_text(f'#!/bin/sh\n[ "$1" = +%Y ] && echo {year}\n')
    fake.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_cron_prints_each_reminder_on_its_day_and_in_no_other_year(name: str, tmp_path: Path) -> None:
    lines = lines_of(crontab([due(name)], now=NOW))
    assert [(day, month) for (_, _, day, month), _ in lines] == [(2, 1), (18, 1), (25, 1), (31, 1), (1, 2)]
    assert {when[:2] for when, _ in lines} == {(0, 9)}
    words = ["in 30 days", "in 14 days", "in 7 days", "tomorrow", "today"]
    for (_, command), when in zip(lines, words, strict=True):
        expected = f"skill-sync: {name} is due {when} (2027-02-01): python -m shared.cli rotate begin {name}\n"
        assert said(command, 2027, tmp_path) == (0, expected)
        assert said(command, 2028, tmp_path)[1] == ""


def test_a_reminder_in_the_year_before_asks_for_that_year(tmp_path: Path) -> None:
    (when, command), *_ = lines_of(crontab([due(on=date(2027, 1, 10))], now=NOW))
    assert when == (0, 9, 11, 12)
    assert said(command, 2026, tmp_path)[1]
    assert not said(command, 2027, tmp_path)[1]


def test_what_lies_before_today_is_left_out_and_what_is_overdue_is_said() -> None:
    soon = due("NEO4J_PASSWORD", on=date(2026, 11, 28), lifetime_days=30)
    late = due("OPERATOR_KEY", on=date(2026, 11, 20), lifetime_days=365)
    text = crontab([soon, late], now=NOW)
    assert [when[2:] for when, _ in lines_of(text)] == [(21, 11), (27, 11), (28, 11)]
    assert "# OPERATOR_KEY is overdue since 2026-11-20\n" in text
