"""A clock that stands still until somebody sleeps or moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """The `Clock` port; `slept` lists the pauses that were asked for."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.move(seconds)

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
