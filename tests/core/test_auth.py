from __future__ import annotations

import base64

import pytest

from shared.core.auth import authenticate_puller, basic_password, check_api_key, key_digest, puller_ids
from shared.errors import ConfigError, DeniedError

KEY, OTHER = "k" * 40, "o" * 40
HASHES = [f"first:{key_digest(KEY)}", f"second:{key_digest(OTHER)}"]


@pytest.mark.parametrize("keys", [[KEY], [OTHER, KEY], [KEY, OTHER]])
def test_each_current_key_lets_an_operator_in(keys: list[str]) -> None:
    check_api_key(KEY, keys)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "API_KEY_MISSING"),
        ("", "API_KEY_MISSING"),
        (KEY[:-1], "API_KEY_INVALID"),
        (KEY + " ", "API_KEY_INVALID"),
        (KEY.upper(), "API_KEY_INVALID"),
        (key_digest(KEY), "API_KEY_INVALID"),
        ("é" * 40, "API_KEY_INVALID"),
        ("\udcff", "API_KEY_INVALID"),
    ],
)
def test_everybody_else_stays_out(given: str | None, code: str) -> None:
    with pytest.raises(DeniedError) as caught:
        check_api_key(given, [KEY, OTHER])
    assert caught.value.code == code
    assert not given or given not in str(caught.value)


def test_without_keys_nobody_gets_in() -> None:
    with pytest.raises(DeniedError):
        check_api_key(KEY, [])


def test_a_puller_is_known_by_its_key() -> None:
    assert authenticate_puller(f"Bearer {KEY}", HASHES) == "first"
    assert authenticate_puller(f"Bearer {OTHER} ", HASHES) == "second"
    assert authenticate_puller(f"Bearer {KEY}", [HASHES[0].upper().replace("FIRST", "first")]) == "first"


def test_a_puller_may_have_two_keys_while_one_is_rotated() -> None:
    both = [f"first:{key_digest(key)}" for key in (KEY, OTHER)]
    assert {authenticate_puller(f"Bearer {key}", both) for key in (KEY, OTHER)} == {"first"}


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "PULLER_KEY_MISSING"),
        ("", "PULLER_KEY_MISSING"),
        (KEY, "PULLER_KEY_MISSING"),
        (f"Basic {KEY}", "PULLER_KEY_MISSING"),
        ("Bearer ", "PULLER_KEY_MISSING"),
        (f"bearer {KEY}x", "PULLER_KEY_INVALID"),
        (f"Bearer {key_digest(KEY)}", "PULLER_KEY_INVALID"),
        ("Bearer \udcff", "PULLER_KEY_INVALID"),
    ],
)
def test_nobody_else_is_a_puller(header: str | None, code: str) -> None:
    with pytest.raises(DeniedError) as caught:
        authenticate_puller(header, HASHES)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "line", ["", "first", key_digest(KEY), f"First:{key_digest(KEY)}", f"a/b:{key_digest(KEY)}", "first:abc"]
)
def test_a_malformed_line_of_hashes_is_a_setting_that_is_wrong(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        authenticate_puller(f"Bearer {KEY}", [*HASHES, line])
    assert caught.value.code == "PULLER_KEY_HASHES_INVALID"
    assert line[:20] not in str(caught.value) or not line


@pytest.mark.parametrize(
    ("hashes", "ids"),
    [
        ((), ()),
        (("edge:abc",), ("edge",)),
        (("edge:new", "other:x", "edge:old"), ("edge", "other")),
        (("edge", ":abc", "../x:abc", "A b:abc", "x" * 65 + ":abc"), ("edge",)),
    ],
)
def test_the_pullers_that_have_a_key_are_named_once_and_rubbish_names_nobody(
    hashes: tuple[str, ...], ids: tuple[str, ...]
) -> None:
    assert puller_ids(hashes) == ids


def basic(pair: bytes) -> str:
    return f"Basic {base64.b64encode(pair).decode()}"


@pytest.mark.parametrize(
    ("header", "password"),
    [
        (basic(b"anybody:secret"), "secret"),
        (basic(b":secret"), "secret"),
        (basic(b"a:b:c"), "b:c"),
        (basic(b"a:"), ""),
        (basic("J\u00f6rg:gr\u00fcn".encode()), "gr\u00fcn"),
        (basic(b"a:b").replace("Basic", "bAsIc"), "b"),
        (None, None),
        ("", None),
        ("Basic", None),
        ("Basic ", None),
        ("Bearer " + "x" * 40, None),
        (basic(b"no colon"), None),
        (basic(b"\xff:x"), None),
        ("Basic not base64!", None),
        (basic(b"a:" + b"x" * 5000), None),
    ],
)
def test_the_password_of_http_basic_is_what_stands_behind_the_first_colon(
    header: str | None, password: str | None
) -> None:
    assert basic_password(header) == password
