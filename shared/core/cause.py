"""A cause: one thing that a person should know, as long as it lasts. Where causes are found is left to `alerts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.core.alert_kinds import Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that a person should know.

    `key` names it as long as it lasts. Where another cause with the same `subject` takes its place, its end is no news.
    `since` is when it began, as far as is known; `count` is how many things the line speaks of.
    """

    key: str
    topic: Topic
    subject: str
    line: str
    since: str
    count: int = 1
