"""How a message to people reads: a subject that says it all, bounded lines, the next step, and where it is described.

Plain text, short enough for the services that take 2,000 characters. The lines were made harmless where they were made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.core.alert_kinds import RUNBOOK, WORDS, Tone
from shared.core.names import parse_timestamp
from shared.core.plain_text import plain, plain_words

if TYPE_CHECKING:
    from shared.core.alert_book import Batch, Entry
    from shared.model import DeploymentId

MAX_LINES = 20
MAX_LINE_CHARS = 200
MAX_LINES_CHARS = 1200
"""All lines together: Discord takes 2,000 characters, with everything around them."""
_SECONDS_PER_MINUTE = 60
_MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message. `to` names the addresses by their fingerprints."""

    title: str
    body: str
    tone: Tone
    to: frozenset[str] = field(default_factory=frozenset)


def letter_of(batch: Batch, *, channel: str, repo: str, deployment: DeploymentId | None) -> Letter:
    """Write the message of a batch.

    Args:
        batch: What it is about.
        channel: The line of deployments.
        repo: The repository, `<owner>/<name>`.
        deployment: The newest deployment, if one is known.
    """
    words = WORDS[batch.topic]
    count = sum(entry.cause.count for entry in batch.entries)
    what = words.one if count == 1 else words.many.format(n=count)
    title = f"[skill-sync {plain(channel)}] {'recovered: ' if batch.over else ''}{what}"
    live = "" if deployment is None else f", deployment {plain(deployment)}"
    head = f"{plain_words(repo)}, channel {plain(channel)}{live}"
    foot = "Nothing is left to do." if batch.over else f"Next: {words.step}\nRunbook: {RUNBOOK}#{batch.topic.value}"
    meaning = "This is over:" if batch.over else words.meaning
    lines = _bounded([_line(entry, over=batch.over) for entry in batch.entries])
    body = "\n".join([head, meaning, "", *lines, "", foot])
    return Letter(title=title, body=body, tone=Tone.RECOVERY if batch.over else words.tone, to=batch.to)


def _line(entry: Entry, *, over: bool) -> str:
    line = entry.cause.line[:MAX_LINE_CHARS]
    return f"- {line} (recovered after {_lasted(entry)})" if over else f"- {line}"


def _bounded(lines: list[str]) -> list[str]:
    shown: list[str] = []
    for line in lines[:MAX_LINES]:
        if sum(len(each) + 1 for each in shown) + len(line) > MAX_LINES_CHARS:
            break
        shown.append(line)
    left = len(lines) - len(shown)
    return [*shown, f"and {left} more"] if left else shown


def _lasted(entry: Entry) -> str:
    if entry.gone_at is None:
        return "0 min"
    seconds = (parse_timestamp(entry.gone_at) - parse_timestamp(entry.cause.since)).total_seconds()
    minutes = max(0, round(seconds / _SECONDS_PER_MINUTE))
    hours, rest = divmod(minutes, _MINUTES_PER_HOUR)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
