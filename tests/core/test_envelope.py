from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.signer import Ed25519Signer, new_seed
from shared.core.canonical import canonical_bytes
from shared.core.envelope import MAX_ENVELOPE_BYTES, key_id, open_envelope, sign_envelope, unproven_payload
from shared.errors import InputError, UnverifiedError
from tests.fakes.world import SIGNER

if TYPE_CHECKING:
    from collections.abc import Callable

TYPE = "application/vnd.example+json"
KEYS = {SIGNER.key_id: SIGNER.public_key}
STRANGER = Ed25519Signer(base64.b64encode(bytes(32)).decode())
PAYLOAD = b'{"a":1}'


def signed(payload: bytes = PAYLOAD, signer: Ed25519Signer = SIGNER) -> bytes:
    return sign_envelope(payload, TYPE, signer)


def changed(**members: object) -> bytes:
    return json.dumps(json.loads(signed()) | members).encode()


def signature(signer: Ed25519Signer = SIGNER, payload: bytes = PAYLOAD) -> dict[str, str]:
    found: dict[str, str] = json.loads(signed(payload, signer))["signatures"][0]
    return found


def refused(data: bytes, keys: dict[str, bytes] | None = None) -> str:
    with pytest.raises(UnverifiedError) as caught:
        open_envelope(data, TYPE, KEYS if keys is None else keys)
    assert caught.value.code == "pointer_unverifiable"
    return caught.value.message


def test_a_signed_payload_comes_out_as_it_went_in() -> None:
    assert open_envelope(signed(), TYPE, KEYS) == PAYLOAD


def test_what_is_signed_is_the_pre_authentication_encoding_of_dsse() -> None:
    class Recorder:
        key_id = "k"
        messages: list[bytes] = []  # noqa: RUF012 - one use

        def sign(self, message: bytes) -> bytes:
            self.messages.append(message)
            return b""

    # The example of the protocol's own text.
    sign_envelope(b"hello world", "http://example.com/HelloWorld", Recorder())
    assert Recorder.messages == [b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"]


def test_a_payload_is_not_parsed_here_however_hostile_it_is() -> None:
    for payload in (b"", b"\xff\0", b"[" * 5000, b'{"a":1,"a":2}'):
        assert open_envelope(signed(payload), TYPE, KEYS) == payload


FORGED: dict[str, Callable[[], bytes]] = {
    "another payload": lambda: changed(payload=base64.b64encode(b'{"a":2}').decode()),
    "a payload with a blank more": lambda: changed(payload=base64.b64encode(PAYLOAD + b" ").decode()),
    "another type": lambda: changed(payloadType="application/vnd.other+json"),
    "signed as another type": lambda: json.dumps(
        json.loads(sign_envelope(PAYLOAD, "application/vnd.other+json", SIGNER)) | {"payloadType": TYPE}
    ).encode(),
    "the signature of another payload": lambda: changed(signatures=[signature(payload=b"{}")]),
    "no signature": lambda: changed(signatures=[]),
    "an empty signature": lambda: changed(signatures=[{"keyid": SIGNER.key_id, "sig": ""}]),
    "a signature cut short": lambda: changed(
        signatures=[{"keyid": SIGNER.key_id, "sig": base64.b64encode(bytes(63)).decode()}]
    ),
    "a signature of zeros": lambda: changed(
        signatures=[{"keyid": SIGNER.key_id, "sig": base64.b64encode(bytes(64)).decode()}]
    ),
    "a stranger's signature": lambda: signed(signer=STRANGER),
    "a stranger's signature under our key's name": lambda: changed(
        signatures=[signature(STRANGER) | {"keyid": SIGNER.key_id}]
    ),
    "our signature under a stranger's name": lambda: changed(signatures=[signature() | {"keyid": STRANGER.key_id}]),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_envelope_is_refused(forge: Callable[[], bytes]) -> None:
    refused(forge())


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"\xff",
    "an array": b"[]",
    "a key twice": signed()[:-1] + b',"payload":""}',
    "no payload": b'{"payloadType":"%b","signatures":[]}' % TYPE.encode(),
    "a payload that is no text": changed(payload=1),
    "a payload with a line break": changed(payload="e30=\n"),
    "a payload in the alphabet of URLs": changed(payload="_-=="),
    "a payload without padding": changed(payload="e30"),
    "a payload with padding inside": changed(payload="e3==0"),
    "a payload outside ASCII": changed(payload="é"),
    "a lone surrogate": changed(payload="\ud800"),
    "a type that is no text": changed(payloadType=None),
    "signatures that are no list": changed(signatures={}),
    "a signature that is no object": changed(signatures=["x"]),
    "a signature without key id": changed(signatures=[{"sig": "e30="}]),
    "a signature without itself": changed(signatures=[{"keyid": SIGNER.key_id}]),
    "a malformed signature behind a good one": changed(signatures=[signature(), {}]),
    "a payload nested deep": changed(payload=[[[[[[]]]]]]),
    "ten thousand brackets": b"[" * 10_000,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_envelope_is_refused(data: bytes) -> None:
    assert "malformed envelope" in refused(data)


def test_one_signature_of_several_is_enough() -> None:
    both = [signature(STRANGER), signature()]
    assert open_envelope(changed(signatures=both), TYPE, KEYS) == PAYLOAD
    assert open_envelope(changed(signatures=both[::-1]), TYPE, KEYS) == PAYLOAD


def test_two_signers_count_while_one_is_rotated() -> None:
    keys = {**KEYS, STRANGER.key_id: STRANGER.public_key}
    assert open_envelope(signed(signer=STRANGER), TYPE, keys) == PAYLOAD
    assert open_envelope(signed(), TYPE, keys) == PAYLOAD


def test_only_eight_signatures_are_tried_so_that_nobody_buys_work_with_a_long_list() -> None:
    wrong = signature() | {"sig": base64.b64encode(bytes(64)).decode()}
    assert open_envelope(changed(signatures=[*[wrong] * 7, signature()]), TYPE, KEYS) == PAYLOAD
    refused(changed(signatures=[*[wrong] * 8, signature()]))


def test_without_keys_nothing_is_trusted() -> None:
    refused(signed(), keys={})


def test_a_trusted_key_that_is_no_key_refuses_instead_of_failing() -> None:
    refused(signed(), keys={SIGNER.key_id: b"short"})


def test_an_envelope_may_be_as_large_as_the_bound_and_no_larger() -> None:
    spare = MAX_ENVELOPE_BYTES - len(signed(b""))
    fits = signed(bytes(spare // 4 * 3))
    padded = fits + b" " * (MAX_ENVELOPE_BYTES - len(fits))
    assert open_envelope(padded, TYPE, KEYS)
    assert "at most" in refused(padded + b" ")


def test_a_key_is_named_by_its_sha256() -> None:
    assert key_id(bytes(32)) == "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    assert SIGNER.key_id == key_id(SIGNER.public_key)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_is_refused_or_changes_nothing(position: int, change: int) -> None:
    data = bytearray(signed())
    data[position % len(data)] ^= change
    try:
        assert open_envelope(bytes(data), TYPE, KEYS) == PAYLOAD
    except UnverifiedError as error:
        assert error.code == "pointer_unverifiable"  # noqa: PT017 - either end is right


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_unverified(data: bytes) -> None:
    with pytest.raises(UnverifiedError):
        open_envelope(data, TYPE, KEYS)


@given(st.binary(max_size=2000))
def test_every_payload_makes_the_round_trip(payload: bytes) -> None:
    signer = Ed25519Signer(new_seed())
    assert open_envelope(signed(payload, signer), TYPE, {signer.key_id: signer.public_key}) == payload


# What people are told


def described(**changes: object) -> bytes:
    """A genuine envelope with members of another kind."""
    return canonical_bytes(json.loads(sign_envelope(b"{}", "kind", SIGNER)) | changes)


SIGNED_BY = {"keyid": SIGNER.key_id, "sig": ""}
MALFORMED = [
    (b"x" * (MAX_ENVELOPE_BYTES + 1), "TOO_LARGE", "an envelope has at most 16384 bytes, got 16385"),
    (b"[]", "JSON_INVALID", "the envelope must be a JSON object, got list"),
    (described(more=[[[["x"]]]]), "JSON_TOO_DEEP", "the envelope nests deeper than 4 levels"),
    (described(payload=7), "MEMBER_INVALID", "the envelope: 'payload' must be str, got int"),
    (described(payload="*"), "BASE64_INVALID", "payload and signatures are standard base64"),
    (described(payload="é"), "BASE64_INVALID", "payload and signatures are standard base64"),
    (described(payloadType=None), "MEMBER_INVALID", "the envelope: 'payloadType' must be str, got NoneType"),
    (described(signatures={}), "MEMBER_INVALID", "the envelope: 'signatures' must be list, got dict"),
    (described(signatures=[{"sig": ""}]), "MEMBER_INVALID", "a signature: 'keyid' must be str, got NoneType"),
    (described(signatures=[{"keyid": ""}]), "MEMBER_INVALID", "a signature: 'sig' must be str, got NoneType"),
    (described(signatures=[SIGNED_BY, 7]), "MEMBER_INVALID", "a signature: 'keyid' must be str, got NoneType"),
]


@pytest.mark.parametrize(("data", "code", "message"), MALFORMED)
def test_a_malformed_envelope_is_told_as_what_it_is(data: bytes, code: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        unproven_payload(data)
    assert (caught.value.code, caught.value.message) == (code, message)
    with pytest.raises(UnverifiedError) as refused:
        open_envelope(data, "kind", {SIGNER.key_id: SIGNER.public_key}, code="trust_invalid")
    assert (refused.value.code, refused.value.message) == ("trust_invalid", f"malformed envelope: {message}")


def test_three_levels_more_are_none_too_many() -> None:
    assert unproven_payload(described(more=[["x"]])) == b"{}"


def test_another_kind_is_told_and_cut_short() -> None:
    data = sign_envelope(b"{}", "k" * 100, SIGNER)
    with pytest.raises(UnverifiedError) as caught:
        open_envelope(data, "kind", {SIGNER.key_id: SIGNER.public_key})
    assert caught.value.message == f"the envelope holds {'k' * 80!r}, expected 'kind'"
    assert caught.value.code == "pointer_unverifiable"
