"""Whose signature counts: the one place where a party learns its trust.

Today the trust is pinned by hand (`TRUST_ANCHOR`); the operator-signed chain will be walked from here.
"""

from __future__ import annotations

import base64
import binascii

from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.envelope import key_id
from shared.errors import ConfigError, InputError
from shared.model import Trust

SCHEMA = "skill-sync/trust/1"
MAX_TRUST_BYTES = 16 * 1024
_KEY_BYTES = 32


def trust_text(trust: Trust) -> str:
    """Write a trust as one line, to be pinned as `TRUST_ANCHOR`."""
    return canonical_bytes(
        {
            "schema": SCHEMA,
            "version": trust.version,
            "channel": trust.channel,
            "repo": trust.repo,
            "ref": trust.ref,
            "epoch": trust.epoch,
            "signer_keys": [base64.b64encode(key).decode() for key in trust.signer_keys.values()],
        }
    ).decode()


def parse_trust(text: str) -> Trust:
    """Read a pinned trust.

    Raises:
        ConfigError: `TRUST_INVALID`, it is not what `trust_text` writes.
    """
    what = "TRUST_ANCHOR"
    try:
        if len(text) > MAX_TRUST_BYTES:
            raise InputError("TOO_LARGE", f"{what} has at most {MAX_TRUST_BYTES} bytes")
        document = parse_object(text.encode(), what=what, max_depth=3)
        if document.get("schema") != SCHEMA:
            raise InputError("MEMBER_INVALID", f"{what}: expected schema {SCHEMA!r}")
        return Trust(
            version=member(document, "version", int, what=what),
            channel=member(document, "channel", str, what=what),
            repo=member(document, "repo", str, what=what),
            ref=member(document, "ref", str, what=what),
            epoch=member(document, "epoch", int, what=what),
            signer_keys=dict(_key(item) for item in member(document, "signer_keys", list, what=what)),
        )
    except (InputError, UnicodeEncodeError, binascii.Error, ValueError) as error:
        raise ConfigError("TRUST_INVALID", str(error)) from None


def _key(item: object) -> tuple[str, bytes]:
    raw = base64.b64decode(str(item), validate=True)
    if len(raw) != _KEY_BYTES:
        raise InputError("MEMBER_INVALID", f"a signer key has {_KEY_BYTES} bytes, got {len(raw)}")
    return key_id(raw), raw
