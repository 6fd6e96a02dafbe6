"""The queries that operators are given, run as they stand on the page, on a real server fed by real deployments."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.core.names import parse_timestamp, timestamp
from shared.service.audit import catch_up
from shared.service.context import Deadline
from tests.fakes.neo4j_graph import real
from tests.fakes.world import World, bad_skill, skill

if TYPE_CHECKING:
    from tests.neo4j.server import Server

PAGE = Path(__file__).resolve().parents[2] / "infra" / "runbooks" / "audit.md"
SECTIONS = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
QUERIES = {
    f"{section.splitlines()[0]} ({number})": query
    for section in SECTIONS
    for number, query in enumerate(re.findall(r"```cypher\n(.*?)```", section, re.DOTALL), 1)
}


@pytest.fixture
def world(graph_server: Server) -> World:
    """Deployments of every kind, reports and drift, today by the server's clock, all of it in the graph."""
    world = World()
    world.audit = real(graph_server)
    world.clock.move((datetime.now(UTC) - world.clock.now()).total_seconds() - 3600)
    world.deploy(skill("a", "One."), skill("b", "One."))
    installed(world)
    world.clock.move(60)
    world.deploy(skill("a", "Two.", version="1.1.0"), bad_skill("c"))
    installed(world)
    world.clock.move(60)
    world.roll_back("1-1")
    world.clock.move(60)
    world.deploy(skill("a", "Three.", version="1.2.0"), bad_skill("c"))
    world.fails("1-4", "a")
    drift = [{"path": "a/SKILL.md", "what": "changed", "action": "repaired"}]
    world.report(at=timestamp(world.clock.now()), drift=drift)
    catch_up(world.context, Deadline(world.clock, 60.0))
    return world


def installed(world: World) -> None:
    world.clock.move(2)
    world.report(outcome="installed", deployment=world.pointer.deployment, at=timestamp(world.clock.now()))


def run(server: Server, name: str, **more: object) -> list[dict[str, Any]]:
    """Run one query of the page with what its section says that it needs."""
    query = next(text for title, text in QUERIES.items() if title.startswith(name))
    parameters = {"channel": "prod", "days": 30, "skill": "a", "deployment": "1-2", "at": datetime.now(UTC), **more}
    wanted = set(re.findall(r"\$(\w+)", query))
    with server.driver() as driver:
        return [
            record.data() for record in driver.execute_query(query, {key: parameters[key] for key in wanted}).records
        ]  # type: ignore[arg-type]


@pytest.mark.parametrize("title", QUERIES)
def test_each_query_finds_something_and_its_section_names_its_parameters(
    title: str, world: World, graph_server: Server
) -> None:
    assert world.pointer.seq == 4
    assert run(graph_server, title)
    section = next(text for text in SECTIONS if text.startswith(title.rpartition(" (")[0]))
    told = set(re.findall(r"`(\w+)`", section.partition("Parameters:")[2].split("\n\n", maxsplit=1)[0]))
    assert set(re.findall(r"\$(\w+)", section)) <= told


def test_the_history_of_a_skill_is_told_newest_first(world: World, graph_server: Server) -> None:
    assert world.withheld() == {"b": "rolled_back", "c": "rejected"}
    rows = [(row["what"], row["deployment"], row["version"]) for row in run(graph_server, "The history of one skill")]
    assert rows[0] == ("DEPLOYED", "1-4", "1.2.0")
    assert ("DEPLOYED", "1-3", "1.0.0") in rows
    assert ("WITHHELD", "1-3", "1.1.0") in rows
    assert rows[-1] == ("DEPLOYED", "1-1", "1.0.0")


@pytest.mark.parametrize(
    ("deployment", "live"),
    [
        ("1-1", {"a": "1.0.0", "b": "1.0.0"}),
        ("1-2", {"a": "1.1.0"}),
        ("1-3", {"a": "1.0.0", "b": "1.0.0"}),
        ("1-4", {"a": "1.2.0", "b": "1.0.0"}),
    ],
)
def test_what_was_live_at_a_time_is_what_was_live(
    world: World, graph_server: Server, deployment: str, live: dict[str, str]
) -> None:
    lines = {str(line["id"]): parse_timestamp(str(line["timestamp"])) for line in world.summary.deployments}
    at = lines[deployment] + timedelta(seconds=1)
    (last,) = run(graph_server, "What was live at a given time (1)", at=at)
    assert last["deployment"] == deployment
    rows = run(graph_server, "What was live at a given time (2)", at=at)
    assert {row["skill"]: row["version"] for row in rows} == live


def test_reasons_are_counted(world: World, graph_server: Server) -> None:
    assert world.pointer.seq == 4
    rows = run(graph_server, "Why things were withheld")
    assert {(row["reason"], row["code"]): row["times"] for row in rows}[("rejected", "FM_MISSING")] >= 1


def test_a_rollback_says_what_it_took_back_and_how_long_that_was_live(world: World, graph_server: Server) -> None:
    assert world.pointer.seq == 4
    (row,) = run(graph_server, "Rollbacks")
    assert (row["deployment"], row["back_to"], row["undone"]) == ("1-3", "1-1", "1-2")
    assert row["live_seconds"] == pytest.approx(62, abs=2)


def test_what_failed_at_a_puller_is_told_with_its_deployment(world: World, graph_server: Server) -> None:
    assert world.pointer.seq == 4
    rows = run(graph_server, "What each puller installed")
    assert ("edge", "1-4", "held") in {(row["puller"], row["deployment"], row["outcome"]) for row in rows}
    (around,) = run(graph_server, "Everything that happened", deployment="1-4")
    assert "held" in {event["kind"] for event in around["events"]}
