"""What the functions hear of a volume: every news once, again until they have taken it, and how things stand each minute."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.core.names import CURRENT
from shared.puller.follow import Result
from tests.fakes.release_transport import refusal
from tests.fakes.world import skill
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    built = Edge(tmp_path)
    built.world.deploy(skill("a", "One."))
    built.look()
    built.function.reports.clear()
    return built


def no_reports(request: httpx.Request) -> httpx.Response | None:
    return refusal(503, "X") if request.method == "POST" else None


def offer(edge: Edge, envelope: bytes) -> None:
    stored = edge.world.store.get(CURRENT)
    assert stored is not None
    edge.world.store.put(CURRENT, envelope, if_generation=stored.generation)


def live_envelope(edge: Edge) -> bytes:
    stored = edge.world.store.get(CURRENT)
    assert stored is not None
    return stored.data


def test_a_report_says_all_of_the_contract(edge: Edge) -> None:
    (edge.skills / "b.md").write_text("foreign")
    edge.world.deploy(skill("a", "One."), skill("b"))
    edge.look()
    (report,) = edge.function.reports
    assert set(report) == {
        *("outcome", "deployment", "manifest", "installed_at", "at", "reasons", "displaced", "floor"),
        *("state", "trust_version", "install"),
    }
    assert report["install"] == {"ago_ms": 0}
    assert (report["outcome"], report["deployment"], report["displaced"]) == ("installed", "1-2", ["b.md"])
    assert report["manifest"] == edge.world.pointer.manifest.sha256
    assert report["installed_at"] == report["at"] == "2026-11-21T12:00:00.000Z"


def test_an_install_whose_report_fails_is_still_told_as_an_install(edge: Edge) -> None:
    (edge.skills / "b.md").write_text("foreign")
    edge.world.deploy(skill("a", "One."), skill("b"))
    edge.function.fault = no_reports
    edge.look()
    edge.look()
    edge.function.fault = lambda _: None
    edge.look()
    edge.look()
    assert edge.reports() == [("installed", "1-2", [])]
    assert edge.function.reports[0]["displaced"] == ["b.md"]


def test_a_lasting_fault_of_reports_is_logged_once(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.world.deploy(skill("a", "Two."))
    edge.function.fault = no_reports
    capsys.readouterr()
    for _ in range(5):
        edge.look()
    assert capsys.readouterr().out.count("The report was not taken") == 1


def test_a_report_that_is_refused_for_good_is_not_sent_again(edge: Edge) -> None:
    edge.world.deploy(skill("a", "Two."))
    edge.function.fault = lambda request: refusal(400, "REPORT_INVALID") if request.method == "POST" else None
    for _ in range(3):
        edge.look()
    assert edge.function.served.count("POST /v1/report") == 2, "the fixture's, and the refused one"


def test_each_reason_is_reported_once_also_when_two_take_turns(edge: Edge) -> None:
    live = live_envelope(edge)
    for envelope in (b"{}", b"", b"{}", b"[]"):
        offer(edge, envelope)
        edge.look()
        edge.function.fault = lambda request: refusal(404, "NO_DEPLOYMENT") if request.method == "GET" else None
        edge.look()
        edge.function.fault = lambda _: None
    assert [item[2] for item in edge.reports()] == [["pointer_unverifiable"], ["NO_DEPLOYMENT"]]
    offer(edge, live)
    assert edge.look() is Result.CURRENT
    assert edge.reports()[-1] == ("current", "1-1", []), "that all is well again is news"
    offer(edge, b"{}")
    edge.look()
    assert edge.reports()[-1][0] == "refused", "and so is the next trouble"


def test_the_heartbeat_repeats_how_things_stand(edge: Edge) -> None:
    offer(edge, b"{}")
    for _ in range(7):
        edge.look()
        edge.world.clock.move(20)
    assert edge.reports() == [("refused", "1-1", ["pointer_unverifiable"])] * 3


def test_a_pointer_that_only_ever_stands_still_expires(edge: Edge) -> None:
    edge.look()
    edge.world.clock.move(3600)
    before = edge.files()
    assert [edge.look(), edge.look()] == [Result.REFUSED] * 2
    assert edge.reports() == [("refused", "1-1", ["pointer_expired"])]
    assert edge.files() == before
    edge.world.poll()
    assert edge.look() is Result.CURRENT


def test_a_store_that_was_emptied_is_told_and_changes_nothing(edge: Edge) -> None:
    before = edge.files()
    edge.function.fault = lambda request: refusal(404, "NO_DEPLOYMENT") if request.method == "GET" else None
    assert edge.look() is Result.REFUSED
    assert edge.reports() == [("refused", "1-1", ["NO_DEPLOYMENT"])]
    assert edge.files() == before


def test_a_silent_release_function_is_logged_once_asked_less_often_and_found_again(
    edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.world.deploy(skill("a", "Two."))
    edge.function.fault = lambda _: refusal(503, "X")
    capsys.readouterr()
    pauses = []
    for _ in range(8):
        assert edge.look() is Result.UNREACHABLE
        pauses.append(edge.follower.pause_seconds(2.0))
    assert (pauses[0], pauses[-1], pauses) == (4.0, 10.0, sorted(pauses))
    assert capsys.readouterr().out.count("The release function gave nothing") == 1
    edge.function.fault = lambda _: None
    assert edge.look() is Result.INSTALLED
    assert edge.follower.pause_seconds(2.0) == 2.0


@pytest.mark.parametrize(("asked", "pause"), [("5", 5.0), ("20", 20.0), ("3600", 30.0)])
def test_a_release_function_that_says_when_to_come_again_is_obeyed_within_reason(
    edge: Edge, asked: str, pause: float
) -> None:
    edge.function.fault = lambda _: httpx.Response(503, headers={"Retry-After": asked})
    edge.look()
    assert edge.follower.pause_seconds(2.0) == pause


def test_a_bundle_that_is_refused_is_fetched_less_and_less_often_but_a_pointer_is_looked_at_as_ever(edge: Edge) -> None:
    live = live_envelope(edge)
    offer(edge, b"{}")
    edge.look()
    assert edge.follower.pause_seconds(2.0) == 2.0
    offer(edge, live)
    edge.world.deploy(skill("a", "Two."))
    edge.function.fault = lambda request: (
        httpx.Response(200, content=b"x") if "/v1/objects/" in request.url.path else None
    )
    pauses = []
    for _ in range(6):
        assert edge.look() is Result.REFUSED
        pauses.append(edge.follower.pause_seconds(2.0))
    assert (pauses[0], pauses[-1], pauses) == (4.0, 30.0, sorted(pauses))


def test_a_volume_that_is_pinned_to_another_line_begins_anew_there(edge: Edge) -> None:
    edge.world.deploy(skill("a", "Two."))
    edge.look()
    own = edge.folder / ".skill-sync" / "state.json"
    own.write_text(own.read_text().replace('"octo/skills"', '"octo/former"'))
    first = edge.world.store.get("deployments/1-1.json")
    assert first is not None
    offer(edge, first.data)
    edge.restart()
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()


def test_a_state_without_what_was_added_later_is_no_damaged_one(edge: Edge) -> None:
    edge.world.deploy(skill("a", "Two."))
    edge.look()
    own = edge.folder / ".skill-sync" / "state.json"
    document = {key: value for key, value in json.loads(own.read_text()).items() if key not in {"line", "displaced"}}
    own.write_text(json.dumps(document | {"installing": {}}))
    first = edge.world.store.get("deployments/1-1.json")
    assert first is not None
    offer(edge, first.data)
    edge.restart()
    assert edge.look() is Result.REFUSED, "the floor is still known"
    assert list(own.parent.glob("state.damaged-*")) == []


def test_what_is_changed_while_a_report_is_on_its_way_is_told_in_the_next_one(edge: Edge) -> None:
    taken = edge.function.transport()

    def lost(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        edge.function.fault = lambda _: None
        taken.handle_request(request)
        edge.function.fault = lost
        return refusal(503, "X")  # it was taken, and nobody heard of it

    edge.function.fault = lost
    for path in ("a.md", "a/SKILL.md"):
        (edge.skills / path).write_bytes(b"edited")
        edge.world.clock.move(60.0)
        edge.look()
        edge.world.clock.move(2.0)
        edge.look()
    edge.function.fault = lambda _: None
    edge.look()
    edge.look()
    events = [
        json.loads(stored.data)
        for name in edge.world.store.list("events/")
        if (stored := edge.world.store.get(name.name))
    ]
    told = [item["path"] for event in events if event["kind"] == "drift" for item in event["files"]]
    assert told == ["a.md", "a/SKILL.md"]
