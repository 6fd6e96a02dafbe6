from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.credentials import KINDS, TokenNote
from shared.core.dues import (
    THRESHOLDS_DAYS,
    days_left,
    due_document,
    due_of,
    parse_due,
    stage_of,
    state_of,
    thresholds_of,
    token_end,
)
from shared.core.names import timestamp
from shared.core.rotation import Record
from shared.errors import InputError
from tests.core.samples import NOW

FP = "bbbbbbbb"


def at(**delta: float) -> str:
    return timestamp(NOW + timedelta(**delta))


def record(name: str, known_from: str = "rotation") -> Record:
    return Record(name=name, fingerprint=FP, since=at(), known_from=known_from)


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("GITHUB_WEBHOOK_SECRET", 30),
        ("GITHUB_TOKEN", 90),
        ("GITHUB_APP_KEY", 90),
        ("MANUAL_SYNC_API_KEY", 30),
        ("PULLER_KEY.volume-1", 30),
        ("NEO4J_PASSWORD", 30),
        ("SIGNING_KEY", 90),
        ("OPERATOR_KEY", 365),
    ],
)
def test_each_credential_is_due_after_its_cadence(name: str, days: int) -> None:
    due = due_of(record(name))
    assert (due.due_at, due.lifetime_days, due.known_from) == (at(days=days), days, "rotation")


def test_every_kind_has_a_cadence_that_the_table_above_names() -> None:
    assert len(KINDS) == 8


def test_what_ends_sooner_by_itself_is_due_then_and_what_ends_later_by_its_cadence() -> None:
    sooner = due_of(record("GITHUB_TOKEN"), ends=at(days=20), ends_from="header")
    assert (sooner.due_at, sooner.lifetime_days, sooner.known_from) == (at(days=20), 20, "header")
    later = due_of(record("GITHUB_TOKEN"), ends=at(days=365), ends_from="header")
    assert (later.due_at, later.lifetime_days, later.known_from) == (at(days=90), 90, "rotation")


@pytest.mark.parametrize(("ends", "lifetime"), [({"days": 20, "hours": 23}, 20), ({"days": -3}, 0), ({"days": 89}, 89)])
def test_a_lifetime_is_counted_in_whole_days_and_never_below_none(ends: dict[str, float], lifetime: int) -> None:
    assert due_of(record("GITHUB_TOKEN"), ends=at(**ends), ends_from="header").lifetime_days == lifetime


def test_of_two_ends_at_the_same_moment_the_rotation_s_own_is_told() -> None:
    assert due_of(record("GITHUB_TOKEN"), ends=at(days=90), ends_from="header").known_from == "rotation"


def test_a_value_is_told_as_retired_only_while_it_is_let_in() -> None:
    replaced = replace(record("SIGNING_KEY"), retired="aaaaaaaa", retired_at=at(days=1))
    assert (due_of(replaced).retired, due_of(replaced).retired_at) == ("", "")
    let_in = due_of(replaced, retired="aaaaaaaa")
    assert (let_in.retired, let_in.retired_at) == ("aaaaaaaa", at(days=1))


def test_what_was_merely_found_may_have_lived_long_so_its_cadence_counts_as_lifetime() -> None:
    found = due_of(record("GITHUB_TOKEN", "first_seen"), ends=at(days=5), ends_from="header")
    assert found.lifetime_days == 90
    assert stage_of(found.due_at, found.lifetime_days, NOW) == "7"


def test_a_header_counts_for_the_token_alone_that_it_came_with() -> None:
    note = TokenNote(fingerprint=FP, expires_at=NOW)
    assert token_end(note, FP) == at()
    assert token_end(note, "aaaaaaaa") == token_end(None, FP) == ""
    assert token_end(TokenNote(fingerprint=FP, expires_at=None), FP) == ""


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [
        (365, (30, 14, 7, 1)),
        (90, (30, 14, 7, 1)),
        (60, (30, 14, 7, 1)),
        (59, (14, 7, 1)),
        (30, (14, 7, 1)),
        (14, (7, 1)),
        (2, (1,)),
        (1, ()),
    ],
)
def test_a_threshold_counts_where_it_is_at_most_half_the_lifetime(lifetime: int, expected: tuple[int, ...]) -> None:
    assert thresholds_of(lifetime) == expected


@pytest.mark.parametrize(
    ("left", "stage", "days", "state"),
    [
        (timedelta(days=31), "", 31, "ok"),
        (timedelta(days=30, milliseconds=1), "", 31, "ok"),
        (timedelta(days=30), "30", 30, "due"),
        (timedelta(days=14, seconds=1), "30", 15, "due"),
        (timedelta(days=14), "14", 14, "due"),
        (timedelta(days=7), "7", 7, "due"),
        (timedelta(days=1), "1", 1, "due"),
        (timedelta(seconds=1), "1", 1, "due"),
        (timedelta(), "overdue-0", 0, "overdue"),
        (timedelta(seconds=-1), "overdue-0", 0, "overdue"),
        (timedelta(days=-1), "overdue-1", -1, "overdue"),
        (timedelta(days=-40, seconds=-5), "overdue-40", -40, "overdue"),
    ],
)
def test_each_threshold_is_passed_once_and_what_is_overdue_is_told_each_day(
    left: timedelta, stage: str, days: int, state: str
) -> None:
    due_at = timestamp(NOW + left)
    assert stage_of(due_at, 90, NOW) == stage
    assert days_left(due_at, NOW) == days
    assert state_of(due_at, 90, NOW) == state


def test_over_a_whole_life_each_threshold_shows_up_once_in_order() -> None:
    stages = [stage_of(at(days=90), 90, NOW + timedelta(hours=hour)) for hour in range(24 * 92)]
    seen = [stage for before, stage in zip(["", *stages], stages, strict=False) if stage != before]
    assert seen == [*map(str, THRESHOLDS_DAYS), "overdue-0", "overdue-1"]


def test_what_is_noted_is_read_back() -> None:
    for due in (due_of(record("SIGNING_KEY")), due_of(record("PULLER_KEY.edge"), retired="aaaaaaaa")):
        assert parse_due(due_document(due)) == due


@pytest.mark.parametrize(
    "change",
    [
        {"name": "NOBODY"},
        {"name": "PULLER_KEY"},
        {"due_at": "soon"},
        {"since": None},
        {"lifetime_days": "x"},
        {"retired_at": "?"},
    ],
)
def test_what_is_no_note_is_not_read(change: dict[str, object]) -> None:
    with pytest.raises((InputError, ValueError)):
        parse_due({**due_document(due_of(record("SIGNING_KEY"))), **change})
