"""The whole product on stage: GitHub and the bucket as stand-ins with settable round trips, and the product's own processes.

The functions run in two processes, as in the cloud: one syncs, one serves the puller. Each sees the bucket through a server
of its own, so that what a sync costs is told apart from what the puller asks.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

from shared.adapters.signer import Ed25519Signer
from shared.cli.announce import signed_headers
from shared.cli.keys import load_keys
from tests.fakes.trusted import anchor, first_version
from tests.gcs.server import GcsServer
from tests.gcs.stand_in import Gcs
from tests.github.server import GitHubStandIn
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
OWNER, NAME = "octo", "skills"
REPO = f"{OWNER}/{NAME}"
BUCKET = "skills"
TOKEN = "bench-token"
PATIENCE_SECONDS = 120.0
PULL_INTERVAL_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrips:
    """How long each request to GitHub and to the bucket takes on its way, in milliseconds."""

    github: float
    store: float


class Stage:
    """Everything that runs; a context manager that ends all of it. The repository is `octo/skills`, its branch `main`.

    Args:
        folder: Where repository, volume and logs lie.
        trips: The round trips.
    """

    def __init__(self, folder: Path, trips: RoundTrips) -> None:
        self.repo = Repo(folder / "origin")
        self._folder = folder
        self._trips = trips
        self.keys = load_keys(folder / "keys.env")
        self._stack = ExitStack()
        self._wait = threading.Event()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            bucket = Gcs(BUCKET)
            self.github = stack.enter_context(GitHubStandIn(self._folder / "github"))
            self.github.token = TOKEN
            self.store = stack.enter_context(GcsServer(bucket))
            self._served = stack.enter_context(GcsServer(bucket))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def publish(self) -> None:
        """Let the stand-in for GitHub show what is committed."""
        self.github.publish(REPO, self.repo)

    def start(self) -> None:
        """Start the functions, then switch the round trips on."""
        ports = (free_port(), free_port())
        self.url = f"http://127.0.0.1:{ports[0]}"
        release = f"http://127.0.0.1:{ports[1]}"
        self.functions = self._function("app", ports[0], self.store.url, release)
        self._function("release", ports[1], self._served.url, release)
        self._client = self._stack.enter_context(httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS))
        self.wait_for(lambda: _answers(f"{self.url}/health") and _answers(f"{release}/v1/current"), "the functions")
        self.github.switches.latency_seconds = self._trips.github / 1000
        self.store.latency_seconds = self._served.latency_seconds = self._trips.store / 1000

    def start_puller(self) -> None:
        """Start the puller."""
        self._process("puller", [sys.executable, "-m", "shared.puller"], self._environment(self._served.url))

    def poll(self) -> httpx.Response:
        """Poll as the scheduler does."""
        return self.operator("POST", "/api/poll")

    def operator(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Call as an operator does."""
        headers = {"x-api-key": self.keys["MANUAL_SYNC_API_KEY"]}
        return self._client.request(method, path, json=body, headers=headers)

    def webhook(self, body: bytes) -> httpx.Response:
        """Deliver a payload, signed."""
        headers = signed_headers(self.keys["GITHUB_WEBHOOK_SECRET"], body)
        return self._client.post("/webhook/github", content=body, headers=headers)

    def volume(self, path: str) -> Path:
        """A path in the skills folder of the volume."""
        return self._folder / "volume" / "skills" / path

    def wait_for(self, holds: Callable[[], bool], what: str) -> float:
        """Wait for a condition and return the moment at which it held.

        Raises:
            TimeoutError: it never did.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            if time.monotonic() > until:
                raise TimeoutError(f"not within {PATIENCE_SECONDS:.0f} s: {what}; see {self._folder}/*.log")
            self._wait.wait(0.002)
        return time.monotonic()

    def peak_memory_mb(self) -> float:
        """The most memory that a process of the syncing functions has held so far, in MB (10^6 bytes)."""
        return max(peak_bytes(pid) for pid in (self.functions.pid, *_children(self.functions.pid))) / 1e6

    def _function(self, target: str, port: int, bucket_url: str, release: str) -> subprocess.Popen[bytes]:
        command = [
            str(Path(sys.executable).parent / "functions-framework"),
            *("--source", str(ROOT / "functions" / "main.py"), "--target", target),
            *("--host", "127.0.0.1", "--port", str(port)),
        ]
        self._release = release
        return self._process(target, command, self._environment(bucket_url))

    def _process(self, name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self._stack.callback(end, process)
        return process

    def _environment(self, bucket_url: str) -> dict[str, str]:
        settings = {
            "STORE_URI": f"gs://{BUCKET}/prod",
            "STORAGE_EMULATOR_HOST": bucket_url,
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_OWNER": OWNER,
            "GITHUB_REPO": NAME,
            "GITHUB_BRANCH": "main",
            "SKILLS_DIR": str(self._folder / "volume" / "skills"),
            "BACKUP_DIR": str(self._folder / "volume" / "backups"),
            "RELEASE_URL": self._release,
            "PULL_INTERVAL_SECONDS": str(PULL_INTERVAL_SECONDS),
            "TRUST_ANCHOR": anchor(
                first_version(Ed25519Signer(self.keys["SIGNING_KEY"]), repo=REPO, ref="refs/heads/main")
            ),
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, **settings, **self.keys}


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=5.0)
    except httpx.HTTPError:
        return False
    return True


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and make it end after 15 s."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has held so far, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
