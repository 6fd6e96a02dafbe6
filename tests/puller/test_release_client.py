"""The release function's answers: bounded in size and time, asked for again where that may help, every fault one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from shared.core.canonical import digest_of
from shared.errors import DeniedError, NotFoundError, SkillSyncError, UnavailableError, UnverifiedError
from shared.puller.client import ReleaseClient
from tests.fakes.clock import FakeClock
from tests.fakes.release_transport import answer, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DATA = b"content" * 100
DIGEST = digest_of(DATA)


class Pieces(httpx.SyncByteStream):
    """A body that comes piece by piece, each one so many seconds after the other."""

    def __init__(self, pieces: Iterable[bytes], clock: FakeClock | None = None, seconds: float = 0.0) -> None:
        self.pieces = pieces
        self.clock = clock
        self.seconds = seconds
        self.read = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if self.clock is not None:
                self.clock.move(self.seconds)
            self.read += len(piece)
            yield piece


def broken() -> Iterator[bytes]:
    yield DATA[:10]
    raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 1000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def client(clock: FakeClock, *answers: Callable[[httpx.Request], httpx.Response]) -> tuple[ReleaseClient, list[str]]:
    """A client that gets these answers one after the other, the last one for ever; and what it asked."""
    asked: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return answers[min(len(asked), len(answers)) - 1](request)

    http = httpx.Client(base_url="http://release.test/base", transport=httpx.MockTransport(reply))
    return ReleaseClient(http, clock), asked


def streamed(pieces: Pieces, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(200, stream=pieces, headers=headers)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(SkillSyncError) as caught:
        call()
    return caught.value.code


def test_an_object_is_read_and_compared_with_its_name(clock: FakeClock) -> None:
    release, asked = client(clock, lambda _: answer(200, DATA))
    assert release.bundle_object(DIGEST, len(DATA)) == DATA
    assert asked == [f"/base/v1/objects/{DIGEST}"]


def test_an_answer_that_declares_another_size_is_refused_before_it_is_read(clock: FakeClock) -> None:
    body = Pieces([DATA])
    release, _ = client(clock, lambda _: streamed(body, {"Content-Length": str(len(DATA) + 1)}))
    with pytest.raises(UnverifiedError) as caught:
        release.bundle_object(DIGEST, len(DATA))
    assert (caught.value.code, body.read) == ("bundle_mismatch", 0)


def test_a_body_without_end_is_dropped_soon_after_its_bound(clock: FakeClock) -> None:
    body = Pieces(endless())
    release, _ = client(clock, lambda _: streamed(body))
    assert code_of(lambda: release.bundle_object(DIGEST, len(DATA))) == "BODY_TOO_LARGE"
    assert body.read <= len(DATA) + 1000
    body = Pieces(endless())
    release, _ = client(clock, lambda _: streamed(body))
    assert code_of(lambda: release.current(None)) == "pointer_unverifiable"
    assert body.read <= 18_000


def test_a_body_that_drips_ends_at_its_deadline(clock: FakeClock) -> None:
    drips = Pieces((bytes([each]) for each in DATA), clock, 5.0)
    release, asked = client(clock, lambda _: streamed(drips))
    started = clock.monotonic()
    assert code_of(lambda: release.bundle_object(DIGEST, len(DATA))) == "BODY_TOO_SLOW"
    assert clock.monotonic() - started < 40
    assert len(asked) == 1


@pytest.mark.parametrize("pieces", [broken, lambda: iter([DATA[:-1]])])
def test_a_body_that_ends_early_is_asked_for_again_and_then_unavailable(
    clock: FakeClock, pieces: Callable[[], Iterator[bytes]]
) -> None:
    release, asked = client(clock, lambda _: streamed(Pieces(pieces())), lambda _: answer(200, DATA))
    assert release.bundle_object(DIGEST, len(DATA)) == DATA
    release, asked = client(clock, lambda _: streamed(Pieces(pieces())))
    with pytest.raises(UnavailableError):
        release.bundle_object(DIGEST, len(DATA))
    assert len(asked) == 3


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_passing_fault_is_tried_twice_more_with_a_pause(clock: FakeClock, status: int) -> None:
    release, asked = client(
        clock, lambda _: refusal(status, "X"), lambda _: refusal(status, "X"), lambda _: answer(200, b"e")
    )
    assert release.current(None) == b"e"
    assert (len(asked), clock.slept) == (3, [0.2, 0.8])


@pytest.mark.parametrize(
    ("status", "code"), [(500, "RELEASE_FAILED"), (429, "RELEASE_FAILED"), (302, "RELEASE_UNEXPECTED")]
)
def test_other_faults_are_left_to_the_next_look(clock: FakeClock, status: int, code: str) -> None:
    release, asked = client(
        clock, lambda _: answer(status, b"", {"Location": "http://elsewhere.test/", "Retry-After": "7"})
    )
    assert code_of(lambda: release.current(None)) == code
    assert len(asked) == 1


def test_retry_after_is_handed_on(clock: FakeClock) -> None:
    release, _ = client(clock, lambda _: answer(503, b"", {"Retry-After": "17"}))
    with pytest.raises(UnavailableError) as caught:
        release.current(None)
    assert caught.value.retry_after_seconds == 17


def test_what_unpacks_on_the_way_is_not_unpacked(clock: FakeClock) -> None:
    release, _ = client(clock, lambda _: streamed(Pieces([b"\x1f\x8b"]), {"Content-Encoding": "gzip"}))
    assert code_of(lambda: release.current(None)) == "RELEASE_UNEXPECTED"


def test_not_modified_counts_only_when_it_was_asked_for(clock: FakeClock) -> None:
    release, _ = client(clock, lambda _: answer(304))
    assert release.current('"tag"') is None
    assert code_of(lambda: release.current(None)) == "RELEASE_UNEXPECTED"


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"{}", b'{"code": 5}', b'{"code": "a b"}', b'{"code": "' + b"x" * 5000 + b'"}']
)
def test_a_404_that_is_not_the_release_functions_is_no_news_about_deployments(clock: FakeClock, body: bytes) -> None:
    release, _ = client(clock, lambda _: answer(404, body))
    assert code_of(lambda: release.current(None)) == "RELEASE_UNEXPECTED"
    with pytest.raises(NotFoundError, match="NOT_FOUND"):
        release.bundle_object(DIGEST, 5)


def test_nothing_deployed_is_told_apart(clock: FakeClock) -> None:
    release, _ = client(clock, lambda _: refusal(404, "NO_DEPLOYMENT"))
    with pytest.raises(NotFoundError, match="NO_DEPLOYMENT"):
        release.current(None)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_accepted_is_denied_at_once(clock: FakeClock, status: int) -> None:
    release, asked = client(clock, lambda _: refusal(status, "PULLER_KEY_INVALID"))
    with pytest.raises(DeniedError):
        release.current(None)
    with pytest.raises(DeniedError):
        release.report({})
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("status", "code"), [(400, "REPORT_REFUSED"), (413, "REPORT_REFUSED"), (409, "RELEASE_UNEXPECTED")]
)
def test_a_report_is_sent_once_and_told_whether_to_send_it_again(clock: FakeClock, status: int, code: str) -> None:
    release, asked = client(clock, lambda _: refusal(status, "X"))
    assert code_of(lambda: release.report({})) == code
    assert len(asked) == 1
