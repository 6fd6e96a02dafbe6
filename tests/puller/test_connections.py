"""One connection serves all looks: every new one would cost a TLS handshake at each poll, on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from shared.adapters.clock import SystemClock
from shared.errors import NotFoundError
from shared.puller.client import ReleaseClient
from tests.git_server import GitServer, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.git_server import Received

LOOKS = 20


def release(received: Received) -> Reply:
    """A release function that has news for nobody."""
    if received.method == "POST":
        return Reply(204)
    if received.path.startswith("v1/trust/"):
        return Reply(404, {"Content-Type": "application/json"}, b'{"error": "x", "code": "TRUST_UNKNOWN"}')
    if received.headers.get("if-none-match"):
        return Reply(304, {"ETag": '"known"'})
    return Reply(200, {"ETag": '"known"'}, b"an envelope")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path, routes=release) as running:
        yield running


def no_newer_trust(client: ReleaseClient) -> None:
    with pytest.raises(NotFoundError):
        client.trust(2)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("the whole pointer", lambda client: client.current(None)),
        ("an unchanged pointer", lambda client: client.current('"known"')),
        ("a report", lambda client: client.report({"outcome": "installed"})),
        ("a trust that is not there", no_newer_trust),
    ],
)
def test_every_usual_answer_leaves_the_connection_for_the_next_call(
    name: str, call: Callable[[ReleaseClient], object], server: GitServer
) -> None:
    with httpx.Client(base_url=server.url(""), timeout=5.0) as http:
        client = ReleaseClient(http, SystemClock())
        for _ in range(LOOKS):
            call(client)
    assert (name, len(server.log), server.connections) == (name, LOOKS, 1)
