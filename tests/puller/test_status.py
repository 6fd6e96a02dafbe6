"""The puller's own word over HTTP: the same three answers as the functions give, on this machine only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from shared.puller.server import StatusServer
from tests.fakes.clock import FakeClock
from tests.fakes.release_transport import refusal
from tests.fakes.world import skill
from tests.puller.edge import Edge
from tests.puller.test_attacks import a_mismatch_that_goes_away_by_itself, an_epoch_that_is_published

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    built = Edge(tmp_path)
    for text in ("One.", "Two.", "Three."):
        built.world.deploy(skill("a", text))
        built.look()
    return built


@pytest.fixture
def server() -> Iterator[StatusServer]:
    built = StatusServer(0, FakeClock())
    yield built
    built.close()


def ask(server: StatusServer, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{server.port}{path}", timeout=5.0)


def test_it_tells_what_is_served_and_that_all_is_well(edge: Edge, server: StatusServer) -> None:
    server.show(edge.follower, 2.0)
    assert ask(server, "/api/operational-state").json() == {
        "state": "READY",
        "since": None,
        "reasons": [],
        "serving": "1-3",
        "deploys_allowed": True,
    }
    told = ask(server, "/api/dr-state").json()
    assert (told["match_status"], told["next_action"], told["remembered"]["seq"]) == ("match", "none", 3)
    assert (told["store"]["deployment"], told["trust"]["version"]) == ("1-3", 1)
    boot = ask(server, "/api/boot-status").json()
    assert (boot["ready"], boot["first_failed"], len(boot["gates"])) == (True, None, 9)


def test_while_paused_it_tells_why_since_when_and_what_to_do_and_serves_on(edge: Edge, server: StatusServer) -> None:
    server.show(edge.follower, 2.0)
    a_mismatch_that_goes_away_by_itself(edge)
    told = ask(server, "/api/operational-state").json()
    assert (told["state"], told["reasons"], told["serving"], told["deploys_allowed"]) == (
        "PAUSED",
        ["mismatch_detected"],
        "1-3",
        False,
    )
    assert told["since"] == "2026-11-21T12:00:00.000Z"
    told = ask(server, "/api/dr-state").json()
    assert told["match_status"] == "mismatch_detected"
    assert "epoch bump" in told["next_action"]
    assert told["pauses"] == [{"reason": "mismatch_detected", "epoch": 1, "since": "2026-11-21T12:00:00.000Z"}]
    assert ask(server, "/api/boot-status").json()["first_failed"] == 6
    an_epoch_that_is_published(edge)
    assert ask(server, "/api/operational-state").json()["state"] == "READY"
    assert ask(server, "/api/dr-state").json()["pauses"] == []


def test_before_the_first_look_nothing_is_known(tmp_path: Path, server: StatusServer) -> None:
    assert ask(server, "/api/boot-status").status_code == 503
    server.show(Edge(tmp_path).follower, 2.0)
    told = ask(server, "/api/dr-state").json()
    assert (told["match_status"], told["store"], told["remembered"]) == ("unknown", None, None)


def test_nothing_else_is_answered(edge: Edge, server: StatusServer) -> None:
    server.show(edge.follower, 2.0)
    assert ask(server, "/").status_code == 404
    assert ask(server, "/api/dr-state?x=1").status_code == 200
    assert httpx.post(f"http://127.0.0.1:{server.port}/api/dr-state", timeout=5.0).status_code == 404


def test_a_port_that_is_taken_is_said(server: StatusServer) -> None:
    with pytest.raises(OSError, match="in use"):
        StatusServer(server.port, FakeClock())


# For monitors


@pytest.fixture
def watched(edge: Edge) -> Iterator[StatusServer]:
    """A server on the volume's own clock, which looks every two seconds."""
    built = StatusServer(0, edge.world.clock)
    built.show(edge.follower, 2.0)
    yield built
    built.close()


def test_the_status_names_what_is_installed_and_how_looks_ended(edge: Edge, watched: StatusServer) -> None:
    edge.look()
    told = ask(watched, "/status").json()
    assert (told["state"], told["reasons"], told["deployment"], told["installing"]) == ("READY", [], "1-3", False)
    assert (told["skills"], told["trust_version"], told["looks"]) == (1, 1, {"installed": 3, "current": 1})
    assert told["manifest"] == edge.world.pointer.manifest.sha256
    assert told["last_look"] == told["installed_at"] == "2026-11-21T12:00:00.000Z"


def test_it_is_red_when_nothing_was_verified_for_three_polls(edge: Edge, watched: StatusServer) -> None:
    assert ask(watched, "/healthz").status_code == 200
    edge.function.fault = lambda _: refusal(503, "BUSY")
    edge.world.clock.move(6.0)
    edge.look()
    answer = ask(watched, "/healthz")
    assert (answer.status_code, answer.json()) == (503, {"ok": False, "state": "DEGRADED"})
    edge.function.fault = lambda _: None
    edge.look()
    assert ask(watched, "/healthz").json() == {"ok": True, "state": "READY"}
    edge.world.clock.move(6.0)
    assert ask(watched, "/healthz").status_code == 200
    edge.world.clock.move(0.1)
    assert ask(watched, "/healthz").status_code == 503


def test_it_is_red_while_paused_and_before_the_first_look(edge: Edge, watched: StatusServer) -> None:
    a_mismatch_that_goes_away_by_itself(edge)
    edge.world.clock.move(10.0)
    edge.look()
    assert ask(watched, "/healthz").json() == {"ok": False, "state": "PAUSED"}
    edge.restart()
    watched.show(edge.follower, 2.0)
    assert ask(watched, "/healthz").status_code == 503


def test_the_metrics_are_prometheus_text(edge: Edge, watched: StatusServer) -> None:
    edge.look()
    answer = ask(watched, "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert float(samples.pop("skill_sync_puller_sweep_seconds_total")) > 0
    assert samples == {
        'skill_sync_puller_drift_total{action="kept"}': "0",
        'skill_sync_puller_drift_total{action="repaired"}': "0",
        'skill_sync_puller_drift_total{action="reported"}': "0",
        "skill_sync_puller_failures": "0",
        "skill_sync_puller_up": "1",
        'skill_sync_puller_state{state="READY"}': "1",
        'skill_sync_puller_state{state="DEGRADED"}': "0",
        'skill_sync_puller_state{state="PAUSED"}': "0",
        'skill_sync_puller_looks_total{outcome="current"}': "1",
        'skill_sync_puller_looks_total{outcome="failed"}': "0",
        'skill_sync_puller_looks_total{outcome="held"}': "0",
        'skill_sync_puller_looks_total{outcome="unproved"}': "0",
        'skill_sync_puller_looks_total{outcome="installed"}': "3",
        'skill_sync_puller_looks_total{outcome="refused"}': "0",
        'skill_sync_puller_looks_total{outcome="unreachable"}': "0",
        "skill_sync_puller_skills": "1",
        "skill_sync_puller_trust_version": "1",
    }
    named = {line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE")}
    assert {name.partition("{")[0] for name in samples} | {"skill_sync_puller_sweep_seconds_total"} == named
