"""What a published file's content gives away: secrets, hidden text, suspicious lines, and what nobody can review."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from shared.core.hidden import find_hidden
from shared.core.opaque import opaque_kind
from shared.core.rules import finding
from shared.core.secrets_gate import find_secrets
from shared.core.suspicious import find_suspicious

if TYPE_CHECKING:
    from shared.model import Finding

_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def check_content(path: str, data: bytes) -> list[Finding]:
    """Judge one file's content, in the order of its lines.

    Args:
        path: Relative to the repository's root.
        data: The whole file.
    """
    kind = opaque_kind(data)
    if kind is not None:
        return [finding("BINARY_OPAQUE", path, detail=kind)]
    text, is_text = _decoded(data)
    hits = find_secrets(text)
    if is_text:
        hits += find_hidden(text) + find_suspicious(text)
    return [
        finding(hit.code, path, hit.line, detail=hit.detail)
        for hit in sorted(hits, key=lambda hit: (hit.line, hit.code, hit.detail))
    ]


def _decoded(data: bytes) -> tuple[str, bool]:
    """Return the text, and whether it is one; of anything else the readable bytes, in which a secret may stand as well."""
    encoding = next((name for mark, name in _WIDE if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return data.decode("latin-1"), False
    return text, "\0" not in text
