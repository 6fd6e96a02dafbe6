"""Foreign text made visible: what a person would not see, or what would turn the text around it, is written out.

Escaping for HTML is the templates' business; it leaves these characters as they are.
"""

from __future__ import annotations

import re
from html import escape

# Controls, directions, zero-width characters, tags, variation selectors, line separators, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """Return the text with each unseen character as its code point in brackets, such as `⟦U+202E⟧`.

    Args:
        text: Anything from outside; tabs and ends of lines stay.
    """
    return _UNSEEN.sub(lambda found: f"⟦U+{ord(found[0]):04X}⟧", text)


def short(text: str, cost: int) -> str:
    """Return as much of a text's beginning as takes so many bytes of a page, with a sign where there was more.

    A character that is written out, or escaped, takes more than it looks like; so no text makes a page large.

    Args:
        text: Anything from outside.
        cost: In bytes, once escaped.
    """
    if len(text) <= cost and text.isascii() and text.isalnum():
        return text
    left = cost
    for place, char in enumerate(text):
        left -= len(escape(visible(char)).encode())
        if left < 0:
            return f"{text[:place]}…"
    return text
