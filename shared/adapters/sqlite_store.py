"""The `Store` port in one SQLite file, for one host; what lies in the objects is not looked at."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shared.adapters.sqlite_pool import ConnectionPool
from shared.core.names import check_name
from shared.errors import ConflictError, InputError, UnavailableError
from shared.ports import StoredName, StoredObject

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator

MAX_LIMIT = 1000
BUSY_TIMEOUT_SECONDS = 10.0
_RETRY_SECONDS = 0.01

# AUTOINCREMENT is what keeps a generation from being used again, also after the newest object was deleted:
# https://www.sqlite.org/autoinc.html. `data` stands last, so that a listing need not walk over it.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    generation INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    updated_at TEXT NOT NULL,
    size INTEGER NOT NULL,
    data BLOB NOT NULL
)
"""
# One range of the index on `name`. The bounds come as bytes, because a caller's text need not be valid Unicode.
_LIST = """
SELECT name, generation, size, updated_at FROM objects
WHERE name >= CAST(? AS TEXT) AND name < CAST(? AS TEXT) ORDER BY name LIMIT ?
"""


class SqliteStore:
    """Named objects in one SQLite file, for many threads and many processes of one host.

    Args:
        path: The file; it and its folder are made on first use. WAL shares memory, so no network file system will do.
        busy_timeout_seconds: How long a write waits for the writers before it.
    """

    def __init__(self, path: str | Path, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> None:
        self._path = Path(path).absolute()
        self._busy_timeout_seconds = busy_timeout_seconds
        self._pool = ConnectionPool(self._open)

    def get(self, name: str) -> StoredObject | None:
        """Read one object; None when it does not exist."""
        check_name(name)
        with self._reading() as connection:
            row = connection.execute("SELECT data, generation FROM objects WHERE name = ?", (name,)).fetchone()
        return None if row is None else StoredObject(data=row[0], generation=row[1])

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        """Write one object whole, as the port says; it is on the disk when this returns."""
        check_name(name)
        row = (name, datetime.now(UTC).isoformat(), len(data), data)
        with self._writing() as connection:
            current = _generation(connection, name)
            if current != if_generation:
                raise _mismatch(name, if_generation, current)
            connection.execute("DELETE FROM objects WHERE name = ?", (name,))
            insert = "INSERT INTO objects (name, updated_at, size, data) VALUES (?, ?, ?, ?) RETURNING generation"
            return int(connection.execute(insert, row).fetchone()[0])

    def delete(self, name: str, *, if_generation: int) -> None:
        """Delete one object at that generation, as the port says."""
        check_name(name)
        with self._writing() as connection:
            current = _generation(connection, name)
            if not current or current != if_generation:
                raise _mismatch(name, if_generation, current)
            connection.execute("DELETE FROM objects WHERE name = ?", (name,))

    def list(self, prefix: str, *, after: str = "", limit: int = MAX_LIMIT) -> builtins.list[StoredName]:
        """List a range of names in order, as the port says.

        Raises:
            InputError: `LIMIT_INVALID`, a limit outside 1 to 1,000.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise InputError("LIMIT_INVALID", f"a listing's limit is 1 to {MAX_LIMIT}, got {limit}")
        with self._reading() as connection:
            rows = connection.execute(_LIST, (*_range(prefix, after), limit)).fetchall()
        return [
            StoredName(name=name, generation=generation, size=size, updated_at=datetime.fromisoformat(updated_at))
            for name, generation, size, updated_at in rows
        ]

    def close(self) -> None:
        """Close the connections that no call is using; the next call opens the file again."""
        self._pool.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._pool.lend() as connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise UnavailableError("STORE_UNAVAILABLE", f"SQLite store {self._path}: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection, connection:  # commits at the end, rolls back on any error
            # Not the default, deferred: it would read first and then fail at once where it ought to wait for the lock.
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path, timeout=self._busy_timeout_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        mode = self._switch_to_wal(connection)
        if mode != "wal":
            raise sqlite3.OperationalError(f"expected journal mode wal, the file system only allows {mode}")
        connection.execute("PRAGMA synchronous = FULL")  # with WAL, NORMAL would lose the last commits with the power
        connection.execute(_SCHEMA)

    def _switch_to_wal(self, connection: sqlite3.Connection) -> str:
        # Of several that open a new file at once, SQLite refuses those that would deadlock without letting them wait.
        deadline = time.monotonic() + self._busy_timeout_seconds
        while True:
            try:
                return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)


def _generation(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT generation FROM objects WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def _mismatch(name: str, expected: int, current: int) -> ConflictError:
    return ConflictError("GENERATION_MISMATCH", f"{name}: expected generation {expected}, found {current}")


def _range(prefix: str, after: str) -> tuple[bytes, bytes]:
    """Return the first bytes that a listing may show, and the first behind it that it may not."""
    lowest, behind = (text.encode("utf-8", "surrogatepass") for text in (prefix, after))
    # Names are ASCII without DEL: all that begin with the prefix sort before the prefix with a DEL behind it.
    return max(lowest, behind + b"\0"), lowest + b"\x7f"
