"""Which names directly below the skills folder were removed a moment ago, and for how long they may not come back yet."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.names import parse_timestamp, timestamp

if TYPE_CHECKING:
    from collections.abc import Collection

    from shared.ports import Clock
    from shared.puller.state import State

REST = timedelta(seconds=2)
"""The gateway's watcher loses a folder that comes back sooner under the same name."""


class Resting:
    """The names that one install removes, and those that the ones before it have.

    Args:
        state: What is remembered of them.
        clock: Says when.
    """

    def __init__(self, state: State, clock: Clock) -> None:
        self._clock = clock
        self._removed_at = dict(state.removed_at)
        # After an interruption nobody knows what went when: every name rests from the beginning of this run on.
        self._cut_at = timestamp(clock.now()) if state.unfinished else ""

    def begins(self, name: str) -> None:
        """Note that a name was removed just now."""
        self._removed_at[name] = timestamp(self._clock.now())

    def seconds(self, path: str) -> float:
        """Return for how long a path may not come back yet; only what is directly below the skills folder has to rest."""
        at = self._removed_at.get(path, self._cut_at)
        if not at or "/" in path:
            return 0.0
        left = parse_timestamp(at) + REST - self._clock.now()
        # Never longer than the rest itself, whatever became of the clock meanwhile.
        return min(max(left, timedelta(0)), REST).total_seconds()

    def among(self, names: Collection[str]) -> set[str]:
        """Return those of some names that may not come back yet."""
        return {name for name in names if self.seconds(name)}

    def removed_at(self) -> dict[str, str]:
        """Return what must be remembered for the next install."""
        return {name: at for name, at in self._removed_at.items() if self.seconds(name)}
