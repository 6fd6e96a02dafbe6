"""Which version of the trust follows which: by exactly one step, signed by an operator of both, and by nobody else."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.canonical import canonical_bytes
from shared.core.envelope import MAX_ENVELOPE_BYTES, sign_envelope
from shared.core.trust import PAYLOAD_TYPE, first_trust, next_trust, public_key, sign_trust
from shared.errors import UnverifiedError
from tests.fakes.trusted import OPERATOR, a_signer, following
from tests.fakes.world import SIGNER, TRUST

if TYPE_CHECKING:
    from shared.model import Trust

NEW_OPERATOR = a_signer(201)
STRANGER = a_signer(9)
BOTH = {OPERATOR.key_id: OPERATOR.public_key, NEW_OPERATOR.key_id: NEW_OPERATOR.public_key}


def refused(current: Trust, envelope: bytes) -> str:
    with pytest.raises(UnverifiedError) as caught:
        next_trust(current, envelope)
    assert caught.value.code == "trust_invalid"
    return caught.value.message


def payload(**changes: object) -> bytes:
    document = json.loads(base64.b64decode(json.loads(sign_trust(following(TRUST), OPERATOR))["payload"]))
    return canonical_bytes(document | changes)


def signed(data: bytes) -> bytes:
    return sign_envelope(data, PAYLOAD_TYPE, OPERATOR)


def test_the_pinned_version_makes_the_round_trip_as_one_line() -> None:
    envelope = sign_trust(TRUST, OPERATOR)
    assert b"\n" not in envelope
    assert first_trust(envelope) == TRUST


def test_a_pinned_version_must_be_signed_by_a_key_that_it_names() -> None:
    with pytest.raises(UnverifiedError, match="trust_invalid"):
        first_trust(sign_trust(TRUST, STRANGER))


@pytest.mark.parametrize("envelope", [b"", b"{}", b"[" * 9000, b"x" * (MAX_ENVELOPE_BYTES + 1), b"\xff"])
def test_a_pinned_version_that_is_none_is_refused(envelope: bytes) -> None:
    with pytest.raises(UnverifiedError, match=r"trust_invalid: .+"):
        first_trust(envelope)


def test_a_pinned_version_that_is_none_is_told_as_what_it_is() -> None:
    with pytest.raises(UnverifiedError) as caught:
        first_trust(b"[]")
    assert caught.value.message == "the envelope must be a JSON object, got list"


def test_the_next_version_follows_by_one_with_the_same_epoch_or_the_next() -> None:
    for epoch in (1, 2):
        assert next_trust(TRUST, sign_trust(following(TRUST, epoch=epoch), OPERATOR)).epoch == epoch


def test_the_signers_of_earlier_versions_stay_known_as_past_ones() -> None:
    first, second, third = a_signer(1), a_signer(2), a_signer(3)
    two = next_trust(TRUST, sign_trust(following(TRUST, signer_keys={first.key_id: first.public_key}), OPERATOR))
    three = next_trust(two, sign_trust(following(two, signer_keys={second.key_id: second.public_key}), OPERATOR))
    again = {first.key_id: first.public_key, third.key_id: third.public_key}
    four = next_trust(three, sign_trust(following(three, signer_keys=again), OPERATOR))
    assert set(two.past_signers) == {SIGNER.key_id}
    assert set(three.past_signers) == {SIGNER.key_id, first.key_id}
    assert set(four.past_signers) == {SIGNER.key_id, second.key_id}


def test_an_operator_key_is_rotated_by_a_version_that_both_keys_sign() -> None:
    new = following(TRUST, operator_keys={NEW_OPERATOR.key_id: NEW_OPERATOR.public_key})
    assert next_trust(TRUST, sign_trust(new, OPERATOR, NEW_OPERATOR)).operator_keys == new.operator_keys
    assert "no signature" in refused(TRUST, sign_trust(new, OPERATOR))
    assert "no signature" in refused(TRUST, sign_trust(new, NEW_OPERATOR))


def test_one_of_two_operators_is_enough_on_either_side() -> None:
    two = next_trust(TRUST, sign_trust(following(TRUST, operator_keys=BOTH), OPERATOR))
    for operator in (OPERATOR, NEW_OPERATOR):
        assert next_trust(two, sign_trust(following(two), operator)).version == 3
    assert "no signature" in refused(two, sign_trust(following(two), STRANGER))


ELSEWHERE = "another channel, repository or branch needs a chain of its own"
STEPS = {
    "the same version": ({"version": 1}, "version 1 does not follow version 1"),
    "a version that skips one": ({"version": 3}, "version 3 does not follow version 1"),
    "an epoch that skips one": ({"epoch": 3}, "epoch 3 does not follow epoch 1"),
    "another channel": ({"channel": "staging"}, ELSEWHERE),
    "another repository": ({"repo": "octo/other"}, ELSEWHERE),
    "another branch": ({"ref": "refs/heads/other"}, ELSEWHERE),
}


@pytest.mark.parametrize(("changes", "message"), STEPS.values(), ids=STEPS)
def test_a_version_that_does_not_follow_is_refused(changes: dict[str, object], message: str) -> None:
    assert refused(TRUST, sign_trust(replace(following(TRUST), **changes), OPERATOR)) == message


def test_an_epoch_never_goes_back() -> None:
    current = replace(TRUST, epoch=2)
    assert "epoch 1 does not follow" in refused(current, sign_trust(following(current, epoch=1), OPERATOR))


def test_an_acknowledgement_is_of_an_epoch_that_has_ended_names_an_incident_and_is_never_taken_back() -> None:
    current = replace(TRUST, epoch=3, ack=1, incident="INC-1")
    assert next_trust(current, sign_trust(following(current, ack=2, incident="INC-2"), OPERATOR)).ack == 2
    for changes in ({"ack": 3}, {"ack": 2, "incident": ""}):
        refused(current, sign_trust(following(current, **changes), OPERATOR))
    back = sign_trust(following(current, ack=0, incident=""), OPERATOR)
    assert refused(current, back) == "the acknowledgement of epoch 1 cannot be taken back"


KEY = base64.b64encode(bytes(32)).decode()
NUMBER = "is 1 to 999999999"
LINE = "is one line of at most 200 characters"
KEYS = "are 1 to 8 keys, each once"
A_KEY = "a key is 32 bytes as base64"
ACK = "ack names an epoch that has ended, and needs an incident"


def raw_keys(count: int) -> list[str]:
    return [base64.b64encode(bytes([number]) * 32).decode() for number in range(count)]


BROKEN: dict[str, tuple[dict[str, object], str]] = {
    "another schema": ({"schema": "skill-sync/trust/2"}, "expected schema 'skill-sync/trust/1'"),
    "a version that is a text": ({"version": "2"}, "the trust: 'version' must be int, got str"),
    "a version of nothing": ({"version": 0}, f"the trust's version {NUMBER}"),
    "a version past all bounds": ({"version": 10**9}, f"the trust's version {NUMBER}"),
    "an epoch that is a truth value": ({"epoch": True}, "the trust: 'epoch' must be int, got bool"),
    "an epoch of nothing": ({"epoch": 0}, f"the trust's epoch {NUMBER}"),
    "an acknowledgement below all": ({"ack": -1}, "the trust's ack is 0 to 999999999"),
    "no repository": ({"repo": None}, "the trust: 'repo' must be str, got NoneType"),
    "a reason of two lines": ({"reason": "a\nb"}, f"the trust's reason {LINE}"),
    "a reason that is too long": ({"reason": "x" * 201}, f"the trust's reason {LINE}"),
    "a time that is none": ({"expires_at": "tomorrow"}, "a time is YYYY-MM-DDTHH:MM:SS.mmmZ, got 'tomorrow'"),
    "keys that are no list": ({"signer_keys": {}}, "the trust: 'signer_keys' must be list, got dict"),
    "no signer": ({"signer_keys": []}, f"the trust's signer_keys {KEYS}"),
    "no operator": ({"operator_keys": []}, f"the trust's operator_keys {KEYS}"),
    "a key twice": ({"signer_keys": [KEY, KEY]}, f"the trust's signer_keys {KEYS}"),
    "nine keys": ({"signer_keys": raw_keys(9)}, f"the trust's signer_keys {KEYS}"),
    "a key that is no base64": ({"signer_keys": ["*"]}, A_KEY),
    "a key with blanks inside": ({"signer_keys": [f"{KEY[:8]} {KEY[8:]}"]}, A_KEY),
    "a key outside ASCII": ({"signer_keys": ["é"]}, A_KEY),
    "a key that is no text": ({"signer_keys": [None]}, A_KEY),
    "a key that is too short": ({"signer_keys": [base64.b64encode(bytes(31)).decode()]}, A_KEY),
    "a key that is too long": ({"signer_keys": [base64.b64encode(bytes(33)).decode()]}, A_KEY),
    "an acknowledgement of this epoch": ({"ack": 1, "incident": "x"}, ACK),
    "an acknowledgement without an incident": ({"epoch": 2, "ack": 1}, ACK),
    "nested deep": ({"reason": [["x"]]}, "the trust nests deeper than 2 levels"),
}


@pytest.mark.parametrize(("changes", "message"), BROKEN.values(), ids=BROKEN)
def test_a_signed_document_that_is_no_trust_is_refused(changes: dict[str, object], message: str) -> None:
    assert refused(TRUST, signed(payload(**changes))) == message


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "x" * 200},
        {"reason": ""},
        {"signer_keys": raw_keys(8)},
        {"epoch": 2, "ack": 1, "incident": "x"},
        {"expires_at": "2020-01-01T00:00:00.000Z"},
    ],
)
def test_what_stands_at_the_bounds_is_accepted(changes: dict[str, object]) -> None:
    assert next_trust(TRUST, signed(payload(**changes))).version == 2


def test_the_last_number_of_all_is_accepted() -> None:
    last = replace(TRUST, version=10**9 - 2, epoch=10**9 - 2)
    assert next_trust(last, sign_trust(following(last, epoch=10**9 - 1), OPERATOR)).epoch == 10**9 - 1


def test_a_signed_document_with_a_key_twice_is_refused() -> None:
    refused(TRUST, signed(payload()[:-1] + b',"epoch":1}'))


def test_the_payload_is_not_parsed_before_an_operator_that_is_known_signed_it() -> None:
    assert "no signature" in refused(TRUST, sign_envelope(b"[" * 9000, PAYLOAD_TYPE, STRANGER))


def test_a_document_of_another_kind_is_refused_whoever_signed_it() -> None:
    refused(TRUST, sign_envelope(payload(), "application/vnd.skill-sync.pointer+json", OPERATOR))


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    refused(TRUST, data)
    refused(TRUST, signed(data))


def test_a_public_key_is_read_strictly() -> None:
    assert public_key(KEY) == bytes(32)
    assert [public_key(text) for text in ("", "é", "*", KEY[:-4])] == [b"", b"", b"", b""]
