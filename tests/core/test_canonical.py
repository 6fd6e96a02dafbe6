from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.canonical import canonical_bytes, digest_of, member, parse_object
from shared.errors import InputError

SCALARS = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(SCALARS, lambda below: st.lists(below) | st.dictionaries(st.text(), below), max_leaves=8)
DOCUMENTS = st.dictionaries(st.text(), VALUES)

NOT_STRICT = {
    "a duplicate key": b'{"a":1,"a":1}',
    "a duplicate key inside": b'{"a":[{"b":1,"b":2}]}',
    "a duplicate key, once escaped": b'{"a":1,"\\u0061":2}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":Infinity}',
    "infinity below zero": b'{"a":-Infinity}',
    "a number that overflows to infinity": b'{"a":1e999}',
    "an integer of 5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "a lone surrogate": b'{"a":"\\ud800"}',
    "a lone surrogate in a key": b'{"\\uDfff":1}',
    "surrogates the wrong way round": b'{"a":"\\udc00\\ud800"}',
    "bytes that are not UTF-8": b'{"a":"\xff"}',
    "a surrogate as bytes": b'{"a":"\xed\xa0\x80"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "nothing": b"",
    "two documents": b"{}{}",
    "a trailing comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "a comment": b"{/**/}",
    "a raw control character": b'{"a":"\n"}',
    "an array": b"[1]",
    "a text": b'"a"',
    "null": b"null",
}


@pytest.mark.parametrize("data", NOT_STRICT.values(), ids=NOT_STRICT)
def test_text_that_is_not_one_strict_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse_object(data, what="it")
    assert caught.value.code == "JSON_INVALID"


@pytest.mark.parametrize("text", ["\\ud83d\\ude00", "\\\\ud800", "\U0001f600"])
def test_a_pair_of_surrogates_is_one_character(text: str) -> None:
    value = parse_object(b'{"a":"%b"}' % text.encode(), what="it")
    assert parse_object(canonical_bytes(value), what="it") == value


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_up_to_the_bound_is_read_and_one_level_more_is_not(opening: str, closing: str) -> None:
    def nested(levels: int) -> bytes:
        return ('{"top":' + opening * (levels - 1) + "1" + closing * (levels - 1) + "}").encode()

    assert parse_object(nested(4), what="it", max_depth=4)
    with pytest.raises(InputError) as caught:
        parse_object(nested(5), what="it", max_depth=4)
    assert caught.value.code == "JSON_TOO_DEEP"


def test_brackets_beside_each_other_and_in_texts_are_no_levels() -> None:
    document = {"list": [[], {}] * 100, "text": "[{" * 100}
    assert parse_object(canonical_bytes(document), what="it", max_depth=4) == document


@pytest.mark.parametrize("bomb", [b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"])
def test_a_hundred_thousand_levels_are_refused_and_not_fallen_into(bomb: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse_object(bomb, what="it")
    assert caught.value.code in {"JSON_TOO_DEEP", "JSON_INVALID"}


def test_the_message_of_a_refusal_names_the_thing_and_repeats_nothing_of_it() -> None:
    with pytest.raises(InputError, match="the letter") as caught:
        parse_object(b'{"a":"hunter2",}', what="the letter")
    assert "hunter2" not in str(caught.value)


@given(st.binary())
def test_no_bytes_raise_anything_but_an_input_error(data: bytes) -> None:
    with contextlib.suppress(InputError):
        parse_object(data, what="it")


@given(DOCUMENTS)
def test_what_is_written_is_read_back_and_written_the_same_again(document: dict[str, object]) -> None:
    data = canonical_bytes(document)
    assert parse_object(data, what="it") == document
    assert canonical_bytes(parse_object(data, what="it")) == data


@given(DOCUMENTS, st.randoms())
def test_the_order_of_members_does_not_change_the_bytes(document: dict[str, object], random) -> None:  # noqa: ANN001
    items = list(document.items())
    random.shuffle(items)
    assert canonical_bytes(dict(items)) == canonical_bytes(document)


def test_canonical_bytes_are_these() -> None:
    value = {"b": [1, True, None, {}], "a": 'é"\n\x7f\u2028', "A": -1}
    assert canonical_bytes(value) == '{"A":-1,"a":"é\\"\\n\x7f\u2028","b":[1,true,null,{}]}'.encode()


def test_a_text_that_is_no_valid_unicode_is_not_written() -> None:
    for value in ({"a": "\ud800"}, {"\udfff": 1}, ["\ud83d"]):
        with pytest.raises(InputError) as caught:
            canonical_bytes(value)
        assert caught.value.code == "NOT_CANONICAL"


def test_an_object_is_named_by_its_sha256() -> None:
    assert digest_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("document", "kind"),
    [({"a": True}, int), ({"a": 1}, bool), ({"a": None}, str), ({}, str), ([], str), (None, str), ({"a": 1.5}, int)],
)
def test_a_member_that_is_missing_or_of_another_type_is_refused(document: object, kind: type) -> None:
    with pytest.raises(InputError) as caught:
        member(document, "a", kind, what="it")
    assert caught.value.code == "MEMBER_INVALID"


def test_a_member_of_the_right_type_is_returned() -> None:
    assert member({"a": True}, "a", bool, what="it") is True
    assert member({"a": 0}, "a", int, what="it") == 0
