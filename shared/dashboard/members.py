"""Reading documents whose members may be missing or of another form than they should: what is not there is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def part(document: object, key: str) -> Mapping[str, object]:
    """Return a member that is an object, else an empty one."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def items(document: object, key: str) -> list[object]:
    """Return a member that is a list, else an empty one."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, list) else []


def number(document: object, key: str) -> int:
    """Return a member that is a whole number, else 0."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, int) else 0
