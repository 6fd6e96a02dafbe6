"""One connection to Neo4j, cut off to the moment; what is read and written over it is left to who uses it.

The driver's asynchronous form is used, though callers wait for it: only a task can be cut off to the moment, whatever the
server does. A blocking read of the other form ends when the server says so, if it says anything.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from neo4j import AsyncGraphDatabase, unit_of_work
from neo4j.exceptions import AuthError, ClientError, ConfigurationError, DriverError, Neo4jError

from shared.errors import RejectedError, SkillSyncError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from typing import LiteralString

    from neo4j import AsyncDriver, AsyncManagedTransaction, AsyncSession

    from shared.core.logins import Login

T = TypeVar("T")
CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 1.0
CALL_SECONDS = 20.0
"""What one call may take of a session's time, however much of that is left: a server that falls silent is given up then."""
_TRANSIENT_SECONDS = 5.0
"""For how long the driver tries a transaction again that lost against another one."""


@contextmanager
def connection(uri: str, seconds: float) -> Iterator[Connection]:
    """Get ready to connect, and hang up at the end.

    Args:
        uri: `neo4j+s://…`, `bolt://…`.
        seconds: When everything is cut off, from now.
    """
    # Each has its own loop and socket: between two requests the process may stand still for hours.
    with asyncio.Runner() as runner:
        made = Connection(runner, uri, seconds)
        try:
            yield made
        finally:
            made.close()


class Connection:
    """One connection, for one call after the other. Every call raises as the port `Audit` says.

    Args:
        runner: Runs the driver's tasks.
        uri: Where to.
        seconds: When everything is cut off, from now.
    """

    def __init__(self, runner: asyncio.Runner, uri: str, seconds: float) -> None:
        self._runner = runner
        self._uri = uri
        self._ends_at = runner.get_loop().time() + seconds
        self._driver: AsyncDriver | None = None

    def connect(self, login: Login, *, prove: bool = False) -> None:
        """Connect and authenticate; an earlier connection ends.

        Args:
            login: Who.
            prove: Also let the server do something: a user who must change the password first is let in, and refused then.

        Raises:
            UnavailableError: also `AUDIT_TOO_SLOW` when no time is left.
        """
        self.close()
        if not self._left():
            raise UnavailableError("AUDIT_TOO_SLOW", "no time was left to connect to the audit graph")

        async def connected() -> None:
            self._driver = self._made(login)
            await self._driver.verify_connectivity()
            if prove:
                async with self._driver.session() as session:
                    await (await session.run("RETURN 1")).consume()

        self._within(connected())

    def close(self) -> None:
        """Hang up; a server that does not take notice is not waited for."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(TimeoutError, Neo4jError, DriverError, OSError):
                self._runner.run(asyncio.wait_for(driver.close(), CLOSE_SECONDS))

    def read(self, work: Callable[[AsyncManagedTransaction], Awaitable[T]]) -> T:
        """Do this in one transaction that only reads."""
        return self._transact(lambda session, unit: session.execute_read(unit), work)

    def write(self, work: Callable[[AsyncManagedTransaction], Awaitable[T]]) -> T:
        """Do this in one transaction: all of it, or nothing."""
        return self._transact(lambda session, unit: session.execute_write(unit), work)

    def run(self, statements: Sequence[LiteralString]) -> None:
        """Run statements, each by itself."""

        async def whole() -> None:
            async with self._connected().session() as session:
                for statement in statements:
                    await (await session.run(statement)).consume()

        self._within(whole())

    def _transact(
        self,
        run: Callable[[AsyncSession, Callable[[AsyncManagedTransaction], Awaitable[T]]], Awaitable[T]],
        work: Callable[[AsyncManagedTransaction], Awaitable[T]],
    ) -> T:
        # The server ends the transaction too: one that nobody waits for any more must not hold its locks.
        bounded = unit_of_work(timeout=max(1.0, min(self._left(), CALL_SECONDS)))(work)

        async def whole() -> T:
            async with self._connected().session() as session:
                return await run(session, bounded)

        return self._within(whole())

    def _made(self, login: Login) -> AsyncDriver:
        return AsyncGraphDatabase.driver(
            self._uri,
            auth=(login.user, login.password),
            connection_timeout=min(CONNECT_SECONDS, self._left()),
            connection_acquisition_timeout=min(CONNECT_SECONDS, self._left()),
            max_transaction_retry_time=min(_TRANSIENT_SECONDS, self._left()),
            max_connection_pool_size=1,
            user_agent="skill-sync",
            telemetry_disabled=True,
            # What the server says of our own statements helps nobody at run time; the tests let it through.
            notifications_min_severity="OFF",
        )

    def _connected(self) -> AsyncDriver:
        assert self._driver is not None  # noqa: S101 - `connect` comes first
        return self._driver

    def _within(self, task: Awaitable[T]) -> T:
        with _translated():
            return self._runner.run(_bounded(task, min(self._left(), CALL_SECONDS)))

    def _left(self) -> float:
        return max(0.0, self._ends_at - self._runner.get_loop().time())


async def _bounded(task: Awaitable[T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await task


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's errors into ours; its messages may quote what was sent, so that none goes on."""
    try:
        yield
    except SkillSyncError:
        raise
    except TimeoutError:
        raise UnavailableError("AUDIT_TOO_SLOW", "the audit graph did not answer in time") from None
    except (AuthError, ConfigurationError) as error:
        code = getattr(error, "code", None) or type(error).__name__
        raise RejectedError("AUDIT_DENIED", f"the audit graph does not let us in: {code}") from None
    except ClientError as error:
        code = str(error.code)
        if code.startswith("Neo.ClientError.Security."):
            raise RejectedError("AUDIT_DENIED", f"the audit graph refuses us: {code}") from None
        raise UnavailableError("AUDIT_UNAVAILABLE", f"the audit graph failed: {code}") from None
    except Neo4jError as error:
        raise UnavailableError("AUDIT_UNAVAILABLE", f"the audit graph failed: {error.code}") from None
    except (DriverError, OSError, ValueError) as error:
        raise UnavailableError(
            "AUDIT_UNAVAILABLE", f"the audit graph cannot be reached: {type(error).__name__}"
        ) from None
