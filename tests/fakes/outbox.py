"""An `Alert` that keeps what it is given, and fails as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.core.letters import Letter

OPS, CHAT = "0000000a", "0000000b"


class Outbox:
    """Keeps letters by address. `dead` addresses take none; `meanwhile` runs while letters are on their way."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = frozenset(addresses or (OPS,))
        self.taken: dict[str, list[Letter]] = {}
        self.dead: set[str] = set()
        self.meanwhile: Callable[[], None] = lambda: None
        self.seconds: list[float] = []
        self.calls = 0
        self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1

    def __call__(self, letters: Sequence[Letter], seconds: float) -> list[frozenset[str]]:
        self.calls += 1
        self.seconds.append(seconds)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        reached = [frozenset(letter.to & self.addresses - self.dead) for letter in letters]
        for letter, addresses in zip(letters, reached, strict=True):
            for address in addresses:
                self.taken.setdefault(address, []).append(letter)
        return reached

    def titles(self, address: str = OPS) -> list[str]:
        """What an address was told, without the common beginning."""
        return [letter.title.partition("] ")[2] for letter in self.taken.get(address, [])]

    def bodies(self, address: str = OPS) -> list[str]:
        return [letter.body for letter in self.taken.get(address, [])]
