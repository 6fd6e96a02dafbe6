"""What there is to tell of credentials: one that is due, one that never ends, and a rotation that nobody has ended.

Each threshold is a cause of its own that takes the place of the one before, so each is told once; an overdue one has a new
cause each day. All of it is read off the summary.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.alert_kinds import Topic
from shared.core.cause import Cause
from shared.core.credential_notes import dues_noted, open_noted, token_noted
from shared.core.dues import days_left, stage_of
from shared.core.names import parse_timestamp, timestamp
from shared.core.plain_text import plain, plain_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.core.dues import Due
    from shared.core.summary import Summary

CREDENTIAL_TOPICS = frozenset({Topic.CREDENTIAL_DUE, Topic.CREDENTIAL_POLICY, Topic.ROTATION_OPEN})
PATIENCE = timedelta(days=1)
"""A rotation may take a working day; after that somebody has forgotten it."""
_TOKEN = "GITHUB_TOKEN"  # noqa: S105 - a setting's name


def credential_causes(summary: Summary, now: datetime) -> Iterator[Cause]:
    """List the causes that last.

    Args:
        summary: Which notes what is due when.
        now: The time.
    """
    dues = dues_noted(summary)
    for due in dues:
        yield from _due(due, now)
        yield from _retired(due, now)
    yield from _policy(summary, dues, now)
    open_since = open_noted(summary)
    if open_since is not None and now - parse_timestamp(open_since[1]) > PATIENCE:
        name, begun_at = plain_words(open_since[0]), open_since[1]
        line = f"{name}: begun at {begun_at[:16]}Z, neither finished nor aborted"
        yield _cause(Topic.ROTATION_OPEN, f"{name}/begun/{begun_at}", line, begun_at)


def _due(due: Due, now: datetime) -> Iterator[Cause]:
    stage = stage_of(due.due_at, due.lifetime_days, now)
    if stage:
        left = days_left(due.due_at, now)
        when = f"in {left} days" if left > 1 else "within a day" if left == 1 else f"overdue for {-left} days"
        line = f"{plain_words(due.name)} (fingerprint {plain(due.fingerprint)}): due {due.due_at[:10]}, {when}"
        key = f"{due.name}/{due.due_at}/{stage}"
        yield _cause(Topic.CREDENTIAL_DUE, key, line, timestamp(now), subject=f"{Topic.CREDENTIAL_DUE}/{due.name}")


def _retired(due: Due, now: datetime) -> Iterator[Cause]:
    if due.retired and due.retired_at and now - parse_timestamp(due.retired_at) > PATIENCE:
        name, old = plain_words(due.name), plain(due.retired)
        line = f"{name}: the old value {old} is still accepted, retired at {due.retired_at[:16]}Z"
        yield _cause(Topic.ROTATION_OPEN, f"{name}/retired/{old}", line, due.retired_at)


def _policy(summary: Summary, dues: list[Due], now: datetime) -> Iterator[Cause]:
    note = token_noted(summary)
    if note is not None and note.expires_at is None and any(due.name == _TOKEN for due in dues):
        line = f"GITHUB_TOKEN (fingerprint {plain(note.fingerprint)}): GitHub names no expiry"
        yield _cause(Topic.CREDENTIAL_POLICY, note.fingerprint, line, timestamp(now))


def _cause(topic: Topic, key: str, line: str, since: str, *, subject: str = "") -> Cause:
    full = f"{topic}/{key}"
    return Cause(key=full, topic=topic, subject=subject or full, line=line, since=since)
