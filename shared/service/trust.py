"""The functions' own look at the chain of trust: from the pinned version, through the store, to the newest one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from shared import log
from shared.core.names import trust_name
from shared.core.trust import INVALID, MAX_WALK, next_trust
from shared.errors import NotFoundError, UnavailableError, UnverifiedError

if TYPE_CHECKING:
    from shared.model import Trust
    from shared.ports import Clock, Store

LOOK_SECONDS = 60.0
"""So long an instance goes on with what it knows. A check that fails under it looks at once, and so does every poll."""


class TrustChain:
    """What one process knows of the chain; safe for many threads.

    Args:
        store: Where `trust/` lies.
        anchor: The pinned version, proved by `first_trust`.
        clock: Tells how old the last look is.
    """

    def __init__(self, store: Store, anchor: Trust, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._trust = anchor
        self._trouble = ""
        self._looked_at = float("-inf")

    @property
    def trouble(self) -> str:
        """`trust_invalid` when the last look met a version that does not follow; else empty."""
        return self._trouble

    def newest(self, *, fresh: bool = False) -> Trust:
        """Return the newest version that can be believed.

        Args:
            fresh: Look now, however recent the last look is.

        Raises:
            UnavailableError: the store could not be asked, and never was.
        """
        with self._lock:
            age = self._clock.monotonic() - self._looked_at
            if fresh or age >= LOOK_SECONDS:
                try:
                    self._trust, self._trouble = walk(self._store, self._trust)
                    self._looked_at = self._clock.monotonic()
                except UnavailableError as error:
                    if self._looked_at == float("-inf"):
                        raise
                    log.warning("The trust was not looked at; the known one counts", code=error.code)
            return self._trust


def walk(store: Store, trust: Trust) -> tuple[Trust, str]:
    """Go on from a version to the newest that follows, at most 32 steps.

    Returns:
        That version, and `trust_invalid` when a file lies behind it that does not follow; else an empty text.
    """
    for _ in range(MAX_WALK):
        stored = store.get(trust_name(trust.version + 1))
        if stored is None:
            break
        try:
            trust = next_trust(trust, stored.data)
        except UnverifiedError as error:
            log.error("A version of the trust cannot be believed", version=trust.version + 1, detail=error.message)
            return trust, INVALID
    return trust, ""


def stored_trust(store: Store, version: int) -> bytes:
    """Return one version of the trust as it is stored.

    Raises:
        NotFoundError: `TRUST_UNKNOWN`.
    """
    stored = store.get(trust_name(version))
    if stored is None:
        raise NotFoundError("TRUST_UNKNOWN", f"there is no version {version} of the trust")
    return stored.data
