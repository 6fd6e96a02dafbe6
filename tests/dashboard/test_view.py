"""Single parts of the first page: credentials, figures, pullers, times and words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from shared.core.kpis import history, kpis
from shared.core.names import timestamp
from shared.core.states import Condition
from shared.core.summary import Summary, count
from shared.dashboard import words
from shared.dashboard.credentials import credentials_of, due_dates
from shared.dashboard.figures import figures
from shared.dashboard.standing import services
from shared.dashboard.times import duration, milliseconds_between, moment, size, span
from shared.errors import ConfigError, ConflictError, DeadlineError, NotFoundError, PausedError, UnavailableError
from shared.model import Reason, Status

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class Kept:
    credentials: object


LINE = {
    "name": "GITHUB_TOKEN",
    "fingerprints": ["0a1b2c3d", "4e5f6a7b"],
    "due_at": "2026-12-01T12:00:00.000Z",
    "days_left": 10,
    "state": "ok",
    "symptom": "syncs end with SOURCE_DENIED",
}


@pytest.mark.parametrize("kept", [[LINE], (LINE,), {"credentials": [LINE]}])
def test_credentials_are_read_from_the_summary_in_either_form(kept: object) -> None:
    assert credentials_of(Kept(kept)) == [LINE]


@pytest.mark.parametrize("summary", [Summary(), Kept(None), Kept({}), Kept("GITHUB_TOKEN"), Kept(["x", 1]), object()])
def test_a_summary_without_credentials_gives_none(summary: object) -> None:
    assert credentials_of(summary) == []


def test_credentials_are_listed_as_they_fall_due() -> None:
    soon = {**LINE, "name": "SOON", "due_at": "2026-11-20T12:00:00.000Z", "days_left": -1, "state": "overdue"}
    odd = {"name": None, "due_at": "never", "fingerprints": "x", "days_left": "y", "state": "strange"}
    found = due_dates([{"name": "UNKNOWN"}, odd, LINE, soon], NOW)
    assert [each.name for each in found] == ["SOON", "GITHUB_TOKEN", "None", "UNKNOWN"]
    assert (found[0].left, found[0].word.text) == ("1 days over", "overdue")
    assert (found[1].left, found[1].fingerprints) == ("in 10 days", "0a1b2c3d, 4e5f6a7b")
    assert found[3].word is words.UNKNOWN


def test_a_figure_has_its_value_its_target_and_its_days_in_words() -> None:
    summary = Summary()
    for ago in (0, 1, 1, 40):
        summary = count(summary, timestamp(NOW - timedelta(days=ago))[:10], "webhooks")
    summary = count(summary, "2026-11-20", "webhooks_lost")
    first, *others = figures(kpis(summary, [], NOW), history(summary, [], NOW))
    assert (first.name, first.value, first.target, first.word.text) == (
        "Webhooks that arrived",
        "75 %",
        "> 99 %",
        "missed",
    )
    assert first.days[-2:] == (("2026-11-20", "66.67 %"), ("2026-11-21", "100 %"))
    assert len(first.days) == 30
    assert first.trend == "days measured: 2; from 66.67 % to 100 %"
    assert {figure.word.text for figure in others} == {"nothing to measure"}
    assert [figure.target for figure in others] == [">= 99 %", "< 10.0 s", "< 10.0 s", ">= 100 %", "> 99.9 %"]


def test_services_that_tell_nothing_are_unknown() -> None:
    assert [each.word for each in services({}, NOW)] == [words.UNKNOWN] * 3
    assert [each.word for each in services(None, NOW)] == [words.UNKNOWN] * 3


@pytest.mark.parametrize(
    ("written", "utc", "age"),
    [
        ("2026-11-21T11:58:30.000Z", "2026-11-21 11:58 UTC", "1 min ago"),
        ("2026-11-18T11:00:00.000Z", "2026-11-18 11:00 UTC", "3 d ago"),
        ("2026-11-21T14:00:00.000Z", "2026-11-21 14:00 UTC", "in 2 h"),
        ("2026-11-21T12:00:00.000Z", "2026-11-21 12:00 UTC", "0 s ago"),
    ],
)
def test_a_time_is_told_in_utc_and_by_its_age(written: str, utc: str, age: str) -> None:
    found = moment(written, NOW)
    assert found is not None
    assert (found.utc, found.age, found.iso) == (utc, age, written)


@pytest.mark.parametrize("written", [None, "", "yesterday", 5, "2026-13-01T00:00:00.000Z"])
def test_what_is_no_time_is_none(written: object) -> None:
    assert moment(written, NOW) is None
    assert milliseconds_between(written, timestamp(NOW)) is None


def test_amounts_are_told_in_their_units() -> None:
    assert [duration(value) for value in (None, 0, 999, 1500, 60_000)] == [
        "not known",
        "0 ms",
        "999 ms",
        "1.5 s",
        "60.0 s",
    ]
    assert [size(value) for value in (0, 1023, 1024, 1024**2)] == ["0 B", "1023 B", "1.0 KiB", "1.0 MiB"]
    assert [span(value) for value in (59, 60, 3600, 86_400)] == ["59 s", "1 min", "1 h", "1 d"]
    assert milliseconds_between("2026-11-21T12:00:00.000Z", "2026-11-21T12:00:01.500Z") == 1500
    assert milliseconds_between("2026-11-21T12:00:01.500Z", "2026-11-21T12:00:00.000Z") is None


def test_there_is_a_word_for_everything_that_there_is() -> None:
    assert set(words.CONDITIONS) == set(words.MEANINGS) == set(Condition)
    assert set(words.OUTCOMES) == set(Status)
    assert set(words.REASONS) == set(Reason)


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (PausedError("x", reasons=(), next_action=""), "PAUSED"),
        (UnavailableError("SOURCE_RATE_LIMITED", "x"), "SOURCE"),
        (UnavailableError("STORE_UNAVAILABLE", "x"), "STORE"),
        (NotFoundError("NOT_WITHHELD", "x"), "NOT_WITHHELD"),
        (NotFoundError("NO_DEPLOYMENT", "x"), "DEPLOYMENT_UNKNOWN"),
        (ConfigError("CONFIG_MISSING", "x"), "CONFIG"),
        (DeadlineError("DEADLINE", "x"), "BUSY"),
        (UnavailableError("JUDGE_TOO_SLOW", "x"), "UNAVAILABLE"),
        (ConflictError("OBJECT_BUSY", "x"), "CONFLICT"),
    ],
)
def test_every_failure_has_a_fixed_text(error: Exception, key: str) -> None:
    assert isinstance(error, PausedError | UnavailableError | NotFoundError | ConfigError | ConflictError)
    assert words.failure_key(error) == key
    assert key in words.FAILED
