"""Two programs over one store that take turns at its calls, in exactly the order that a schedule says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shared.ports import Store, StoredName, StoredObject

DEADLINE_SECONDS = 20.0


class Process:
    """A program in a thread that stops before each call that counts, until it is let on.

    Args:
        store: What it shares with others.
        counts: Which calls it stops before; the others go with the one before them.
    """

    def __init__(self, store: Store, counts: Callable[[str], bool]) -> None:
        self._store = store
        self._counts = counts
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self.over = False
        self.error: BaseException | None = None
        self.steps = 0

    def start(self, program: Callable[[], object]) -> None:
        def run() -> None:
            try:
                program()
            except BaseException as error:  # noqa: BLE001 - handed to the test
                self.error = error
            self.over = True
            self._stopped.release()

        threading.Thread(target=run, daemon=True).start()
        self._wait()

    def step(self) -> None:
        """Let it do the call that it stopped before, and all until the next one that counts."""
        self._go.release()
        self._wait()

    def get(self, name: str) -> StoredObject | None:
        self._stop(f"get {name}")
        return self._store.get(name)

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        self._stop(f"put {name}")
        return self._store.put(name, data, if_generation=if_generation)

    def delete(self, name: str, *, if_generation: int) -> None:
        self._stop(f"delete {name}")
        self._store.delete(name, if_generation=if_generation)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[StoredName]:
        self._stop(f"list {prefix}")
        return self._store.list(prefix, after=after, limit=limit)

    def _stop(self, call: str) -> None:
        if self._counts(call):
            self.steps += 1
            self._stopped.release()
            assert self._go.acquire(timeout=DEADLINE_SECONDS), call

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=DEADLINE_SECONDS)


def take_turns(processes: tuple[Process, Process], schedule: Iterable[int]) -> None:
    """Step the started processes in that order, then each to its end; a turn of one that is over is nobody's."""
    for turn in schedule:
        if not processes[turn].over:
            processes[turn].step()
    for process in processes:
        while not process.over:
            process.step()
