"""All parts with every credential in a mounted file, as token-rotation.md assumes it, under traffic that goes on and on.

Functions and puller are processes of their own, Neo4j is a real server, the stand-in for GitHub is a thread here.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from shared.adapters.signer import Ed25519Signer, new_seed
from shared.adapters.stores import open_store
from shared.cli import trust_home
from shared.cli.keys import new_secret
from shared.cli.trust_home import Line
from shared.core.auth import key_digest
from shared.core.google_cloud import GoogleCloud
from tests.cli.test_run import ROOT, free_port, skill, until
from tests.github.deliveries import Deliveries
from tests.github.events import ping
from tests.github.server import GitHubStandIn
from tests.infra.rotation_tools import add_version
from tests.infra.rotation_traffic import REPO, Call, going_on, looking, polling, pushing
from tests.neo4j.second_user import administrator
from tests.repos import Repo, git_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.github.hook import Delivery
    from tests.neo4j.server import Server

PULLER, FIRST_USER, SECOND_USER = "edge", "skill_sync_a", "skill_sync_b"
POLLING_INTERVAL_MIN = "0.03"
"""1.8 s: a quiet period is 3.6 s, and health is red when nobody polled for 5.4 s."""
PASSPHRASE, NEW_PASSPHRASE = "correct horse battery", "another horse battery"
MOUNTED = (
    "GITHUB_WEBHOOK_SECRET",
    "GITHUB_TOKEN",
    "GITHUB_APP_ID",
    "GITHUB_APP_KEY",
    "MANUAL_SYNC_API_KEY",
    "PULLER_KEY_HASHES",
    "NEO4J_USER",
    "NEO4J_PASSWORD",
    "SIGNING_KEY",
)
TOOLS = ("gcloud", "railway", "gh", "curl")


@dataclass(kw_only=True)
class RotationStack:
    """What runs. `values` are the variables that the page introduces; `pasted` is what a person types when asked."""

    folder: Path
    url: str
    github: GitHubStandIn
    graph: Server
    pushes: list[Delivery] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    faults: list[BaseException] = field(default_factory=list)
    pasted: str = ""

    @property
    def secrets(self) -> Path:
        """The operator's folder of secrets."""
        return self.folder / "secrets"

    @property
    def key_file(self) -> Path:
        """Where the puller's key is mounted on its host."""
        return self.folder / "volume" / "puller-key"

    def put(self, secret: str, text: str) -> None:
        """Add a version of a secret, as whoever set it up did."""
        add_version(self.folder / "vault", self.folder / "mounts", secret, text)

    def mounted(self, secret: str) -> str:
        """What the functions read."""
        return (self.folder / "mounts" / secret).read_text()

    def sh(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as a person does who has set the variables."""
        return subprocess.run(
            ["sh", "-c", line],
            cwd=ROOT,
            env=self._environment(),
            input=self.pasted if line.startswith("cat >") else "",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        return {
            **git_environment(),
            **self.puller_settings(),
            **self.values,
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "PAGE_VAULT": str(self.folder / "vault"),
            "PAGE_MOUNTS": str(self.folder / "mounts"),
            "PAGE_SCHEDULER": str(self.folder / "scheduler-key"),
            "PAGE_CALLS": str(self.folder / "calls"),
            "PAGE_LOG": str(self.folder / "functions.log"),
            "PAGE_API": self.github.api_url,
        }

    def puller_settings(self) -> dict[str, str]:
        """The settings on the volume's host."""
        return {
            "RELEASE_URL": self.url,
            "PULLER_ID": PULLER,
            "PULLER_KEY_FILE": str(self.key_file),
            "SKILLS_DIR": str(self.folder / "volume" / "skills"),
            "BACKUP_DIR": str(self.folder / "volume" / "backups"),
            "PULL_INTERVAL_SECONDS": "0.5",
            "TRUST_ANCHOR": (self.folder / "anchor").read_text(),
        }

    def function_settings(self) -> dict[str, str]:
        """The settings of the functions: what is secret is in files."""
        owner, _, name = REPO.partition("/")
        return {
            **{f"{each}_FILE": str(self.folder / "mounts" / each) for each in MOUNTED},
            "STORE_URI": f"sqlite://{self.folder / 'store.db'}",
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_OWNER": owner,
            "GITHUB_REPO": name,
            "POLLING_INTERVAL_MIN": POLLING_INTERVAL_MIN,
            "NEO4J_URI": self.graph.uri,
            "TRUST_ANCHOR": (self.folder / "anchor").read_text(),
        }

    def a_round(self) -> None:
        """Wait until a push, a poll and a sync that begin from now on were answered: nobody acts on what was read before."""
        pushes, calls = len(self.pushes) + 2, len(self.calls) + 5
        until(
            lambda: bool(self.faults) or (len(self.pushes) >= pushes and len(self.calls) >= calls), "a round of calls"
        )

    def cypher(self, query: str, **parameters: str) -> None:
        """Run a statement of the page as Neo4j's administrator."""
        login = administrator(self.graph)
        with self.graph.driver(auth=(login.user, login.password)) as driver:
            driver.execute_query(query, parameters, database_="system")  # type: ignore[call-overload]


@contextmanager
def _process(command: list[str], settings: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    environment = {**kept, **settings, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as stream:
        process = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=stream, stderr=stream)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def standing(folder: Path, graph: Server) -> Iterator[RotationStack]:
    """Start it all, with pushes going on; ends when the block does."""
    port = free_port()
    repo = Repo(folder / "team-skills")
    repo.write_all({"alpha/SKILL.md": skill("alpha", "Zero."), "beta/SKILL.md": skill("beta", "Zero.")})
    repo.commit()
    for each in ("mounts", "secrets", "volume/skills", "bin"):
        (folder / each).mkdir(parents=True)
    with ExitStack() as opened:
        github = opened.enter_context(GitHubStandIn(folder / "github"))
        stack = RotationStack(folder=folder, url=f"http://127.0.0.1:{port}", github=github, graph=graph)
        bare = github.publish(REPO, repo)
        deliveries = opened.enter_context(Deliveries(REPO, report=stack.pushes.append))
        deliveries.make_ping = lambda hook: ping(hook, bare, REPO)
        github.deliveries = deliveries
        _fill(stack, deliveries)
        framework = str(Path(sys.executable).parent / "functions-framework")
        served = [framework, "--source", str(ROOT / "functions" / "main.py"), "--target", "app", "--host", "127.0.0.1"]
        opened.enter_context(
            _process([*served, "--port", str(port)], stack.function_settings(), folder / "functions.log")
        )
        until(lambda: _answers(stack), "the functions")
        pulled = [sys.executable, "-m", "shared.puller"]
        opened.enter_context(_process(pulled, stack.puller_settings(), folder / "puller.log"))
        for traffic in (polling, looking):
            opened.enter_context(going_on(stack, partial(traffic, stack)))
        until(lambda: _is_green(stack), "a healthy service")
        stack.calls.clear()
        opened.enter_context(going_on(stack, partial(pushing, stack, deliveries, repo)))
        yield stack


def _answers(stack: RotationStack) -> bool:
    try:
        return httpx.get(f"{stack.url}/health", timeout=10, trust_env=False).status_code > 0
    except httpx.TransportError:
        return False


def _is_green(stack: RotationStack) -> bool:
    return any(call.what == "health" and call.document["status"] == "healthy" for call in stack.calls)


def _fill(stack: RotationStack, deliveries: Deliveries) -> None:
    """Make every first value, and let each stand wherever the page says that it is kept."""
    secret, key, puller_key, password, seed = new_secret(), new_secret(), new_secret(), new_secret(), new_seed()
    token = "github_pat_" + new_secret()
    stack.github.token = token
    stack.github.access.others.add("github_pat_of_the_operator")
    stack.cypher("DROP USER $user IF EXISTS", user=FIRST_USER)
    stack.cypher("CREATE USER $user SET PASSWORD $password CHANGE NOT REQUIRED", user=FIRST_USER, password=password)
    hook = deliveries.add_hook(f"{stack.url}/webhook/github", secret)
    for name, text in {
        "GITHUB_WEBHOOK_SECRET": secret,
        "GITHUB_TOKEN": token,
        "GITHUB_APP_ID": "",
        "GITHUB_APP_KEY": "",
        "MANUAL_SYNC_API_KEY": key,
        "PULLER_KEY_HASHES": f"{PULLER}:{key_digest(puller_key)}",
        "NEO4J_USER": FIRST_USER,
        "NEO4J_PASSWORD": password,
        "SIGNING_KEY": seed,
    }.items():
        stack.put(name, f"{text}\n" if text else "")
    signer = Ed25519Signer(seed)
    line = Line(channel="prod", repo=REPO, ref="HEAD")
    home = trust_home.begin(stack.folder / "operator", PASSPHRASE, line, signer.public_key, signer.key_id)
    trust_home.push(home, open_store(f"sqlite://{stack.folder / 'store.db'}", GoogleCloud()))
    for path, text in {
        "anchor": home.anchor,
        "scheduler-key": key,
        "volume/puller-key": puller_key,
        "secrets/api-key": key,
        "secrets/passphrase": PASSPHRASE,
        "secrets/new-passphrase": NEW_PASSPHRASE,
        "secrets/github-header": "Authorization: Bearer github_pat_of_the_operator\n",
    }.items():
        (stack.folder / path).write_text(text)
    stack.values = {
        "SKILL_SYNC_URL": stack.url,
        "MANUAL_SYNC_API_KEY_FILE": str(stack.secrets / "api-key"),
        "SECRETS": str(stack.secrets),
        "STORE_URI": f"sqlite://{stack.folder / 'store.db'}",
        "OPERATOR_HOME": str(home.path),
        "PROJECT": "skills-prod",
        "REGION": "europe-west1",
        "POLL_JOB": "skill-sync-poll",
        "GATEWAY_SERVICE": "gateway",
        "GITHUB_OWNER": REPO.partition("/")[0],
        "GITHUB_REPO": REPO.partition("/")[2],
        "HOOK": str(hook),
        "PULLER": PULLER,
        "USER_SECRET_ID": "NEO4J_USER",
        "NEW_USER": SECOND_USER,
    }
    make_tools(stack.folder / "bin")


def make_tools(folder: Path) -> None:
    """Put the stand-ins for foreign commands into a folder."""
    python = shlex.quote(sys.executable)
    lines = {name: f"{python} -m tests.infra.rotation_tools {name}" for name in TOOLS}
    for name, line in {**lines, "python": python}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        (folder / name).chmod(0o755)
