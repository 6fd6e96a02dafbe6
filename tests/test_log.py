from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import log
from shared.model import Status

if TYPE_CHECKING:
    from collections.abc import Callable

GONE = "\N{REPLACEMENT CHARACTER}"


def not_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    out = capsys.readouterr().out
    assert out.endswith("\n")
    return [json.loads(line, parse_constant=not_json) for line in out.splitlines()]


@pytest.mark.parametrize(("write", "severity"), [(log.info, "INFO"), (log.warning, "WARNING"), (log.error, "ERROR")])
def test_what_happened_is_one_json_object_on_one_line(
    write: Callable[..., None], severity: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        "Successfully deployed",
        deployment="1-2",
        skills=("a", "b"),
        status=Status.SUCCESS,
        took=1.5,
        again=False,
        why=None,
    )
    (line,) = lines(capsys)
    assert line == {
        "severity": severity,
        "message": "Successfully deployed",
        "deployment": "1-2",
        "skills": ["a", "b"],
        "status": "success",
        "took": 1.5,
        "again": False,
        "why": None,
    }


HOSTILE = {
    "a line break that begins another entry": 'x\n{"severity":"ERROR","message":"forged"}',
    "a carriage return": "x\ry",
    "a terminal's escape": "\x1b[2J\x1b]0;x\x07",
    "a backspace": "x\b\x7f",
    "nul": "\0",
    "C1 controls": "\x80\x9b\x9f",
    "a line of other readers": "x\u2028y\u2029z\u0085",
    "bidi overrides": "\u202ex\u202c\u2066y\u2069",
    "bidi marks": "\u200e\u200f\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\u2060\ufeff",
    "tag characters": "\U000e0049\U000e0067\U000e007f",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_foreign_text_cannot_act_on_a_terminal_hide_or_begin_a_line(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.info("x", text=text, items=[text], inside={text: text})
    (line,) = lines(capsys)
    shown = [line["text"], *line["items"], *line["inside"], *line["inside"].values()]
    visible = "".join(char for char in text if char.isascii() and char.isprintable())
    for each in shown:
        assert "".join(char for char in each if char != GONE) == visible
        assert len(each) == len(text)


def test_long_text_long_lists_and_large_objects_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("x", text="y" * 10_000, items=list(range(10_000)), inside={str(number): 0 for number in range(10_000)})
    (line,) = lines(capsys)
    assert (len(line["text"]), len(line["items"]), len(line["inside"])) == (500, 51, 50)
    assert line["items"][-1] == "and 9950 more"


def test_other_types_are_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("x", error=ValueError("y\nz"), data=b"\xff", many={1})
    (line,) = lines(capsys)
    assert line["error"] == f"y{GONE}z"
    assert line["data"] == "b'\\xff'"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_written_as_text(number: float, capsys: pytest.CaptureFixture[str]) -> None:
    log.info("x", took=number)
    assert lines(capsys)[0]["took"] == str(number)


def test_half_a_surrogate_pair_which_strict_readers_refuse_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("x", text="\ud800", **{"\udfff": 1})
    (line,) = lines(capsys)
    assert (line["text"], line[GONE]) == (GONE, 1)


TEXTS = st.text(max_size=60)


@given(TEXTS | st.binary() | st.floats() | st.lists(TEXTS, max_size=40) | st.dictionaries(TEXTS, TEXTS, max_size=40))
def test_every_value_is_made_fit_for_one_line_of_json_and_stays_as_it_is_from_then_on(value: object) -> None:
    line = json.dumps(log.clean(value), allow_nan=False)
    assert line.isascii()
    assert line.isprintable()
    assert log.clean(json.loads(line)) == json.loads(line)
