"""Which of two values is used, what becomes of a refused one, and what the log says of it."""

from __future__ import annotations

import json

import pytest

from shared.adapters.threads import in_threads
from shared.adapters.value_choice import REFUSED_SECONDS, ValueChoice
from shared.core.plain_text import fingerprint
from tests.fakes.clock import FakeClock

NEW, OLD = "new-value-that-nobody-sees", "old-value-that-nobody-sees"


def choice(*values: str, clock: FakeClock | None = None) -> ValueChoice:
    return ValueChoice(values, clock or FakeClock(), "GITHUB_TOKEN")


@pytest.mark.parametrize(
    ("values", "expected"), [((NEW, OLD), NEW), ((NEW,), NEW), (("", OLD), OLD), ((), None), (("",), None)]
)
def test_the_newest_value_is_used(values: tuple[str, ...], expected: str | None) -> None:
    assert choice(*values).current() == expected


def test_a_refused_value_is_not_used_for_a_while_and_then_tried_again() -> None:
    clock = FakeClock()
    made = choice(NEW, OLD, clock=clock)
    assert made.other(NEW) == OLD
    made.took_over(OLD)
    assert made.current() == OLD
    clock.move(REFUSED_SECONDS - 1)
    assert made.current() == OLD
    clock.move(1)
    assert made.current() == NEW


def test_a_value_that_is_refused_again_is_left_for_another_while() -> None:
    clock = FakeClock()
    made = choice(NEW, OLD, clock=clock)
    for _ in range(3):
        assert made.current() == NEW
        made.took_over(OLD)
        assert made.current() == OLD
        clock.move(REFUSED_SECONDS)


def test_until_the_other_one_is_accepted_nothing_is_held_against_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    made = choice(NEW, OLD)
    assert (made.other(NEW), made.other(OLD), made.current()) == (OLD, NEW, NEW)
    assert capsys.readouterr().out == ""


def test_the_newest_value_that_takes_over_again_is_used_at_once() -> None:
    made = choice(NEW, OLD)
    made.took_over(OLD)
    made.took_over(NEW)
    assert made.current() == NEW


@pytest.mark.parametrize("value", [NEW, OLD, None, ""])
def test_of_one_value_there_is_no_other(value: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    made = choice(NEW)
    made.took_over(value or "")
    assert (made.other(value), made.current()) == (None, NEW)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", [None, "", "neither"])
def test_what_is_none_of_the_values_changes_nothing(value: str | None) -> None:
    made = choice(NEW, OLD)
    made.took_over(value or "")
    assert (made.other(value), made.current()) == (None, NEW)


def test_the_same_value_twice_is_one_value() -> None:
    made = choice(NEW, NEW)
    made.took_over(NEW)
    assert (made.other(NEW), made.current()) == (None, NEW)


def test_the_log_says_once_a_while_which_was_refused_by_its_fingerprint(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    made = choice(NEW, OLD, clock=clock)
    in_threads([lambda: made.took_over(OLD)] * 8)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {
            "severity": "WARNING",
            "message": "A credential is refused; its other value is used",
            "credential": "GITHUB_TOKEN",
            "fingerprint": fingerprint(NEW),
            "instead": fingerprint(OLD),
        }
    ]
    clock.move(REFUSED_SECONDS)
    made.took_over(OLD)
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 1
    assert NEW not in shown
    assert OLD not in shown
