"""A release function that costs next to nothing: a made-up world behind HTTP/1.1, in a process of its own.

    python -m tests.bench.release_server 10000       # prints its port once it is ready, and serves until it is ended

Beside the release function's own routes, `POST /bench/change/N` deploys a new version of skill N and answers its
deployment, and `GET /bench/counts` answers how often each other route was asked and what was answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.bench.release_world import ReleaseWorld

if TYPE_CHECKING:
    from collections.abc import Mapping

_END_OF_HEAD = b"\r\n\r\n"
_CHANGE = "/bench/change/"


class Service:
    """Counts what is asked of a world, and changes it."""

    def __init__(self, skills: int) -> None:
        self._world = ReleaseWorld(skills)
        self._counts: Counter[str] = Counter()

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Answer a request with status, headers and body."""
        if path == "/bench/counts":
            return HTTPStatus.OK, {}, json.dumps(self._counts).encode()
        if path.startswith(_CHANGE):
            text = f"Text {self._counts.total()}."
            deployment = self._world.change(int(path.removeprefix(_CHANGE)), text)
            return HTTPStatus.OK, {}, json.dumps({"deployment": deployment}).encode()
        status, tags, body = self._world.answer(method, path, headers)
        route = "/".join(path.split("/")[:3])
        self._counts[f"{method} {route} {int(status)}"] += 1
        return status, tags, body


class Connection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while _END_OF_HEAD in self._read:
            head, _, rest = self._read.partition(_END_OF_HEAD)
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = int(headers.get("content-length", "0"))
            if len(rest) < length:
                return
            self._read = rest[length:]
            method, path, _ = first.split(" ", 2)
            self._write(*self._service.answer(method, path, headers))

    def _write(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{key}: {text}" for key, text in headers.items())]
        if status not in {HTTPStatus.NOT_MODIFIED, HTTPStatus.NO_CONTENT}:
            lines.append(f"Content-Length: {len(body)}")
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + body)


async def serve(skills: int) -> None:
    """Serve until the process is ended; the first line on standard output is the port."""
    service = Service(skills)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(service), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
