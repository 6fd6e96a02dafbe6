"""Foreign text in messages to people: nothing that any service takes for a mention, a link, a format or a command gets through.

Slack, Discord, mail programs and the rest each interpret something else. So only characters that mean nothing anywhere stay,
and a fingerprint tells apart what looks the same afterwards.
"""

from __future__ import annotations

import hashlib
import re

MAX_CHARS = 64
_FINGERPRINT_CHARS = 8
_HARMLESS = re.compile(r"[A-Za-z0-9_-]*")
_OTHER = re.compile(r"[^A-Za-z0-9_-]")


def plain(text: str) -> str:
    """Return a text of letters, digits, hyphens and underscores as it is, and any other one made harmless.

    Args:
        text: An id, a code, a name; anything from outside.
    """
    if len(text) <= MAX_CHARS and _HARMLESS.fullmatch(text):
        return text
    return f"{_OTHER.sub('?', text[:MAX_CHARS])} (fingerprint {fingerprint(text)})"


def plain_words(text: str) -> str:
    """Return a name of a repository, which may also hold dots and one slash, in the same way."""
    parts = re.split(r"([./])", text)
    if len(text) <= 2 * MAX_CHARS and parts.count("/") <= 1 and all(_HARMLESS.fullmatch(part) for part in parts[::2]):
        return text
    return plain(text)


def fingerprint(text: str) -> str:
    """Return the first 8 hex digits of a text's SHA-256: enough to tell it from others, and nothing of what it says."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_FINGERPRINT_CHARS]
