"""A real Neo4j server on 127.0.0.1 that can be stopped, killed and started again on the same data and port.

`processes.py` says how a server is run; which one it is, is chosen in `choice.py`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import urlsplit

import neo4j
from neo4j.exceptions import AuthError, DriverError, Neo4jError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.neo4j.processes import Runner
    from tests.tcp_proxy import TcpProxy

USER = "neo4j"
PASSWORD = "only-for-tests"
FIRST_PASSWORD = "neo4j"
START_SECONDS = 90.0
EMPTY_SECONDS = 30.0


class Server:
    """A server that is there, ours or not.

    Args:
        uri: Where it speaks Bolt, as `bolt://127.0.0.1:7687`.
        user: An administrator of it.
        password: The administrator's.
    """

    def __init__(self, uri: str, user: str, password: str) -> None:
        self.uri = uri
        self.user = user
        self.password = password

    @property
    def port(self) -> int:
        """The port on which it speaks Bolt."""
        return urlsplit(self.uri).port or 7687

    def driver(self, *, through: TcpProxy | None = None, **options: Any) -> neo4j.Driver:  # noqa: ANN401 - the driver's own
        """Make a driver, to be closed by the caller (`with`).

        Args:
            through: A proxy before this server.
            options: What `neo4j.GraphDatabase.driver` takes.
        """
        uri = self.uri if through is None else f"bolt://127.0.0.1:{through.port}"
        return neo4j.GraphDatabase.driver(uri, **{"auth": (self.user, self.password), **options})

    def empty(self) -> None:
        """Leave nothing of an earlier test: no open transaction, node, constraint or index. Names of labels stay known."""
        with self.driver() as driver:
            # After three wrong passwords the server refuses the right one as well, for five seconds.
            wait_for(lambda: _answers(driver), EMPTY_SECONDS, "an answer before emptying")
            with driver.session(default_access_mode=neo4j.WRITE_ACCESS) as session:
                _end_transactions(session)
                session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
                _drop_schema(session)


class OwnServer(Server):
    """A server that we run.

    Args:
        runner: Starts and ends it; its data outlive both.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__(f"bolt://127.0.0.1:{runner.port}", USER, PASSWORD)
        self._runner = runner
        self._has_password = False
        # A test kills it from another thread, too, and must not find it running still when it starts it again.
        self._turn = threading.Lock()

    def start(self) -> None:
        """Start it and wait until it answers; does nothing if it runs.

        Raises:
            RuntimeError: it ended again; the end of its log is in the message.
            TimeoutError: it did not answer in time.
        """
        with self._turn:
            if not self._runner.runs():
                self._runner.start()
        if not self._has_password:
            with self.driver(auth=(USER, FIRST_PASSWORD)) as driver:
                self._wait_for(lambda: _take_password(driver))
            self._has_password = True
        with self.driver() as driver:
            self._wait_for(lambda: _answers(driver))

    def stop(self) -> None:
        """Let it end in order."""
        with self._turn:
            self._runner.stop()

    def kill(self) -> None:
        """End it as a crash does."""
        with self._turn:
            self._runner.kill()

    def remove(self) -> None:
        """End it for good."""
        self._runner.remove()

    def _wait_for(self, holds: Callable[[], bool]) -> None:
        def ready() -> bool:
            if not self._runner.runs():
                raise RuntimeError(f"Neo4j ended while starting:\n{self._runner.told()}")
            return holds()

        wait_for(ready, START_SECONDS, "Neo4j's first answer")


def wait_for(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it never held.
    """
    until, pause = time.monotonic() + seconds, threading.Event()
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        pause.wait(0.05)


def _take_password(driver: neo4j.Driver) -> bool:
    change = "ALTER CURRENT USER SET PASSWORD FROM $first TO $new"
    return _runs(driver, change, "system", first=FIRST_PASSWORD, new=PASSWORD)


def _answers(driver: neo4j.Driver) -> bool:
    return _runs(driver, "RETURN 1", "neo4j")


def _runs(driver: neo4j.Driver, query: LiteralString, database: str, **parameters: str) -> bool:
    # No managed transaction: the driver would try again on its own for half a minute, and nobody would look at the process.
    try:
        with driver.session(database=database) as session:
            session.run(query, parameters).consume()
    except AuthError:  # will not come right by itself; the limit on wrong passwords, which will, is no AuthError
        raise
    except (DriverError, Neo4jError):
        return False
    return True


def _end_transactions(session: neo4j.Session) -> None:
    """A test that broke off may have left one open, with its locks."""
    others = session.run(
        "SHOW TRANSACTIONS YIELD transactionId, currentQuery WHERE NOT currentQuery CONTAINS 'SHOW TRANSACTIONS'"
    ).value()
    if others:
        session.run("TERMINATE TRANSACTIONS $ids", ids=others).consume()


def _drop_schema(session: neo4j.Session) -> None:
    for name in session.run("SHOW CONSTRAINTS YIELD name").value():
        session.run(f"DROP CONSTRAINT `{name}` IF EXISTS").consume()
    # The two lookup indexes are there from the beginning.
    for name in session.run("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name").value():
        session.run(f"DROP INDEX `{name}` IF EXISTS").consume()
