"""Open SQLite connections of one file, lent to one thread at a time and never carried into a forked process."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class ConnectionPool:
    """Lends connections and keeps them open for the next caller: at most as many as calls ran side by side.

    Args:
        open_connection: Opens one more; its errors reach the caller of `lend`. It must allow use by several threads.
    """

    def __init__(self, open_connection: Callable[[], sqlite3.Connection]) -> None:
        self._open = open_connection
        self._gate = threading.Condition(threading.Lock())
        self._idle: list[sqlite3.Connection] = []
        self._lent = 0
        self._forking = False
        _FORKS.watch(self)

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to the body alone. One that saw an SQLite error is closed and never lent again."""
        connection = self._take()
        try:
            connection = connection or self._open()
            yield connection
        except sqlite3.Error:
            if connection is not None:
                connection.close()
            connection = None
            raise
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close all connections that are not lent just now; the next `lend` opens a new one."""
        with self._gate:
            self._close_idle()

    def before_fork(self) -> None:
        """Wait for what is lent, close everything, and let nobody in until `after_fork`.

        SQLite keeps its locks by process and file: a connection that a child opens would believe in the locks that
        only its parent holds, and the two would overwrite each other. So none may be open while the process forks.

        Source:
            https://www.sqlite.org/howtocorrupt.html, section 2.6.
        """
        self._gate.acquire()
        self._forking = True
        self._gate.wait_for(lambda: not self._lent)
        self._close_idle()

    def after_fork(self) -> None:
        """Let callers in again, in the parent and in the child."""
        self._forking = False
        self._gate.notify_all()
        self._gate.release()

    def _take(self) -> sqlite3.Connection | None:
        with self._gate:
            self._gate.wait_for(lambda: not self._forking)
            self._lent += 1
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: sqlite3.Connection | None) -> None:
        with self._gate:
            self._lent -= 1
            if connection is not None:
                self._idle.append(connection)
            self._gate.notify_all()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


class _Forks:
    """Tells every pool of the process about a fork, from before it to after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: weakref.WeakSet[ConnectionPool] = weakref.WeakSet()
        self._held: list[ConnectionPool] = []

    def watch(self, pool: ConnectionPool) -> None:
        with self._lock:
            self._pools.add(pool)

    def before(self) -> None:
        self._lock.acquire()
        self._held = list(self._pools)
        for pool in self._held:
            pool.before_fork()

    def after(self) -> None:
        while self._held:
            self._held.pop().after_fork()
        self._lock.release()


_FORKS = _Forks()
os.register_at_fork(before=_FORKS.before, after_in_parent=_FORKS.after, after_in_child=_FORKS.after)
