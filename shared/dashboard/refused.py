"""The page that a call is refused with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dashboard import words
from shared.errors import PausedError

if TYPE_CHECKING:
    from shared.errors import SkillSyncError


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What is told."""

    title: str
    text: str
    code: str
    next_action: str


def refused(error: SkillSyncError, status: int) -> Refused:
    """Describe a refusal: its words are fixed, since messages may hold text from outside.

    Args:
        error: What happened.
        status: The HTTP status.
    """
    title, text = words.REFUSALS.get(status, words.REFUSED)
    action = error.next_action if isinstance(error, PausedError) else ""
    return Refused(title=title, text=text, code=error.code, next_action=action)
