"""Taking a nudge: the functions send the signed pointer of a new deployment, and its signature is the authentication.

Nothing is installed from it. A pointer that is genuine and newer than what was accepted here only ends the pause before the
next look, which asks the release function and judges as always; a replayed one does not even do that.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from shared.core.verify import UnverifiedPointer, read_pointer
from shared.errors import UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.puller.follow import Follower


class Nudged(Enum):
    """What became of a nudge, with the HTTP status and the code that say so."""

    TAKEN = (202, "NUDGE_TAKEN")
    KNOWN = (200, "NUDGE_KNOWN")
    REFUSED = (403, "NUDGE_REFUSED")


def take_nudge(envelope: bytes, follower: Follower, wake: Callable[[], None]) -> Nudged:
    """Judge a nudge, and end the pause for a good one.

    Args:
        envelope: The body.
        follower: Knows whose signature counts, and what was accepted so far.
        wake: Ends the pause before the next look.
    """
    trust, floor = follower.trust.newest, follower.state.floor
    try:
        pointer = read_pointer(UnverifiedPointer(envelope), trust)
    except UnverifiedError:
        return Nudged.REFUSED
    if floor is not None and (pointer.epoch, pointer.seq) <= (floor.epoch, floor.seq):
        return Nudged.KNOWN
    wake()
    return Nudged.TAKEN
