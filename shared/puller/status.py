"""The puller's own word on its state, over HTTP on this machine only; the same three answers as the functions give."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from shared.core.boot import boot_status
from shared.core.latches import latches_document
from shared.core.states import MISMATCH, VIOLATION, Condition, next_action

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.puller.follow import Follower

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 5.0


def documents(follower: Follower) -> dict[str, Callable[[], dict[str, object]]]:
    """Return the answers by path."""
    return {
        "/api/operational-state": lambda: operational_state(follower),
        "/api/dr-state": lambda: dr_state(follower),
        "/api/boot-status": lambda: boot_status(follower.standing.reasons),
    }


def operational_state(follower: Follower) -> dict[str, object]:
    """Say what the puller may do, and what it serves whatever that is."""
    standing = follower.standing
    return {
        "state": standing.condition.value,
        "since": standing.since,
        "reasons": list(standing.reasons),
        "serving": follower.state.deployment,
        "deploys_allowed": standing.deploys_allowed,
    }


def dr_state(follower: Follower) -> dict[str, object]:
    """Say what is offered against what is remembered, and what an operator has to do next."""
    standing, state, trust, offered = follower.standing, follower.state, follower.trust.newest, follower.offered
    floor = state.floor
    match = next((reason for reason in (VIOLATION, MISMATCH) if reason in standing.reasons), None)
    known = offered is not None and standing.condition is not Condition.PAUSED
    return {
        "match_status": match or ("match" if known else "unknown"),
        "trust": {"version": trust.version, "epoch": trust.epoch, "expires_at": trust.expires_at or None},
        "store": None if offered is None else {"deployment": offered.deployment, "issued_at": offered.issued_at},
        "remembered": None
        if floor is None
        else {"epoch": floor.epoch, "seq": floor.seq, "manifest": floor.digest, "issued_at": floor.issued_at},
        "pauses": latches_document(state.latches),
        "next_action": next_action(
            standing, state.latches, trust, remembered_epoch=0 if floor is None else floor.epoch
        ),
    }


class StatusServer:
    """Answers while a follower is at work; `show` names the one that counts.

    Args:
        port: On 127.0.0.1; 0 lets the system choose.

    Raises:
        OSError: the port cannot be used.
    """

    def __init__(self, port: int) -> None:
        self._follower: Follower | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = TIMEOUT_SECONDS

            def do_GET(self) -> None:
                status, body = outer.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="status", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def show(self, follower: Follower | None) -> None:
        """Tell of this follower from now on; None while there is none."""
        self._follower = follower

    def answer(self, path: str) -> tuple[int, bytes]:
        """Return status and body for a path."""
        follower = self._follower
        if follower is None:
            return 503, b'{"error": "the volume is not open", "code": "VOLUME_CLOSED"}\n'
        document = documents(follower).get(path.partition("?")[0])
        if document is None:
            return 404, b'{"error": "there is nothing at this path", "code": "ROUTE_UNKNOWN"}\n'
        return 200, json.dumps(document()).encode() + b"\n"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
