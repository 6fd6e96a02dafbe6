"""Servers on this machine in the place of pullers: they take nudges, and answer as they are told."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Puller(ThreadingHTTPServer):
    """Takes nudges and answers as it is told. `ended` lets go of what hangs."""

    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.taken: list[tuple[str, str | None, bytes]] = []
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/nudge"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the class above has it
        """Who is cut off has nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    server: Puller

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, self.headers["Content-Type"], body))
        self.server.answer(self)

    def do_GET(self) -> None:
        self.server.taken.append((self.path, None, b""))
        answering(204)(self)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def pullers(*answers: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[list[Puller]]:
    servers = [Puller(answer) for answer in answers]
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield servers
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.ended.set()
            server.shutdown()
            thread.join()
            server.server_close()


def answering(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer
