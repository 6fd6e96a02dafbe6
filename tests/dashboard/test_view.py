"""Single parts of the first page: credentials, figures, pullers, times and words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.core.credential_notes import with_dues
from shared.core.dues import Due
from shared.core.kpis import history, kpis
from shared.core.names import timestamp
from shared.core.rotation import Active
from shared.core.states import Condition
from shared.core.summary import Summary, count
from shared.dashboard import words
from shared.dashboard.credentials import due_dates
from shared.dashboard.figures import figures
from shared.dashboard.standing import services
from shared.dashboard.times import duration, milliseconds_between, moment, size, span
from shared.errors import ConfigError, ConflictError, DeadlineError, NotFoundError, PausedError, UnavailableError
from shared.model import Reason, Status

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def due(name: str, days: int, **changes: object) -> Due:
    """A credential that is due in so many days."""
    found = Due(
        name=name,
        fingerprint="0a1b2c3d",
        since=timestamp(NOW - timedelta(days=1)),
        due_at=timestamp(NOW + timedelta(days=days)),
        lifetime_days=30,
        known_from="rotation",
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def test_credentials_are_listed_as_they_fall_due() -> None:
    dues = [due("GITHUB_TOKEN", 20), due("NEO4J_PASSWORD", 3), due("SIGNING_KEY", -2), due("MANUAL_SYNC_API_KEY", 1)]
    found = due_dates(with_dues(Summary(), dues, None, NOW), NOW)
    assert [(each.name, each.state, each.left) for each in found] == [
        ("SIGNING_KEY", "overdue", "over for 2 days"),
        ("MANUAL_SYNC_API_KEY", "due", "1 day left"),
        ("NEO4J_PASSWORD", "due", "3 days left"),
        ("GITHUB_TOKEN", "ok", "20 days left"),
    ]
    assert found[0].fingerprint == "0a1b2c3d"
    assert "SIGNING_KEY_UNTRUSTED" in found[0].symptom


def test_a_credential_that_is_being_rotated_and_an_old_value_that_still_works_are_told() -> None:
    active = Active(token="t", name="GITHUB_TOKEN", begun_at=timestamp(NOW), old="0a1b2c3d")
    dues = [due("GITHUB_TOKEN", 1), due("NEO4J_PASSWORD", 29, retired="4e5f6a7b", retired_at=timestamp(NOW))]
    first, second = due_dates(with_dues(Summary(), dues, active, NOW), NOW)
    assert (first.state, first.word.text) == ("rotating", "being rotated")
    assert second.note == "the old value 4e5f6a7b is still accepted: take it away"


@pytest.mark.parametrize("noted", [{}, {"dues": "x"}, {"dues": ["x", {}, {"name": "<script>"}]}, {"open": 5}])
def test_a_summary_that_notes_no_dates_gives_none(noted: dict[str, object]) -> None:
    assert due_dates(Summary(credentials=noted), NOW) == ()


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
