"""The system's clock behind the `Clock` port, whose sleep ends early when the process is asked to stop."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class Bell:
    """Ends the pause between two looks: for a nudge, or because the process was asked to stop.

    The other pauses, which a gateway's watcher needs, are not cut short by a nudge; hence this is no part of the clock.

    Args:
        stop: Ends every pause once it is set.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._rung = threading.Event()

    def ring(self) -> None:
        """End the pause, or the next one if there is none now."""
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Wait that long, or until it rings."""
        if not self._stop.is_set():
            self._rung.wait(seconds)
        self._rung.clear()


class StoppableClock:
    """Wall-clock and monotonic time of this machine.

    Args:
        stop: Ends every sleep once it is set, so that SIGTERM never waits for a pause.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait that long, or until the process is asked to stop."""
        self._stop.wait(seconds)
