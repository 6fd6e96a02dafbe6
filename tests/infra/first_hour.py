"""The hour in which a reader of README's ten steps goes from nothing to a live gateway, as far as it can be offline.

Every block runs as it stands on the page, in a copy of the project: each by a `bash` of its own that ends at the first fault
and hands its exported variables and functions on to the next one, as one shell would keep them. Between the blocks others
act, as the page says they do: a person puts tokens into `keys`, Google starts the functions that were applied, Railway starts
the gateway that was pushed. What the shell has and a reader's has not: the addresses of the stand-ins for GitHub and for
Google's storage (GITHUB_API_URL, STORAGE_EMULATOR_HOST), and first_hour_tools.py's commands on its PATH.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from shared.cli.keys import new_secret
from tests.cli.test_run import free_port, skill, until
from tests.gcs.server import GcsServer
from tests.gcs.stand_in import Gcs
from tests.github.deliveries import Deliveries
from tests.github.events import events_of, ping
from tests.github.server import GitHubStandIn
from tests.infra.container import Container
from tests.infra.first_hour_tools import VARIABLES
from tests.infra.test_package import FRAMEWORK, unpack
from tests.repos import Repo
from tests.stage import end
from tests.terraform.real_terraform import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.github.hook import Delivery
    from tests.infra.quick_start import Block

REPO, BUCKET = "octo/skills", "my-project-skill-sync-prod"
TOKEN, SETUP_TOKEN = f"github_pat_{new_secret()}", f"github_pat_{new_secret()}"
DOCKERFILE = "FROM node:22-bookworm\n"
TOOLS = ("make", "gcloud", "railway", "terraform")
COPIED = ("functions", "shared", "infra", "Makefile", "requirements.txt")
_ASKS, _ANSWERED = "operator init ", "operator init --passphrase-file ../passphrase "
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".terraform*", "*.tfstate*", "*.tfvars")
_SHELL = """
set -euo pipefail
. "$PAGE_SHELL"
{block}
{{ export -p; declare -f; }} > "$PAGE_SHELL"
"""
"""What a shell knows after one block, the next one knows too: exported variables and functions."""


class FailedBlockError(AssertionError):
    """A block of the page did not end well."""


@dataclass(kw_only=True)
class FirstHour:
    """Everything that the blocks speak to. `clone` stands for this folder, `gateway` for the gateway's repository beside it."""

    folder: Path
    github: GitHubStandIn
    store: GcsServer
    skills: Repo
    address: str
    opened: ExitStack
    deliveries: list[Delivery] = field(default_factory=list)
    printed: dict[int, str] = field(default_factory=dict)
    """What the commands of each step printed."""

    @property
    def clone(self) -> Path:
        return self.folder / "skill-sync"

    @property
    def gateway(self) -> Path:
        return self.folder / "gateway"

    @property
    def volume(self) -> Path:
        """What stands for the gateway's `/data`."""
        return self.folder / "life" / "volume"

    def run(self, block: Block) -> None:
        """Run a block as it stands; the passphrase that a person types is read from a file."""
        environment = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "GITHUB_API_URL": self.github.api_url,
            "STORAGE_EMULATOR_HOST": self.store.url,
            "PAGE_SHELL": str(self.folder / "shell"),
            "PAGE_CALLS": str(self.folder / "calls"),
            "PAGE_MADE": str(self.folder / "made"),
            "PAGE_VAULT": str(self.folder / "vault"),
            "PAGE_MOUNTS": str(self.folder / "mounts"),
            "PAGE_FUNCTIONS": self.address,
        }
        done = subprocess.run(
            ["bash", "-c", _SHELL.format(block=block.text.replace(_ASKS, _ANSWERED))],
            cwd=self.clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.printed[block.step] = self.printed.get(block.step, "") + done.stdout + done.stderr
        if done.returncode:
            raise FailedBlockError(f"{block}\nended with {done.returncode}\n{done.stdout}{done.stderr}{self._log()}")

    def calls(self) -> list[list[str]]:
        """Every call of a foreign command so far."""
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """What the last apply made of a kind."""
        made = json.loads((self.folder / "made" / "resources.json").read_text())
        return [each["change"]["after"] for each in made if each["type"] == kind]

    def variables(self) -> dict[str, str]:
        """The variables of the gateway's service on Railway."""
        kept: dict[str, dict[str, str]] = json.loads((self.folder / "made" / VARIABLES).read_text())
        return kept["gateway"]

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.address}/health", timeout=10).json()
        return found

    def put_the_tokens_in(self) -> None:
        """What step 3 asks a person to do."""
        (self.clone / "keys" / "GITHUB_TOKEN").write_text(TOKEN + "\n")
        (self.clone / "keys" / "setup_token").write_text(SETUP_TOKEN + "\n")

    def start_the_functions(self) -> None:
        """What Google does after step 8: it starts the package with the settings that were applied; `app` serves for all."""
        (app,) = [each for each in self.resources("google_cloudfunctions2_function") if each["name"].endswith("-app")]
        config = app["service_config"][0]
        mounts = {each["mount_path"]: str(self.folder / "mounts" / each["secret"]) for each in config["secret_volumes"]}
        paths = {f"{path}/value": file for path, file in mounts.items()}
        settings = {name: paths.get(value, value) for name, value in config["environment_variables"].items()}
        workspace = self.folder / "workspace"
        unpack(self.clone / "dist" / "skill-sync-functions.zip", workspace)
        source = workspace / app["build_config"][0]["environment_variables"]["GOOGLE_FUNCTION_SOURCE"]
        command = [str(FRAMEWORK), "--source", str(source)]
        command += ["--target", app["build_config"][0]["entry_point"], "--host", "127.0.0.1"]
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        elsewhere = {"GITHUB_API_URL": self.github.api_url, "STORAGE_EMULATOR_HOST": self.store.url}
        log = self.opened.enter_context((self.folder / "functions.log").open("wb"))
        process = subprocess.Popen(
            [*command, "--port", self.address.rpartition(":")[2]],
            cwd=workspace,
            env={**kept, "HOME": str(self.folder), **settings, **elsewhere},
            stdout=log,
            stderr=log,
        )
        self.opened.callback(end, process)
        until(lambda: process.poll() is not None or self._answers(), "the functions")
        assert process.poll() is None, self._log()

    def deploy_the_gateway(self) -> None:
        """What Railway does once the gateway's repository was pushed: entrypoint, puller and gateway, with its variables."""
        assert (self.gateway / "skill-sync" / "entrypoint.sh").exists()
        port = free_port()
        container = self.opened.enter_context(Container(self._life(), place=self.gateway / "skill-sync"))
        given = self.variables()
        # The page's port may be taken on this machine, and `/data` may be anything.
        given["GATEWAY_PROBE"] = given["GATEWAY_PROBE"].replace(f":{given['PORT']}/", f":{port}/")
        (self.volume / "skills").mkdir()
        places = {"SKILLS_DIR": str(self.volume / "skills"), "BACKUP_DIR": str(self.volume / "backups" / "skills")}
        gateway = [sys.executable, str(Path(__file__).with_name("gateway_process.py")), places["SKILLS_DIR"], str(port)]
        container.start(command=gateway, **given, **places)

    def push_a_skill(self, name: str) -> None:
        """Commit a skill and push it to the stand-in, which calls the webhook."""
        self.skills.write(f"{name}/SKILL.md", skill(name, "Pushed."))
        self.skills.commit()
        self.github.publish(REPO, self.skills)

    def poll(self) -> int:
        """Poll once, with the operators' key since no Cloud IAM stands before this address; returns the status."""
        key = (self.clone / "keys" / "MANUAL_SYNC_API_KEY").read_text().strip()
        return httpx.post(f"{self.address}/api/poll", headers={"x-api-key": key}, timeout=30).status_code

    def _life(self) -> Path:
        (self.folder / "life").mkdir()
        return self.folder / "life"

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health", timeout=10).status_code > 0
        except httpx.TransportError:
            return False

    def _log(self) -> str:
        log = self.folder / "functions.log"
        return log.read_text()[-4000:] if log.exists() else ""


@contextmanager
def beginning(folder: Path) -> Iterator[FirstHour]:
    """What is there before step 1: a clone, a gateway's repository with its Dockerfile, and one with skills on GitHub."""
    for each in ("made", "vault", "mounts", "bin", "gateway", "skill-sync"):
        (folder / each).mkdir()
    (folder / "gateway" / "Dockerfile").write_text(DOCKERFILE)
    (folder / "passphrase").write_text("a passphrase of some length\n")
    (folder / "shell").touch()
    for name in COPIED:
        source, target = ROOT / name, folder / "skill-sync" / name
        shutil.copytree(source, target, ignore=_LEFT_OUT) if source.is_dir() else shutil.copy(source, target)
    _make_tools(folder / "bin")
    skills = Repo(folder / "team-skills")
    skills.write("alpha/SKILL.md", skill("alpha", "From the beginning."))
    skills.commit()
    with ExitStack() as opened:
        github = opened.enter_context(GitHubStandIn(folder / "github"))
        store = opened.enter_context(GcsServer(Gcs(BUCKET)))
        github.token = TOKEN
        github.access.others.add(SETUP_TOKEN)
        bare = github.publish(REPO, skills)
        hour = FirstHour(
            folder=folder,
            github=github,
            store=store,
            skills=skills,
            address=f"http://127.0.0.1:{free_port()}",
            opened=opened,
        )
        deliveries = opened.enter_context(Deliveries(REPO, report=hour.deliveries.append))
        deliveries.make_ping = lambda hook: ping(hook, bare, REPO)
        github.deliveries = deliveries
        github.on_push = lambda changes: [deliveries.enqueue(event) for event in events_of(changes, bare, REPO)]
        yield hour


def _make_tools(folder: Path) -> None:
    line = f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m tests.infra.first_hour_tools"
    for name in TOOLS:
        (folder / name).write_text(f'#!/bin/sh\n{line} {name} "$@"\n')
        (folder / name).chmod(0o755)
