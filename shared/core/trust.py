"""The operator-signed chain of trust: how a version is written, and when the next one may be believed.

Which pointer a trust lets pass is `verify`'s business. The shape is that of TUF's root metadata, where version n+1 is signed by
a key of version n and by a key of its own: https://theupdateframework.github.io/specification/latest/#update-root
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.envelope import key_id, open_envelope, sign_envelope, unproven_payload
from shared.core.names import parse_timestamp, timestamp
from shared.errors import InputError, UnverifiedError
from shared.model import Trust

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.ports import Signer

SCHEMA = "skill-sync/trust/1"
PAYLOAD_TYPE = "application/vnd.skill-sync.trust+json"
INVALID = "trust_invalid"
MAX_WALK = 32
"""So many versions are walked at once; who is further behind goes on at the next look."""
MAX_KEYS = 8
MAX_TEXT_CHARS = 200
_MAX_NUMBER = 999_999_999
_KEY_BYTES = 32
_WHAT = "the trust"


def sign_trust(trust: Trust, *operators: Signer) -> bytes:
    """Write one version of the trust and wrap it in an envelope that these operator keys sign."""
    return sign_envelope(canonical_bytes(_document(trust)), PAYLOAD_TYPE, *operators)


def first_trust(envelope: bytes) -> Trust:
    """Read a trust that is believed for where it comes from: pinned by hand, or kept on the own disk (check 1).

    Args:
        envelope: The bytes.

    Raises:
        UnverifiedError: `trust_invalid`, it is malformed or not signed by an operator key that it names itself.
    """
    try:
        trust = _parse(unproven_payload(envelope))
    except InputError as error:
        raise UnverifiedError(INVALID, error.message) from None
    open_envelope(envelope, PAYLOAD_TYPE, trust.operator_keys, code=INVALID)
    return trust


def next_trust(current: Trust, envelope: bytes) -> Trust:
    """Prove that an envelope holds the version that follows (check 2).

    Args:
        current: The newest version that is believed.
        envelope: What is offered as the next one.

    Raises:
        UnverifiedError: `trust_invalid`: not signed by an operator key of both versions, another version than the next, an
            epoch that is not the same or the next, another line of deployments, or an acknowledgement taken back.
    """
    # The signature by a key that is known comes before the payload is parsed.
    payload = open_envelope(envelope, PAYLOAD_TYPE, current.operator_keys, code=INVALID)
    try:
        following = _parse(payload)
    except InputError as error:
        raise UnverifiedError(INVALID, error.message) from None
    open_envelope(envelope, PAYLOAD_TYPE, following.operator_keys, code=INVALID)
    _check_step(current, following)
    past = {**current.past_signers, **current.signer_keys}
    return replace(
        following, past_signers={name: key for name, key in past.items() if name not in following.signer_keys}
    )


def _check_step(current: Trust, following: Trust) -> None:
    if following.version != current.version + 1:
        raise UnverifiedError(INVALID, f"version {following.version} does not follow version {current.version}")
    if following.epoch - current.epoch not in {0, 1}:
        raise UnverifiedError(INVALID, f"epoch {following.epoch} does not follow epoch {current.epoch}")
    if (current.channel, current.repo, current.ref) != (following.channel, following.repo, following.ref):
        raise UnverifiedError(INVALID, "another channel, repository or branch needs a chain of its own")
    if following.ack < current.ack:
        raise UnverifiedError(INVALID, f"the acknowledgement of epoch {current.ack} cannot be taken back")


def _document(trust: Trust) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "version": trust.version,
        "channel": trust.channel,
        "repo": trust.repo,
        "ref": trust.ref,
        "epoch": trust.epoch,
        "operator_keys": _written(trust.operator_keys.values()),
        "signer_keys": _written(trust.signer_keys.values()),
        "ack": trust.ack,
        "reason": trust.reason,
        "incident": trust.incident,
        "issued_at": trust.issued_at,
        "expires_at": trust.expires_at,
    }


def _written(keys: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(key).decode() for key in keys]


def _parse(payload: bytes) -> Trust:
    document = parse_object(payload, what=_WHAT, max_depth=2)
    if document.get("schema") != SCHEMA:
        raise UnverifiedError(INVALID, f"expected schema {SCHEMA!r}")
    trust = Trust(
        version=_number(document, "version", least=1),
        channel=_text(document, "channel"),
        repo=_text(document, "repo"),
        ref=_text(document, "ref"),
        epoch=_number(document, "epoch", least=1),
        operator_keys=_keys(document, "operator_keys"),
        signer_keys=_keys(document, "signer_keys"),
        ack=_number(document, "ack", least=0),
        reason=_text(document, "reason"),
        incident=_text(document, "incident"),
        issued_at=timestamp(parse_timestamp(_text(document, "issued_at"))),
        expires_at=timestamp(parse_timestamp(_text(document, "expires_at"))),
    )
    if trust.ack >= trust.epoch or (trust.ack and not trust.incident):
        raise UnverifiedError(INVALID, "ack names an epoch that has ended, and needs an incident")
    return trust


def _number(document: dict[str, object], key: str, *, least: int) -> int:
    value = member(document, key, int, what=_WHAT)
    if not least <= value <= _MAX_NUMBER:
        raise UnverifiedError(INVALID, f"the trust's {key} is {least} to {_MAX_NUMBER}")
    return value


def _text(document: dict[str, object], key: str) -> str:
    value = member(document, key, str, what=_WHAT)
    if len(value) > MAX_TEXT_CHARS or not value.isprintable():
        raise UnverifiedError(INVALID, f"the trust's {key} is one line of at most {MAX_TEXT_CHARS} characters")
    return value


def _keys(document: dict[str, object], key: str) -> dict[str, bytes]:
    items = member(document, key, list, what=_WHAT)
    found = dict(_key(item) for item in items)
    if not 1 <= len(items) <= MAX_KEYS or len(found) != len(items):
        raise UnverifiedError(INVALID, f"the trust's {key} are 1 to {MAX_KEYS} keys, each once")
    return found


def _key(item: object) -> tuple[str, bytes]:
    raw = public_key(item) if isinstance(item, str) else b""
    if not raw:
        raise UnverifiedError(INVALID, f"a key is {_KEY_BYTES} bytes as base64")
    return key_id(raw), raw


def public_key(text: str) -> bytes:
    """Read a raw Ed25519 public key from base64; empty when it is none."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return b""
    return raw if len(raw) == _KEY_BYTES else b""
