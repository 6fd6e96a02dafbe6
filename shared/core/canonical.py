"""Canonical JSON out, strict JSON in. What the members of a document mean is left to the documents' own modules."""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import NoReturn, TypeVar

from shared.errors import InputError
from shared.model import Digest

T = TypeVar("T")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def canonical_bytes(value: object) -> bytes:
    """Write JSON with sorted keys, no blanks and UTF-8, so that the same value always gives the same bytes.

    The rules are those of RFC 8785 for the values we use: strings, integers, booleans, null, arrays and objects with
    ASCII keys. Keys that hold other characters are sorted by code point, which is still one order for everybody.

    Raises:
        InputError: `NOT_CANONICAL`, a text holds a lone surrogate.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise InputError("NOT_CANONICAL", "a document's text must be valid Unicode, got a lone surrogate") from None


def digest_of(data: bytes) -> Digest:
    """Return the SHA-256 by which an object of ours is named."""
    return Digest(hashlib.sha256(data).hexdigest())


def parse_object(data: bytes, *, what: str, max_depth: int = 64) -> dict[str, object]:
    """Read one JSON object strictly: UTF-8, no duplicate keys, no NaN, no infinity, no lone surrogate, bounded depth.

    What is read can therefore be written again, and sent to others.

    Args:
        data: The text.
        what: What is being read, for the message.
        max_depth: How many arrays and objects may stand inside each other.

    Raises:
        InputError: `JSON_INVALID`, or `JSON_TOO_DEEP`.
    """
    try:
        value = _STRICT.decode(data.decode())
        # Fewer brackets than levels cannot nest deeper: most documents need not be walked for it.
        if data.count(b"{") + data.count(b"[") > max_depth and _deeper_than(value, max_depth):
            raise RecursionError
        if _SURROGATE.search(data):
            # Fails at a lone one; two that make a pair are one character.
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise InputError("JSON_TOO_DEEP", f"{what} nests deeper than {max_depth} levels") from None
    except ValueError as error:  # JSONDecodeError, UnicodeError, and integers of over 4,300 digits
        raise InputError("JSON_INVALID", f"{what} is not JSON as RFC 8259 has it: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise InputError("JSON_INVALID", f"{what} must be a JSON object, got {type(value).__name__}")
    return value


def member(document: object, key: str, kind: type[T], *, what: str) -> T:
    """Return a member that must be there and be of that type; a bool is no int.

    Raises:
        InputError: `MEMBER_INVALID`.
    """
    value = document.get(key) if isinstance(document, dict) else None
    if type(value) is kind:  # what JSON gives, and the quickest to say
        return value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError("MEMBER_INVALID", f"{what}: {key!r} must be {kind.__name__}, got {type(value).__name__}")
    return value


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constants(_: str) -> NoReturn:
    raise ValueError


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError
    return value


def _deeper_than(value: object, limit: int) -> bool:
    layer = [value]
    for _ in range(limit + 1):
        layer = [
            item
            for outer in layer
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return False
    return True


# Made once: `json.loads` would make one for each document.
_STRICT = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constants, parse_float=_finite)
