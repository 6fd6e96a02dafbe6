"""A real Neo4j server that is down, slow, silent or refuses: each ends in time, in an error of ours, and nothing half done."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import pytest

from shared.adapters import neo4j_connection
from shared.adapters.neo4j_audit import Neo4jAudit
from shared.core.logins import Login
from shared.errors import ConflictError, RejectedError, SkillSyncError, UnavailableError
from shared.service import audit_backlog
from shared.service.audit import catch_up
from shared.service.context import Deadline
from tests.fakes.memory_audit import MemoryAudit
from tests.fakes.neo4j_graph import REPO, dumped, real
from tests.fakes.world import World, bad_skill, skill
from tests.stage import free_port
from tests.tcp_proxy import Trap

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Audit
    from tests.fakes.memory_audit import Graph
    from tests.neo4j.server import OwnServer, Server
    from tests.tcp_proxy import TcpProxy

NOBODY = Login(user="neo4j", password="x")
SLACK_SECONDS = 2.5
"""What a call may take beyond its time on a busy machine: hanging up included."""


def a_past(deployments: int = 12) -> World:
    """A world with deployments of all kinds, and no graph yet."""
    world = World()
    for number in range(deployments - 2):
        world.deploy(
            skill("a", f"{number}."), skill(f"s{number % 3}"), *([bad_skill("bad")] if number % 4 == 3 else [])
        )
        world.clock.move(60)
    world.roll_back("1-2")
    world.deploy(skill("a", "Last."))
    return world


def feed(world: World, seconds: float = 60.0) -> None:
    catch_up(world.context, Deadline(world.clock, seconds))


def expected(world: World) -> Graph:
    """What the graph must end as."""
    former, world.audit = world.audit, MemoryAudit()
    summary = world.store.get("summary.json")
    feed(world)
    graph, world.audit = world.audit.graph, former
    now = world.store.get("summary.json")
    if summary is not None and now is not None and now.data != summary.data:
        world.store.put("summary.json", summary.data, if_generation=now.generation)
    return graph


def assert_whole(server: Server, world: World) -> None:
    found, wanted = dumped(server), expected(world)
    assert found.deployments.keys() == wanted.deployments.keys()
    assert found.edges == wanted.edges
    assert found.versions == wanted.versions
    assert found.events.keys() == wanted.events.keys()
    assert found.head == wanted.head
    assert found.position.number == wanted.position.number


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(SkillSyncError) as raised:
        call()
    return raised.value.code


def look(audit: Audit, seconds: float = 20.0) -> None:
    with audit.open(seconds) as session:
        session.state()


# Who is not there, or does not let us in


def test_nobody_at_the_address_is_told_at_once() -> None:
    audit = Neo4jAudit(f"bolt://127.0.0.1:{free_port()}", [NOBODY], channel="prod", repo=REPO)
    started = time.monotonic()
    assert code_of(lambda: look(audit, 5.0)) == "AUDIT_UNAVAILABLE"
    assert time.monotonic() - started < 5.0 + SLACK_SECONDS


def test_a_wrong_password_is_refused_and_goes_on_being_refused(graph_server: Server) -> None:
    audit = real(graph_server, password="wrong-password-wrong")
    # After three of them the server refuses without looking.
    codes = {code_of(lambda: look(audit)) for _ in range(5)}
    assert codes == {"AUDIT_DENIED"}


def test_an_error_tells_nothing_of_what_was_sent(graph_server: Server) -> None:
    with pytest.raises(RejectedError) as raised:
        look(real(graph_server, password="a-secret-that-must-not-be-told"))
    assert "must-not" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_name_that_nobody_knows_is_an_outage() -> None:
    audit = Neo4jAudit("bolt://nobody.invalid:7687", [NOBODY], channel="prod", repo=REPO)
    # The suite looks up no names; the driver takes the refusal for whatever it likes, but no foreign error may come out.
    with pytest.raises((UnavailableError, RuntimeError)):
        look(audit, 3.0)


# Who is slow


@pytest.mark.parametrize("seconds", [0.3, 1.5])
def test_a_server_that_never_says_a_word_is_given_up_in_time(
    graph_server: Server, graph_proxy: TcpProxy, seconds: float
) -> None:
    graph_proxy.stall()
    started = time.monotonic()
    assert code_of(lambda: look(real(graph_server, through=graph_proxy), seconds)) == "AUDIT_TOO_SLOW"
    assert time.monotonic() - started < seconds + SLACK_SECONDS


@pytest.mark.parametrize("word", [b"UNWIND", b"MERGE", b"RETURN"])
def test_a_server_that_falls_silent_in_the_middle_is_given_up_in_time(
    graph_server: Server, graph_proxy: TcpProxy, word: bytes
) -> None:
    world = a_past(4)
    world.audit = real(graph_server, through=graph_proxy)
    graph_proxy.fail(Trap(match=word, then="stall"))
    started = time.monotonic()
    feed(world, 3.0)
    assert time.monotonic() - started < 3.0 + SLACK_SECONDS
    assert world.summary.audit["error"] == "AUDIT_TOO_SLOW"
    graph_proxy.resume()
    feed(world)
    assert_whole(graph_server, world)


def test_a_poll_with_minutes_left_does_not_spend_them_on_a_silent_server(
    graph_server: Server, graph_proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neo4j_connection, "CALL_SECONDS", 1.0)
    world = a_past(4)
    world.audit = real(graph_server, through=graph_proxy)
    graph_proxy.fail(Trap(match=b"UNWIND", then="stall"))
    started = time.monotonic()
    feed(world, 300.0)
    assert time.monotonic() - started < 1.0 + 2 * SLACK_SECONDS
    assert world.summary.audit["error"] == "AUDIT_TOO_SLOW"


def test_a_server_that_drips_is_given_up_in_time(graph_server: Server, graph_proxy: TcpProxy) -> None:
    graph_proxy.delay_seconds, graph_proxy.piece_bytes = 0.05, 1
    started = time.monotonic()
    # Whether the driver's own limit or ours ends it, is a race.
    codes = {"AUDIT_TOO_SLOW", "AUDIT_UNAVAILABLE"}
    assert code_of(lambda: look(real(graph_server, through=graph_proxy), 2.0)) in codes
    assert time.monotonic() - started < 2.0 + SLACK_SECONDS


def test_a_slow_server_is_slow_and_no_more(graph_server: Server, graph_proxy: TcpProxy) -> None:
    graph_proxy.delay_seconds = 0.05
    world = a_past(5)
    world.audit = real(graph_server, through=graph_proxy)
    feed(world)
    assert_whole(graph_server, world)


def test_a_sync_waits_no_longer_for_a_silent_server_than_it_says(graph_server: Server, graph_proxy: TcpProxy) -> None:
    world = World()
    world.audit = real(graph_server, through=graph_proxy)
    world.deploy(skill("a", "One."))
    graph_proxy.stall()
    started = time.monotonic()
    world.deploy(skill("a", "Two."))
    assert time.monotonic() - started < 1.5 + SLACK_SECONDS
    assert (world.pointer.seq, world.summary.audit["error"]) == (2, "AUDIT_TOO_SLOW")
    graph_proxy.resume()
    feed(world)
    assert_whole(graph_server, world)


# Who goes away


@pytest.mark.parametrize("deliver", [True, False])
@pytest.mark.parametrize("word", [b"SkillSyncWatermark", b"SkillVersion", b"SkillSyncHead"])
def test_a_connection_that_is_cut_leaves_all_or_nothing_of_a_batch(
    graph_server: Server, graph_proxy: TcpProxy, word: bytes, *, deliver: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_backlog, "MAX_ROWS", 5)
    world = a_past()
    world.audit = real(graph_server, through=graph_proxy)
    graph_proxy.fail(Trap(match=word, then="cut", deliver=deliver))
    feed(world)
    assert graph_proxy.sprung.is_set()
    found = dumped(graph_server)
    assert len(found.deployments) == found.position.seq
    feed(world)
    assert_whole(graph_server, world)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_ends_in_the_middle_is_fed_on_when_it_is_back(
    stoppable_graph_server: OwnServer, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    server = stoppable_graph_server
    monkeypatch.setattr(audit_backlog, "MAX_ROWS", 4)
    world = a_past()
    world.audit = Interrupting(real(server), getattr(server, end))
    feed(world)
    noted = dict(world.summary.audit)
    assert noted["error"] == "AUDIT_UNAVAILABLE"
    world.audit = real(server)
    world.deploy(skill("a", "While it was down."))
    server.start()
    assert dumped(server).position.number == (1, 4)
    feed(world)
    assert_whole(server, world)
    assert world.summary.audit == {"deployment": world.pointer.deployment}


class Interrupting:
    """The port over an adapter; something happens before the second batch."""

    def __init__(self, audit: Audit, act: Callable[[], object]) -> None:
        self._audit = audit
        self._act = act
        self._batches = 0

    def open(self, seconds: float) -> Self:
        self._entered = self._audit.open(seconds)
        return self

    def __enter__(self) -> Self:
        self._session = self._entered.__enter__()
        return self

    def __exit__(self, *found: object) -> object:
        return self._entered.__exit__(*found)  # type: ignore[arg-type]

    def state(self) -> object:
        return self._session.state()

    def write(self, batch: audit_backlog.Batch, *, at: tuple[int, int]) -> None:
        self._batches += 1
        if self._batches == 2:
            self._act()
        self._session.write(batch, at=at)


def test_a_projection_that_is_killed_half_way_and_run_twice_doubles_nothing(
    graph_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_backlog, "MAX_ROWS", 3)
    world = a_past()

    def killed() -> None:
        raise KeyboardInterrupt

    world.audit = Interrupting(real(graph_server), killed)
    with suppress(KeyboardInterrupt):
        feed(world)
    assert dumped(graph_server).position.number == (1, 3)
    world.audit = real(graph_server)
    for _ in range(2):
        feed(world)
    assert_whole(graph_server, world)


def test_projections_at_once_end_in_one_whole_graph(graph_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_backlog, "MAX_ROWS", 2)
    world = a_past()
    world.audit = real(graph_server)
    context, gate = world.context, threading.Barrier(3)
    raised: list[BaseException] = []

    def run() -> None:
        gate.wait()
        try:
            catch_up(replace(context), Deadline(world.clock, 60.0))
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    feed(world)
    assert_whole(graph_server, world)


def test_a_graph_that_is_put_back_to_a_backup_is_brought_up_again(graph_server: Server) -> None:
    world = a_past(6)
    world.audit = real(graph_server)
    feed(world)
    with graph_server.driver() as driver:
        driver.execute_query("MATCH (d:SkillDeployment) WHERE d.seq > 3 DETACH DELETE d")
        driver.execute_query("MATCH (w:SkillSyncWatermark) SET w.seq = 3, w.events_until = ''")
        driver.execute_query("MATCH (h:SkillSyncHead) DELETE h")
    feed(world)
    assert_whole(graph_server, world)


def test_constraints_and_indexes_are_made_once(graph_server: Server) -> None:
    world = a_past(4)
    world.audit = real(graph_server)
    feed(world)

    def shown() -> list[str]:
        with graph_server.driver() as driver:
            queries = ("SHOW CONSTRAINTS YIELD name", "SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP'")
            return [record["name"] for query in queries for record in driver.execute_query(query).records]  # type: ignore[arg-type]

    before = shown()
    assert len([name for name in before if name.startswith("skill_sync_")]) == 6 * 2 + 5
    world.deploy(skill("a", "More."))
    feed(world)
    assert shown() == before


def test_a_writer_who_comes_second_hears_it_and_leaves_no_lock(graph_server: Server) -> None:
    world = a_past(4)
    world.audit = real(graph_server)
    feed(world)
    with real(graph_server).open(20.0) as session, pytest.raises(ConflictError):
        session.write(audit_backlog.Batch(after=audit_backlog.Position(epoch=9, seq=9)), at=(1, 1))
    world.deploy(skill("a", "More."))
    assert world.summary.audit == {"deployment": world.pointer.deployment}
