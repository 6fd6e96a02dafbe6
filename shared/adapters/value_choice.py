"""Which of the values of one credential to use while it is rotated: the newest, and the other one while that is refused.

Whether a value was refused is seen by who sends it. What is remembered ends by itself, so that the newest one is tried again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from shared import log
from shared.core.plain_text import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.ports import Clock

REFUSED_SECONDS: Final = 300.0
"""So long a refused value is not tried first: longer than a sync takes, as long as the usual time between two polls."""


class ValueChoice:
    """The values of one credential, newest first. Safe for many threads.

    Args:
        values: Mostly one, two while it is rotated; empty ones do not count.
        clock: Tells how long ago one was refused.
        name: The setting's, for the log.
    """

    def __init__(self, values: Iterable[str], clock: Clock, name: str) -> None:
        self._values = tuple(value for value in values if value)
        self._clock = clock
        self._name = name
        self._lock = threading.Lock()
        self._refused: dict[str, float] = {}

    def current(self) -> str | None:
        """Return the newest value that was not refused of late; None when there is none at all."""
        with self._lock:
            fresh = (value for value in self._values if not self._is_refused(value))
            return next(fresh, None)

    def other(self, refused: str | None) -> str | None:
        """Return the other value, to be tried where this one was refused; None when there is no other.

        Nothing is remembered of that yet: when the other one is refused as well, the fault may be none of theirs.
        """
        return next((value for value in self._values if value != refused), None) if refused in self._values else None

    def took_over(self, accepted: str) -> None:
        """Remember that a value was accepted where the other one was refused.

        Args:
            accepted: It is used from now on, until the other one is tried again.
        """
        refused = self.other(accepted)
        if refused is None:
            return
        with self._lock:
            known = self._is_refused(refused)
            self._refused = {refused: self._clock.monotonic()}
        if not known:
            # The one sign of it while the other value still works; told once a while, not with every request.
            log.warning(
                "A credential is refused; its other value is used",
                credential=self._name,
                fingerprint=fingerprint(refused),
                instead=fingerprint(accepted),
            )

    def _is_refused(self, value: str) -> bool:
        since = self._refused.get(value)
        return since is not None and self._clock.monotonic() - since < REFUSED_SECONDS
