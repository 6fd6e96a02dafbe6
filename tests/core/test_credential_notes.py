from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.alert_kinds import Topic
from shared.core.credential_alerts import credential_causes
from shared.core.credential_notes import (
    Use,
    are_news,
    dues_noted,
    holding_noted,
    is_look_due,
    open_noted,
    token_noted,
    with_dues,
    with_token,
    with_uses,
)
from shared.core.credentials import TokenNote, kind_of, puller_of, weakness
from shared.core.dues import due_of
from shared.core.names import timestamp
from shared.core.rotation import Active, Record
from shared.core.summary import Summary, parse_summary, summary_bytes
from shared.errors import InputError
from tests.core.samples import NOW
from tests.core.test_plain_text import HOSTILE

OLD, NEW = "aaaaaaaa", "bbbbbbbb"
NAME = "GITHUB_WEBHOOK_SECRET"


def at(**delta: float) -> str:
    return timestamp(NOW + timedelta(**delta))


def used(fingerprint: str, *accepted: str) -> Use:
    return Use(name=NAME, fingerprint=fingerprint, accepted=accepted or (NEW, OLD))


def written(summary: Summary) -> Summary:
    return parse_summary(summary_bytes(summary))


def test_uses_are_noted_by_fingerprint_with_what_is_accepted_where_they_came_in() -> None:
    summary = written(with_uses(with_uses(Summary(), [used(OLD)], at()), [used(NEW)], at(minutes=1)))
    holding = holding_noted(summary, NAME)
    assert holding.accepted == (NEW, OLD)
    assert holding.used == {OLD: at(), NEW: at(minutes=1)}
    assert holding_noted(summary, "MANUAL_SYNC_API_KEY").accepted == ()
    assert with_uses(summary, [], at(days=1)) is summary


def test_the_last_four_values_are_kept_and_no_more() -> None:
    summary = Summary()
    for number in range(9):
        summary = with_uses(summary, [used(f"{number}" * 8)], at(minutes=number))
    assert sorted(holding_noted(summary, NAME).used) == ["5" * 8, "6" * 8, "7" * 8, "8" * 8]


def test_a_use_is_news_when_it_is_the_first_or_of_a_value_that_is_not_the_newest() -> None:
    summary = Summary()
    assert are_news(summary, [used(NEW)])
    summary = with_uses(summary, [used(NEW)], at())
    assert not are_news(summary, [used(NEW)])
    assert are_news(with_uses(summary, [used(OLD)], at()), [used(OLD)])
    assert not are_news(summary, [])


def test_a_token_s_end_is_kept_until_its_issuer_says_something_else() -> None:
    ends = TokenNote(fingerprint=NEW, expires_at=NOW)
    summary = written(with_token(Summary(), ends))
    assert token_noted(summary) == token_noted(with_token(summary, None)) == ends
    never = replace(ends, expires_at=None)
    assert token_noted(with_token(summary, never)) == never
    assert token_noted(Summary()) is None


def test_due_dates_and_the_open_rotation_are_noted_and_looked_at_again_after_an_hour() -> None:
    due = due_of(Record(name=NAME, fingerprint=NEW, since=at(), known_from="rotation"))
    active = Active(token="t", name="SIGNING_KEY", begun_at=at())
    summary = written(with_dues(Summary(), [due], active, NOW))
    assert dues_noted(summary) == [due]
    assert open_noted(summary) == ("SIGNING_KEY", at())
    assert open_noted(with_dues(summary, [due], None, NOW)) is None
    assert is_look_due(Summary(), NOW)
    assert not is_look_due(summary, NOW + timedelta(minutes=59))
    assert is_look_due(summary, NOW + timedelta(minutes=60))
    assert is_look_due(summary, NOW - timedelta(minutes=1))


@pytest.mark.parametrize(
    "member",
    [
        {"used": [], "accepted": 7, "token": "x", "dues": {}, "open": None, "looked_at": 1},
        {
            "used": {NAME: 3},
            "accepted": {NAME: "x"},
            "token": {"fingerprint": 1},
            "dues": [1, {}],
            "open": {"begun_at": "?"},
        },
        {"used": {NAME: {OLD: "soon"}}, "token": {"fingerprint": OLD, "expires_at": "soon"}, "looked_at": "soon"},
    ],
)
def test_notes_that_somebody_damaged_count_as_none(member: dict[str, object]) -> None:
    summary = written(Summary(credentials=member))
    assert holding_noted(summary, NAME).used == {}
    assert dues_noted(summary) == []
    assert open_noted(summary) is None
    assert is_look_due(summary, NOW)
    token = token_noted(summary)
    assert token is None or token.expires_at is None
    assert [cause.topic for cause in credential_causes(summary, NOW)] == []


def told(summary: Summary, **delta: float) -> dict[str, str]:
    return {cause.key: cause.line for cause in credential_causes(summary, NOW + timedelta(**delta))}


def test_each_threshold_is_a_cause_of_its_own_with_the_same_subject_and_overdue_is_one_each_day() -> None:
    due = due_of(Record(name="PULLER_KEY.edge", fingerprint=NEW, since=at(), known_from="rotation"))
    summary = with_dues(Summary(), [due], None, NOW)
    assert told(summary, days=15) == {}
    keys = [next(iter(told(summary, days=days))) for days in (16, 23, 29, 30, 31)]
    assert [key.rsplit("/")[-1] for key in keys] == ["14", "7", "1", "overdue-0", "overdue-1"]
    subjects = {
        cause.subject for days in (16, 29, 33) for cause in credential_causes(summary, NOW + timedelta(days=days))
    }
    assert subjects == {"credential-due/PULLER_KEY.edge"}
    line = next(iter(told(summary, days=23).values()))
    assert line == f"PULLER_KEY.edge (fingerprint {NEW}): due {due.due_at[:10]}, in 7 days"


def test_a_rotation_that_nobody_ends_is_told_after_a_day() -> None:
    summary = with_dues(Summary(), [], Active(token="t", name="SIGNING_KEY", begun_at=at()), NOW)
    assert told(summary, days=1) == {}
    assert list(told(summary, days=1, seconds=1)) == [f"rotation-open/SIGNING_KEY/begun/{at()}"]


def test_an_old_value_that_is_still_accepted_is_told_after_a_day() -> None:
    record = Record(name=NAME, fingerprint=NEW, since=at(), known_from="rotation", retired=OLD, retired_at=at())
    summary = with_dues(Summary(), [due_of(record, retired=OLD)], None, NOW)
    assert told(summary, hours=23) == {}
    assert list(told(summary, hours=25)) == [f"rotation-open/{NAME}/retired/{OLD}"]


def test_a_token_that_never_ends_is_told_and_one_that_does_is_not() -> None:
    due = due_of(Record(name="GITHUB_TOKEN", fingerprint=NEW, since=at(), known_from="rotation"))
    never = with_token(with_dues(Summary(), [due], None, NOW), TokenNote(fingerprint=NEW, expires_at=None))
    assert {cause.topic for cause in credential_causes(never, NOW)} == {Topic.CREDENTIAL_POLICY}
    ends = with_token(never, TokenNote(fingerprint=NEW, expires_at=NOW + timedelta(days=80)))
    assert told(ends) == {}


@pytest.mark.parametrize("text", HOSTILE)
def test_no_line_holds_what_somebody_wrote_into_the_summary(text: str) -> None:
    due = due_of(Record(name=NAME, fingerprint=NEW, since=at(), known_from="rotation"))
    summary = with_dues(Summary(), [replace(due, fingerprint=text, retired=text, retired_at=at())], None, NOW)
    lines = [cause.line for cause in credential_causes(summary, NOW + timedelta(days=29))]
    assert len(lines) == 1 + bool(text)
    assert not any(text in line for line in lines if len(text) > 1)


@pytest.mark.parametrize(
    "name", ["", "PULLER_KEY", "PULLER_KEY.", "PULLER_KEY.A b", "signing_key", "ALERT_URLS", "../x"]
)
def test_what_is_no_credential_of_ours_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError) as caught:
        kind_of(name)
    assert caught.value.code == "ROTATION_NAME_UNKNOWN"
    assert "PULLER_KEY.<puller id>" in caught.value.message


def test_a_puller_s_key_is_named_with_its_puller() -> None:
    assert kind_of("PULLER_KEY.volume-1").name == "PULLER_KEY"
    assert puller_of("PULLER_KEY.volume-1") == "volume-1"
    assert puller_of("SIGNING_KEY") == ""


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("x" * 31, "VALUE_TOO_SHORT"),
        ("x" * 20 + " " + "y" * 20, "VALUE_HAS_BLANKS"),
        ("x" * 40 + "\r\ny", "VALUE_HAS_BLANKS"),
    ],
)
def test_a_value_that_was_pasted_wrongly_is_refused_and_not_shown(value: str, code: str) -> None:
    found = weakness(value)
    assert found is not None
    assert found.code == code
    assert value not in repr(found)
    assert weakness("x" * 32) is None
