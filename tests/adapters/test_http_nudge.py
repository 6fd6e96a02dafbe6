"""Nudges to real servers on this machine: whatever they do, the others are told, and nobody waits for long."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from shared.adapters.http_nudge import TOTAL_SECONDS, HttpNudge
from tests.fakes.listeners import answering, pullers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

ENVELOPE = b'{"payload":"e30="}'
SHORT = 0.8
SLACK = 1.0
"""What a busy machine may add to a wait."""


def hanging(handler: BaseHTTPRequestHandler) -> None:
    handler.server.ended.wait(30)  # type: ignore[attr-defined]


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """The head of the answer comes byte by byte, and never ends."""
    while not handler.server.ended.wait(0.01):  # type: ignore[attr-defined]
        handler.wfile.write(b"H")


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.ended.is_set():  # type: ignore[attr-defined]
        handler.wfile.write(b"x" * 65536)


def babbling(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"this is no HTTP\r\n\r\n")


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    """What a nudge gave up may still log something, which must not reach the next test."""
    yield
    for thread in [thread for thread in threading.enumerate() if thread.name == "nudge"]:
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def a_closed_port() -> Iterator[str]:
    with socket.socket() as bound:  # bound, so that nobody else gets it, and never listening
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/nudge"


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def timed(nudge: HttpNudge) -> float:
    started = time.monotonic()
    nudge(ENVELOPE)
    return time.monotonic() - started


def test_every_puller_gets_the_envelope_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pullers(answering(204), answering(200), answering(202)) as found:
        HttpNudge([puller.url for puller in found])(ENVELOPE)
        assert [puller.taken for puller in found] == [[("/nudge", "application/json", ENVELOPE)]] * 3
    assert logged(capsys) == []


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_an_answer_that_is_no_success_is_logged_and_not_tried_again(
    status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pullers(answering(status)) as (puller,):
        HttpNudge([puller.url])(ENVELOPE)
        assert len(puller.taken) == 1
    (line,) = logged(capsys)
    assert (line["message"], line["host"], line["status"]) == ("A nudge was not taken", "127.0.0.1", status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pullers(answering(204)) as (other,), pullers(answering(status, Location=other.url)) as (puller,):
        HttpNudge([puller.url])(ENVELOPE)
        assert (len(puller.taken), other.taken) == (1, [])
    assert [line["status"] for line in logged(capsys)] == [status]


@pytest.mark.parametrize("bad", [hanging, dripping, endless, babbling, answering(500)])
def test_a_good_puller_among_bad_ones_is_told_and_nobody_waits_longer_than_allowed(
    bad: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    with a_closed_port() as closed, pullers(bad, answering(204), bad) as found:
        one, good, other = (puller.url for puller in found)
        assert timed(HttpNudge([closed, one, good, other], seconds=SHORT)) < SHORT + SLACK
        assert [len(puller.taken) for puller in found] == [1, 1, 1]


def test_a_body_without_end_is_not_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pullers(endless) as (puller,):
        assert timed(HttpNudge([puller.url])) < TOTAL_SECONDS
    assert logged(capsys) == []


def test_hanging_pullers_together_cost_no_more_than_two_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with pullers(*[hanging] * 12) as found:
        assert timed(HttpNudge([puller.url for puller in found])) < TOTAL_SECONDS + SLACK
        assert [len(puller.taken) for puller in found] == [1] * 12
    # On a busy machine the loop may not have closed all of them in time.
    assert {line["message"] for line in logged(capsys)} <= {"A nudge did not arrive", "A nudge was given up"}


def test_who_does_not_listen_is_logged_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with a_closed_port() as closed:
        assert timed(HttpNudge([closed])) < TOTAL_SECONDS
    assert [(line["message"], line["error"]) for line in logged(capsys)] == [("A nudge did not arrive", "ConnectError")]


def test_a_connection_that_fails_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [1]
    connect = socket.socket.connect

    def refused_at_first(self: socket.socket, address: object) -> object:
        if refusals and self.type == socket.SOCK_STREAM and address[1] == port:  # type: ignore[index]
            refusals.pop()
            raise ConnectionRefusedError
        return connect(self, address)  # type: ignore[arg-type]

    with pullers(answering(204)) as (puller,):
        port = puller.server_port
        monkeypatch.setattr(socket.socket, "connect", refused_at_first)
        HttpNudge([puller.url])(ENVELOPE)
        assert (refusals, len(puller.taken)) == ([], 1)


def test_a_host_whose_name_is_looked_up_for_ever_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = threading.Event()

    def never(*_: object, **__: object) -> list[object]:
        found.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", never)
    try:
        assert timed(HttpNudge(["http://localhost:9/nudge"], seconds=SHORT)) < SHORT + SLACK
        messages = [line["message"] for line in logged(capsys)]
        assert messages[-1] == "A nudge was given up"
    finally:
        found.set()


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/nudge", "http://[::1/nudge", "ftp://127.0.0.1/", "nonsense"])
def test_an_address_that_is_none_harms_nobody(url: str) -> None:
    with pullers(answering(204)) as (puller,):
        HttpNudge([url, puller.url])(ENVELOPE)
        assert len(puller.taken) == 1


def test_an_address_with_a_secret_in_it_is_logged_by_its_host_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pullers(answering(500)) as (puller,):
        HttpNudge([f"{puller.url}?key=s3cret"])(ENVELOPE)
    assert "s3cret" not in json.dumps(logged(capsys))
