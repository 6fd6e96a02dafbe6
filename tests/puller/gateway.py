"""A gateway in memory that loads the skills of a folder, for proofs of reload: what it tells, and how it fails, is chosen."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from shared.puller.sighting import STOPPED, TIMEOUT, UNREACHABLE, Listed, Sighting, unwell
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.clock import FakeClock
    from tests.fakes.world import World

KILLS, LOSES, STALE = "This kills the gateway.", "This is refused.", "This is not taken over."
"""Texts of skills: with the first one on the volume the gateway is down, the others are lost, or kept as they were."""
DIGESTS, NAMES, NOTHING = "digests", "names", "nothing"


class Gateway:
    """The `Probe` port.

    Args:
        folder: The skills folder.
        clock: For what takes time.
        tells: What it lists.
    """

    def __init__(self, folder: Path, clock: FakeClock, tells: str = DIGESTS) -> None:
        self._folder = folder
        self._clock = clock
        self.tells = tells
        self.is_down = False
        self.lag = 0.0  # seconds from a change to its being loaded
        self.slow = 0.0  # seconds that a look takes
        self.hangs = False
        self.stops_at: int | None = None  # the look, counted from 1, at which the process is asked to end
        self.on_look: Callable[[], None] = lambda: None
        self.looks = 0
        self.loaded: dict[str, bytes] = {}
        self._noticed: dict[str, tuple[bytes | None, float]] = {}

    def stopping(self) -> bool:
        return self.stops_at is not None and self.looks >= self.stops_at

    def look(self) -> Sighting:
        self.looks += 1
        self.on_look()
        if self.stopping():
            return unwell(STOPPED, "ends")
        self.reload()
        self._clock.move(5.0 if self.hangs else self.slow)
        if self.hangs:
            return unwell(TIMEOUT, "hangs")
        if self.is_down or any(KILLS.encode() in data for data in self._standing().values()):
            return unwell(UNREACHABLE, "down")
        return Sighting(healthy=True, skills=self._listing())

    def reload(self) -> None:
        """Load what stands there and has stood there for long enough."""
        standing, now = self._standing(), self._clock.monotonic()
        if any(KILLS.encode() in data for data in standing.values()):
            return  # it is dead, and stands up when that is gone
        for key in standing.keys() | self.loaded.keys():
            data = standing.get(key)
            if self._noticed.get(key, (b"", 0.0))[0] != data:
                self._noticed[key] = (data, now)
            if now - self._noticed[key][1] >= self.lag:
                self._load(key, data)

    def _load(self, key: str, data: bytes | None) -> None:
        if data is None or LOSES.encode() in data:
            self.loaded.pop(key, None)
        elif STALE.encode() not in data:
            self.loaded[key] = data

    def _standing(self) -> dict[str, bytes]:
        flat = {path.name.removesuffix(".md"): path.read_bytes() for path in self._folder.glob("*.md")}
        return flat | {path.parent.name: path.read_bytes() for path in self._folder.glob("*/SKILL.md")}

    def _listing(self) -> tuple[Listed, ...] | None:
        if self.tells == NOTHING:
            return None
        if self.tells == NAMES:
            return tuple(Listed(name=key) for key in sorted(self.loaded))
        return tuple(
            Listed(id=key, name=key, digest=hashlib.sha256(data).hexdigest())
            for key, data in sorted(self.loaded.items())
        )


class Proving(Edge):
    """A volume with a gateway beside it."""

    def __init__(
        self,
        folder: Path,
        world: World | None = None,
        *,
        tells: str = DIGESTS,
        layouts: tuple[str, ...] = ("tree", "flat"),
        max_bytes: int | None = 10**9,
        puller: str = "edge",
    ) -> None:
        super().__init__(folder, world, layouts=layouts, max_bytes=max_bytes)
        self.function.puller = puller
        self.gateway = Gateway(self.skills, self.world.clock, tells)
        self.probe = self.gateway
        self.stopping = self.gateway.stopping
        self.restart()

    def outcomes(self) -> list[tuple[object, object, object]]:
        """What was reported: outcome, what is installed, what failed last."""
        return [
            (item["outcome"], item["deployment"], (item.get("failed") or {}).get("deployment"))  # type: ignore[attr-defined]
            for item in self.function.reports
        ]

    def seconds(self, act: Callable[[], object]) -> float:
        """How long something takes by the clock."""
        began = self.world.clock.monotonic()
        act()
        return self.world.clock.monotonic() - began
