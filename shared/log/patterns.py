"""What secrets look like that nobody told us of: those of the gate's table of providers, and what stands in HTTP.

The gate asks whether a text holds a real secret; here a doubt is enough, so placeholders are hidden too. Each expression also
takes the beginning of what it means, for a text may have been cut, and has bounds, so that no text makes it slow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared.core.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

_GITHUB = re.compile(r"(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{8,}")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}")
_SCHEMES = re.compile(r"(?i:bearer|basic)(?:[ \t:]|%20|\+){1,4}([A-Za-z0-9._~+/=-]{8,})")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
# What no address holds ends it; U+FFFD stands where a control character was.
_NO_URL = "\\s\"'<>`\N{REPLACEMENT CHARACTER}"
_USER = re.compile(f"://([^/{_NO_URL}]{{1,300}})@")
_QUERY = re.compile(rf"[?&;]([A-Za-z0-9_.\[\]-]{{1,64}})=([^&;#{_NO_URL}]+)")
_SECRET_NAME = re.compile("token|key|secret|sig|pass|pwd|auth|cred|access|jwt|session", re.IGNORECASE)
_NAMED = re.compile(
    r"(?:authorization|api[_-]?key|passw(?:or)?d|passphrase|secret|private[_-]?key|token|signature|credentials?)"
    r"[\"']?[ \t]{0,4}[:=]{1,2}[ \t]{0,4}[\"']?([A-Za-z0-9._~+/=!#$%^*-]{8,})",
    re.IGNORECASE,
)


def spans_by_pattern(text: str) -> Iterator[tuple[int, int]]:
    """Say where in a text something stands that looks like a secret; spans may overlap, and come in no order."""
    yield from _by_provider(text)
    for pattern, group in ((_GITHUB, 0), (_JWT, 0), (_SCHEMES, 1), (_PRIVATE_KEY, 0), (_USER, 1)):
        for match in pattern.finditer(text):
            yield match.span(group)
    for match in _QUERY.finditer(text):
        if _SECRET_NAME.search(match[1]):
            yield match.span(2)
    for match in _NAMED.finditer(text):
        # "GITHUB_TOKEN: expected one line" is no secret, and tells what to do.
        if any(char.isdigit() for char in match[1]):
            yield match.span(1)


def _by_provider(text: str) -> Iterator[tuple[int, int]]:
    folded = text.lower()
    for provider in PROVIDERS:
        searched = folded if provider.folded else text
        if any(keyword in searched for keyword in provider.keywords):
            for match in provider.pattern.finditer(text):
                yield match.span(1)
