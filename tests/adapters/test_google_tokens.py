"""Tokens for Google's services: fetched once, replaced before they end, and never shown to anybody else."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.adapters.gcs_http import Limits
from shared.adapters.gcs_store import TOKENS, open_gcs
from shared.adapters.google_tokens import (
    EARLY,
    PAUSES_SECONDS,
    Bearer,
    DefaultCredentials,
    MetadataServer,
    Token,
)
from shared.core.google_cloud import GoogleCloud
from shared.errors import RejectedError, SkillSyncError, UnavailableError
from tests.fakes.clock import FakeClock
from tests.gcs.adapter import Mounted
from tests.gcs.stand_in import Gcs, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "ya29.thisMustNeverBeShown"
FLAVOR = {"Metadata-Flavor": "Google"}
HOST = "metadata.example"


def refused(call: Callable[[], object]) -> SkillSyncError:
    with pytest.raises(SkillSyncError) as caught:
        call()
    assert SECRET not in f"{caught.value!r} {caught.value.message} {caught.value.__cause__}"
    return caught.value


class Metadata(httpx.BaseTransport):
    """The metadata server.

    Attributes:
        asked: Every request that came.
        answers: What is answered, one after the other; then tokens.
    """

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.answers: list[httpx.Response | Exception] = []
        self.lives_seconds = 3599

    def open(self) -> Self:
        return self

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return httpx.Response(200, headers=FLAVOR, json=self.token(len(self.asked)))

    def token(self, number: int) -> dict[str, object]:
        return {"access_token": f"{SECRET}{number}", "expires_in": self.lives_seconds, "token_type": "Bearer"}


@pytest.fixture
def metadata() -> Metadata:
    return Metadata()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bearer(metadata: Metadata, clock: FakeClock) -> Bearer:
    return Bearer(MetadataServer(HOST, TOKENS, clock, metadata.open), clock)


# the metadata server


def test_a_token_is_asked_for_as_the_metadata_server_wants_it(metadata: Metadata, bearer: Bearer) -> None:
    assert bearer.token() == f"{SECRET}1"
    (asked,) = metadata.asked
    assert (
        asked.url.copy_with(query=None)
        == "http://metadata.example/computeMetadata/v1/instance/service-accounts/default/token"
    )
    assert dict(asked.url.params) == {"scopes": TOKENS.scope}
    assert asked.headers["metadata-flavor"] == "Google"
    assert asked.extensions["timeout"]["connect"] <= 1.0
    assert asked.extensions["timeout"]["read"] <= 3.0


def test_nothing_is_asked_before_somebody_wants_a_token(metadata: Metadata, bearer: Bearer) -> None:
    assert metadata.asked == []
    bearer.token()


def test_a_token_is_kept_until_shortly_before_its_end(metadata: Metadata, clock: FakeClock, bearer: Bearer) -> None:
    first = bearer.token()
    clock.move(metadata.lives_seconds - EARLY.total_seconds() - 1)
    assert bearer.token() == first
    clock.move(2)
    assert bearer.token() == f"{SECRET}2"
    assert len(metadata.asked) == 2


def test_a_metadata_server_that_fails_early_fails_nobody_whose_token_still_holds(
    metadata: Metadata, clock: FakeClock, bearer: Bearer
) -> None:
    first = bearer.token()
    clock.move(metadata.lives_seconds - EARLY.total_seconds() + 1)
    metadata.answers = [httpx.ConnectError("down")] * 3
    assert bearer.token() == first
    metadata.answers = [httpx.ConnectError("down")] * 3
    with pytest.raises(UnavailableError):
        bearer.token(refused=first)
    clock.move(EARLY.total_seconds())
    metadata.answers = [httpx.ConnectError("down")] * 3
    with pytest.raises(UnavailableError):
        bearer.token()
    assert bearer.token() != first


def test_however_many_threads_want_one_it_is_fetched_once(metadata: Metadata, bearer: Bearer) -> None:
    start = threading.Barrier(16)

    def want(refused_one: str | None) -> str:
        start.wait(timeout=30)
        return bearer.token(refused=refused_one)

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(want, [None] * 16)) == {f"{SECRET}1"}
        # That it was refused is the same news for all of them.
        assert set(threads.map(want, [f"{SECRET}1"] * 16)) == {f"{SECRET}2"}
    assert len(metadata.asked) == 2


SILENT: dict[str, list[httpx.Response | Exception]] = {
    "no way there": [httpx.ConnectError(SECRET)],
    "no such host": [OSError(SECRET)],
    "no answer": [httpx.ReadTimeout(SECRET)],
    "busy": [httpx.Response(503, headers=FLAVOR, text=SECRET)],
    "too many": [httpx.Response(429, headers=FLAVOR, text=SECRET)],
    "somewhere else": [httpx.Response(302, headers={**FLAVOR, "Location": "http://evil.example"})],
    "somebody else": [httpx.Response(200, json={"access_token": SECRET, "expires_in": 3599})],
    "somebody else refuses": [httpx.Response(404, text=SECRET)],
    "no JSON": [httpx.Response(200, headers=FLAVOR, text=SECRET)],
    "no token": [httpx.Response(200, headers=FLAVOR, json={"expires_in": 3599})],
    "no end": [httpx.Response(200, headers=FLAVOR, json={"access_token": SECRET})],
    "an end that is none": [httpx.Response(200, headers=FLAVOR, json={"access_token": SECRET, "expires_in": True})],
    "a number": [httpx.Response(200, headers=FLAVOR, json={"access_token": 7, "expires_in": 3599})],
    "two lines": [httpx.Response(200, headers=FLAVOR, json={"access_token": f"{SECRET}\r\nX: y", "expires_in": 3599})],
    "empty": [httpx.Response(200, headers=FLAVOR, json={"access_token": "", "expires_in": 3599})],
    "endless": [httpx.Response(200, headers=FLAVOR, content=b" " * 10**6)],
}


@pytest.mark.parametrize("answers", SILENT.values(), ids=SILENT.keys())
def test_a_metadata_server_that_does_not_answer_as_it_should_is_asked_three_times(
    metadata: Metadata, clock: FakeClock, bearer: Bearer, answers: list[httpx.Response | Exception]
) -> None:
    metadata.answers = answers * 2
    assert bearer.token() == f"{SECRET}3"
    assert clock.slept == [*PAUSES_SECONDS]
    metadata.answers = answers * 3
    error = refused(lambda: bearer.token(refused=f"{SECRET}3"))
    assert (type(error), error.code) == (UnavailableError, "STORE_UNAVAILABLE")
    assert len(metadata.asked) == 6


def test_after_a_fault_the_next_caller_asks_again(metadata: Metadata, bearer: Bearer) -> None:
    metadata.answers = [httpx.ConnectError("down")] * 3
    refused(bearer.token)
    assert bearer.token() == f"{SECRET}4"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_process_without_an_account_is_for_a_person_and_asks_once(
    metadata: Metadata, bearer: Bearer, status: int
) -> None:
    metadata.answers = [httpx.Response(status, headers=FLAVOR, text=SECRET)]
    error = refused(bearer.token)
    assert (type(error), error.code) == (RejectedError, "STORE_DENIED")
    assert len(metadata.asked) == 1


@pytest.mark.parametrize(("seconds", "asked"), [(10**30, 1), (0, 2), (-5, 2)])
def test_a_strange_end_does_no_harm(
    metadata: Metadata, clock: FakeClock, bearer: Bearer, seconds: int, asked: int
) -> None:
    metadata.lives_seconds = seconds
    bearer.token()
    clock.move(60)
    assert bearer.token() == f"{SECRET}{asked}"


def test_a_token_is_in_no_ones_representation(clock: FakeClock) -> None:
    assert SECRET not in repr(Token(text=SECRET, ends=clock.now() + timedelta(hours=1)))


# the token at the storage


class Guarded(Gcs):
    """The service that takes only some tokens."""

    def __init__(self, *accepted: str) -> None:
        super().__init__("bucket")
        self.accepted = {f"Bearer {SECRET}{number}" for number in accepted}

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") not in self.accepted:
            return Reply(status=401, body=f"{SECRET} is no good".encode())
        return super().answer(request)


class Cloud(httpx.BaseTransport):
    """The metadata server and the storage, each at its address."""

    def __init__(self, metadata: Metadata, storage: Mounted) -> None:
        self.metadata, self.storage = metadata, storage

    def open(self) -> Self:
        return self

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == HOST:
            return self.metadata.handle_request(request)
        assert request.url.copy_with(path="/", query=None) == "https://storage.googleapis.com/"
        return self.storage.handle_request(request)


def test_each_request_carries_the_token_and_one_that_is_refused_is_replaced_once(
    metadata: Metadata, caplog: pytest.LogCaptureFixture
) -> None:
    storage = Mounted(Guarded("1", "3"))
    store = open_gcs(
        "gs://bucket", GoogleCloud(metadata_host=HOST), clock=FakeClock(), open_transport=Cloud(metadata, storage).open
    )
    with caplog.at_level(logging.DEBUG):
        store.put("a", b"one", if_generation=0)
        storage._service.accepted = {f"Bearer {SECRET}2"}
        assert store.get("a").data == b"one"
        assert [asked.method for asked in storage.log] == ["POST", "GET", "GET"]
        storage._service.accepted = {f"Bearer {SECRET}9"}
        error = refused(lambda: store.get("a"))
    assert (type(error), error.code) == (RejectedError, "STORE_DENIED")
    assert len(storage.log) == 5
    assert len(metadata.asked) == 3
    assert SECRET not in caplog.text


def test_no_token_goes_to_an_emulator(metadata: Metadata) -> None:
    storage = Mounted(Gcs("bucket"))
    cloud = GoogleCloud(emulator="http://emulator", metadata_host=HOST)
    open_gcs("gs://bucket", cloud, limits=Limits(), open_transport=storage.open).get("a")
    assert "authorization" not in storage.log[0].headers
    assert metadata.asked == []


# over a real connection


@contextmanager
def token_endpoint(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Serve what hands out tokens, for a key file or as the metadata server does; what it was asked is in the list."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers['Metadata-Flavor']} {self.path.partition('?')[0]}")
            self.reply()

        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.reply()

        def reply(self) -> None:
            self.send_response(status)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/token", asked
        finally:
            server.shutdown()
            thread.join()


GOOD = json.dumps({"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"}).encode()


def test_the_metadata_server_is_asked_directly_whatever_proxies_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    clock = FakeClock()
    with token_endpoint(200, GOOD) as (url, asked):
        host = url.removeprefix("http://").removesuffix("/token")
        assert Bearer(MetadataServer(host, TOKENS, clock), clock).token() == SECRET
    assert asked == ["Google /computeMetadata/v1/instance/service-accounts/default/token"]
    assert refused(MetadataServer(host, TOKENS, clock)).code == "STORE_UNAVAILABLE"


# Google's own library


@pytest.fixture(scope="module")
def private_key() -> str:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(folder: Path, private_key: str, token_uri: str) -> Path:
    path = folder / "key.json"
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "sync@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    path.write_text(json.dumps(account))
    return path


def test_the_key_file_that_the_environment_names_gives_a_token_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_key: str
) -> None:
    clock = FakeClock()
    with token_endpoint(200, GOOD) as (url, asked):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path, private_key, url)))
        bearer = Bearer(DefaultCredentials(TOKENS, clock), clock)
        assert [bearer.token(), bearer.token()] == [SECRET, SECRET]
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "%s"}' % SECRET.encode(), RejectedError),
        (401, b'{"error": "invalid_client"}', RejectedError),
        (503, SECRET.encode(), UnavailableError),
        (500, b'{"error": "internal_failure"}', UnavailableError),
        (200, b'{"access_token": "a\\nb", "expires_in": 3600}', UnavailableError),
        (200, b'{"access_token": 7, "expires_in": 3600}', UnavailableError),
    ],
)
def test_an_endpoint_that_gives_no_token_is_told_by_what_helps(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    private_key: str,
    status: int,
    body: bytes,
    kind: type[SkillSyncError],
) -> None:
    with token_endpoint(status, body) as (url, _):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path, private_key, url)))
        error = refused(DefaultCredentials(TOKENS, FakeClock()))
    assert type(error) is kind
    assert error.code == ("STORE_DENIED" if kind is RejectedError else "STORE_UNAVAILABLE")


def test_an_endpoint_that_is_not_there_is_an_unavailable_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_key: str
) -> None:
    with token_endpoint(200, GOOD) as (url, _):
        path = key_file(tmp_path, private_key, url)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    assert refused(DefaultCredentials(TOKENS, FakeClock())).code == "STORE_UNAVAILABLE"


@pytest.mark.parametrize("content", [None, "", "no JSON", "{}", '{"type": "service_account"}'])
def test_credentials_that_are_not_there_are_told_at_the_first_operation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / f"{SECRET}.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    store = open_gcs("gs://bucket/pre/fix", GoogleCloud())
    for _ in range(2):
        error = refused(lambda: store.get("a"))
        assert (type(error), error.code) == (RejectedError, "STORE_DENIED")
