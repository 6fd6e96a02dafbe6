"""The one place where what the puller remembers is kept and changed while it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.puller.state_file import STATE, load_state, save_state

if TYPE_CHECKING:
    from shared.model import Trust
    from shared.ports import Clock
    from shared.puller.files import Root
    from shared.puller.state import State


class Memory:
    """The state, on the disk and here.

    Args:
        own: The puller's own folder.
        trust: What the volume believes; it names the line of deployments.
        clock: Names the copy of a damaged state.
    """

    def __init__(self, own: Root, trust: Trust, clock: Clock) -> None:
        self._own = own
        line = (trust.channel, trust.repo, trust.ref)
        state = load_state(own, clock.now())
        # A volume that is pinned to another line of deployments begins anew there: the old floor says nothing about it.
        former = (
            state if state.line in ((), line) else replace(state, floor=None, envelope=b"", latches=(), failures=())
        )
        self.state: State = replace(former, line=line)

        self._written = self._stamp()

    def remember(self, state: State) -> None:
        """Put a new state on the disk, then go on from it."""
        save_state(self._own, state)
        self.state = state
        self._written = self._stamp()

    def is_ours(self) -> bool:
        """Whether the disk still holds what was written here last, and no older volume was put in its place."""
        return self._stamp() == self._written

    def _stamp(self) -> tuple[int, ...] | None:
        found = self._own.stat(STATE)
        return None if found is None else (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
