"""An audit graph in memory that keeps the promises of the `Audit` port, with the faults of a server that is not there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.core.audit import GraphState, Position
from shared.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.core.audit import Batch, Head, Row

Edge = tuple[str, str, str]
"""Kind, from, to; a version's name is `<name>@<content>`."""


@dataclass
class Graph:
    """What is in an audit graph, in a form that tests can compare. Times are texts, properties without a value are left out."""

    deployments: dict[str, dict[str, object]] = field(default_factory=dict)
    versions: dict[str, dict[str, object]] = field(default_factory=dict)
    events: dict[str, dict[str, object]] = field(default_factory=dict)
    edges: dict[Edge, dict[str, object]] = field(default_factory=dict)
    head: tuple[int, int, str, bytes] | None = None
    position: Position = field(default_factory=Position)


def plain(properties: Row) -> dict[str, object]:
    """Make properties comparable."""
    return {
        key: str(value) if hasattr(value, "isoformat") else value
        for key, value in properties.items()
        if value is not None and value != []
    }


class MemoryAudit:
    """The `Audit` port over a `Graph`.

    Attributes:
        fault: Raised instead of an answer while it is set.
        before_write: Called before each batch.
        sessions: How often somebody connected.
        writes: How many batches were written.
    """

    def __init__(self) -> None:
        self.graph = Graph()
        self.fault: BaseException | None = None
        self.before_write: Callable[[], object] = lambda: None
        self.sessions = 0
        self.writes = 0

    @contextmanager
    def open(self, seconds: float) -> Iterator[MemoryAudit]:
        assert seconds > 0
        self.sessions += 1
        self._fail()
        yield self

    def state(self) -> GraphState:
        self._fail()
        return GraphState(position=self.graph.position, head=None if self.graph.head is None else self.graph.head[3])

    def write(self, batch: Batch, *, at: tuple[int, int]) -> None:
        self.before_write()
        self._fail()
        if self.graph.position.number != at:
            raise ConflictError("AUDIT_MOVED", f"the graph stands at {self.graph.position}")
        self.writes += 1
        for row in batch.deployments:
            self._deployment(row)
        for row in batch.deployments:
            self._edges(row)
        for row in batch.events:
            self._event(row)
        self._head(batch.head)
        until = max(batch.after.events_until, self.graph.position.events_until)
        self.graph.position = Position(epoch=batch.after.epoch, seq=batch.after.seq, events_until=until)

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault

    def _deployment(self, row: Row) -> None:
        assert isinstance(row["properties"], dict)
        self.graph.deployments.setdefault(str(row["id"]), plain(row["properties"]))

    def _edges(self, row: Row) -> None:
        this = str(row["id"])
        for kind, key in (("SUPERSEDES", "previous"), ("ROLLED_BACK_TO", "rolled_back_to")):
            if row[key] in self.graph.deployments:
                self.graph.edges.setdefault((kind, this, str(row[key])), {})
        for kind in ("deployed", "removed", "withheld"):
            inner = row[kind]
            assert isinstance(inner, list)
            for version in inner:
                self._version(kind, this, version)

    def _version(self, kind: str, deployment: str, row: Row) -> None:
        key = f"{row['name']}@{row['content_sha']}"
        known = self.graph.versions.get(key)
        node = self.graph.versions.setdefault(key, {"name": row["name"], "content_sha": row["content_sha"]})
        told = {name: row[name] for name in ("version", "archive", "files", "bytes") if name in row}
        if kind == "deployed":
            node |= told
            at = str(self.graph.deployments[deployment]["timestamp"])
            node["deployed_at"] = min(str(node.get("deployed_at", at)), at)
        elif kind == "removed" and known is None:
            node |= told
        held = {name: row[name] for name in ("reason", "code", "codes")} if kind == "withheld" else {}
        self.graph.edges.setdefault((kind.upper(), deployment, key), plain(held))

    def _event(self, row: Row) -> None:
        key, deployment = str(row["id"]), row["deployment"]
        self.graph.events.setdefault(key, plain({name: item for name, item in row.items() if name != "id"}))
        if deployment not in self.graph.deployments:
            return
        self.graph.edges.setdefault(("ABOUT", key, str(deployment)), {})
        if row["puller"] and row["outcome"]:
            edge = (f"INSTALLED {row['outcome']}", str(row["puller"]), str(deployment))
            self.graph.edges.setdefault(edge, {"at": str(row["at"])})

    def _head(self, head: Head | None) -> None:
        if head is None:
            return
        told = (head.epoch, head.seq, head.issued_at, head.envelope)
        if self.graph.head is None or told[:3] > self.graph.head[:3]:
            self.graph.head = told
