"""The audit graph in Neo4j, behind the `Audit` port; what is written there is `neo4j_cypher`'s business."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared import log
from shared.adapters import neo4j_cypher as cypher
from shared.adapters.neo4j_connection import connection
from shared.core.audit import GraphState, Position
from shared.core.plain_text import fingerprint
from shared.errors import ConflictError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from neo4j import AsyncManagedTransaction

    from shared.adapters.neo4j_connection import Connection
    from shared.core.audit import Batch, Row
    from shared.core.logins import Login

KNOWN_SECONDS = 60.0
"""For so long a login is the first to be tried after it was let in where a newer one was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _LetIn:
    login: Login
    until: float


class Neo4jAudit:
    """Opens sessions on one database.

    A login that the server refuses is followed by the next one; what fails otherwise is not tried again. Which one was let in
    is remembered for a minute, so that a refused one does not cost every call a connection.

    Args:
        uri: `neo4j+s://…`, `bolt://…`.
        logins: Newest first; at least one.
        channel: Of the nodes that are read and written, as is `repo`.
        repo: `<owner>/<name>`.
        clock: Seconds, for that minute.
    """

    def __init__(
        self,
        uri: str,
        logins: Sequence[Login],
        *,
        channel: str,
        repo: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._uri = uri
        self._logins = tuple(logins)
        self._scope = {"channel": channel, "repo": repo}
        self._clock = clock
        # Replaced, never changed: calls of other threads go on with what they have.
        self._known: _LetIn | None = None

    @contextmanager
    def open(self, seconds: float) -> Iterator[Neo4jSession]:
        """Connect; the promises are those of the port."""
        with connection(self._uri, seconds) as made:
            self._enter(made)
            yield Neo4jSession(made, self._scope)

    def _enter(self, made: Connection) -> None:
        *others, last = self._order()
        for login in others:
            try:
                made.connect(login, prove=True)
            except RejectedError as error:
                known = fingerprint(login.password)
                log.warning("The audit graph refused a login", code=error.code, fingerprint=known)
            else:
                self._remember(login)
                return
        made.connect(last)
        self._remember(last)

    def _order(self) -> tuple[Login, ...]:
        known = self._known
        if known is None or self._clock() >= known.until:
            return self._logins
        return (known.login, *(login for login in self._logins if login != known.login))

    def _remember(self, login: Login) -> None:
        if login == self._logins[0]:
            self._known = None
        elif self._order()[0] != login:
            self._known = _LetIn(login=login, until=self._clock() + KNOWN_SECONDS)


class Neo4jSession:
    """The audit graph over one connection.

    Args:
        made: That connection.
        scope: Channel and repository.
    """

    def __init__(self, made: Connection, scope: dict[str, str]) -> None:
        self._connection = made
        self._scope = scope

    def state(self) -> GraphState:
        """Read how far the graph was fed, and the highest pointer that it remembers."""

        async def read(transaction: AsyncManagedTransaction) -> GraphState:
            result = await transaction.run(cypher.STATE, self._scope)
            return _state(await result.single())

        return self._connection.read(read)

    def write(self, batch: Batch, *, at: tuple[int, int]) -> None:
        """Write a batch and move on; the promises are those of the port."""
        if at == (0, 0):
            self._connection.run(cypher.SCHEMA)
        steps = _steps(batch)

        async def work(transaction: AsyncManagedTransaction) -> None:
            result = await transaction.run(cypher.LOCK, self._scope | {"schema": cypher.SCHEMA_VERSION})
            record = await result.single(strict=True)
            if (record["epoch"], record["seq"]) != at:
                raise ConflictError("AUDIT_MOVED", f"the graph stands at {record['epoch']}-{record['seq']}")
            for statement, parameters in steps:
                await (await transaction.run(statement, self._scope | parameters)).consume()

        self._connection.write(work)


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
