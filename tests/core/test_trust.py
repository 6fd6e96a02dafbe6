from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from shared.core.envelope import key_id
from shared.core.trust import MAX_TRUST_BYTES, parse_trust, trust_text
from shared.errors import ConfigError
from tests.core.samples import TRUST

KEY = base64.b64encode(bytes(32)).decode()


def text(**changes: object) -> str:
    return json.dumps(json.loads(trust_text(TRUST)) | changes)


def test_a_trust_makes_the_round_trip_as_one_line() -> None:
    line = trust_text(TRUST)
    assert "\n" not in line
    assert parse_trust(line) == TRUST


def test_two_signer_keys_count_while_one_is_rotated() -> None:
    both = {**TRUST.signer_keys, key_id(bytes(32)): bytes(32)}
    assert parse_trust(trust_text(replace(TRUST, signer_keys=both))).signer_keys == both


def test_a_key_is_named_by_itself_and_not_by_what_the_text_claims() -> None:
    assert parse_trust(text(signer_keys=[KEY])).signer_keys == {key_id(bytes(32)): bytes(32)}


BROKEN = {
    "nothing": "",
    "no JSON": "{",
    "an array": "[]",
    "a key twice": trust_text(TRUST)[:-1] + ',"epoch":9}',
    "another schema": text(schema="skill-sync/trust/2"),
    "a version that is a text": text(version="1"),
    "an epoch that is a truth value": text(epoch=True),
    "no repository": text(repo=None),
    "keys that are no list": text(signer_keys={}),
    "a key that is no base64": text(signer_keys=["*"]),
    "a key outside ASCII": text(signer_keys=["é"]),
    "a key that is no text": text(signer_keys=[None]),
    "a key that is too short": text(signer_keys=[base64.b64encode(bytes(31)).decode()]),
    "a key that is too long": text(signer_keys=[base64.b64encode(bytes(33)).decode()]),
    "a lone surrogate": '"\ud800"',
    "a lone surrogate inside": text(channel="\ud800"),
    "nested deep": text(channel=[[[[]]]]),
    "ten thousand brackets": "[" * 10_000,
    "far too long": text(channel="x" * MAX_TRUST_BYTES),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_text_that_is_no_trust_is_a_setting_that_is_wrong(broken: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_trust(broken)
    assert caught.value.code == "TRUST_INVALID"
