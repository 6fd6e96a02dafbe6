"""Hostile text and hostile objects through every field: one object a line, bounded, and nothing of a secret in it."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared import log
from shared.log.cleaning import MAX_DEPTH, Cleaner
from shared.log.foreign import LineHandler
from shared.log.lines import line_of
from shared.log.redaction import remember
from tests.core.made_secrets import made

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "Qm7-" + "x1Y_z9" * 6
TOKEN = made("GitHub fine-grained")
KEY = made("RSA key")
RUN = 8


class RaisesError(Exception):
    def __str__(self) -> str:
        raise self

    __repr__ = __str__


class Endless(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self

    def __getitem__(self, _: object) -> str:
        return "never"

    def __len__(self) -> int:
        return 0


class Liar(dict):  # type: ignore[type-arg]
    def items(self) -> Any:  # noqa: ANN401 - it lies
        raise RuntimeError(SECRET)

    def __len__(self) -> int:
        raise RuntimeError(SECRET)


class Odd(int):
    def bit_length(self) -> int:
        return 1


def deep(levels: int, leaf: object) -> object:
    for _ in range(levels):
        leaf = [leaf, {"x": leaf}] if isinstance(leaf, str) else [leaf]
    return leaf


def ring() -> list[object]:
    made_of: list[object] = [1]
    made_of.append({"again": made_of})
    return made_of


def bush(width: int, levels: int) -> object:
    return "leaf" * 50 if levels == 0 else {f"n{number}": bush(width, levels - 1) for number in range(width)}


HOSTILE: dict[str, object] = {
    "line breaks": 'x\r\n{"severity":"ERROR","message":"forged"}\n',
    "other line breaks": "a\u2028b\u2029c\u0085d\x0be\x0cf",
    "escapes": "\x1b[2J\x1b]0;x\x07\x9b1m\b\x7f",
    "nul": "\0" * 10,
    "bidi": "\u202ex\u202c\u2066y\u2069\u200e\u061c",
    "tags": "\U000e0049\U000e007f",
    "half a pair": "\ud83d and \ude00",
    "quotes": '"\'\\","severity":"ERROR',
    "huge": "y" * 3_000_000,
    "huge and wide": "\U0001f600" * 1_000_000,
    "huge bytes": b"\xff" * 3_000_000,
    "not a number": float("nan"),
    "infinite": float("-inf"),
    "a huge integer": 10**100_000,
    "an integer that lies": Odd(10**5000),
    "a ring": ring(),
    "deep": deep(5000, "x"),
    "wide": bush(60, 3),
    "many fields": {str(number): "z" * 400 for number in range(50)},
    "many nothings": [[[[None] * 20] * 20] * 20] * 60,
    "raises when shown": RaisesError(),
    "text that lies": Endless(SECRET),
    "a dict that lies": Liar(a=1),
    "an object": object(),
    "a class": RaisesError,
    "a function": deep,
    "a set": {SECRET},
    "an error": OSError(2, TOKEN, SECRET),
    "a chain": ValueError(ValueError(KEY)),
    "odd names": {"\n": 1, None: 2, (1, 2): 3, "\u202e": 4, SECRET: 5, "x" * 9000: 6, RaisesError(): 7},
    "a secret": SECRET,
    "a secret in a text": f"at https://user:{TOKEN}@host/x?sig={SECRET}",
    "a secret at the cut": "x" * (log.MAX_FIELD_CHARS - 10) + SECRET,
    "a secret in the depth": deep(3, SECRET),
    "secrets only": SECRET * 200,
    "a key": KEY,
    "a key in JSON": json.dumps({"private_key": KEY}),
    "bytes": f"{TOKEN}".encode(),
}


def runs(text: str) -> set[str]:
    return {text[at : at + RUN] for at in range(len(text) - RUN + 1)}


# How a token begins is no secret.
SECRET_RUNS = (
    runs(SECRET)
    | runs(TOKEN.removeprefix("github_pat_"))
    | {run for line in KEY.splitlines()[1:-1] for run in runs(line)}
)


def check(line: str) -> dict[str, Any]:
    """A line is what every reader takes for one entry, and keeps what it must."""
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= log.MAX_LINE_BYTES
    read = json.loads(line, parse_constant=pytest.fail)
    assert isinstance(read, dict)
    json.dumps(read, ensure_ascii=False).encode()  # no half of a pair
    assert not SECRET_RUNS & runs(line)
    assert not SECRET_RUNS & runs(json.dumps(read, ensure_ascii=False))
    return dict(read)


def in_a_field(value: Any) -> str:  # noqa: ANN401 - anything
    return line_of("INFO", "fixed", {"value": value})


def in_the_message(value: Any) -> str:  # noqa: ANN401 - anything
    return line_of("INFO", value, {})


def in_a_name(value: Any) -> str:  # noqa: ANN401 - anything
    return line_of("INFO", "fixed", {value if isinstance(value, str) else repr(type(value)): 1})


def in_many_fields(value: Any) -> str:  # noqa: ANN401 - anything
    return line_of("INFO", "fixed", {f"value{number}": value for number in range(60)})


def in_a_list(value: Any) -> str:  # noqa: ANN401 - anything
    return line_of("INFO", "fixed", {"values": [value] * 60})


def in_a_nested_name(value: Any) -> str:  # noqa: ANN401 - anything
    return line_of("INFO", "fixed", {"value": [{value if isinstance(value, str) else "x": {"y": value}}]})


def in_a_label(value: Any) -> str:  # noqa: ANN401 - anything
    with log.scope({log.LABELS: {"function": value}}):
        return line_of("INFO", "fixed", {})


def in_the_sync(value: Any) -> str:  # noqa: ANN401 - anything
    with log.about(value):
        return line_of("INFO", "fixed", {})


PLACES = (
    in_a_field,
    in_the_message,
    in_a_name,
    in_many_fields,
    in_a_list,
    in_a_nested_name,
    in_a_label,
    in_the_sync,
)


@pytest.fixture(autouse=True)
def _known() -> None:
    remember([SECRET, KEY])


@pytest.mark.parametrize("place", PLACES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_hostile_values_make_one_bounded_line_without_a_secret_wherever_they_stand(
    value: object, place: Callable[[object], str]
) -> None:
    started = time.process_time()
    read = check(place(value))
    assert time.process_time() - started < 2.0
    assert read["severity"] == "INFO"
    if place is not in_the_message:
        assert read["message"] == "fixed"


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_what_a_library_says_is_no_less_hostile(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    handler = LineHandler("stdout")
    for message, args in ((value, ()), ("%s %d", (value, 1)), ("%r %d", (value, 1))):
        try:
            raise ValueError(value)
        except ValueError as error:
            told = (type(error), error, error.__traceback__)
        handler.emit(logging.LogRecord("a\nlibrary", logging.ERROR, "x", 1, message, args, told))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert check(line)["message"] == "A library says"


def test_what_ties_lines_together_and_the_message_are_there_however_full_a_line_is() -> None:
    with log.scope({log.LABELS: {"function": "webhook"}}):
        sync = log.begin_sync()
        read = check(line_of("ERROR", "fixed", {str(number): HOSTILE["huge and wide"] for number in range(60)}))
    assert (read["sync"], read["message"], read[log.LABELS]) == (sync, "fixed", {"function": "webhook"})


def test_a_full_line_says_that_more_was_there() -> None:
    full = Cleaner().clean(["x" * 400] * 40 + ["\U0001f600" * 500] * 40)
    assert isinstance(full, list)
    assert str(full[-1]).startswith("and ")
    assert Cleaner().clean(ring()) == [1, {"again": [1, {"again": [1, {"again": "list of 2"}]}]}]
    assert MAX_DEPTH == 6


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=50)
    | st.text(max_size=200)
    | st.sampled_from([SECRET, TOKEN, KEY, SECRET[3:20], "\ud800", "\n"])
)
TEXTS = st.text(max_size=40) | st.sampled_from([SECRET, "severity", "sync", log.LABELS, "\n"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=8) | st.dictionaries(TEXTS, inner, max_size=8), max_leaves=15
)


@given(message=st.text(max_size=700), fields=st.dictionaries(TEXTS, VALUES, max_size=8))
@example(message=SECRET, fields={SECRET: {SECRET: [SECRET]}})
def test_whatever_is_logged_is_one_line_that_every_reader_takes(message: str, fields: dict[str, object]) -> None:
    read = check(line_of("INFO", message, fields))
    assert read["severity"] == "INFO"
    assert log.clean(read["message"]) == read["message"]
