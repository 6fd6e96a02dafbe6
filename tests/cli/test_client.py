"""Calls to the functions: what is asked again and what is not, what is never followed, and that each fault has one sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.cli import client as calls
from shared.cli.client import LONGEST_PAUSE_SECONDS, Client
from shared.cli.exits import Exit, exit_of
from shared.config import load_settings
from shared.errors import ConfigError, SkillSyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "k" * 40
DOWN = httpx.Response(
    503, json={"error": "the store is down", "code": "STORE_UNAVAILABLE"}, headers={"Retry-After": "3"}
)


class Line:
    """A client on a line that does as it is told, and what went over it."""

    def __init__(self, *does: httpx.Response | Exception, **settings: str) -> None:
        self.asked: list[httpx.Request] = []
        self.paused: list[float] = []
        told = list(does)

        def answer(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            now = told.pop(0) if len(told) > 1 else told[0]
            if isinstance(now, Exception):
                raise now
            return now

        found = {"SKILL_SYNC_URL": "https://u:secretpw@host.example/fn/", "MANUAL_SYNC_API_KEY": f"{KEY}\n{'o' * 40}"}
        self.client = Client(load_settings(found | settings), httpx.MockTransport(answer), self.paused.append)

    def fault(self, call: Callable[[Client], object]) -> SkillSyncError:
        with pytest.raises(SkillSyncError) as caught:
            call(self.client)
        assert KEY not in caught.value.message
        assert "secretpw" not in caught.value.message
        return caught.value


def get(client: Client) -> object:
    return client.get("/api/deployments", limit=3, before=None)


def post(client: Client) -> object:
    return client.post("/api/rollback", {"to": "1-1"})


def good(**document: object) -> httpx.Response:
    return httpx.Response(200, json=document)


def test_the_newest_key_goes_in_a_header_to_the_address_that_is_set() -> None:
    line = Line(good(ok=1))
    assert get(line.client) == {"ok": 1}
    (request,) = line.asked
    assert request.url.copy_with(userinfo=b"") == "https://host.example/fn/api/deployments?limit=3"
    assert request.headers["x-api-key"] == KEY
    assert request.extensions["timeout"] == {"connect": 5.0, "read": 30.0, "write": 30.0, "pool": 30.0}


def test_health_goes_without_a_key() -> None:
    line = Line(good(status="healthy"), MANUAL_SYNC_API_KEY="")
    assert line.client.health() == {"status": "healthy"}
    assert "x-api-key" not in line.asked[0].headers
    assert line.fault(get).code == "CONFIG_MISSING"


def test_an_unhealthy_service_is_an_answer_and_not_asked_again() -> None:
    line = Line(httpx.Response(503, json={"status": "unhealthy", "services": {}}))
    assert line.client.health()["status"] == "unhealthy"
    assert (len(line.asked), line.paused) == (1, [])


@pytest.mark.parametrize("fault", [httpx.ConnectError("no"), httpx.RemoteProtocolError("gone"), httpx.ReadError("cut")])
def test_a_question_is_asked_three_times_before_it_is_given_up(fault: httpx.TransportError) -> None:
    line = Line(fault)
    assert (line.fault(get).code, len(line.asked), line.paused) == ("UNREACHABLE", 3, [0.5, 1.0])
    line = Line(fault, fault, good(ok=1))
    assert get(line.client) == {"ok": 1}


def test_a_question_that_was_waited_for_half_a_minute_is_not_asked_again() -> None:
    line = Line(httpx.ReadTimeout("slow"))
    assert (line.fault(get).code, len(line.asked)) == ("UNREACHABLE", 1)


def test_retry_after_is_obeyed_up_to_a_bound_and_then_told() -> None:
    line = Line(DOWN, DOWN, good(ok=1))
    assert (get(line.client), line.paused) == ({"ok": 1}, [3.0, 3.0])
    long = httpx.Response(503, json={"error": "down", "code": "X"}, headers={"Retry-After": "11"})
    line = Line(long)
    assert LONGEST_PAUSE_SECONDS < 11
    fault = line.fault(get)
    assert (fault.message, fault.code, len(line.asked), line.paused) == ("down; try again in 11 s", "X", 1, [])


@pytest.mark.parametrize("told", ["-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "²"])
def test_a_retry_after_that_is_no_number_of_seconds_is_left_aside(told: str) -> None:
    headers = [(b"Retry-After", told.encode())]
    line = Line(httpx.Response(503, json={"error": "down", "code": "X"}, headers=headers))
    assert (line.fault(get).code, line.paused) == ("X", [0.5, 1.0])


@pytest.mark.parametrize(
    ("does", "code"),
    [
        (DOWN, "STORE_UNAVAILABLE"),
        (httpx.ConnectError("no"), "UNREACHABLE"),
        (httpx.ReadTimeout("slow"), "OUTCOME_UNKNOWN"),
        (httpx.RemoteProtocolError("gone"), "OUTCOME_UNKNOWN"),
    ],
)
def test_a_change_is_asked_for_once_whatever_happens(does: httpx.Response | Exception, code: str) -> None:
    line = Line(does)
    fault = line.fault(post)
    assert (fault.code, len(line.asked), line.paused, exit_of(fault)) == (code, 1, [], Exit.UNAVAILABLE)


def test_a_redirect_is_not_followed_and_the_key_stays_here() -> None:
    line = Line(httpx.Response(302, headers={"Location": "https://elsewhere.example/"}))
    assert (line.fault(get).code, line.fault(post).code) == ("REDIRECTED", "REDIRECTED")
    assert {request.url.host for request in line.asked} == {"host.example"}


def test_an_answer_is_read_up_to_a_bound_in_size_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 65_536

    line = Line(httpx.Response(200, content=endless()))
    assert line.fault(get).code == "ANSWER_TOO_LARGE"
    monkeypatch.setattr(calls, "CALL_SECONDS", -1.0)
    line = Line(httpx.Response(200, content=endless()))
    assert (line.fault(get).code, len(line.asked)) == ("UNREACHABLE", 1)


@pytest.mark.parametrize(
    ("status", "body", "code", "exit_status"),
    [
        (200, b"<html>", "ANSWER_INVALID", Exit.UNAVAILABLE),
        (200, b"[1]", "ANSWER_INVALID", Exit.UNAVAILABLE),
        (200, b'{"a": NaN}', "ANSWER_INVALID", Exit.UNAVAILABLE),
        (400, {"code": "LIMIT_INVALID"}, "LIMIT_INVALID", Exit.USAGE),
        (401, {"code": "API_KEY_INVALID"}, "API_KEY_INVALID", Exit.DENIED),
        (403, b"<html>Forbidden", "DENIED", Exit.DENIED),
        (404, b"<html>", "ANSWER_INVALID", Exit.UNAVAILABLE),
        (404, {"code": "ROUTE_UNKNOWN"}, "ROUTE_UNKNOWN", Exit.UNAVAILABLE),
        (404, {"code": "DEPLOYMENT_UNKNOWN"}, "DEPLOYMENT_UNKNOWN", Exit.FAILED),
        (409, {"code": "BUSY"}, "BUSY", Exit.BUSY),
        (409, {"code": "pointer_unverifiable"}, "pointer_unverifiable", Exit.FAILED),
        (409, {"code": "PAUSED", "reasons": 5}, "PAUSED", Exit.PAUSED),
        (413, {"code": "BODY_TOO_LARGE"}, "BODY_TOO_LARGE", Exit.FAILED),
        (429, {"code": "X"}, "X", Exit.UNAVAILABLE),
        (500, {"code": "INTERNAL"}, "INTERNAL", Exit.UNAVAILABLE),
        (502, {"code": "SOURCE_DENIED"}, "SOURCE_DENIED", Exit.UNAVAILABLE),
    ],
)
def test_each_refusal_has_its_code_and_its_exit_status(status: int, body: object, code: str, exit_status: Exit) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fault = Line(httpx.Response(status, content=content)).fault(post)
    assert (fault.code, exit_of(fault)) == (code, exit_status)


@pytest.mark.parametrize(
    "url", ["host.example", "ftp://host", "https://", "http://user@", "https://h/?a=1", "x" * 70_000]
)
def test_an_address_that_is_none_is_named_before_anything_is_asked(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Line(good(), SKILL_SYNC_URL=url)
    assert (caught.value.code, exit_of(caught.value)) == ("CONFIG_INVALID", Exit.CONFIG)


def test_a_key_that_no_header_can_hold_is_named() -> None:
    line = Line(good(), MANUAL_SYNC_API_KEY="ä" * 40)
    assert line.fault(get).code == "CONFIG_INVALID"
    assert not line.asked


def test_a_proxy_that_cannot_be_used_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://proxy")
    client = Client(load_settings({"SKILL_SYNC_URL": "https://host.example", "MANUAL_SYNC_API_KEY": KEY}))
    with pytest.raises(ConfigError) as caught:
        get(client)
    assert caught.value.code == "NETWORK_SETTINGS_INVALID"
