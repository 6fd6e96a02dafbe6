"""Who is calling: operators by their API key, pullers by their own key. Keys are compared by digest in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

from shared.core.names import is_slug
from shared.errors import ConfigError, DeniedError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BEARER = "bearer"
_BASIC = "basic "
_DIGEST_CHARS = 64
_MAX_BASIC_CHARS = 4096


def check_api_key(given: str | None, keys: Sequence[str]) -> None:
    """Prove that the caller holds one of the operators' keys; every key is tried, whichever holds.

    Args:
        given: The value of the header `x-api-key`.
        keys: The current keys.

    Raises:
        DeniedError: `API_KEY_MISSING` or `API_KEY_INVALID`.
    """
    if not given:
        raise DeniedError("API_KEY_MISSING", "send the API key in the header x-api-key")
    digest = key_digest(given)
    held = [hmac.compare_digest(digest, key_digest(key)) for key in keys]
    if not any(held):
        raise DeniedError("API_KEY_INVALID", "the header x-api-key holds no current key")


def basic_password(authorization: str | None) -> str | None:
    """Return the password of HTTP Basic (RFC 7617, in UTF-8), whatever the user is called; None where none was sent.

    Args:
        authorization: The header's value.
    """
    if authorization is None or len(authorization) > _MAX_BASIC_CHARS or authorization[:6].lower() != _BASIC:
        return None
    try:
        pair = base64.b64decode(authorization[6:].strip(), validate=True).decode()
    except (binascii.Error, UnicodeError):
        return None
    _, separator, password = pair.partition(":")
    return password if separator else None


def authenticate_puller(authorization: str | None, hashes: Sequence[str]) -> str:
    """Return the id of the puller whose key was sent.

    Args:
        authorization: The header's value, `Bearer <key>`.
        hashes: Lines of `PULLER_KEY_HASHES`, `<puller id>:<SHA-256 of the key, hex>`.

    Raises:
        DeniedError: `PULLER_KEY_MISSING` or `PULLER_KEY_INVALID`.
        ConfigError: `PULLER_KEY_HASHES_INVALID`.
    """
    key = bearer_token(authorization)
    if key is None:
        raise DeniedError("PULLER_KEY_MISSING", "send the puller's key as bearer token")
    digest = key_digest(key)
    matching = [puller for puller, known in map(_split, hashes) if hmac.compare_digest(digest, known)]
    if not matching:
        raise DeniedError("PULLER_KEY_INVALID", "the bearer token is no current puller's key")
    return matching[0]


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of a header `Authorization` (RFC 6750; the scheme in any case); None when it holds no bearer token."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == _BEARER else None


def puller_ids(hashes: Sequence[str]) -> tuple[str, ...]:
    """Return whom lines of `PULLER_KEY_HASHES` name, each once; a line that is none names nobody, and lets nobody in."""
    named = (line.partition(":")[0] for line in hashes)
    return tuple(dict.fromkeys(puller for puller in named if is_slug(puller)))


def puller_keys(hashes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the hashes of each puller's keys, as the lines of `PULLER_KEY_HASHES` stand, without those that are none."""
    found: dict[str, tuple[str, ...]] = {}
    for line in hashes:
        puller, _, digest = line.partition(":")
        if is_slug(puller) and len(digest) == _DIGEST_CHARS:
            found[puller] = (*found.get(puller, ()), digest.lower())
    return found


def key_digest(key: str) -> str:
    """Return the SHA-256 of a key, hex: what is kept and compared in its place."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def _split(line: str) -> tuple[str, str]:
    puller, _, digest = line.partition(":")
    if not is_slug(puller) or len(digest) != _DIGEST_CHARS:
        raise ConfigError("PULLER_KEY_HASHES_INVALID", "each line is <puller id>:<SHA-256 of the key in hex>")
    return puller, digest.lower()
