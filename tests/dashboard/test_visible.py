"""What a person would not see is written out, and no text makes a page large."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dashboard.visible import short, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("Jörg 日本 🏴", "Jörg 日本 🏴"),
        ("a\u202eb", "a⟦U+202E⟧b"),
        ("a\u200bb", "a⟦U+200B⟧b"),
        ("\x00\x1b[31m", "⟦U+0000⟧⟦U+001B⟧[31m"),
        ("\r", "⟦U+000D⟧"),
        ("\U000e0041", "⟦U+E0041⟧"),
        ("\u2028\u2029", "⟦U+2028⟧⟦U+2029⟧"),
        ("\ud800", "⟦U+D800⟧"),
        ("\u3164", "⟦U+3164⟧"),
    ],
)
def test_what_would_not_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(exclude_categories=())), st.integers(0, 200))
def test_a_short_text_takes_no_more_of_a_page_than_it_may(text: str, cost: int) -> None:
    found = short(text, cost)
    assert len(escape(visible(found)).encode()) <= cost + len("…".encode())
    assert found == text or text.startswith(found.removesuffix("…"))


def test_a_text_that_fits_stays_whole() -> None:
    assert short("<b>", 9) == "<b>"
    assert short("<b>", 8) == "<b…"
