"""What a request may cost in time, tries and bytes, and that nothing foreign comes out of a failure."""

from __future__ import annotations

import gzip
import logging
import os
import threading
import time
import traceback
import zlib
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest

from shared.adapters.github_body import Budget, gunzip
from shared.adapters.github_http import Ask, Wire
from shared.errors import RejectedError, SkillSyncError, UnavailableError
from tests.adapters.test_github_fake import TOKEN, FakeGitHub, answer, api
from tests.fakes.clock import FakeClock
from tests.git_server import Fault, GitServer, Received, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WHERE = "https://api.github.com/repos/octo/skills"
URL = f"{WHERE}/thing"
ZEROS = bytes(8 * 2**20)


def ask(limit: int = 1000, url: str = URL, **headers: str) -> Ask:
    return Ask(url=url, headers={"Authorization": f"Bearer {TOKEN}", **headers}, budget=Budget(limit, WHERE))


def send(fake: FakeGitHub, what: Ask | None = None, *, clock: FakeClock | None = None, **options: Any) -> bytes | None:  # noqa: ANN401 - passed on as they are
    seconds: Callable[[], float] = options.get("seconds", lambda: 30.0)
    return Wire(WHERE, clock or FakeClock(), fake.transport()).send(what or ask(), b"".join, seconds).content


def fails(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def respond(_: httpx.Request) -> httpx.Response:
        raise error

    return respond


class Counted(httpx.SyncByteStream):
    """A body that tells how much of it was read, and may break off."""

    def __init__(self, pieces: Iterator[bytes], *, error: Exception | None = None) -> None:
        self._pieces = pieces
        self._error = error
        self.read = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.read += len(piece)
            yield piece
        if self._error:
            raise self._error

    def close(self) -> None:
        self.closed = True


def endless(size: int = 1024) -> Iterator[bytes]:
    while True:
        yield bytes(size)


# tries


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_passing_status_is_tried_twice_more_with_short_pauses(status: int) -> None:
    fake, clock = FakeGitHub(), FakeClock()
    fake.reply("/thing", status, times=2)
    fake.reply("/thing", 200, b"here")
    assert send(fake, clock=clock) == b"here"
    assert clock.slept == [0.2, 0.8]


def test_a_status_that_does_not_pass_is_handed_on_after_the_third_try() -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 503, times=9)
    assert send(fake) is None
    assert len(fake.asked) == 3


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 409, 422, 429, 451, 501])
def test_any_other_status_is_handed_on_at_once(status: int) -> None:
    fake = FakeGitHub()
    fake.reply("/thing", status, b"why", {"Location": "https://evil.example/"})
    found = Wire(WHERE, FakeClock(), fake.transport()).send(ask(), b"".join, lambda: 30.0)
    assert (found.status, found.error, found.content, len(fake.asked)) == (status, b"why", None, 1)


FAILURES = [
    httpx.ConnectError(f"refused {TOKEN}"),
    httpx.ConnectTimeout(f"late {TOKEN}"),
    httpx.ReadTimeout(f"late {TOKEN}"),
    httpx.PoolTimeout(TOKEN),
    httpx.ReadError(TOKEN),
    httpx.RemoteProtocolError(TOKEN),
    httpx.LocalProtocolError(TOKEN),
    httpx.ProxyError(TOKEN),
    httpx.UnsupportedProtocol(TOKEN),
    httpx.DecodingError(TOKEN),
    httpx.InvalidURL(TOKEN),
    httpx.StreamError(TOKEN),
    OSError(TOKEN),
    TimeoutError(TOKEN),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_lost_connection_is_tried_again_and_then_one_of_our_errors(failure: Exception) -> None:
    fake = FakeGitHub()
    fake.do("/thing", fails(failure), times=2)
    fake.reply("/thing", 200, b"here")
    assert send(fake) == b"here"
    fake.do("/thing", fails(failure), times=3)
    with pytest.raises(UnavailableError, match="SOURCE_UNAVAILABLE") as caught:
        send(fake)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert type(failure).__name__ in str(caught.value)
    assert TOKEN not in shown


def test_a_body_that_breaks_off_is_asked_for_again() -> None:
    fake = FakeGitHub()
    cut = Counted(iter([b"he"]), error=httpx.RemoteProtocolError("cut"))
    fake.do("/thing", lambda _: httpx.Response(200, stream=cut))
    fake.reply("/thing", 200, b"here")
    assert send(fake) == b"here"
    assert cut.closed


# time


def test_nothing_is_sent_when_the_time_is_over() -> None:
    fake = FakeGitHub()
    with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
        send(fake, seconds=lambda: 0.0)
    assert fake.asked == []


def test_no_pause_is_longer_than_the_time_that_is_left() -> None:
    fake, clock = FakeGitHub(), FakeClock()
    fake.reply("/thing", 503, times=3)
    end = clock.monotonic() + 0.9
    with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
        send(fake, clock=clock, seconds=lambda: end - clock.monotonic())
    assert clock.slept == [0.2]


def test_waits_are_short_and_never_longer_than_the_time_that_is_left() -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 200, times=2)
    send(fake, seconds=lambda: 60.0)
    send(fake, seconds=lambda: 2.0)
    waits = [request.extensions["timeout"] for request in fake.asked]
    assert [(wait["connect"], wait["read"]) for wait in waits] == [(3.0, 10.0), (2.0, 2.0)]


def test_a_deadline_that_passes_within_the_body_ends_the_reading() -> None:
    fake, clock = FakeGitHub(), FakeClock()
    end = clock.monotonic() + 3

    def drip() -> Iterator[bytes]:
        while True:
            clock.move(1)
            yield b"x"

    body = Counted(drip())
    fake.do("/thing", lambda _: httpx.Response(200, stream=body))
    with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
        send(fake, clock=clock, seconds=lambda: end - clock.monotonic())
    assert body.read == 3
    assert body.closed


def test_a_failure_after_the_deadline_is_too_slow() -> None:
    left = iter([1.0, -1.0, -1.0])
    fake = FakeGitHub()
    fake.do("/thing", fails(httpx.ReadTimeout("late")))
    with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
        send(fake, seconds=lambda: next(left))


@pytest.mark.parametrize("then", ["stall", "drip"])
def test_a_server_that_goes_silent_or_drips_is_left_when_the_time_is_over(
    tmp_path: Path, then: Literal["stall", "drip"]
) -> None:
    with GitServer(tmp_path, routes=lambda _: Reply(200, {}, bytes(2000))) as server:
        server.fail(Fault(cut=200, then=then, times=9))
        wire = Wire(WHERE, FakeClock(), None)
        start = time.monotonic()
        with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
            wire.send(ask(9999, server.url("x")), b"".join, lambda: start + 0.4 - time.monotonic())
        assert 0.35 < time.monotonic() - start < 3


def test_a_server_that_is_late_and_then_goes_silent_gets_no_more_time_for_the_body(tmp_path: Path) -> None:
    late = threading.Event()

    def routes(_: Received) -> Reply:
        late.wait(0.7)
        return Reply(200, {}, bytes(2000))

    with GitServer(tmp_path, routes=routes) as server:
        server.fail(Fault(cut=200, then="stall", times=9))
        wire = Wire(WHERE, FakeClock(), None)
        start = time.monotonic()
        with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
            wire.send(ask(9999, server.url("x")), b"".join, lambda: start + 1 - time.monotonic())
        # A wait that began with the body would end after 1.7 s.
        assert time.monotonic() - start < 1.5


# bytes


def test_no_more_is_read_than_the_cap_and_one_piece() -> None:
    fake = FakeGitHub()
    body = Counted(endless())
    fake.do("/thing", lambda _: httpx.Response(200, stream=body))
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        send(fake, ask(10_000))
    assert body.read <= 10_000 + 1024
    assert body.closed
    assert len(fake.asked) == 1


def test_a_body_announced_too_large_is_not_read_at_all() -> None:
    fake = FakeGitHub()
    body = Counted(endless())
    fake.do("/thing", lambda _: httpx.Response(200, stream=body, headers={"Content-Length": "10001"}))
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        send(fake, ask(10_000))
    assert body.read == 0


@pytest.mark.parametrize("announced", ["", "-1", "x", "1e9", "9" * 400, "٣"])
def test_a_length_that_is_none_is_not_believed(announced: str) -> None:
    fake = FakeGitHub()
    headers = [(b"Content-Length", announced.encode())]
    fake.do("/thing", lambda _: httpx.Response(200, stream=httpx.ByteStream(b"here"), headers=headers))
    assert send(fake) == b"here"


def test_a_body_may_be_just_as_large_as_the_cap() -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 200, bytes(1000), {"Content-Length": "1000"})
    assert send(fake, ask(1000)) == bytes(1000)


def test_a_refusals_body_is_read_in_its_beginning_only_and_never_too_large() -> None:
    fake = FakeGitHub()
    body = Counted(endless())
    fake.do("/thing", lambda _: httpx.Response(404, stream=body))
    assert send(fake, ask(10)) is None
    assert body.read <= 65 * 1024 + 1024


def test_a_refusal_with_a_broken_body_stays_that_refusal() -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 403, b"no gzip", {"Content-Encoding": "gzip"})
    found = Wire(WHERE, FakeClock(), fake.transport()).send(ask(), b"".join, lambda: 30.0)
    assert (found.status, found.error) == (403, b"")


def test_a_budget_is_shared_by_all_that_hold_it() -> None:
    budget = Budget(10, WHERE)
    budget.take(6)
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        budget.check(5)
    budget.take(4)
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        budget.take(1)


# encodings


def test_gzip_is_asked_for_and_unpacked() -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 200, gzip.compress(b"here" * 100), {"Content-Encoding": "gzip"})
    assert send(fake) == b"here" * 100
    assert fake.asked[0].headers["Accept-Encoding"] == "gzip"


def test_a_gzip_bomb_is_stopped_at_the_cap() -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 200, gzip.compress(ZEROS), {"Content-Encoding": "gzip"})
    seen = []

    def read(pieces: Iterator[bytes]) -> None:
        seen.extend(len(piece) for piece in pieces)

    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        Wire(WHERE, FakeClock(), fake.transport()).send(ask(200_000), read, lambda: 30.0)
    assert sum(seen) <= 200_000


def test_packed_bytes_that_unpack_to_nothing_are_bounded_too() -> None:
    nothing = b"\0\0\0\xff\xff" * 2000  # empty deflate blocks
    start = gzip.compress(b"")[:10]
    fake = FakeGitHub()
    body = Counted(iter([start, *[nothing] * 100]))
    fake.do("/thing", lambda _: httpx.Response(200, stream=body, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        send(fake, ask(20_000))
    assert body.read <= 30_010


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip, gzip", "x"])
def test_an_encoding_that_was_not_asked_for_is_not_unpacked(encoding: str) -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 200, gzip.compress(b"x"), {"Content-Encoding": encoding})
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        send(fake)


def test_gzip_is_not_unpacked_where_it_was_not_wanted() -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 200, gzip.compress(b"x"), {"Content-Encoding": "gzip"})
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        send(fake, ask(**{"Accept-Encoding": "identity"}))


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
@pytest.mark.parametrize("data", [b"", b"x", os.urandom(3000), ZEROS[: 2**20], b"abc" * 99_999])
def test_gunzip_gives_back_what_was_packed_however_it_comes(data: bytes, size: int) -> None:
    pieces = list(gunzip(in_pieces(gzip.compress(data), size), WHERE))
    assert b"".join(pieces) == data
    assert max((len(piece) for piece in pieces), default=0) <= 64 * 1024


PACKED = gzip.compress(os.urandom(500), mtime=0)


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        PACKED[:5],
        PACKED[:-1],
        PACKED[:-9] + b"x" + PACKED[-8:],
        PACKED + b"x",
        PACKED * 2,
        zlib.compress(b"x"),
        b"text",
    ],
)
def test_gunzip_takes_exactly_one_whole_member(packed: bytes) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        list(gunzip(in_pieces(packed, 100), WHERE))


# what is sent


def test_requests_say_who_asks_and_in_which_version() -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 200, b"{}")
    api(fake, tokens=[TOKEN]).get("/thing")
    headers = fake.asked[0].headers
    assert headers["User-Agent"] == "skill-sync"
    assert headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert headers["Accept"] == "application/vnd.github+json"
    assert headers["Authorization"] == f"Bearer {TOKEN}"


def test_cookies_are_never_sent_back() -> None:
    fake = FakeGitHub()
    fake.reply("/thing", 200, b"", {"Set-Cookie": "session=1; Domain=github.com; Path=/"}, times=2)
    wire = Wire(WHERE, FakeClock(), fake.transport())
    for _ in range(2):
        wire.send(ask(), b"".join, lambda: 30.0)
    assert "Cookie" not in fake.asked[1].headers


def test_one_connection_serves_one_request_after_the_other(tmp_path: Path) -> None:
    with GitServer(tmp_path, routes=lambda _: Reply(200, {}, b"here")) as server:
        wire = Wire(WHERE, FakeClock(), None)
        for _ in range(5):
            assert wire.send(ask(99, server.url("x")), b"".join, lambda: 30.0).content == b"here"
        assert server.connections == 1


def test_a_connection_that_the_server_has_closed_is_replaced(tmp_path: Path) -> None:
    with GitServer(tmp_path, routes=lambda _: Reply(200, {}, b"here")) as server:
        wire = Wire(WHERE, FakeClock(), None)
        server.fail(Fault(cut=20, then="close", times=2))
        assert wire.send(ask(99, server.url("x")), b"".join, lambda: 30.0).content == b"here"
        assert server.connections == 3


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match=r"SOURCE_UNAVAILABLE.*ConnectError"):
        Wire(WHERE, FakeClock(), None).send(ask(99, "http://127.0.0.1:1/x"), b"".join, lambda: 30.0)


def test_building_sends_and_opens_nothing() -> None:
    assert Wire(WHERE, FakeClock(), None)._opened is None


def test_the_token_is_in_no_error_no_repr_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [repr(ask())]

    def echo(received: Received) -> Reply:
        return Reply(int(received.path), {}, f"{received.headers['authorization']}".encode())

    with GitServer(tmp_path, routes=echo) as server:
        wire = Wire(WHERE, FakeClock(), None)
        for status in (200, 400, 401, 403, 404, 500):
            found = wire.send(ask(999, server.url(str(status))), b"".join, lambda: 30.0)
            shown.append(repr(found))
            assert TOKEN.encode() in (found.content or found.error)
        server.fail(Fault(cut=10, times=9))
        with pytest.raises(SkillSyncError) as caught:
            wire.send(ask(999, server.url("200")), b"".join, lambda: 30.0)
        shown += traceback.format_exception(caught.value)
    assert TOKEN not in "".join(shown) + caplog.text


def test_the_stand_in_is_told_where_to() -> None:
    fake = FakeGitHub()
    fake.do("/thing", lambda request: answer(200, str(request.url).encode()))
    assert send(fake) == URL.encode()
