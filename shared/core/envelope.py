"""Signed documents as DSSE envelopes with Ed25519: signatures are checked on bytes, before any payload is parsed.

What a payload says is left to `pointer`. Source: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.core.canonical import canonical_bytes, member, parse_object
from shared.errors import InputError, UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.ports import Signer

MAX_ENVELOPE_BYTES = 16 * 1024
_MAX_DEPTH = 4
_MAX_SIGNATURES = 8


def key_id(public_key: bytes) -> str:
    """Name a raw Ed25519 public key (32 bytes) by its SHA-256, hex."""
    return hashlib.sha256(public_key).hexdigest()


def sign_envelope(payload: bytes, payload_type: str, *signers: Signer) -> bytes:
    """Wrap a payload and sign it.

    Args:
        payload: The document's canonical bytes.
        payload_type: What it is, so that no document can be passed off as another kind.
        signers: Hold the keys; each signs.
    """
    message = _pre_authentication_encoding(payload_type, payload)
    return canonical_bytes(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [
                {"keyid": signer.key_id, "sig": base64.b64encode(signer.sign(message)).decode()} for signer in signers
            ],
        }
    )


def open_envelope(
    data: bytes, payload_type: str, keys: Mapping[str, bytes], *, code: str = "pointer_unverifiable"
) -> bytes:
    """Return the payload, proved to be signed by one of the keys, and still unparsed.

    Args:
        data: The envelope.
        payload_type: The kind that is expected.
        keys: Key id to raw public key; a signature by any one of them is enough.
        code: The error's code.

    Raises:
        UnverifiedError: too large, malformed, of another kind, or without a valid signature.
    """
    try:
        payload, kind, signatures = _unwrap(data)
    except InputError as error:
        raise UnverifiedError(code, f"malformed envelope: {error.message}") from None
    if kind != payload_type:
        raise UnverifiedError(code, f"the envelope holds {kind[:80]!r}, expected {payload_type!r}")
    message = _pre_authentication_encoding(payload_type, payload)
    for name, signature in signatures[:_MAX_SIGNATURES]:
        if name in keys and _holds(keys[name], signature, message):
            return payload
    raise UnverifiedError(code, "no signature by a trusted key")


def unproven_payload(data: bytes) -> bytes:
    """Return the payload without any proof; only for a document that names the keys which must have signed it.

    Raises:
        InputError: the envelope is too large or malformed.
    """
    return _unwrap(data)[0]


def _unwrap(data: bytes) -> tuple[bytes, str, list[tuple[str, bytes]]]:
    if len(data) > MAX_ENVELOPE_BYTES:
        raise InputError("TOO_LARGE", f"an envelope has at most {MAX_ENVELOPE_BYTES} bytes, got {len(data)}")
    envelope = parse_object(data, what="the envelope", max_depth=_MAX_DEPTH)
    payload = _unbase64(member(envelope, "payload", str, what="the envelope"))
    kind = member(envelope, "payloadType", str, what="the envelope")
    signatures = [_signature(item) for item in member(envelope, "signatures", list, what="the envelope")]
    return payload, kind, signatures


def _pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _signature(item: object) -> tuple[str, bytes]:
    return member(item, "keyid", str, what="a signature"), _unbase64(member(item, "sig", str, what="a signature"))


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InputError("BASE64_INVALID", "payload and signatures are standard base64") from None


def _holds(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
