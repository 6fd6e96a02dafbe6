"""The `Audit` port's promises, kept by the graph in memory and by a real Neo4j server alike."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from shared.core.audit import Batch, GraphState, Head, Position, Row
from shared.errors import ConflictError
from tests.fakes.memory_audit import MemoryAudit
from tests.fakes.neo4j_graph import CHANNEL, REPO, dumped, real

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Audit
    from tests.fakes.memory_audit import Graph

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Subject:
    """An adapter, and what it holds."""

    def __init__(self, audit: Audit, look: Callable[[], Graph]) -> None:
        self.audit = audit
        self.look = look

    def write(self, batch: Batch, *, at: tuple[int, int]) -> None:
        with self.audit.open(20.0) as session:
            session.write(batch, at=at)

    def state(self) -> GraphState:
        with self.audit.open(20.0) as session:
            return session.state()


@pytest.fixture(params=["memory", "neo4j"])
def subject(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Subject:
    record_property("adapter", request.param)
    if request.param == "memory":
        memory = MemoryAudit()
        return Subject(memory, lambda: memory.graph)
    server = request.getfixturevalue("graph_server")
    return Subject(real(server), lambda: dumped(server))


def version(name: str = "a", content: str = "1" * 40, number: str = "1.0.0") -> Row:
    return {"name": name, "version": number, "content_sha": content, "archive": "f" * 64, "files": 1, "bytes": 9}


def held(name: str = "c", code: str = "FM_MISSING") -> Row:
    return {"name": name, "content_sha": "9" * 40, "reason": "rejected", "code": code, "codes": [code]}


def row(seq: int, epoch: int = 1, **changes: object) -> Row:
    inner = {"deployed": [version()], "removed": [], "withheld": []}
    properties = {
        "epoch": epoch,
        "seq": seq,
        "timestamp": AT.replace(minute=seq),
        "status": "success",
        "asked_at": None,
    }
    whole: Row = {
        "id": f"{epoch}-{seq}",
        "previous": f"{epoch}-{seq - 1}" if seq > 1 else None,
        "rolled_back_to": None,
        "properties": properties,
        **inner,
    }
    return whole | changes


def happened(name: str = "x", **changes: object) -> Row:
    whole: Row = {
        "id": f"events/2026-11-21/120000.000-{name}.json",
        "kind": "installed",
        "at": AT,
        "deployment": "1-1",
        "puller": "edge",
        "outcome": "installed",
        "code": None,
        "codes": [],
        "commit_sha": None,
        "trigger": None,
        "party": None,
        "count": None,
    }
    return whole | changes


def batch(*rows: Row, events: tuple[Row, ...] = (), head: Head | None = None, until: str = "") -> Batch:
    last = rows[-1]["properties"] if rows else {"epoch": 1, "seq": 1}
    assert isinstance(last, dict)
    after = Position(epoch=last["epoch"], seq=last["seq"], events_until=until)
    return Batch(deployments=rows, events=events, after=after, head=head)


def test_an_empty_graph_stands_nowhere_and_remembers_nothing(subject: Subject) -> None:
    assert subject.state() == GraphState(position=Position(), head=None)


def test_a_batch_is_there_with_all_that_hangs_on_it(subject: Subject) -> None:
    second = row(2, deployed=[version(content="2" * 40, number="1.0.1")], removed=[version("b")], withheld=[held()])
    subject.write(batch(row(1, deployed=[version(), version("b")]), second, events=(happened(),)), at=(0, 0))
    graph = subject.look()
    assert list(graph.deployments) == ["1-1", "1-2"]
    assert graph.deployments["1-2"]["status"] == "success"
    assert "asked_at" not in graph.deployments["1-2"]
    assert graph.versions[f"a@{'2' * 40}"]["version"] == "1.0.1"
    assert set(graph.edges) == {
        ("DEPLOYED", "1-1", f"a@{'1' * 40}"),
        ("DEPLOYED", "1-1", f"b@{'1' * 40}"),
        ("DEPLOYED", "1-2", f"a@{'2' * 40}"),
        ("REMOVED", "1-2", f"b@{'1' * 40}"),
        ("WITHHELD", "1-2", f"c@{'9' * 40}"),
        ("SUPERSEDES", "1-2", "1-1"),
        ("ABOUT", str(happened()["id"]), "1-1"),
        ("INSTALLED installed", "edge", "1-1"),
    }
    reason = {"reason": "rejected", "code": "FM_MISSING", "codes": ["FM_MISSING"]}
    assert graph.edges["WITHHELD", "1-2", f"c@{'9' * 40}"] == reason
    assert graph.position.number == (1, 2)


def test_what_is_written_again_is_there_once_and_as_it_was_first(subject: Subject) -> None:
    first = batch(row(1, withheld=[held()]), events=(happened(),))
    subject.write(first, at=(0, 0))
    before = subject.look()
    changed = row(1, withheld=[held(code="OTHER")], properties={**row(1)["properties"], "status": "failed"})  # type: ignore[dict-item]
    late = happened(at=AT.replace(hour=13))
    subject.write(batch(changed, events=(late,)), at=(1, 1))
    assert subject.look() == before


def test_a_version_that_comes_back_was_first_deployed_when_it_was(subject: Subject) -> None:
    other = version(content="2" * 40)
    rows = [row(1), row(2, deployed=[other]), row(3, rolled_back_to="1-1")]
    subject.write(batch(*rows), at=(0, 0))
    graph = subject.look()
    assert graph.versions[f"a@{'1' * 40}"]["deployed_at"] == graph.deployments["1-1"]["timestamp"]
    assert ("ROLLED_BACK_TO", "1-3", "1-1") in graph.edges


def test_a_withheld_version_that_is_let_go_is_the_same_node(subject: Subject) -> None:
    content = str(held()["content_sha"])
    subject.write(batch(row(1, withheld=[held()]), row(2, deployed=[version("c", content)])), at=(0, 0))
    graph = subject.look()
    assert graph.versions[f"c@{content}"]["version"] == "1.0.0"
    assert {("WITHHELD", "1-1", f"c@{content}"), ("DEPLOYED", "1-2", f"c@{content}")} <= set(graph.edges)


@pytest.mark.parametrize("at", [(0, 1), (1, 0), (1, 2), (2, 1)])
def test_a_writer_who_thinks_it_stands_elsewhere_writes_nothing(subject: Subject, at: tuple[int, int]) -> None:
    subject.write(batch(row(1)), at=(0, 0))
    before = subject.look()
    with pytest.raises(ConflictError) as refused:
        subject.write(batch(row(2)), at=at)
    assert refused.value.code == "AUDIT_MOVED"
    assert subject.look() == before


def test_an_event_of_a_deployment_that_is_not_there_waits_for_nobody(subject: Subject) -> None:
    about = happened(deployment="1-2")
    subject.write(batch(row(1), events=(about,)), at=(0, 0))
    assert list(subject.look().events) == [about["id"]]
    assert not [edge for edge in subject.look().edges if edge[0] in {"ABOUT", "INSTALLED installed"}]
    subject.write(batch(row(2), events=(about,)), at=(1, 1))
    assert ("INSTALLED installed", "edge", "1-2") in subject.look().edges


def test_the_position_of_events_never_goes_back(subject: Subject) -> None:
    subject.write(batch(row(1), until="2026-11-21T12:00:00.000Z"), at=(0, 0))
    subject.write(batch(row(2)), at=(1, 1))
    assert subject.state().position == Position(epoch=1, seq=2, events_until="2026-11-21T12:00:00.000Z")


HEAD = Head(epoch=2, seq=5, issued_at="2026-11-21T12:00:00.000Z", envelope=b"five")


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ({"seq": 6}, True),
        ({"epoch": 3, "seq": 1}, True),
        ({"issued_at": "2026-11-21T12:00:00.001Z"}, True),
        ({}, False),
        ({"seq": 4}, False),
        ({"epoch": 1, "seq": 99}, False),
        ({"issued_at": "2026-11-21T11:59:59.999Z"}, False),
    ],
)
def test_the_head_moves_only_forward(subject: Subject, changes: dict[str, object], *, moves: bool) -> None:
    other = replace(HEAD, envelope=b"other", **changes)  # type: ignore[arg-type]
    subject.write(batch(row(1), head=HEAD), at=(0, 0))
    assert subject.state().head == b"five"
    subject.write(batch(row(2), head=other), at=(1, 1))
    assert subject.state().head == (b"other" if moves else b"five")


def test_of_many_writers_at_once_one_writes_and_the_others_are_told(subject: Subject) -> None:
    subject.write(batch(row(1)), at=(0, 0))
    ended: list[str] = []
    gate = threading.Barrier(4)

    def run() -> None:
        with subject.audit.open(20.0) as session:
            gate.wait()
            try:
                session.write(batch(row(2)), at=(1, 1))
            except ConflictError as error:
                ended.append(error.code)
            else:
                ended.append("written")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["AUDIT_MOVED"] * 3 + ["written"]
    assert list(subject.look().deployments) == ["1-1", "1-2"]


def test_two_lines_of_deployments_share_a_server_and_nothing_else(graph_server: object) -> None:
    one, other = real(graph_server), real(graph_server, channel="staging")
    with one.open(20.0) as session:
        session.write(batch(row(1), head=HEAD), at=(0, 0))
    with other.open(20.0) as session:
        assert session.state() == GraphState(position=Position(), head=None)
        session.write(batch(row(1, deployed=[])), at=(0, 0))
    assert list(dumped(graph_server, channel="staging").edges) == []
    assert len(dumped(graph_server, channel=CHANNEL, repo=REPO).edges) == 1
