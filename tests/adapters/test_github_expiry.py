"""When a token ends: read strictly, and kept as it was told last."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.github_expiry import HEADER, NoteBook, expiry
from shared.core.credentials import TokenNote
from shared.core.plain_text import fingerprint

END = "2026-02-18 04:00:00 UTC"
MOMENT = datetime(2026, 2, 18, 4, 0, 0, tzinfo=UTC)


def headers(text: str | None) -> httpx.Headers:
    return httpx.Headers({} if text is None else {HEADER: text})


@pytest.mark.parametrize(
    "text",
    [
        END,
        "2026-02-18 04:00:00 +0000",
        "2026-02-18 04:00:00 +00:00",
        "2026-02-18 04:00:00 -0000",
        "2026-02-17 20:00:00 -0800",
        "2026-02-18 09:45:00 +0545",
        "2026-02-18 09:45:00 +05:45",
    ],
)
def test_the_end_is_read_with_its_zone(text: str) -> None:
    found = expiry(headers(text))
    assert found == MOMENT
    assert found is not None
    assert found.tzinfo is UTC


def test_the_headers_name_may_be_in_any_case() -> None:
    assert expiry(httpx.Headers({"GitHub-Authentication-Token-Expiration": END})) == MOMENT


WRONG = [
    None,
    "",
    "never",
    "2026-02-18",
    "2026-02-18 04:00:00",
    "2026-02-18T04:00:00Z",
    "2026-02-18 04:00 UTC",
    "2026-02-18 04:00:00 GMT",
    "2026-02-18 04:00:00 utc",
    "2026-02-18 04:00:00 UTC ",
    " 2026-02-18 04:00:00 UTC",
    "2026-02-18 04:00:00 UTC\n",
    "2026-02-18  04:00:00 UTC",
    "2026-02-18 04:00:00 +00",
    "2026-02-18 04:00:00 +2400",
    "2026-02-18 04:00:00 0000",
    "2026-02-30 04:00:00 UTC",
    "2026-13-01 04:00:00 UTC",
    "2026-02-18 24:30:00 UTC",
    "2026-02-18 04:00:60 UTC",
    "0000-00-00 00:00:00 UTC",
    "0001-01-01 00:00:00 +1400",
    "9999-12-31 23:59:59 -1400",
    "26-02-18 04:00:00 UTC",
    "12026-02-18 04:00:00 UTC",
    "1771387200",
    "2026-02-18 04:00:00 UTC, 2027-02-18 04:00:00 UTC",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_of_another_form_counts_as_not_told(text: str | None) -> None:
    assert expiry({} if text is None else {HEADER: text}) is None


@given(st.text(st.sampled_from("0123456789-:+ UTC٣"), max_size=30))
def test_whatever_is_told_never_breaks_an_answer(text: str) -> None:
    found = expiry({HEADER: text})
    assert found is None or found.tzinfo is UTC


def note(token: str, ends: datetime | None) -> TokenNote:
    return TokenNote(fingerprint=fingerprint(token), expires_at=ends)


def test_before_any_answer_there_is_no_note() -> None:
    assert NoteBook().note is None


def test_the_newest_note_is_kept() -> None:
    book = NoteBook()
    book.learn("new", 200, headers("2027-02-18 04:00:00 UTC"))
    book.learn("old", 304, headers(END))
    assert book.note == note("old", MOMENT)


@pytest.mark.parametrize("status", [200, 304, 403, 404, 422, 500])
def test_any_answer_but_a_refusal_of_the_token_tells_its_end(status: int) -> None:
    book = NoteBook()
    book.learn("new", status, headers(END))
    assert book.note == note("new", MOMENT)


@pytest.mark.parametrize("text", [END, None])
def test_a_refused_token_is_not_noted(text: str | None) -> None:
    book = NoteBook()
    book.learn("new", 401, headers(text))
    assert book.note is None


def test_a_success_without_an_end_is_noted_as_that() -> None:
    book = NoteBook()
    book.learn("new", 200, headers(None))
    assert book.note == note("new", None)


@pytest.mark.parametrize("status", [304, 404, 500, 503])
def test_other_answers_without_an_end_tell_nothing(status: int) -> None:
    book = NoteBook()
    book.learn("new", status, headers(None))
    assert book.note is None


@pytest.mark.parametrize("text", [None, "soon"])
def test_an_answer_that_does_not_tell_the_end_takes_nothing_back(text: str | None) -> None:
    book = NoteBook()
    book.learn("new", 200, headers(END))
    book.learn("new", 200, headers(text))
    assert book.note == note("new", MOMENT)
    book.learn("another", 200, headers(text))
    assert book.note == note("another", None)
