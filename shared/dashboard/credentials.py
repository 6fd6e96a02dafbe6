"""When each credential is due to be replaced, as the summary notes it. How one is replaced is left to `rotation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.credential_notes import dues_noted, open_noted
from shared.core.credentials import kind_of
from shared.core.dues import days_left, state_of
from shared.dashboard import words
from shared.dashboard.times import Moment, moment

if TYPE_CHECKING:
    from datetime import datetime

    from shared.core.dues import Due
    from shared.core.summary import Summary
    from shared.dashboard.words import Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One credential. `state` is ok, due, overdue or rotating; `left` says in words how many days there are."""

    name: str
    state: str
    word: Word
    due: Moment | None
    left: str
    fingerprint: str
    note: str
    symptom: str


def due_dates(summary: Summary, now: datetime) -> tuple[Credential, ...]:
    """Describe the credentials in the order in which they are due; of what is not noted nothing is told.

    Args:
        summary: What the functions keep.
        now: The time.
    """
    active = open_noted(summary)
    rotating = "" if active is None else active[0]
    found = sorted(dues_noted(summary), key=lambda due: (due.due_at, due.name))
    return tuple(_credential(due, now, is_open=due.name == rotating) for due in found)


def _credential(due: Due, now: datetime, *, is_open: bool) -> Credential:
    state = "rotating" if is_open else state_of(due.due_at, due.lifetime_days, now)
    return Credential(
        name=due.name,
        state=state,
        word=words.CREDENTIALS[state],
        due=moment(due.due_at, now),
        left=_left(days_left(due.due_at, now)),
        fingerprint=due.fingerprint,
        note=f"the old value {due.retired} is still accepted: take it away" if due.retired else "",
        symptom=kind_of(due.name).symptom,
    )


def _left(days: int) -> str:
    if days > 1:
        return f"{days} days left"
    return "1 day left" if days == 1 else f"over for {-days} days" if days < 0 else "over today"
