"""A store that counts its calls and breaks at a chosen one: before it took effect, or after (the answer is lost)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from shared.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Store, StoredName, StoredObject

T = TypeVar("T")


class Killed(BaseException):
    """The process is gone: nothing of it runs on, not even what catches errors."""


def unavailable() -> BaseException:
    return UnavailableError("STORE_UNAVAILABLE", "the store does not answer")


class BreakingStore:
    """The `Store` port over another store.

    Args:
        store: Where everything really lies.
        at: Which call breaks, counted from 1; 0 breaks none.
        fault: Makes what is raised.
        after: Whether the call takes effect first.
    """

    def __init__(
        self, store: Store, *, at: int = 0, fault: Callable[[], BaseException] = unavailable, after: bool = False
    ) -> None:
        self._store = store
        self._at = at
        self._fault = fault
        self._after = after
        self.calls: list[str] = []

    def get(self, name: str) -> StoredObject | None:
        return self._run(f"get {name}", lambda: self._store.get(name))

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        return self._run(f"put {name}", lambda: self._store.put(name, data, if_generation=if_generation))

    def delete(self, name: str, *, if_generation: int) -> None:
        self._run(f"delete {name}", lambda: self._store.delete(name, if_generation=if_generation))

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[StoredName]:
        return self._run(f"list {prefix}", lambda: self._store.list(prefix, after=after, limit=limit))

    def _run(self, call: str, run: Callable[[], T]) -> T:
        self.calls.append(call)
        hit = len(self.calls) == self._at
        if hit and not self._after:
            raise self._fault()
        result = run()
        if hit:
            raise self._fault()
        return result
