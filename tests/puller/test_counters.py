"""What a volume tells for the key figures, and what the functions make of it: over the whole way, exactly once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shared.core.kpis import kpis
from shared.puller.prove import FRESH_SECONDS
from shared.puller.report import Result
from shared.puller.uptime import LONGEST_SECONDS, Uptime
from tests.fakes.clock import FakeClock
from tests.fakes.release_transport import refusal
from tests.fakes.world import skill
from tests.puller.gateway import KILLS, Proving

if TYPE_CHECKING:
    from pathlib import Path

    import httpx


@pytest.fixture
def edge(tmp_path: Path) -> Proving:
    """A volume with a first deployment on it, which nothing was pushed for."""
    built = Proving(tmp_path)
    built.world.deploy(skill("a", "One."))
    assert built.look() is Result.INSTALLED
    return built


def no_reports(request: httpx.Request) -> httpx.Response | None:
    return refusal(503, "X") if request.method == "POST" else None


def today(edge: Proving) -> dict[str, object]:
    """What the functions have counted."""
    stored = edge.world.store.get("pullers/edge.json")
    assert stored is not None
    (day,) = json.loads(stored.data)["days"].values()
    assert isinstance(day, dict)
    return day


def counts(edge: Proving, *keys: str) -> list[object]:
    return [today(edge).get(key, 0) for key in keys]


def installs(edge: Proving) -> list[str]:
    """The events of installs."""
    return [name for name in edge.world.events() if name.endswith(("-installed-edge", "-unproved-edge"))]


def test_an_install_tells_how_long_ago_it_ended_and_how_its_proof_did(edge: Proving) -> None:
    edge.gateway.lag = 3.0
    edge.world.deploy(skill("a", "Two."))
    edge.look()
    told = edge.function.reports[-1]["install"]
    assert told == {"ago_ms": pytest.approx(3000, abs=600), "proof": "holds"}
    assert counts(edge, "installs", "proved", "unproved", "failed") == [2, 2, 0, 0]


def test_latency_is_that_of_the_files_and_not_of_the_proof_or_the_report(edge: Proving) -> None:
    edge.world.deploy(skill("a", "Two."))
    edge.world.clock.move(1.5)  # until the puller looks
    edge.gateway.lag = 5.0
    edge.function.fault = no_reports
    edge.look()
    edge.world.clock.move(600.0)
    edge.function.fault = lambda _: None
    edge.look()
    assert (today(edge)["latency"], today(edge)["slowest_ms"]) == ([0, 0, 1, *[0] * 7], 1500)


def test_an_install_whose_report_gave_way_to_more_urgent_news_is_told_by_that(edge: Proving) -> None:
    edge.function.fault = no_reports
    edge.world.deploy(skill("a", "Two."))
    assert edge.look() is Result.INSTALLED
    edge.function.fault = lambda request: refusal(404, "NO_DEPLOYMENT") if request.method == "GET" else None
    assert edge.look() is Result.REFUSED
    assert edge.function.reports[-1]["outcome"] == "refused"
    assert counts(edge, "installs", "proved") == [2, 2]
    assert today(edge)["latency"] == [1, *[0] * 9]
    assert installs(edge) == ["1-1-installed-edge", "1-2-installed-edge"]


def test_an_install_whose_process_ended_before_it_was_told_still_counts_without_a_latency(edge: Proving) -> None:
    edge.function.fault = no_reports
    edge.world.deploy(skill("a", "Two."))
    edge.look()
    edge.function.fault = lambda _: None
    edge.restart()
    assert edge.look() is Result.CURRENT
    assert "install" not in edge.function.reports[-1]
    assert counts(edge, "installs", "proved", "latency") == [2, 1, 0]
    assert installs(edge) == ["1-1-installed-edge", "1-2-installed-edge"]


def test_a_deployment_that_goes_back_counts_as_failed_once(edge: Proving) -> None:
    edge.world.deploy(skill("a", KILLS))
    assert edge.look() is Result.HELD
    for _ in range(3):
        edge.world.clock.move(61.0)
        edge.look()
    edge.restart()
    edge.look()
    assert counts(edge, "installs", "proved", "failed") == [1, 1, 1]


def test_one_whose_gateway_was_down_counts_as_unproved_and_its_recovery_is_told(edge: Proving) -> None:
    edge.gateway.is_down = True
    edge.world.deploy(skill("a", "Two."))
    assert edge.look() is Result.UNPROVED
    edge.gateway.is_down = False
    edge.world.clock.move(61.0)
    assert edge.look() is Result.CURRENT
    assert counts(edge, "installs", "proved", "unproved", "failed") == [2, 1, 1, 0]
    assert installs(edge) == ["1-1-installed-edge", "1-2-unproved-edge", "1-2-installed-edge"]


def test_a_repair_is_no_install(edge: Proving) -> None:
    (edge.skills / "a.md").write_text("edited")
    edge.restart()
    assert edge.look() is Result.INSTALLED
    assert counts(edge, "installs", "proved") == [1, 1]


def test_without_a_probe_nothing_is_told_of_a_gateway_or_a_proof(edge: Proving) -> None:
    edge.probe = None
    edge.restart()
    edge.world.deploy(skill("a", "Two."))
    edge.look()
    assert edge.function.reports[-1]["install"] == {"ago_ms": 0}
    assert "gateway" not in edge.function.reports[-1]
    assert counts(edge, "installs", "proved") == [2, 1]


# The gateway


def idle(edge: Proving, seconds: float, every: float = 2.0) -> None:
    for _ in range(round(seconds / every)):
        edge.world.clock.move(every)
        edge.look()


def uptime(edge: Proving) -> float:
    stored = edge.world.store.get("pullers/edge.json")
    assert stored is not None
    found = kpis(edge.world.summary, [json.loads(stored.data)], edge.world.clock.now())["indicators"]
    return next(each["value"] for each in found if each["name"] == "gateway_uptime")  # type: ignore[attr-defined]


def test_an_idle_puller_looks_at_its_gateway_about_once_a_minute(edge: Proving) -> None:
    edge.gateway.looks = 0
    idle(edge, 600.0)
    assert edge.gateway.looks == 10
    (watched, up) = counts(edge, "watched_ms", "up_ms")
    assert watched == up == pytest.approx(600_000, abs=1000 * FRESH_SECONDS)


def test_it_looks_on_while_the_release_function_does_not_answer(edge: Proving) -> None:
    idle(edge, 60.0)
    edge.function.fault = lambda _: refusal(503, "X")
    edge.gateway.looks = 0
    passed = edge.seconds(lambda: idle(edge, 300.0))
    assert edge.gateway.looks == pytest.approx(passed / FRESH_SECONDS, abs=1)
    edge.gateway.is_down = True
    passed = edge.seconds(lambda: idle(edge, 300.0))
    edge.gateway.is_down = False
    edge.function.fault = lambda _: None
    idle(edge, 120.0)
    watched, up = counts(edge, "watched_ms", "up_ms")
    assert isinstance(watched, int)
    assert watched - int(str(up)) == pytest.approx(1000 * passed, abs=1000 * FRESH_SECONDS)


def test_a_short_restart_behind_an_install_does_not_weigh_more_than_its_time(edge: Proving) -> None:
    """The proof asks many times in these seconds, and once in a minute on every other day."""
    idle(edge, 3600.0)

    def restarts() -> None:
        edge.gateway.is_down = edge.world.clock.monotonic() < began + 2.0

    edge.world.deploy(skill("a", "Two."))
    edge.gateway.look()
    began = edge.world.clock.monotonic()
    edge.gateway.on_look = lambda: restarts() if (edge.skills / "a.md").read_bytes().endswith(b"Two.\n") else None
    assert edge.look() is Result.INSTALLED
    idle(edge, 120.0)
    assert uptime(edge) > 0.999


def test_a_look_that_was_broken_off_says_nothing_of_the_gateway(edge: Proving) -> None:
    before = edge.follower.prover.uptime.document()  # type: ignore[union-attr]
    edge.gateway.stops_at = 0
    edge.world.clock.move(30.0)
    edge.follower.prover.look()  # type: ignore[union-attr]
    assert edge.follower.prover.uptime.document() == before  # type: ignore[union-attr]


def test_of_a_long_sleep_only_so_much_was_watched() -> None:
    clock = FakeClock()
    counter = Uptime(clock)
    for seconds, healthy in ((5.0, True), (10.0, True), (20.0, False), (9000.0, True)):
        clock.move(seconds)
        counter.note(healthy=healthy)
    watched = 30.0 + LONGEST_SECONDS
    assert counter.document() == {
        "since": "2026-11-21T12:00:00.000Z",
        "watched_ms": 1000 * watched,
        "up_ms": 1000 * (watched - 20.0),
    }
