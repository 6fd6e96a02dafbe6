"""A real smart HTTP git server on 127.0.0.1: the real `git http-backend` behind Python's server, with faults and a log.

    with GitServer(folder_of_bare_repositories) as server:
        server.fail(Fault(Reply(503), match="info/refs"))
        ...  # talk to server.url("origin.git")
        assert [seen.received.path for seen in server.log] == [...]

`routes` answers before git does, so that a stand-in for a whole forge can be built on the same faults and log.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import parse_headers
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from socket import IPPROTO_TCP, SHUT_RDWR, TCP_NODELAY, socket
from typing import TYPE_CHECKING, Any, Literal, Self

from tests.repos import git_environment

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Routes = Callable[["Received"], "Reply | None"]


@dataclass(frozen=True, slots=True)
class Received:
    """One request. Header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `chunked` sends the body by chunks instead of with its length, as forges do with packs."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    chunked: bool = False

    def wire(self) -> bytes:
        """The answer as the bytes that go out."""
        framing = "Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {len(self.body)}"
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", framing]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode()
        if not self.chunked:
            return head + self.body
        middle = b"%x\r\n%s\r\n" % (len(self.body), self.body) if self.body else b""
        return head + middle + b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One line of the log: what came, and what was (or, under a fault, would have been) answered.

    `started` and `ended` are seconds on the monotonic clock.
    """

    received: Received
    reply: Reply
    started: float
    ended: float


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next requests.

    Args:
        reply: The answer instead of the real one.
        match: Only requests whose path and query contain this are hit.
        times: How many requests are hit.
        cut: How much of the answer, head included, goes out properly, as the end of a slice: -10 is all but ten bytes.
        then: What follows the cut: the connection is closed, stays silent, the rest drips out byte by byte, or chunks of
            rubbish follow for ever (a flood, which only makes sense behind the head of a chunked reply).
    """

    reply: Reply | None = None
    match: str = ""
    times: int = 1
    cut: int | None = None
    then: Literal["close", "stall", "drip", "flood"] = "close"


class GitServer:
    """Serves the repositories below `root`; the switches may be turned between requests.

    Args:
        root: The folder of the bare repositories.
        routes: Answers a request, or returns None to let git answer it.
        tls: Serve https with this context instead of http.
        port: Where; 0 takes any that is free.

    Attributes:
        allow_push: Whether repositories can be pushed to.
        protocol_v2: Whether the server knows git's protocol v2; v0 is always known.
        allow_filter: Whether partial fetches are allowed (`uploadpack.allowFilter`).
        token: When set, who does not send it (HTTP Basic, user `x-access-token`) gets 401.
        log: Every exchange, in the order in which the answers were ready.
        connections: How many TCP connections were accepted.
    """

    def __init__(
        self, root: Path, *, routes: Routes | None = None, tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.root = root
        self.allow_push = False
        self.protocol_v2 = True
        self.allow_filter = True
        self.token: str | None = None
        self.log: list[Exchange] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._scheme = "http" if tls is None else "https"
        self._routes = routes
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._http = _Http(self, port)
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.005})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.hang_up()
        self._http.server_close()
        assert not self._http.errors, self._http.errors

    def url(self, name: str) -> str:
        """The address of the repository (or of any path) `name`."""
        return f"{self._scheme}://127.0.0.1:{self._http.server_port}/{name}"

    def fail(self, fault: Fault) -> None:
        """Let the next requests that fit go wrong."""
        with self._lock:
            self._faults.append(fault)

    def forget(self) -> None:
        """Empty the log."""
        self.log.clear()

    def forget_faults(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._faults.clear()

    def answer(self, received: Received) -> tuple[Reply, Fault | None]:
        """Say how a request is answered, and what then goes wrong."""
        started = time.monotonic()
        fault = self._next_fault(f"{received.path}?{received.query}")
        reply = fault.reply if fault is not None and fault.reply is not None else self._proper(received)
        self.log.append(Exchange(received, reply, started, time.monotonic()))
        return reply, fault

    def _next_fault(self, target: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fault.match in target:
                    fault.times -= 1
                    return fault
        return None

    def _proper(self, received: Received) -> Reply:
        reply = self._routes(received) if self._routes is not None else None
        if reply is not None:
            return reply
        expected = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        if self.token is not None and received.headers.get("authorization") != f"Basic {expected}":
            return Reply(401, {"WWW-Authenticate": 'Basic realm="git"'})
        return self.by_git(received)

    def by_git(self, received: Received) -> Reply:
        """Run `git http-backend` as a CGI program (RFC 3875)."""
        env = git_environment(
            GIT_PROJECT_ROOT=str(self.root),
            GIT_HTTP_EXPORT_ALL="1",
            GIT_PROTOCOL=received.headers.get("git-protocol", "") if self.protocol_v2 else "",
            GIT_CONFIG_COUNT="2",
            GIT_CONFIG_KEY_0="uploadpack.allowFilter",
            GIT_CONFIG_VALUE_0="true" if self.allow_filter else "false",
            GIT_CONFIG_KEY_1="http.receivepack",
            GIT_CONFIG_VALUE_1="true" if self.allow_push else "false",
            PATH_INFO=f"/{received.path}",
            QUERY_STRING=received.query,
            REQUEST_METHOD=received.method,
            CONTENT_TYPE=received.headers.get("content-type", ""),
            CONTENT_LENGTH=str(len(received.body)),
            HTTP_CONTENT_ENCODING=received.headers.get("content-encoding", ""),
        )
        run = subprocess.run(["git", "http-backend"], env=env, input=received.body, capture_output=True, check=False)
        stream = BytesIO(run.stdout)
        headers = dict(parse_headers(stream).items())
        status = int(headers.pop("Status", "200").split()[0])
        return Reply(status, headers, stream.read(), chunked=received.method == "POST")


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # server_close() joins them, so that a test leaks none

    def __init__(self, owner: GitServer, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.owner = owner
        self.errors: list[BaseException] = []
        self._open: set[socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        with self._lock:
            self.owner.connections += 1
            self._open.add(request)
        # Answers go out at once: the waits of Nagle's algorithm would be taken for ours.
        request.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep alive; their handlers then return."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(SHUT_RDWR)
                except OSError:  # the client was faster
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):  # a client may hang up whenever it likes
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""

    def _serve(self) -> None:
        path, _, query = self.path.lstrip("/").partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        reply, fault = self.server.owner.answer(Received(self.command, path, query, headers, body))
        wire = reply.wire()
        if fault is None or fault.cut is None:
            self.wfile.write(wire)
            return
        self.close_connection = True
        self.wfile.write(wire[: fault.cut])
        stopping = self.server.owner.stopping
        if fault.then == "stall":
            stopping.wait()
        elif fault.then == "drip":
            for byte in wire[fault.cut :]:
                if stopping.wait(0.02):
                    return
                self.wfile.write(bytes([byte]))
        elif fault.then == "flood":
            while not stopping.is_set():
                self.wfile.write(b"400\r\n%s\r\n" % bytes(1024))
