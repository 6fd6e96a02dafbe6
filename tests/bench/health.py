"""How long `GET /health` takes with a long history on record: the function in a process of its own, asked over HTTP."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from shared.adapters.sqlite_store import SqliteStore
from shared.core.auth import key_digest
from shared.core.canonical import canonical_bytes, digest_of
from shared.core.decide import Decision
from shared.core.manifest import empty_manifest
from shared.core.names import CURRENT, SUMMARY, puller_name, record_name, timestamp
from shared.core.news import with_news
from shared.core.pointer import Move, next_pointer, sign_pointer
from shared.core.report import kept_report
from shared.core.rewind import Witness
from shared.core.summary import Summary, count, line_of, summary_bytes, with_deployments, with_latency, with_poll
from shared.core.tally import with_tally
from shared.model import Action, CommitSha, ManifestRef, Status, Trigger
from tests.bench.measures import percentile
from tests.bench.targets import HEALTH_MS, Verdict
from tests.fakes.trusted import a_signer, anchor, first_version
from tests.stage import ROOT, end, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.model import Pointer
    from shared.ports import Store

PULLERS = ("edge-1", "edge-2", "edge-3")
SIGNER = a_signer(78)
TRUST = first_version(SIGNER, repo="octo/skills", ref="refs/heads/main")
_POLL_SECONDS = 300.0
_CALLS, _WARM_UP = 100, 5
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything about it: how many deployments were on record, and the milliseconds of each call."""

    deployments: int
    status: str
    calls: list[float]


def measure(folder: Path, *, deployments: int) -> Measured:
    """Fill a store, start the function on it, and ask.

    Args:
        folder: An empty folder.
        deployments: How many are on record, one each quarter of an hour until now.
    """
    path = folder / "objects.db"
    store = SqliteStore(path)
    fill(store, deployments)
    store.close()
    with serving(folder, path) as url, httpx.Client(base_url=url, timeout=_PATIENCE_SECONDS) as client:
        status, calls = "", []
        for _ in range(_WARM_UP + _CALLS):
            started = time.perf_counter()
            status = str(client.get("/health").json()["status"])
            calls.append(1000 * (time.perf_counter() - started))
    return Measured(deployments=deployments, status=status, calls=calls[_WARM_UP:])


def told(found: Measured) -> str:
    """Tell it for people."""
    middle, late = (percentile(found.calls, share) for share in (0.5, 0.95))
    return (
        f"/health, {found.deployments:,} deployments on record, {len(PULLERS)} pullers: "
        f"p50 {middle:.1f} ms, p95 {late:.1f} ms, slowest {max(found.calls):.1f} ms of {len(found.calls)} calls"
    )


def verdicts(found: Measured) -> Iterator[Verdict]:
    """Judge the figures."""
    late, where = percentile(found.calls, 0.95), f"/health with {found.deployments:,} deployments on record"
    yield Verdict(text=f"{where} p95 {late:.0f} ms (below {HEALTH_MS:.0f})", met=late < HEALTH_MS)
    yield Verdict(text=f"{where} is {found.status} (healthy)", met=found.status == "healthy")


def fill(store: Store, deployments: int, bundle: ManifestRef | None = None) -> None:
    """Write so many records, the live pointer, a summary with all that it can hold, and three pullers with 30 days each.

    Args:
        store: Where.
        deployments: How many.
        bundle: The manifest that all of them name; None names ones that were never written.
    """
    now = datetime.now(UTC)
    manifest = empty_manifest(channel=TRUST.channel, repo=TRUST.repo, root="", rules="made up")
    pointer: Pointer | None = None
    summary, envelope = Summary(), b""
    for number in range(deployments):
        at = now - timedelta(minutes=15 * (deployments - 1 - number))
        pointer = next_pointer(pointer, _move(number, at, bundle), trust=TRUST, now=at, poll_seconds=_POLL_SECONDS)
        envelope = sign_pointer(pointer, SIGNER)
        store.put(record_name(pointer.deployment), envelope, if_generation=0)
        summary = with_deployments(summary, [line_of(pointer, Decision(manifest=manifest))])
        summary = count(with_latency(summary, timestamp(at)[:10], 900.0), timestamp(at)[:10], "webhooks")
    assert pointer is not None
    store.put(CURRENT, envelope, if_generation=0)
    store.put(SUMMARY, summary_bytes(with_poll(summary, timestamp(now), pointer.commit)), if_generation=0)
    floor = Witness(party="puller", pointer=pointer, envelope=envelope)
    for puller in PULLERS:
        store.put(puller_name(puller), _report(puller, floor, now), if_generation=0)


def _move(number: int, at: datetime, bundle: ManifestRef | None) -> Move:
    return Move(
        action=Action.DEPLOY,
        status=Status.SUCCESS,
        trigger=Trigger.WEBHOOK,
        commit=CommitSha(f"{number:040x}"),
        manifest=bundle or ManifestRef(sha256=digest_of(b"%d" % number), size=4000, skills=10),
        token=f"{number:016x}",
        asked_at=timestamp(at),
    )


def _report(puller: str, floor: Witness, now: datetime) -> bytes:
    kept: dict[str, object] = {}
    for day in range(30, -1, -1):
        gateway = {"since": timestamp(now - timedelta(days=day)), "watched_ms": 86_400_000, "up_ms": 86_399_000}
        body = {"outcome": "current", "deployment": floor.pointer.deployment, "gateway": gateway}
        report = kept_report(puller, body, floor, timestamp(now - timedelta(days=day)))
        kept = with_news(with_tally(report, kept), kept)
    return canonical_bytes(kept)


@contextmanager
def serving(folder: Path, store: Path, target: str = "status", **more: str) -> Iterator[str]:
    """Start one function on a store; `more` are settings beside those that it needs."""
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "functions-framework"),
        *("--source", str(ROOT / "functions" / "main.py"), "--target", target),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    settings = {
        "STORE_URI": f"sqlite://{store}",
        "GITHUB_OWNER": "octo",
        "GITHUB_REPO": "skills",
        "GITHUB_BRANCH": "main",
        "TRUST_ANCHOR": anchor(TRUST),
        "GITHUB_WEBHOOK_SECRET": "w" * 40,
        "MANUAL_SYNC_API_KEY": "a" * 40,
        "SIGNING_KEY": base64.b64encode(bytes(32)).decode(),
        "PULLER_KEY_HASHES": "\n".join(f"{puller}:{key_digest(puller)}" for puller in PULLERS),
        **more,
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with (folder / f"{target}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env={**kept, **settings}, stdout=log, stderr=log)
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            end(process)


def _wait_until_up(url: str) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            httpx.get(url, timeout=5.0)
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            threading.Event().wait(0.05)
        else:
            return
