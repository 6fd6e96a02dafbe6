"""Making a value fit for a line: bounded in every direction, without secrets, and without characters that act or hide.

How a line is put together is `lines`' business. Whatever is given, something is returned and nothing is raised.
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice

from shared.log.redaction import REPLACED, redacted

MAX_FIELD_CHARS = 500
MAX_ITEMS = 50
MAX_DEPTH = 6
MAX_LINE_BYTES = 64 * 1024
"""No line is longer. Cloud Logging takes 256 KiB an entry: https://cloud.google.com/logging/quotas"""
# The end of what is looked at is never shown: a secret may go on behind it, and then looks like none.
_LOOKED_AT_CHARS = 4000
_SHOWN_OF_LONG_CHARS = 3000
# The last text may begin with one byte left, and each of its characters may take twelve.
_RESERVE_BYTES = 8 * 1024
_NODE_BYTES = 32
_INT_BITS = 64
# Surrogates too: strict readers of JSON refuse a line with half a pair.
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_CUT = "and more"


def clean(value: object) -> object:
    """Make a value fit to be logged: plain JSON, bounded, and without secrets and characters that act on a terminal or hide."""
    return Cleaner().clean(value)


class Cleaner:
    """Makes the values of one line fit; together they fit into `MAX_LINE_BYTES`."""

    def __init__(self) -> None:
        self._left = MAX_LINE_BYTES - _RESERVE_BYTES

    def clean(self, value: object, depth: int = 0) -> object:
        """Return a value as plain JSON."""
        # Punctuation, or a number: a structure of many empty parts is bounded too.
        self._left -= _NODE_BYTES
        try:
            return self._made(value, depth)
        except Exception:  # noqa: BLE001 - whatever a foreign object does, or another thread to it; a line must not be lost
            return self._text(f"{type(value).__name__} that cannot be shown")

    def _made(self, value: object, depth: int) -> object:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int) and int.bit_length(value) <= _INT_BITS:
            return int.__int__(value)
        if isinstance(value, float) and math.isfinite(value):
            return float(value)
        if isinstance(value, list | tuple | dict) and depth < MAX_DEPTH:
            return self._object(value, depth) if isinstance(value, dict) else self._list(value, depth)
        return self._text(_outline(value))

    def _list(self, value: list[object] | tuple[object, ...], depth: int) -> list[object]:
        made: list[object] = []
        for item in islice(value, MAX_ITEMS):
            if self._left <= 0:
                break
            made.append(self.clean(item, depth + 1))
        left = len(value) - len(made)
        return [*made, f"and {left} more"] if left > 0 else made

    def _object(self, value: dict[object, object], depth: int) -> dict[str, object]:
        made: dict[str, object] = {}
        for name, item in islice(value.items(), MAX_ITEMS):
            if self._left <= 0:
                break
            made[self._text(name)] = self.clean(item, depth + 1)
        return made

    def _text(self, value: object) -> str:
        if self._left <= 0:
            return _CUT
        shown = _shown(value)
        looked_at = _UNFIT.sub(REPLACED, shown[:_LOOKED_AT_CHARS])
        upto = len(looked_at) if len(shown) <= _LOOKED_AT_CHARS else _SHOWN_OF_LONG_CHARS
        text = redacted(looked_at, upto)[:MAX_FIELD_CHARS]
        # Looking costs time too, whatever comes of it.
        self._left -= max(len(json.dumps(text)), len(looked_at) // 4)
        return text


def _outline(value: object) -> object:
    """Return what stands for a value that is not shown itself: too deep, or a number too large to be printed."""
    if isinstance(value, list | tuple | dict):
        return f"{type(value).__name__} of {len(value)}"
    return f"an integer of {int.bit_length(value)} bits" if isinstance(value, int) else value


def _shown(value: object) -> str:
    text = str(value[: 2 * _LOOKED_AT_CHARS] if isinstance(value, bytes | bytearray) else value)
    # A subclass of str may do anything; this is the text itself.
    return str.__getitem__(text, slice(0, _LOOKED_AT_CHARS + 1))
