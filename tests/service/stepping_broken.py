"""Syncs that are wrong in one thing: the real code over a store, or a source, that betrays it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.names import CURRENT
from shared.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model import CommitSha
    from shared.ports import Source, Store, StoredName, StoredObject
    from shared.service.context import Context


class _Wrapped:
    """A store that a test makes wrong in one thing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, name: str) -> StoredObject | None:
        return self._store.get(name)

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        return self._store.put(name, data, if_generation=if_generation)

    def delete(self, name: str, *, if_generation: int) -> None:
        self._store.delete(name, if_generation=if_generation)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[StoredName]:
        return self._store.list(prefix, after=after, limit=limit)


class _HeadFirst(_Wrapped):
    """Reads the head just before the pointer, and serves that for the rest of the attempt."""

    def __init__(self, store: Store, source: Source) -> None:
        super().__init__(store)
        self.source = source
        self.read: CommitSha | None = None

    def get(self, name: str) -> StoredObject | None:
        if name == CURRENT:
            self.read = self.source.head(None)
        return super().get(name)


class _EarlyHead:
    """The source of a sync that has read the head already."""

    def __init__(self, first: _HeadFirst) -> None:
        self._first = first
        self.listing = first.source.listing
        self.blobs = first.source.blobs
        self.compare = first.source.compare

    def head(self, known: CommitSha | None) -> CommitSha:
        return self._first.read or self._first.source.head(known)


def reads_the_head_first(context: Context) -> Context:
    store = _HeadFirst(context.store, context.source)
    return replace(context, store=store, source=_EarlyHead(store))


class Blind(_Wrapped):
    """Replaces whatever is there."""

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        del if_generation
        there = self._store.get(name)
        return self._store.put(name, data, if_generation=0 if there is None else there.generation)


class Trusting(_Wrapped):
    """Takes every conflict over the pointer for its own success."""

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        try:
            return super().put(name, data, if_generation=if_generation)
        except ConflictError:
            if name == CURRENT:
                return if_generation + 1
            raise


class PointerFirst(_Wrapped):
    """Writes archives and manifests only when the pointer has moved."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._kept: dict[str, bytes] = {}

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        if name.startswith("objects/"):
            self._kept[name] = data
            return 1
        generation = super().put(name, data, if_generation=if_generation)
        for each, content in self._kept.items() if name == CURRENT else ():
            super().put(each, content, if_generation=0)
        return generation


class WithoutRecords(_Wrapped):
    """Writes no records."""

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        if name.startswith("deployments/"):
            return 1
        return super().put(name, data, if_generation=if_generation)


class Careless(_Wrapped):
    """Writes the records of its own deployments only."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._moved = False

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        if name.startswith("deployments/") and not self._moved:
            return 1
        self._moved = self._moved or name == CURRENT
        return super().put(name, data, if_generation=if_generation)


class WithoutEvents(_Wrapped):
    """Writes no events."""

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        return 1 if name.startswith("events/") else super().put(name, data, if_generation=if_generation)


def with_store(store: Callable[[Store], Store]) -> Callable[[Context], Context]:
    return lambda context: replace(context, store=store(context.store))
