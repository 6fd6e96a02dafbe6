"""The system's clock behind the `Clock` port, whose sleep ends early when the process is asked to stop."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


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
