"""Whether what changed stands still by now: it may be half of a restore, or of somebody's editing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.model import SkillId
    from shared.ports import Clock
    from shared.puller.sweep import Print

STILL_SECONDS = 2.0
"""As long as a name has to rest before it comes back, too."""
RESTLESS_SECONDS = 6.0
"""What never stands still is acted on all the same."""


@dataclass(frozen=True, slots=True)
class _Noticed:
    """Since when a skill looks as it does, and since when something is wrong with it, in monotonic seconds."""

    numbers: int
    since: float
    first: float


class Stillness:
    """Remembers the skills that changed a moment ago.

    Args:
        clock: Tells how long ago.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noticed: dict[SkillId, _Noticed] = {}

    def __iter__(self) -> Iterator[SkillId]:
        """Iterate over the skills that were last seen in motion: they are due at the next look."""
        return iter(self._noticed)

    def is_still(self, key: SkillId, taken: Print) -> bool:
        """Whether nothing has changed in a skill for a while.

        Args:
            key: The skill.
            taken: How it looks now.
        """
        now = self._clock.monotonic()
        before = self._noticed.get(key, _Noticed(taken.numbers, now, now))
        since = before.since if before.numbers == taken.numbers else now
        self._noticed[key] = _Noticed(taken.numbers, since, before.first)
        # The host's clock may be wrong about the age; then two looks tell.
        return taken.age >= STILL_SECONDS or now - since >= STILL_SECONDS or now - before.first >= RESTLESS_SECONDS

    def forget(self, key: SkillId) -> None:
        """Forget a skill that is right, or that was acted on."""
        self._noticed.pop(key, None)
