"""A stand-in for Cloud Tasks on a port of this machine: it takes tasks as the real service does, and makes their calls.

Source: https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks/create
"""

from __future__ import annotations

import json
import queue
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx

_NAME = re.compile(r"projects/[^/]+/locations/[^/]+/queues/[^/]+/tasks/[A-Za-z0-9_-]{1,500}")
_CALL_SECONDS = 60


class TasksStandIn:
    """The service, with one queue, which makes one call at a time.

    Args:
        name: The queue's whole name.

    Attributes:
        names: Of all tasks that it took.
        asked: How many requests came.
        refusing: The status that it answers instead; None to do its work.
        released: Not set, it is silent until then.
        calls: For each call that it made: the task's caller and audience, and the answer.
    """

    def __init__(self, name: str) -> None:
        self.queue = name
        self.names: list[str] = []
        self.asked = 0
        self.refusing: int | None = None
        self.released = threading.Event()
        self.released.set()
        self.calls: queue.Queue[tuple[dict[str, str], httpx.Response]] = queue.Queue()
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._lock = threading.Lock()
        self._http = _Http(self)
        self._threads = [
            threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}),
            threading.Thread(target=self._work),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._waiting.put(None)
        self._http.shutdown()
        for thread in self._threads:
            thread.join()
        self._http.server_close()

    @property
    def address(self) -> str:
        """Where it answers, as a variable of the environment names it."""
        return f"127.0.0.1:{self._http.server_port}"

    def take(self, path: str, body: bytes) -> tuple[int, str]:
        """Take a task, or say why not: status and code."""
        with self._lock:
            self.asked += 1
        self.released.wait()
        if self.refusing is not None:
            return self.refusing, "INTERNAL"
        if path != f"/v2/{self.queue}/tasks":
            return 404, "NOT_FOUND"
        task = json.loads(body)["task"]
        seconds = int(task["dispatchDeadline"].removesuffix("s"))
        if not _NAME.fullmatch(task["name"]) or not task["name"].startswith(self.queue) or not 15 <= seconds <= 1800:
            return 400, "INVALID_ARGUMENT"
        with self._lock:
            if task["name"] in self.names:
                return 409, "ALREADY_EXISTS"
            self.names.append(task["name"])
        self._waiting.put(task["httpRequest"])
        return 200, "OK"

    def _work(self) -> None:
        while (request := self._waiting.get()) is not None:
            answer = httpx.request(request["httpMethod"], request["url"], timeout=_CALL_SECONDS)
            self.calls.put((request["oidcToken"], answer))


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # server_close() joins them, so that a test leaks none

    def __init__(self, owner: TasksStandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, code = self.server.owner.take(self.path, body)
        answer = json.dumps({} if code == "OK" else {"error": {"code": status, "status": code}}).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except ConnectionError:
            return  # who asked has given up

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""
