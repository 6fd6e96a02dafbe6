"""The stand-in mounted under the real client, in this process."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from tests.gcs.faults import Fault, Faults, Way, damaged
from tests.gcs.stand_in import Gcs, Reply, Request

if TYPE_CHECKING:
    from google.cloud.storage import Client


class Mounted(BaseAdapter):
    """The transport that `requests` asks instead of the network.

    Attributes:
        log: Every request that was sent, faulty ones included.
        timeouts: How long each of them would have been waited for, in seconds: to connect, and between two bytes.
    """

    def __init__(self, service: Gcs) -> None:
        super().__init__()
        self.log: list[Request] = []
        self.timeouts: list[object] = []
        self._service = service
        self._faults = Faults()
        self._lock = threading.Lock()

    def fail(self, fault: Fault) -> None:
        """Let the next requests that fit go wrong."""
        self._faults.add(fault)

    def close(self) -> None:
        """Nothing is open."""

    def send(self, request: requests.PreparedRequest, *_: object, **options: object) -> requests.Response:
        body = request.body or b""
        asked = Request(
            method=str(request.method),
            url=str(request.url),
            headers={name.lower(): _text(value) for name, value in request.headers.items()},
            body=body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else body.read(),
        )
        with self._lock:
            self.log.append(asked)
            self.timeouts.append(options.get("timeout"))
        return self._response(request, asked, self._faults.next_for(asked))

    def _response(self, request: requests.PreparedRequest, asked: Request, fault: Fault | None) -> requests.Response:
        way = None if fault is None else fault.way
        if way == "reset":
            raise requests.ConnectionError("reset by the stand-in")
        if way == "silent":
            raise requests.ReadTimeout("no answer from the stand-in")
        if fault is not None and way == "status":
            return _wire(request, Reply(status=fault.status, body=b"not now"))
        reply = self._service.answer(asked)
        if way == "lost":
            raise requests.ConnectionError("the answer was lost")
        return _wire(request, reply, way=way)


def client_on(service: Gcs) -> tuple[Client, Mounted]:
    """Make a real client whose requests all go to the stand-in."""
    client = _quiet(storage.Client(project=None, credentials=AnonymousCredentials()))
    mounted = Mounted(service)
    client._http.mount("https://", mounted)
    return client, mounted


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def client_at(url: str) -> Client:
    """Make a real client of a server on this machine."""
    options = {"api_endpoint": url}
    return _quiet(storage.Client(project=None, credentials=AnonymousCredentials(), client_options=options))


def _quiet(client: Client) -> Client:
    # It would ask for the bucket's metadata in threads that outlive the test.
    client._bucket_metadata_cache = None
    return client


def _wire(request: requests.PreparedRequest, reply: Reply, *, way: Way | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code = reply.status
    response.headers.update({**reply.headers, "Content-Length": str(len(reply.body))})
    response.url, response.request = str(request.url), request
    response.raw = HTTPResponse(
        io.BytesIO(damaged(reply.body, way)),
        headers=dict(response.headers),
        status=reply.status,
        preload_content=False,
        enforce_content_length=True,
        request_method=request.method,
    )
    return response
