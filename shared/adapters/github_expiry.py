"""When a personal token ends, as GitHub tells with every answer to it.

Source: https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/token-expiration-and-revocation
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from shared.adapters.github_faults import OK, UNAUTHORIZED
from shared.core.credentials import TokenNote
from shared.core.plain_text import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Final = "github-authentication-token-expiration"
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) (UTC|[+-][0-9]{2}:?[0-9]{2})")


def expiry(headers: Mapping[str, str]) -> datetime | None:
    """Return when the token ends that a request was sent with, in UTC; None when it is not told, or not understood.

    Args:
        headers: Of the answer, found by their names in any case; `2026-02-18 04:00:00 UTC`, or an offset in its place.
    """
    match = _MOMENT.fullmatch(headers.get(HEADER, ""))
    if match is None:
        return None
    day, time, zone = match.groups()
    try:
        return datetime.fromisoformat(f"{day}T{time}{'+00:00' if zone == 'UTC' else zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class NoteBook:
    """Keeps what was told last. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._note: TokenNote | None = None

    @property
    def note(self) -> TokenNote | None:
        """What was told last; None before any answer."""
        return self._note

    def learn(self, token: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer.

        Args:
            token: What the request was sent with.
            status: One that refuses the token tells nothing of it, whatever stands beside.
            headers: Of the answer.
        """
        told = expiry(headers)
        if status == UNAUTHORIZED or (told is None and status != OK):
            return
        name = fingerprint(token)
        with self._lock:
            # A token's end is fixed when it is made: an answer that does not tell it takes nothing back.
            if told is not None or self._note is None or self._note.fingerprint != name:
                self._note = TokenNote(fingerprint=name, expires_at=told)
