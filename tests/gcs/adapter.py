"""The stand-in mounted under our store, in this process; and Google's own client, as a witness of what both mean."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from shared.adapters.gcs_http import Limits
from shared.adapters.gcs_store import GcsStore, open_gcs
from shared.core.google_cloud import GoogleCloud
from tests.gcs.faults import Fault, Faults, Way, damaged
from tests.gcs.stand_in import Gcs, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.storage import Client

NOWHERE = GoogleCloud(emulator="http://in-this-process")


class Mounted(httpx.BaseTransport):
    """The transport that httpx asks instead of the network.

    Attributes:
        log: Every request that was sent, faulty ones included.
        timeouts: How long each of them would have been waited for, in seconds, by httpx's names.
        opened: How often a client was made with it.
    """

    def __init__(self, service: Gcs) -> None:
        self.log: list[Request] = []
        self.timeouts: list[dict[str, float]] = []
        self.opened = 0
        self._service = service
        self._faults = Faults()
        self._lock = threading.Lock()

    def open(self) -> httpx.BaseTransport:
        """Count, and return it."""
        with self._lock:
            self.opened += 1
        return self

    def fail(self, fault: Fault) -> None:
        """Let the next requests that fit go wrong."""
        self._faults.add(fault)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, or break."""
        asked = Request(
            method=request.method,
            url=str(request.url),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.read(),
        )
        with self._lock:
            self.log.append(asked)
            self.timeouts.append(request.extensions["timeout"])
        fault = self._faults.next_for(asked)
        way = None if fault is None else fault.way
        if way == "reset":
            raise httpx.ConnectError("reset by the stand-in")
        if way == "silent":
            raise httpx.ReadTimeout("no answer from the stand-in")
        if fault is not None and way == "status":
            return _wire(Reply(status=fault.status, body=b"not now"), None)
        reply = self._service.answer(asked)
        if way == "lost":
            raise httpx.RemoteProtocolError("the answer was lost")
        return _wire(reply, way)


class _Body(httpx.SyncByteStream):
    """A body that may end too early, which httpx tells by an error."""

    def __init__(self, body: bytes, way: Way | None) -> None:
        self._body, self._way = body, way

    def __iter__(self) -> Iterator[bytes]:
        yield damaged(self._body, self._way)
        if self._way == "truncated":
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


def _wire(reply: Reply, way: Way | None) -> httpx.Response:
    headers = {**reply.headers, "Content-Length": str(len(reply.body))}
    return httpx.Response(reply.status, headers=headers, stream=_Body(reply.body, way))


def store_on(mounted: Mounted, uri: str = "gs://bucket", **limits: float) -> GcsStore:
    """Open a store whose requests all go to the stand-in; it is trusted at once, and asks for no credentials."""
    return open_gcs(uri, NOWHERE, limits=Limits(**limits), open_transport=mounted.open)  # type: ignore[arg-type]


def store_at(url: str, uri: str = "gs://bucket", **limits: float) -> GcsStore:
    """Open a store on a server of this machine."""
    return open_gcs(uri, GoogleCloud(emulator=url), limits=Limits(**limits))  # type: ignore[arg-type]


def client_at(url: str) -> Client:
    """Make Google's own client of a server on this machine."""
    client = storage.Client(project=None, credentials=AnonymousCredentials(), client_options={"api_endpoint": url})
    # It would ask for the bucket's metadata in threads that outlive the test.
    client._bucket_metadata_cache = None
    return client
