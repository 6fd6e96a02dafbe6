"""For how long the gateway was watched, and for how long it was up: sums since this process began, as the functions get them.

Time is summed up and not looks: behind an install the gateway is asked many times in a second, else once in a minute, and a
restart of two seconds must not weigh like half an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.names import timestamp

if TYPE_CHECKING:
    from shared.ports import Clock

LONGEST_SECONDS = 120.0
"""So much of the time between two looks was watched at most; a host that slept for longer saw nothing."""


class Uptime:
    """Sums up looks.

    Args:
        clock: For the time between them; its date names this count.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = timestamp(clock.now())
        self._watched = 0.0
        self._up = 0.0
        self._looked_at: float | None = None

    def note(self, *, healthy: bool) -> None:
        """Count the time since the look before as what this one found."""
        now = self._clock.monotonic()
        span = 0.0 if self._looked_at is None else min(now - self._looked_at, LONGEST_SECONDS)
        self._looked_at = now
        self._watched += span
        self._up += span if healthy else 0.0

    def document(self) -> dict[str, object]:
        """Write the sums as the reports have them."""
        return {"since": self._since, "watched_ms": round(1000 * self._watched), "up_ms": round(1000 * self._up)}
