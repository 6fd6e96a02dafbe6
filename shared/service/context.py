"""What every use case is given: the ports, whose trust it acts under, and the settings that matter to it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.errors import DeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.core.credential_notes import Use
    from shared.core.credentials import TokenNote
    from shared.core.rules import Terms
    from shared.model import Trust
    from shared.ports import Alert, Audit, Clock, Hooks, Judge, Nudge, Quota, Signer, Source, Store, Together


def random_token() -> str:
    """Return a text that no other deployment ever has."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The ports and settings of one call. `poll_seconds` is the polling interval, `root` the publish root.

    `quota`, `hooks` and `token_note` are None where the source has no API, `nudge` where no puller is to be told, `audit`
    where no graph is kept, `alert` where no person is told. `token_note` tells what was heard last of the personal token for
    the source. `uses` says under which credentials the call came in, `held` which ones the function holds, both by
    fingerprints. `token` makes the bytes of two competing deployments differ.
    """

    store: Store
    source: Source
    signer: Signer
    clock: Clock
    together: Together
    judge: Judge
    trust: Trust
    terms: Terms
    root: str
    poll_seconds: float
    quota: Quota | None = None
    hooks: Hooks | None = None
    token_note: Callable[[], TokenNote | None] | None = None
    nudge: Nudge | None = None
    audit: Audit | None = None
    alert: Alert | None = None
    uses: tuple[Use, ...] = ()
    held: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    token: Callable[[], str] = random_token


class Deadline:
    """The time that one call allows itself; nothing runs on after the HTTP answer.

    Args:
        clock: Tells the time.
        seconds: How long the call may take from now.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._seconds = seconds

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self._clock.monotonic() - self._started

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self._seconds - self.elapsed())

    def check(self) -> None:
        """Stop here if the time is over.

        Raises:
            DeadlineError: `DEADLINE_PASSED`; what was stored stays, and the next poll finishes.
        """
        if self.remaining() <= 0:
            raise DeadlineError("DEADLINE_PASSED", f"not finished within {self._seconds:g} s; the next poll finishes")
