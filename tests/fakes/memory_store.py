"""A store in memory that keeps the promises of the `Store` port; it leaves durability to the real ones."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.core.names import check_name
from shared.errors import ConflictError, InputError
from shared.ports import StoredName, StoredObject

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable

MAX_LIMIT = 1000


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Object:
    data: bytes = field(repr=False)
    generation: int
    updated_at: datetime


class MemoryStore:
    """The `Store` port over a dictionary.

    Args:
        now: The time that `updated_at` shows, so that a test can write objects that are old.
    """

    def __init__(self, now: Callable[[], datetime] = _utc_now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}
        self._last_generation = 0

    def get(self, name: str) -> StoredObject | None:
        check_name(name)
        with self._lock:
            found = self._objects.get(name)
        return None if found is None else StoredObject(data=found.data, generation=found.generation)

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        check_name(name)
        with self._lock:
            self._expect(name, if_generation)
            self._last_generation += 1
            new = _Object(data=bytes(data), generation=self._last_generation, updated_at=self._now())
            self._objects[name] = new
        return new.generation

    def delete(self, name: str, *, if_generation: int) -> None:
        check_name(name)
        with self._lock:
            if name not in self._objects:
                raise ConflictError("GENERATION_MISMATCH", f"{name}: nothing to delete at generation {if_generation}")
            self._expect(name, if_generation)
            del self._objects[name]

    def list(self, prefix: str, *, after: str = "", limit: int = MAX_LIMIT) -> builtins.list[StoredName]:
        if not 1 <= limit <= MAX_LIMIT:
            raise InputError("LIMIT_INVALID", f"a listing's limit is 1 to {MAX_LIMIT}, got {limit}")
        with self._lock:
            # Legal names are ASCII, so Python's order of texts is the order of their bytes.
            names = sorted(name for name in self._objects if name.startswith(prefix) and name > after)
            found = [(name, self._objects[name]) for name in names[:limit]]
        return [
            StoredName(name=name, generation=each.generation, size=len(each.data), updated_at=each.updated_at)
            for name, each in found
        ]

    def _expect(self, name: str, generation: int) -> None:
        current = self._objects[name].generation if name in self._objects else 0
        if current != generation:
            raise ConflictError("GENERATION_MISMATCH", f"{name}: expected generation {generation}, found {current}")
