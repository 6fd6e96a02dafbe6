"""The stand-in on a port of this machine, for tests and benchmarks with several processes: with a round trip and a log."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from tests.gcs.faults import Fault, Faults, Way, damaged
from tests.gcs.stand_in import Reply, Request

if TYPE_CHECKING:
    from tests.gcs.stand_in import Gcs


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One line of the log. Times in seconds on the monotonic clock, sizes of the bodies in bytes."""

    method: str
    target: str
    status: int
    started: float
    ended: float
    request_bytes: int
    response_bytes: int


class GcsServer:
    """Serves a `Gcs` on 127.0.0.1, to be named in `STORAGE_EMULATOR_HOST`.

    Attributes:
        latency_seconds: How long each request takes on its way.
        log: Every exchange, in the order in which they ended.
        connections: How many TCP connections were accepted.
    """

    def __init__(self, service: Gcs) -> None:
        self.service = service
        self.latency_seconds = 0.0
        self.log: list[Exchange] = []
        self.connections = 0
        self.faults = Faults()
        self.stopping = threading.Event()
        self._http = _Http(self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.hang_up()
        self._http.server_close()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def fail(self, fault: Fault) -> None:
        """Let the next requests that fit go wrong."""
        self.faults.add(fault)


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # server_close() joins them, so that a test leaks none
    request_queue_size = 128

    def __init__(self, owner: GcsServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self.owner.connections += 1
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep alive; their handlers then return."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the client was faster
                    continue

    def handle_error(self, request: object, client_address: object) -> None:
        """A client may hang up whenever it likes."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""

    def _serve(self) -> None:
        owner, started = self.server.owner, time.monotonic()
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        url = f"http://{headers.get('host', '')}{self.path}"
        owner.stopping.wait(owner.latency_seconds)
        asked = Request(method=self.command, url=url, headers=headers, body=body)
        fault = owner.faults.next_for(asked)
        reply = _answer(owner.service, asked, fault)
        exchange = Exchange(
            method=self.command,
            target=_target(self.path, body),
            status=reply.status,
            started=started,
            ended=time.monotonic(),
            request_bytes=len(body),
            response_bytes=len(reply.body),
        )
        owner.log.append(exchange)
        self._send(reply, None if fault is None else fault.way)

    def _send(self, reply: Reply, way: Way | None) -> None:
        if way == "silent":
            self.server.owner.stopping.wait()
        if way in {"reset", "lost", "silent"}:
            # Without a farewell: with this option, closing is a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.wfile.write(_head(reply) + damaged(reply.body, way))
        self.close_connection = way not in {None, "status", "corrupt"}


def _answer(service: Gcs, asked: Request, fault: Fault | None) -> Reply:
    if fault is not None and fault.way == "status":
        return Reply(status=fault.status, body=b"not now")
    if fault is not None and fault.way in {"reset", "silent"}:
        return Reply(status=HTTPStatus.SERVICE_UNAVAILABLE)  # for the log: nothing of it goes out
    return service.answer(asked)


def _target(path: str, body: bytes) -> str:
    """What a request is about: its address, and for an upload the name that stands in its body."""
    if not path.startswith("/upload/"):
        return path
    name = body.partition(b'"name": "')[2].partition(b'"')[0].decode(errors="replace")
    return f"{path.partition('?')[0]}/{name}"


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    if reply.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {len(reply.body)}")
    return "\r\n".join([*lines, "", ""]).encode()
