"""The audit graph in Neo4j, behind the `Audit` port; what is written there is `neo4j_cypher`'s business.

The driver's asynchronous form is used, though callers wait for it: only a task can be cut off to the moment, whatever the
server does. A blocking read of the other form ends when the server says so, if it says anything.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from neo4j import AsyncGraphDatabase, unit_of_work
from neo4j.exceptions import AuthError, ClientError, ConfigurationError, DriverError, Neo4jError

from shared.adapters import neo4j_cypher as cypher
from shared.core.audit import GraphState, Position
from shared.errors import ConflictError, RejectedError, SkillSyncError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from neo4j import AsyncDriver, AsyncManagedTransaction, AsyncSession

    from shared.core.audit import Batch, Row

T = TypeVar("T")
CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 1.0
CALL_SECONDS = 20.0
"""What one call may take of a session's time, however much of that is left: a server that falls silent is given up then."""
_TRANSIENT_SECONDS = 5.0
"""For how long the driver tries a transaction again that lost against another one."""


class Neo4jAudit:
    """Opens sessions on one database.

    Args:
        uri: `neo4j+s://…`, `bolt://…`.
        user: Who.
        password: Its password.
        channel: Of the nodes that are read and written, as is `repo`.
        repo: `<owner>/<name>`.
    """

    def __init__(self, uri: str, user: str, password: str, *, channel: str, repo: str) -> None:
        self._uri = uri
        self._auth = (user, password)
        self._scope = {"channel": channel, "repo": repo}

    @contextmanager
    def open(self, seconds: float) -> Iterator[Neo4jSession]:
        """Connect; the promises are those of the port."""
        # Each session has its own loop and connection: between two requests the process may stand still for hours.
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            session = Neo4jSession(runner, self._scope, ends_at=loop.time() + seconds)
            try:
                with _translated():
                    session.connect(lambda: self._driver(seconds))
                yield session
            finally:
                session.close()

    def _driver(self, seconds: float) -> AsyncDriver:
        return AsyncGraphDatabase.driver(
            self._uri,
            auth=self._auth,
            connection_timeout=min(CONNECT_SECONDS, seconds),
            connection_acquisition_timeout=min(CONNECT_SECONDS, seconds),
            max_transaction_retry_time=min(_TRANSIENT_SECONDS, seconds),
            max_connection_pool_size=1,
            user_agent="skill-sync",
            telemetry_disabled=True,
            # What the server says of our own statements helps nobody at run time; the tests let it through.
            notifications_min_severity="OFF",
        )


class Neo4jSession:
    """One connection, for one call after the other.

    Args:
        runner: Runs the driver's tasks.
        scope: Channel and repository.
        ends_at: When everything is cut off, on the loop's clock.
    """

    def __init__(self, runner: asyncio.Runner, scope: dict[str, str], *, ends_at: float) -> None:
        self._runner = runner
        self._scope = scope
        self._ends_at = ends_at
        self._driver: AsyncDriver | None = None

    def connect(self, make: Callable[[], AsyncDriver]) -> None:
        """Connect and authenticate."""

        async def connected() -> AsyncDriver:
            self._driver = make()
            await self._driver.verify_connectivity()
            return self._driver

        self._within(connected())

    def close(self) -> None:
        """Hang up; a server that does not take notice is not waited for."""
        driver = self._driver
        if driver is not None:
            with suppress(TimeoutError, Neo4jError, DriverError, OSError):
                self._runner.run(asyncio.wait_for(driver.close(), CLOSE_SECONDS))

    def state(self) -> GraphState:
        """Read how far the graph was fed, and the highest pointer that it remembers."""

        async def read(transaction: AsyncManagedTransaction) -> GraphState:
            result = await transaction.run(cypher.STATE, self._scope)
            return _state(await result.single())

        return self._transact(lambda session, work: session.execute_read(work), read)

    def write(self, batch: Batch, *, at: tuple[int, int]) -> None:
        """Write a batch and move on; the promises are those of the port."""
        if at == (0, 0):
            self._within(self._make_schema())
        steps = _steps(batch)

        async def work(transaction: AsyncManagedTransaction) -> None:
            result = await transaction.run(cypher.LOCK, self._scope | {"schema": cypher.SCHEMA_VERSION})
            record = await result.single(strict=True)
            if (record["epoch"], record["seq"]) != at:
                raise ConflictError("AUDIT_MOVED", f"the graph stands at {record['epoch']}-{record['seq']}")
            for statement, parameters in steps:
                await (await transaction.run(statement, self._scope | parameters)).consume()

        self._transact(lambda session, unit: session.execute_write(unit), work)

    def _transact(
        self,
        run: Callable[[AsyncSession, Callable[[AsyncManagedTransaction], Awaitable[T]]], Awaitable[T]],
        work: Callable[[AsyncManagedTransaction], Awaitable[T]],
    ) -> T:
        # The server ends the transaction too: one that nobody waits for any more must not hold its locks.
        bounded = unit_of_work(timeout=max(1.0, min(self._left(), CALL_SECONDS)))(work)

        async def whole() -> T:
            assert self._driver is not None  # noqa: S101 - `connect` comes first
            async with self._driver.session() as session:
                return await run(session, bounded)

        return self._within(whole())

    async def _make_schema(self) -> None:
        assert self._driver is not None  # noqa: S101 - `connect` comes first
        async with self._driver.session() as session:
            for statement in cypher.SCHEMA:
                await (await session.run(statement)).consume()

    def _within(self, task: Awaitable[T]) -> T:
        with _translated():
            return self._runner.run(_bounded(task, min(self._left(), CALL_SECONDS)))

    def _left(self) -> float:
        return max(0.0, self._ends_at - self._runner.get_loop().time())


async def _bounded(task: Awaitable[T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await task


def _state(record: Any) -> GraphState:  # noqa: ANN401 - the driver's record holds whatever the graph does
    epoch, seq, until = record["epoch"], record["seq"], record["events_until"]
    known = isinstance(epoch, int) and isinstance(seq, int) and isinstance(until, str)
    envelope = record["envelope"]
    return GraphState(
        position=Position(epoch=epoch, seq=seq, events_until=until) if known else Position(),
        head=bytes(envelope) if isinstance(envelope, bytes | bytearray) else None,
    )


def _steps(batch: Batch) -> list[tuple[str, dict[str, object]]]:
    """List the statements of a batch with their rows, nodes before what leads to them."""
    nodes = [{"id": row["id"], "properties": row["properties"]} for row in batch.deployments]
    events = [
        {"id": row["id"], "deployment": row["deployment"], "properties": _without(row, "id")} for row in batch.events
    ]
    installed = [row for row in batch.events if row["puller"] and row["deployment"] and row["outcome"]]
    many: list[tuple[str, Sequence[object]]] = [
        (cypher.DEPLOYMENTS, nodes),
        (cypher.SUPERSEDES, _leading(batch.deployments, "previous")),
        (cypher.ROLLED_BACK_TO, _leading(batch.deployments, "rolled_back_to")),
        (cypher.DEPLOYED, _flat(batch.deployments, "deployed")),
        (cypher.REMOVED, _flat(batch.deployments, "removed")),
        (cypher.WITHHELD, _flat(batch.deployments, "withheld")),
        (cypher.EVENTS, events),
        (cypher.INSTALLED, installed),
    ]
    steps: list[tuple[str, dict[str, object]]] = [(statement, {"rows": list(rows)}) for statement, rows in many if rows]
    head, after = batch.head, batch.after
    if head is not None:
        told = {"epoch": head.epoch, "seq": head.seq, "issued_at": head.issued_at, "envelope": head.envelope}
        steps.append((cypher.HEAD, told))
    moved = {"epoch": after.epoch, "seq": after.seq, "events_until": after.events_until}
    return [*steps, (cypher.MOVE, moved)]


def _leading(rows: Sequence[Row], member: str) -> list[Row]:
    return [{"deployment": row["id"], "former": row[member]} for row in rows if row[member] is not None]


def _flat(rows: Sequence[Row], member: str) -> list[Row]:
    found: list[Row] = []
    for row in rows:
        inner = row[member]
        found += [{"deployment": row["id"], **each} for each in inner] if isinstance(inner, list) else []
    return found


def _without(row: Row, key: str) -> Row:
    return {name: value for name, value in row.items() if name != key and value not in (None, [])}


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
