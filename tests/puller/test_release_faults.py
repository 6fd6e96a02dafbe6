"""A release function that is slow, breaks off or never ends, over real HTTP: what is installed stays, and then all goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.core.states import Condition
from shared.puller.follow import Result
from tests.fakes.clock import FakeClock
from tests.fakes.release_transport import KEY, ReleaseFunction
from tests.fakes.world import World, skill
from tests.git_server import Fault, GitServer, Received, Reply
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_SECONDS = 0.25
"""How long a read may wait here; the puller's own patience is forty times that."""
HURRY = 100.0
ALWAYS = 10_000
_BODY = 200
"""So many bytes before the end, every body of these tests has begun and is not yet whole."""


class HurriedClock(FakeClock):
    """Stands still but for its monotonic time, which runs a hundred times as fast as the real one."""

    def monotonic(self) -> float:
        return super().monotonic() + HURRY * time.monotonic()


class OverHttp(ReleaseFunction):
    """The release function behind a real server, which can be told to go wrong."""

    def serve(self, folder: Path) -> GitServer:
        self.server = GitServer(folder, routes=self.route)
        headers = {"Authorization": f"Bearer {KEY}"}
        self.http = httpx.Client(base_url=self.server.url(""), headers=headers, timeout=READ_SECONDS)
        return self.server

    def client(self) -> httpx.Client:
        return self.http

    def route(self, received: Received) -> Reply:
        request = httpx.Request(
            received.method, f"http://release.test/{received.path}", headers=received.headers, content=received.body
        )
        answered = self._answer(request)
        headers = {name: text for name, text in answered.headers.items() if name != "content-length"}
        return Reply(answered.status_code, headers, answered.read())


class Wired(Edge):
    """A volume whose puller asks over HTTP. Deployment 1-1 is installed, 1-2 is live."""

    def __init__(self, folder: Path) -> None:
        world = World()
        world.clock = HurriedClock()
        self.wire = OverHttp(world)
        self.wire.serve(folder)
        super().__init__(folder, world)

    def restart(self) -> None:
        self.function = self.wire
        super().restart()

    def target(self, what: str) -> str:
        """A part of the path under which this is asked for."""
        live = self.world.manifest.skills["a"].archive
        return {"pointer": "current", "manifest": self.world.pointer.manifest.sha256, "archive": live}[what]

    def fail(self, what: str, fault: Fault) -> None:
        fault.match, fault.times = self.target(what), ALWAYS
        self.wire.server.fail(fault)


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[Wired]:
    built = Wired(tmp_path)
    with built.wire.server, built.wire.http:
        built.world.deploy(skill("a", "One.", notes="n"), skill("b", "One."))
        assert built.look() is Result.INSTALLED
        built.world.deploy(skill("a", "Two. " * 200), skill("c", "Two."))
        built.function.reports.clear()
        yield built


FAULTS = {
    "no answer at all": lambda: Fault(cut=0),
    "half a head": lambda: Fault(cut=30),
    "a body that breaks off": lambda: Fault(cut=-_BODY),
    "a body that lacks its last byte": lambda: Fault(cut=-1),
    "silence": lambda: Fault(cut=0, then="stall"),
    "a body that goes silent": lambda: Fault(cut=-_BODY, then="stall"),
    "a body that drips": lambda: Fault(cut=-_BODY, then="drip"),
    "a body without end": lambda: Fault(Reply(200, chunked=True), cut=-5, then="flood"),
    "an error without end": lambda: Fault(Reply(500, chunked=True), cut=-5, then="flood"),
    "much too long a body": lambda: Fault(Reply(200, body=bytes(40_000_000))),
    "an error page": lambda: Fault(Reply(502, {}, b"<html>" + bytes(100_000))),
    "a page of somebody else's": lambda: Fault(Reply(200, {}, b"<html>welcome</html>")),
    "nothing in it": lambda: Fault(Reply(200)),
    "a way elsewhere": lambda: Fault(Reply(302, {"Location": "http://127.0.0.1:9/"})),
    "a packed body": lambda: Fault(Reply(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b" + bytes(100))),
    "not modified": lambda: Fault(Reply(304)),
}
CASES = [(what, name) for what in ("pointer", "manifest", "archive") for name in FAULTS]
CASES.remove(("pointer", "not modified"))  # a genuine answer


@pytest.mark.parametrize(("what", "name"), CASES)
def test_while_it_fails_what_is_installed_stays_and_nothing_is_paused_and_then_all_goes_on(
    wired: Wired, what: str, name: str
) -> None:
    before = wired.files()
    wired.fail(what, FAULTS[name]())
    started = time.monotonic()
    assert wired.look() in {Result.UNREACHABLE, Result.REFUSED, Result.FAILED}
    assert time.monotonic() - started < 20
    assert wired.files() == before
    assert wired.follower.state.deployment == "1-1"
    assert wired.follower.standing.condition is not Condition.PAUSED, "nobody signed this"
    wired.wire.server.forget_faults()
    assert wired.look() is Result.INSTALLED
    assert wired.files() == wired.wanted()
    assert wired.reports()[-1][:2] == ("installed", "1-2")
    assert wired.follower.standing.condition is Condition.READY


@pytest.mark.parametrize(
    "name", ["no answer at all", "half a head", "silence", "an error without end", "an error page"]
)
def test_a_report_that_goes_wrong_holds_up_no_install_and_is_sent_again(wired: Wired, name: str) -> None:
    fault = FAULTS[name]()
    fault.match, fault.times = "v1/report", ALWAYS
    wired.wire.server.fail(fault)
    assert wired.look() is Result.INSTALLED
    assert wired.files() == wired.wanted()
    wired.wire.server.forget_faults()
    assert wired.look() is Result.CURRENT
    assert ("installed", "1-2", []) in wired.reports()


@pytest.mark.parametrize("what", ["pointer", "manifest", "archive"])
def test_a_body_that_breaks_off_once_is_asked_for_again_in_the_same_look(wired: Wired, what: str) -> None:
    fault = Fault(cut=-_BODY)
    fault.match = wired.target(what)
    wired.wire.server.fail(fault)
    assert wired.look() is Result.INSTALLED
    assert wired.files() == wired.wanted()


def test_what_never_ends_is_dropped_and_not_kept_in_memory(wired: Wired) -> None:
    wired.fail("archive", Fault(Reply(200, chunked=True), cut=-5, then="flood"))
    assert wired.look() is not Result.INSTALLED
    staged = [path for path in (wired.folder / ".skill-sync").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in staged) < 1_000_000


def test_an_answer_whose_head_drips_is_given_up_like_one_whose_body_drips(wired: Wired) -> None:
    wired.fail("pointer", Fault(Reply(200, {"X-Long": "x" * 600}), cut=20, then="drip"))
    started = time.monotonic()
    assert wired.look() is not Result.INSTALLED
    # Time runs a hundred times as fast: this head would go on for 13 s.
    assert time.monotonic() - started < 4
