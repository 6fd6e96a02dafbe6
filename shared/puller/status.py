"""The puller's own word on its state, over HTTP on this machine only; the same three answers as the functions give."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from shared.core.boot import boot_status
from shared.core.latches import latches_document
from shared.core.states import MISMATCH, VIOLATION, Condition, next_action
from shared.puller.report import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Clock
    from shared.puller.follow import Follower

HOST = "127.0.0.1"
TIMEOUT_SECONDS = 5.0
STALE_AFTER_POLLS = 3
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _json(status: int, document: dict[str, object]) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(document).encode() + b"\n"


def documents(follower: Follower) -> dict[str, Callable[[], dict[str, object]]]:
    """Return the answers by path."""
    return {
        "/status": lambda: status(follower),
        "/api/operational-state": lambda: operational_state(follower),
        "/api/dr-state": lambda: dr_state(follower),
        "/api/boot-status": lambda: boot_status(follower.standing.reasons),
    }


def status(follower: Follower) -> dict[str, object]:
    """Say what is installed, since when, and how the last look ended."""
    state, standing = follower.state, follower.standing
    return {
        "state": standing.condition.value,
        "reasons": list(standing.reasons),
        "deployment": state.deployment,
        "manifest": state.manifest,
        "installed_at": state.installed_at,
        "skills": 0 if state.installed is None else state.installed.skills,
        "installing": state.installing is not None,
        "trust_version": follower.trust.newest.version,
        "last_look": follower.looked_at or None,
        "looks": dict(follower.looks),
    }


def is_verified(follower: Follower, now: float, interval: float) -> bool:
    """Whether the volume was known to equal the live pointer within the last three polls.

    Args:
        follower: Who looks.
        now: Monotonic seconds.
        interval: Seconds between two looks.
    """
    return follower.verified_at is not None and now - follower.verified_at <= STALE_AFTER_POLLS * interval


def metrics(follower: Follower, now: float, interval: float) -> str:
    """Write the figures in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
    state, standing = follower.state, follower.standing
    lines = [
        "# HELP skill_sync_puller_up Whether the volume was verified equal to the live pointer within three polls.",
        "# TYPE skill_sync_puller_up gauge",
        f"skill_sync_puller_up {int(is_verified(follower, now, interval))}",
        "# HELP skill_sync_puller_state The operational state.",
        "# TYPE skill_sync_puller_state gauge",
        *(f'skill_sync_puller_state{{state="{each.value}"}} {int(each is standing.condition)}' for each in Condition),
        "# HELP skill_sync_puller_looks_total Looks at the pointer by how they ended.",
        "# TYPE skill_sync_puller_looks_total counter",
        *(
            f'skill_sync_puller_looks_total{{outcome="{each.value}"}} {follower.looks[each.value]}'
            for each in sorted(Result)
        ),
        "# HELP skill_sync_puller_skills Skills that are installed.",
        "# TYPE skill_sync_puller_skills gauge",
        f"skill_sync_puller_skills {0 if state.installed is None else state.installed.skills}",
        "# HELP skill_sync_puller_trust_version The newest version of the trust that is believed.",
        "# TYPE skill_sync_puller_trust_version gauge",
        f"skill_sync_puller_trust_version {follower.trust.newest.version}",
    ]
    return "\n".join(lines) + "\n"


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
        clock: Says how long ago something was.

    Raises:
        OSError: the port cannot be used.
    """

    def __init__(self, port: int, clock: Clock) -> None:
        self._clock = clock
        self._interval = 0.0
        self._follower: Follower | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = TIMEOUT_SECONDS

            def do_GET(self) -> None:
                status, kind, body = outer.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
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

    def show(self, follower: Follower | None, interval: float) -> None:
        """Tell of this follower from now on, which looks so often (seconds); None while there is none."""
        self._follower, self._interval = follower, interval

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body for a path."""
        follower, now = self._follower, self._clock.monotonic()
        path = path.partition("?")[0]
        if follower is None:
            return _json(503, {"error": "the volume is not open", "code": "VOLUME_CLOSED"})
        if path == "/metrics":
            return 200, METRICS_TYPE, metrics(follower, now, self._interval).encode()
        if path == "/healthz":
            healthy = is_verified(follower, now, self._interval)
            return _json(200 if healthy else 503, {"ok": healthy, "state": follower.standing.condition.value})
        document = documents(follower).get(path)
        if document is None:
            return _json(404, {"error": "there is nothing at this path", "code": "ROUTE_UNKNOWN"})
        return _json(200, document())

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
