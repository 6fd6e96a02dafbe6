"""Characters that a person does not see and an agent reads: tag characters, overrides of the writing direction, and the like.

Source: https://www.unicode.org/reports/tr36/ and https://www.unicode.org/reports/tr9/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared.core.rules import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HITS = 100

# The three flags that Unicode recommends for interchange: a black flag, tags that spell the region, the cancel tag.
_FLAGS = re.compile(
    "\U0001f3f4(?:\U000e0067\U000e0062)(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)"
    "\U000e007f"
)
_KINDS_HIDDEN: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("tag character", re.compile("[\U000e0000-\U000e007f]")),
    ("bidirectional override", re.compile("[\u202d\u202e]")),
    ("bytes in variation selectors", re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2}")),
)
# A joiner is honest between two characters that are no plain letters of ours: emoji, Persian, Indic scripts.
_KINDS_INVISIBLE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("zero-width character", re.compile("[\u200b\u2060-\u2064\u00ad]|(?<!^)\ufeff")),
    ("joiner without need", re.compile("(?:(?<=[\x00-\u02ff])|^)[\u200c\u200d]|[\u200c\u200d](?:[\x00-\u02ff]|$)")),
    # Honest texts mix directions by these, and may be misread by them as well.
    ("directional embedding or isolate", re.compile("[\u202a-\u202c\u2066-\u2069]")),
    ("control character", re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")),
)
_PLAIN_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def find_hidden(text: str) -> list[Hit]:
    """Find what is hidden (an error) or invisible (a warning).

    Args:
        text: A whole file.

    Returns:
        At most one hit a line and kind, in the order of the lines, at most `MAX_HITS`.
    """
    if text.isascii() and _PLAIN_CONTROL.search(text) is None:
        return []
    plain = _FLAGS.sub("\U0001f3f4", text)
    hits = {(hit.line, hit.detail): hit for hit in _hits(plain)}
    # What keeps the file out must not be pushed over the bound by what does not.
    kept = sorted(hits.values(), key=lambda hit: (hit.code, hit.line, hit.detail))[:MAX_HITS]
    return sorted(kept, key=lambda hit: (hit.line, hit.detail))


def _hits(text: str) -> Iterator[Hit]:
    for code, kinds in (("HIDDEN_UNICODE", _KINDS_HIDDEN), ("INVISIBLE_CHAR", _KINDS_INVISIBLE)):
        for kind, pattern in kinds:
            last, line = 0, 1
            for match in pattern.finditer(text):
                line += text.count("\n", last, match.start())
                last = match.start()
                yield Hit(code=code, line=line, detail=kind)
