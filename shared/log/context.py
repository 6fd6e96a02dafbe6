"""What every line of one request says beside its own words: trace, labels, and the id of the sync that it serves.

The id of a sync is the `token` of the pointer that it writes, so that lines, pointer and record of one sync can be matched.
"""

from __future__ import annotations

import contextvars
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")
SYNC = "sync"
DURING = "during_sync"
_ID_BYTES = 16


@dataclass(slots=True)
class _Call:
    """One request; every thread that works for it holds this same object."""

    sync: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin_sync(self) -> str:
        with self.lock:
            if self.sync is None:
                self.sync = os.urandom(_ID_BYTES).hex()
            return self.sync


@dataclass(frozen=True, slots=True)
class _Scope:
    fields: Mapping[str, object]
    call: _Call


_scope: contextvars.ContextVar[_Scope | None] = contextvars.ContextVar("log scope", default=None)


@contextmanager
def scope(fields: Mapping[str, object] | None = None) -> Iterator[None]:
    """Add fields to every line of the block. The outermost one of a thread is one call, with at most one sync.

    Args:
        fields: By the names that they get in the line; they come before a field that the line itself calls the same.
    """
    outer = _scope.get()
    inner = _Scope({} if outer is None else outer.fields, _Call() if outer is None else outer.call)
    token = _scope.set(_Scope({**inner.fields, **(fields or {})}, inner.call))
    try:
        yield
    finally:
        _scope.reset(token)


def begin_sync() -> str:
    """Return the id of this call's sync, 32 hex digits; whoever asks first begins it, and every line from then on says it.

    Outside of any scope each answer is another id, and no line says it.
    """
    found = _scope.get()
    return (_Call() if found is None else found.call).begin_sync()


@contextmanager
def about(sync: str) -> Iterator[None]:
    """Let the lines of the block name another sync than this call's own, which they name as `during_sync`.

    For what is done late for an earlier deployment, such as a poll that completes the projection of one.

    Args:
        sync: The `token` of that deployment's pointer.
    """
    own = fields().get(SYNC)
    outer = _scope.get()
    during = {} if own in (None, sync) else {DURING: own}
    token = _scope.set(_Scope({**({} if outer is None else outer.fields), **during}, _Call(sync=sync)))
    try:
        yield
    finally:
        _scope.reset(token)


def carried(call: Callable[[], T]) -> Callable[[], T]:
    """Return the call as one that another thread can make for us: its lines say what ours do."""
    return partial(contextvars.copy_context().run, call)


def fields() -> dict[str, object]:
    """Return what a line written here says beside its own words."""
    found = _scope.get()
    if found is None:
        return {}
    sync = found.call.sync
    return {**found.fields, **({} if sync is None else {SYNC: sync})}
