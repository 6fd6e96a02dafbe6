"""When each credential is due to be replaced, as the summary keeps it. How one is replaced is left to `rotation`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dashboard import words
from shared.dashboard.times import Moment, moment
from shared.dashboard.visible import short

if TYPE_CHECKING:
    from datetime import datetime

    from shared.dashboard.words import Word

_MAX_NAME_CHARS = 100
_MAX_LISTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One credential. `left` says how many days there are, in words."""

    name: str
    word: Word
    due: Moment | None
    left: str
    fingerprints: str
    symptom: str


def credentials_of(summary: object) -> list[Mapping[str, object]]:
    """Return what the summary keeps of credentials, in the form of the member `credentials` of `GET /api/rotation`.

    Args:
        summary: The summary; one that keeps nothing of the kind gives an empty list.
    """
    kept = getattr(summary, "credentials", None)
    listed = kept.get("credentials") if isinstance(kept, Mapping) else kept
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return []
    return [each for each in listed if isinstance(each, Mapping)]


def due_dates(listed: Sequence[Mapping[str, object]], now: datetime) -> tuple[Credential, ...]:
    """Describe the credentials in the order in which they are due; of what is not known nothing is told.

    Args:
        listed: As `credentials_of` returns them.
        now: The time.
    """
    found = sorted(listed, key=lambda each: (each.get("due_at") is None, str(each.get("due_at"))))
    return tuple(_credential(each, now) for each in found[:_MAX_LISTED])


def _credential(each: Mapping[str, object], now: datetime) -> Credential:
    left, marks = each.get("days_left"), each.get("fingerprints")
    shown = [str(mark)[:16] for mark in marks[:2]] if isinstance(marks, Sequence) and not isinstance(marks, str) else []
    return Credential(
        name=short(str(each.get("name")), _MAX_NAME_CHARS),
        word=words.CREDENTIALS.get(str(each.get("state")), words.UNKNOWN),
        due=moment(each.get("due_at"), now),
        left=_left(left) if isinstance(left, int) else "",
        fingerprints=", ".join(shown),
        symptom=short(str(each.get("symptom") or ""), 300),
    )


def _left(days: int) -> str:
    return f"{-days} days over" if days < 0 else "today" if days == 0 else f"in {days} days"
