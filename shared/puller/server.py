"""The puller's HTTP server on this machine: its own word on its state, and the nudge, which alone may be exposed further."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from shared.core.envelope import MAX_ENVELOPE_BYTES
from shared.puller.nudge import take_nudge
from shared.puller.status import documents, is_verified, metrics

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from shared.ports import Clock
    from shared.puller.follow import Follower

HOST = "127.0.0.1"
NUDGE = "/nudge"
TIMEOUT_SECONDS = 5.0
"""How long one read from a connection may take."""
MAX_CONNECTIONS = 16
"""At once; more are closed, so that nobody can take the puller's memory by them."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Answer = tuple[int, str, bytes]
"""Status, content type and body."""


def _json(status: int, document: dict[str, object]) -> Answer:
    return status, "application/json", json.dumps(document).encode() + b"\n"


def _error(status: int, code: str, message: str) -> Answer:
    return _json(status, {"error": message, "code": code})


class StatusServer:
    """Answers while a follower is at work; `show` names the one that counts.

    Args:
        port: On 127.0.0.1; 0 lets the system choose.
        clock: Says how long ago something was.
        wake: Ends the pause before the next look.

    Raises:
        OSError: the port cannot be used.
    """

    def __init__(self, port: int, clock: Clock, wake: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._wake = wake
        self._interval = 0.0
        self._follower: Follower | None = None
        self._server = _Server((HOST, port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, name="status", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def show(self, follower: Follower | None, interval: float) -> None:
        """Tell of this follower from now on, which looks so often (seconds); None while there is none."""
        self._follower, self._interval = follower, interval

    def answer(self, path: str) -> Answer:
        """Answer a GET."""
        follower, now = self._follower, self._clock.monotonic()
        path = path.partition("?")[0]
        if follower is None:
            return _error(503, "VOLUME_CLOSED", "the volume is not open")
        if path == "/metrics":
            return 200, METRICS_TYPE, metrics(follower, now, self._interval).encode()
        if path == "/healthz":
            healthy = is_verified(follower, now, self._interval)
            return _json(200 if healthy else 503, {"ok": healthy, "state": follower.standing.condition.value})
        document = documents(follower).get(path)
        if document is None:
            return _error(404, "ROUTE_UNKNOWN", "there is nothing at this path")
        return _json(200, document())

    def nudged(self, path: str, envelope: bytes) -> Answer:
        """Answer a POST."""
        if path != NUDGE:
            return _error(404, "ROUTE_UNKNOWN", "there is nothing at this path")
        if self._follower is None:
            return _error(503, "VOLUME_CLOSED", "the volume is not open")
        status, code = take_nudge(envelope, self._follower, self._wake).value
        return _json(status, {"code": code})

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, *_: object) -> None:
        return  # somebody hung up


def _handler(server: StatusServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_SECONDS

        def do_GET(self) -> None:
            self._send(server.answer(self.path))

        def do_POST(self) -> None:
            text = self.headers.get("Content-Length", "")
            size = int(text) if text.isascii() and text.isdigit() and len(text) < len("1" * 10) else None
            if size is None or size > MAX_ENVELOPE_BYTES:
                self.close_connection = True
                self._send(_error(413, "BODY_TOO_LARGE", f"a pointer has at most {MAX_ENVELOPE_BYTES} bytes"))
                return
            self._send(server.nudged(self.path, self.rfile.read(size)))

        def _send(self, answer: Answer) -> None:
            status, kind, body = answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler
