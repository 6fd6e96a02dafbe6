"""The nudge: a signed pointer ends the pause before the next look, and nothing else that anybody could send does anything."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.adapters.signer import Ed25519Signer, new_seed
from shared.core.envelope import MAX_ENVELOPE_BYTES
from shared.core.names import CURRENT
from shared.core.pointer import sign_pointer
from shared.puller.clock import Bell
from shared.puller.nudge import Nudged, take_nudge
from shared.puller.server import MAX_CONNECTIONS, StatusServer
from tests.fakes.clock import FakeClock
from tests.fakes.world import SIGNER, skill
from tests.puller.edge import Edge
from tests.puller.running import Slow, serving
from tests.puller.test_main import wait_until
from tests.stage import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    built = Edge(tmp_path)
    built.world.deploy(skill("a", "One."))
    built.look()
    return built


def live(edge: Edge) -> bytes:
    stored = edge.world.store.get(CURRENT)
    assert stored is not None
    return stored.data


def nudged(edge: Edge, envelope: bytes) -> tuple[Nudged, int]:
    rung: list[None] = []
    return take_nudge(envelope, edge.follower, lambda: rung.append(None)), len(rung)


def test_a_new_deployment_ends_the_pause_and_installs_nothing_by_itself(edge: Edge) -> None:
    before = edge.files()
    edge.world.deploy(skill("a", "Two."))
    assert nudged(edge, live(edge)) == (Nudged.TAKEN, 1)
    assert edge.files() == before


def test_what_was_accepted_already_wakes_nobody(edge: Edge) -> None:
    first = live(edge)
    assert nudged(edge, first) == (Nudged.KNOWN, 0)
    edge.world.deploy(skill("a", "Two."))
    edge.look()
    assert nudged(edge, first) == (Nudged.KNOWN, 0), "replayed"
    edge.world.clock.move(400)
    edge.world.poll()
    assert nudged(edge, live(edge)) == (Nudged.KNOWN, 0), "only new dates"


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: b"",
        lambda _: b"{}",
        lambda _: b"\xff" * 100,
        lambda edge: live(edge)[:-9],
        lambda edge: sign_pointer(replace(edge.world.pointer, seq=99), Ed25519Signer(new_seed())),
        lambda edge: sign_pointer(replace(edge.world.pointer, seq=99, channel="staging"), SIGNER),
        lambda edge: sign_pointer(replace(edge.world.pointer, seq=99, epoch=9), SIGNER),
    ],
    ids=["empty", "no envelope", "rubbish", "cut", "a stranger's", "another channel's", "another epoch's"],
)
def test_what_no_signer_of_ours_said_of_this_line_is_refused(edge: Edge, forge: Callable[[Edge], bytes]) -> None:
    assert nudged(edge, forge(edge)) == (Nudged.REFUSED, 0)


@pytest.fixture
def served(edge: Edge) -> Iterator[tuple[StatusServer, threading.Event]]:
    rung = threading.Event()
    built = StatusServer(0, FakeClock(), rung.set)
    built.show(edge.follower, 2.0)
    yield built, rung
    built.close()


def post(server: StatusServer, body: bytes, path: str = "/nudge") -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{server.port}{path}", content=body, timeout=5.0)


def test_it_is_answered_with_a_status_and_a_code(edge: Edge, served: tuple[StatusServer, threading.Event]) -> None:
    server, rung = served
    known = post(server, live(edge))
    assert (known.status_code, known.json()) == (200, {"code": "NUDGE_KNOWN"})
    refused = post(server, b"x")
    assert (refused.status_code, refused.json()) == (403, {"code": "NUDGE_REFUSED"})
    assert post(server, b"x" * (MAX_ENVELOPE_BYTES + 1)).status_code == 413
    assert post(server, live(edge), "/status").status_code == 404
    assert not rung.is_set()
    edge.world.deploy(skill("a", "Two."))
    taken = post(server, live(edge))
    assert (taken.status_code, taken.json()) == (202, {"code": "NUDGE_TAKEN"})
    assert rung.is_set()
    server.show(None, 2.0)
    assert post(server, live(edge)).status_code == 503


def test_a_body_of_unknown_length_is_not_read(served: tuple[StatusServer, threading.Event]) -> None:
    server, _ = served
    answer = httpx.post(f"http://127.0.0.1:{server.port}/nudge", content=iter([b"x"]), timeout=5.0)
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_connections_that_say_nothing_leave_room_for_no_more_than_a_few(
    edge: Edge, served: tuple[StatusServer, threading.Event]
) -> None:
    server, _ = served
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=5.0) for _ in range(MAX_CONNECTIONS)]
    try:
        wait_until(lambda: threading.active_count() > MAX_CONNECTIONS)
        with pytest.raises(httpx.HTTPError):
            post(server, live(edge))
    finally:
        for each in idle:
            each.close()

    def is_answered() -> bool:
        try:
            return post(server, live(edge)).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(is_answered)


def test_a_bell_that_rang_before_the_pause_ends_it_too() -> None:
    stop = threading.Event()
    bell = Bell(stop)
    bell.ring()
    began = time.monotonic()
    bell.wait(30.0)
    stop.set()
    bell.wait(30.0)
    assert time.monotonic() - began < 5.0


def test_a_real_puller_that_looks_once_an_hour_installs_at_once_when_it_is_nudged(tmp_path: Path) -> None:
    with serving(tmp_path) as slow:
        assert isinstance(slow, Slow)
        port = free_port()
        with slow.puller(PULL_INTERVAL_SECONDS="3600", PULLER_PORT=str(port)):
            wait_until(slow.is_installed)
            slow.world.deploy(skill("a", "Two."))
            stored = slow.world.store.get(CURRENT)
            assert stored is not None
            answer = httpx.post(f"http://127.0.0.1:{port}/nudge", content=stored.data, timeout=5.0)
            assert answer.status_code == 202
            wait_until(slow.is_installed)
