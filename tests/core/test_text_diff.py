"""A difference tells what came and went, and ends in time whatever the texts hold."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.text_diff import MAX_BYTES, MAX_COMPARED, MAX_LINE_CHARS, MAX_SHOWN, text_diff

LINES = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30)


def told(old: str, new: str) -> list[str]:
    return [f"{line.mark}{line.text}" for line in text_diff(old.encode(), new.encode()).lines]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("", "", []),
        ("a\n", "a\n", ["@1 lines that did not change"]),
        ("", "a\nb\n", ["+a", "+b"]),
        ("a\n", "", ["-a"]),
        ("a\nb\nc\n", "a\nB\nc\n", [" a", "-b", "+B", " c"]),
        ("a", "a\n", ["@1 lines that did not change"]),
        ("1\n2\n3\n4\n5\nx\n", "1\n2\n3\n4\n5\ny\n", ["@2 lines that did not change", " 3", " 4", " 5", "-x", "+y"]),
        ("a\u2028b\n", "a\n", ["-a\u2028b", "+a"]),
    ],
)
def test_what_changed_is_told_with_three_lines_around_it(old: str, new: str, lines: list[str]) -> None:
    assert told(old, new) == lines


@given(LINES, LINES)
def test_the_new_text_is_what_the_difference_makes_of_the_old_one(old: list[str], new: list[str]) -> None:
    found = text_diff("".join(f"{line}\n" for line in old).encode(), "".join(f"{line}\n" for line in new).encode())
    came = {line.new: line.text for line in found.lines if line.new}
    went = {line.old: line.text for line in found.lines if line.old}
    assert all(new[place - 1] == text for place, text in came.items())
    assert all(old[place - 1] == text for place, text in went.items())
    assert len(new) - len(old) == found.added - found.removed
    assert found.added == sum(line.mark == "+" for line in found.lines)


def test_bytes_that_are_no_text_are_written_out() -> None:
    assert [line.text for line in text_diff(b"", b"\xff\n").lines] == ["\\xff"]


def test_texts_beyond_the_bound_are_not_compared() -> None:
    found = text_diff(b"", b"a" * (MAX_BYTES + 1))
    assert (found.lines, found.note) == ((), "larger than 256 KiB: not compared here")


def test_long_lines_and_many_lines_are_cut_and_the_cut_is_told() -> None:
    found = text_diff(b"", b"x" * 1000 + b"\n" + b"y\n" * 1000)
    assert len(found.lines) == MAX_SHOWN
    assert found.note == f"only the first {MAX_SHOWN} lines are shown"
    assert found.added == 1001
    assert len(found.lines[0].text) < MAX_LINE_CHARS + 20


@pytest.mark.parametrize("letters", [2, 3, 20, 10_000])
def test_no_pair_of_texts_takes_long(letters: int) -> None:
    drawn = random.Random(letters)
    for lines in (MAX_COMPARED, 20 * MAX_COMPARED):
        old, new = ("\n".join(str(drawn.randrange(letters)) for _ in range(lines)).encode() for _ in range(2))
        started = time.process_time()
        text_diff(old, new)
        assert time.process_time() - started < 2
