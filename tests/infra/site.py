"""A whole installation on this machine, as a runbook's reader finds it, for tests that run the runbook's commands.

The functions answer on a port, a puller follows them and tells its state on another; store, volume and the operator's folder
are files, and the audit graph is a real server. `Template` keeps one such installation, to be copied for each test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import functions_framework
import httpx
from werkzeug.serving import WSGIRequestHandler, make_server

from shared.adapters.signer import Ed25519Signer
from shared.adapters.sqlite_store import SqliteStore
from shared.cli import trust_home
from shared.cli.trust_home import Line
from shared.config import Settings, load_settings
from shared.core.auth import key_digest
from shared.core.names import CURRENT
from shared.puller.clock import Bell, StoppableClock
from shared.puller.loop import Loop
from shared.puller.server import StatusServer
from shared.service.survey import readable
from tests.fakes.neo4j_graph import put_back, snapshot
from tests.functions.cloud import API_KEY, MAIN, PULLER_KEY, SECRET, SEED, skill_text
from tests.repos import Repo

if TYPE_CHECKING:
    import pytest

    from shared.model import Pointer
    from tests.fakes.neo4j_graph import Snapshot
    from tests.infra.runbook_page import Command
    from tests.neo4j.server import Server

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 40.0
PASSPHRASE = "correct horse battery"
BUCKET, VOLUME, GRAPH = "bucket", "volume", "Neo4j"
PULLER_SETTINGS = {"PULLER_ID": "edge", "PULLER_KEY": PULLER_KEY, "PULL_INTERVAL_SECONDS": "0.1"}
Ran = subprocess.CompletedProcess[str]


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing: the functions log for themselves."""


class Site:
    """An installation below one folder; nothing runs before `start`.

    Args:
        folder: Of a template's copy, or empty.
        environment: Where the settings go.
        graph: The audit graph.
    """

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch, graph: Server) -> None:
        self.folder = folder
        self.graph = graph
        self.repo = Repo(folder / "origin")
        self.operator = folder / "operator"
        self._environment = environment
        self._bucket = folder / BUCKET
        self._running: list[Any] = []
        self.variables: dict[str, str] = {}
        """What the page tells its reader to set."""
        self.at_the_puller: dict[str, str] = {}
        """Settings that only the puller has, or has otherwise."""
        self.programs = [folder / "bin", Path(sys.executable).parent]
        """Where a command's programs are looked for first."""
        (folder / "passphrase").write_text(PASSPHRASE + "\n")
        if not self.operator.exists():
            signer, line = Ed25519Signer(SEED), Line(channel="prod", repo="octo/skills", ref="refs/heads/main")
            trust_home.push(
                trust_home.begin(self.operator, PASSPHRASE, line, signer.public_key, signer.key_id), self.store
            )
        self.set(
            SOURCE_URL=str(self.repo.path),
            GITHUB_OWNER="octo",
            GITHUB_REPO="skills",
            GITHUB_BRANCH="main",
            GITHUB_WEBHOOK_SECRET=SECRET,
            MANUAL_SYNC_API_KEY=API_KEY,
            SIGNING_KEY=SEED,
            TRUST_ANCHOR=trust_home.open_home(self.operator).anchor,
            PULLER_KEY_HASHES=f"edge:{key_digest(PULLER_KEY)}",
            NEO4J_URI=graph.uri,
            NEO4J_USER=graph.user,
            NEO4J_PASSWORD=graph.password,
            FUNCTION_TARGET="app",
            **PULLER_SETTINGS,
        )

    def set(self, **settings: str) -> None:
        """Change settings of both sides, as they are read at the next call."""
        for name, value in settings.items():
            self._environment.setenv(name, value)

    @property
    def store(self) -> SqliteStore:
        """The bucket, as anybody with rights on it sees it."""
        return SqliteStore(self._bucket / "store.db")

    @property
    def volume(self) -> Path:
        """What the gateway's host mounts."""
        return self.folder / VOLUME

    def start(self, *, puller: bool = True) -> None:
        """Start the functions, and the puller unless its host is away."""
        self.set(STORE_URI=f"sqlite://{self._bucket / 'store.db'}")
        server = make_server(
            "127.0.0.1", 0, functions_framework.create_app("app", MAIN), threaded=True, request_handler=_Quiet
        )
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}"
        self.set(RELEASE_URL=url, SKILLS_DIR=str(self.volume / "skills"), BACKUP_DIR=str(self.volume / "backups"))
        self._running = [server, serving]
        self.variables = {
            "SKILL_SYNC_URL": url,
            "MANUAL_SYNC_API_KEY": API_KEY,
            "STORE_URI": f"sqlite://{self._bucket / 'store.db'}",
            "OPERATOR_HOME": str(self.operator),
            "PASSPHRASE_FILE": str(self.folder / "passphrase"),
            "INCIDENT": "INC-1",
            "EVIDENCE": str(self.folder / "evidence"),
            "VOLUME": str(self.volume),
        }
        if puller:
            self.start_puller()

    def start_puller(self) -> None:
        """Start the puller, and wait until it has looked twice: what the first look found is reported then."""
        stop = threading.Event()
        bell, clock = Bell(stop), StoppableClock(stop)
        status = StatusServer(0, clock, bell.ring)
        loop = Loop(self._pullers_settings, clock, stop, status=status, pause=bell.wait)
        pulling = threading.Thread(target=loop.run, args=(self._pullers_settings(),))
        pulling.start()
        self._running += [stop, bell, pulling, status]
        self.variables["PULLER_PORT"] = str(status.port)
        self.until(lambda: sum(self.puller().get("looks", {}).values()) > 1, "the puller's first looks")

    def _pullers_settings(self) -> Settings:
        return load_settings({**os.environ, **self.at_the_puller})

    def stop_puller(self) -> None:
        """End the puller."""
        stop, bell, pulling, status = self._running[2:]
        stop.set()
        bell.ring()
        pulling.join()
        threading.Thread(target=status.close).start()  # it takes up to half a second to notice
        del self._running[2:]

    def stop(self) -> None:
        """End everything."""
        if self._running[2:]:
            self.stop_puller()
        if self._running:
            server, serving = self._running
            server.shutdown()
            serving.join()
            server.server_close()
        self._running = []

    def puller(self, path: str = "/status") -> dict[str, Any]:
        """Ask the puller."""
        return dict(httpx.get(f"http://127.0.0.1:{self.variables['PULLER_PORT']}{path}", timeout=5.0).json())

    def call(self, method: str, path: str) -> httpx.Response:
        """Call the functions."""
        headers = {"x-api-key": API_KEY}
        return httpx.request(method, self.variables["SKILL_SYNC_URL"] + path, headers=headers, timeout=30.0)

    def poll(self) -> int:
        """Poll, as the scheduler does; return the status code."""
        return self.call("POST", "/api/poll").status_code

    def push(self, text: str) -> None:
        """Commit another text of the skill `a`."""
        self.repo.write("a/SKILL.md", skill_text("a", text))
        self.repo.commit()

    def deploy(self, text: str) -> None:
        """Commit and sync it; where a puller runs, wait for it."""
        self.push(text)
        assert self.call("POST", "/api/sync").status_code == 200
        if self._running[2:]:
            self.until(self.is_at_head, f"{text} on the volume")

    def live(self) -> Pointer:
        """What the store says is live."""
        current = self.store.get(CURRENT)
        assert current is not None
        pointer = readable(current.data, trust_home.open_home(self.operator).newest)
        assert pointer is not None
        return pointer

    def rename(self, folder: str, other: str) -> None:
        """Give the store's objects below a folder names below another one, as `gcloud storage mv` does."""
        for entry in self.store.list(f"{folder}/"):
            stored = self.store.get(entry.name)
            assert stored is not None
            self.store.put(f"{other}/{entry.name.removeprefix(f'{folder}/')}", stored.data, if_generation=0)
            self.store.delete(entry.name, if_generation=stored.generation)

    def is_at_head(self) -> bool:
        """Whether the volume serves the head of the repository."""
        wanted = {path: (self.repo.path / path).read_bytes() for path in self.repo.git("ls-files").splitlines()}
        with suppress(OSError):
            return wanted == {path: (self.volume / "skills" / path).read_bytes() for path in wanted}
        return False

    def keep(self, *parts: str) -> None:
        """Stop everything, and take snapshots of bucket or volume in place of those before."""
        self.stop()
        for part in parts:
            shutil.rmtree(self.folder / "snapshot" / part, ignore_errors=True)
            place = self._bucket if part == BUCKET else self.volume
            shutil.copytree(place, self.folder / "snapshot" / part, symlinks=True)

    def take_back(self, *parts: str) -> None:
        """Stop everything, and restore bucket or volume from the snapshots; `start` begins anew on them."""
        self.stop()
        if BUCKET in parts:
            # A place of its own, so that no connection to the file before is in use.
            self._bucket = self._bucket.with_name(f"{self._bucket.name}-restored")
            shutil.copytree(self.folder / "snapshot" / BUCKET, self._bucket)
        if VOLUME in parts:
            shutil.rmtree(self.volume)
            shutil.copytree(self.folder / "snapshot" / VOLUME, self.volume, symlinks=True)

    def run(self, command: Command | str, **more: str) -> Ran:
        """Run a command of the page with `sh`, as it stands, in a checkout whose environment is active."""
        path = os.pathsep.join([*map(str, self.programs), os.environ["PATH"]])
        environment = {"PATH": path, "HOME": str(self.folder), **self.variables, **more}
        text = command if isinstance(command, str) else command.text
        return subprocess.run(
            ["sh", "-c", text], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def until(self, holds: Any, what: str) -> None:  # noqa: ANN401 - whatever is true or false
        """Wait for a condition."""
        end, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
        while not holds():
            assert time.monotonic() < end, f"not within {PATIENCE_SECONDS} s: {what}; {json.dumps(self.puller())}"
            pause.wait(0.02)


class Template:
    """One installation whose snapshots are of deployment 1-2, while 1-4 is live, installed, and in the graph."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch, graph: Server) -> None:
        self.folder = folder
        site = Site(folder, environment, graph)
        site.repo.write("b/SKILL.md", skill_text("b"))
        site.start()
        try:
            for text in ("One.", "Two."):
                site.deploy(text)
            assert site.poll() == 200
            site.keep(BUCKET, VOLUME)
            self.earlier: Snapshot = snapshot(graph)
            site.start()
            for text in ("Three.", "Four."):
                site.deploy(text)
            assert site.poll() == 200
        finally:
            site.stop()
        self.now: Snapshot = snapshot(graph)

    def site(
        self, folder: Path, environment: pytest.MonkeyPatch, graph: Server, taken_back: tuple[str, ...] = ()
    ) -> Site:
        """Copy it; nothing of the copy runs yet."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        put_back(graph, self.earlier if GRAPH in taken_back else self.now)
        site = Site(folder, environment, graph)
        site.take_back(*taken_back)
        return site
