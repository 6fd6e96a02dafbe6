"""Everything that a runbook's commands speak to, running: functions over HTTP, a puller, a gateway, a stand-in for GitHub."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cli.test_run import ROOT, Running, free_port, running, skill, until
from tests.infra.runbook_page import RUNBOOKS, Command, commands
from tests.repos import Repo, git_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HERE = Path(__file__).parent
TOOLS = ("gcloud", "railway", "openclaw", "curl")
_INTRODUCED = re.compile(r"^\| `([A-Z][A-Z0-9_]*)` \|", re.MULTILINE)
_USED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_GATEWAY = """
import logging, runpy, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
sys.argv = [{script!r}, {folder!r}, "0"]
runpy.run_path({script!r}, run_name="__main__")
"""


@dataclass(kw_only=True)
class Stack:
    """What runs. `clone` is an operator's clone of the skills repository; `values` are the variables that pages introduce."""

    folder: Path
    run: Running
    clone: Path
    github: str
    puller_port: int
    gateway_port: int
    values: dict[str, str] = field(default_factory=dict)

    def sh(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as a person does who has set the variables."""
        return subprocess.run(
            ["sh", "-c", line],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        return {
            **git_environment(),
            **self.puller(),
            **self.values,
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "PAGE_CALLS": str(self.folder / "calls"),
            "PAGE_LOG": str(self.run.data / "log" / "functions.log"),
            "PAGE_GATEWAY_LOG": str(self.folder / "gateway.log"),
            "PAGE_API": f"{self.github}/api/v3",
        }

    def puller(self) -> dict[str, str]:
        """The settings that stand in the environment on the volume's host."""
        names = Path(f"/proc/{self._puller_pid()}/environ").read_bytes().decode().split("\0")
        held = dict(each.split("=", 1) for each in names if "=" in each)
        wanted = ("RELEASE_URL", "PULLER_ID", "PULLER_KEY", "TRUST_ANCHOR", "SKILLS_DIR", "BACKUP_DIR", "PULLER_PORT")
        return {name: held[name] for name in (*wanted, "GATEWAY_PROBE", "STORE_URI")}

    def _puller_pid(self) -> int:
        children = Path(f"/proc/{self.run.process.pid}/task/{self.run.process.pid}/children").read_text().split()
        return next(int(pid) for pid in children if b"shared.puller" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def stop_polls(self) -> None:
        """Stop the timer, so that what comes by a webhook is not brought by a poll first; one under way ends before ours."""
        self.run.process.send_signal(signal.SIGSTOP)
        self.run.post("/api/poll", {})

    def go_on_polling(self) -> None:
        """Let the timer go on."""
        self.run.process.send_signal(signal.SIGCONT)

    def push(self, files: Mapping[str, str | None]) -> str:
        """Commit in the operator's clone and push; None deletes a folder. Returns the deployment that follows by webhook."""
        for path, text in files.items():
            if text is None:
                shutil.rmtree(self.clone / path)
            else:
                (self.clone / path).parent.mkdir(parents=True, exist_ok=True)
                (self.clone / path).write_text(text)
        before = self.live()
        self.stop_polls()
        try:
            self._push()
            until(lambda: self.live() != before, "the deployment of the push")
        finally:
            self.go_on_polling()
        return self.live()

    def _push(self) -> None:
        for line in ("add -A", "commit -q -m Change", "push -q origin HEAD"):
            done = subprocess.run(
                ["git", "-C", str(self.clone), *shlex.split(line)],
                env=git_environment(),
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr

    def live(self) -> str:
        """The deployment that is live."""
        last = self.health()["last_deployment"]
        return "" if last is None else str(last["id"])

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.run.url}/health", timeout=10).json()
        return found

    def status(self) -> dict[str, Any]:
        """The puller's own word; nothing before it has one."""
        try:
            found: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.puller_port}/status", timeout=10).json()
        except httpx.HTTPError:
            return {}
        return found

    def settle(self) -> None:
        """Wait until the puller has installed, proved and reported what is live."""
        until(lambda: self.status().get("deployment") == self.live(), "the install")
        until(lambda: not self.status()["proving"], "the proof")
        until(lambda: self.health()["status"] == "healthy", "a healthy service")

    def calls(self) -> list[list[str]]:
        """Every call of a foreign command so far."""
        lines = (self.folder / "calls").read_text().splitlines() if (self.folder / "calls").exists() else []
        return [json.loads(line) for line in lines]


@contextmanager
def standing(folder: Path, skills: Mapping[str, str]) -> Iterator[Stack]:
    """Start it all over a repository with these files, and wait until it is healthy."""
    repo = Repo(folder / "team-skills")
    repo.write_all(dict(skills))
    repo.commit()
    _make_tools(folder / "bin")
    data = folder / "data"
    (data / "skills").mkdir(parents=True)
    puller_port = free_port()
    with _gateway(folder, data / "skills") as gateway_port, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULLER_PORT", str(puller_port))
        patch.setenv("GATEWAY_PROBE", f"http://127.0.0.1:{gateway_port}/health?check=skills")
        with running(data, "--repo", str(repo.path), "--branch", "main", "--github", "stand-in") as run:
            github = f"http://127.0.0.1:{int(run.url.rsplit(':', 1)[1]) + 1}"
            clone = folder / "clone"
            address = f"{github}/local/{repo.path.name}.git"
            subprocess.run(
                ["git", "clone", "-q", address, str(clone)], env=git_environment(), capture_output=True, check=True
            )
            stack = Stack(
                folder=folder, run=run, clone=clone, github=github, puller_port=puller_port, gateway_port=gateway_port
            )
            try:
                stack.settle()
                yield stack
            finally:
                stack.go_on_polling()


@contextmanager
def _gateway(folder: Path, skills: Path) -> Iterator[int]:
    code = _GATEWAY.format(script=str(HERE / "gateway_process.py"), folder=str(skills))
    log = folder / "gateway.log"
    with log.open("w") as stream:
        process = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=stream, stderr=stream)
    try:
        until(lambda: "port " in log.read_text(), "the gateway")
        yield int(re.findall(r"^port (\d+)$", log.read_text(), re.MULTILINE)[0])
    finally:
        process.kill()
        process.wait()


def _make_tools(folder: Path) -> None:
    folder.mkdir(parents=True)
    python = shlex.quote(sys.executable)
    lines = {name: f"{python} {shlex.quote(str(HERE / 'page_tools.py'))} {name}" for name in TOOLS}
    for name, line in {**lines, "python": python}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        (folder / name).chmod(0o755)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one command of a page does. Every text in `shows` stands in what it prints, and in its section of the page."""

    shows: tuple[str, ...] = ()
    status: int = 0
    before: Callable[[Stack], object] = bool
    after: Callable[[Stack], object] = bool


def run_page(stack: Stack, page: str, rows: Mapping[str, Row]) -> None:
    """Run every command of a page, in its order; a row is found by `<section>: <command>`, else by the command alone."""
    used: set[str] = set()
    told: dict[str, subprocess.CompletedProcess[str]] = {}
    for command in commands(page):
        key = f"{command.section}: {command.text}" if f"{command.section}: {command.text}" in rows else command.text
        assert key in rows, f"no row covers {command}"
        row = rows[key]
        if key not in used:
            row.before(stack)
            told[key] = stack.sh(command.text)
            row.after(stack)
        used.add(key)
        _check(command, row, told[key])
    assert used == rows.keys(), f"rows without a command: {sorted(rows.keys() - used)}"


def _check(command: Command, row: Row, done: subprocess.CompletedProcess[str]) -> None:
    printed = done.stdout + done.stderr
    assert done.returncode == row.status, f"{command}\nended with {done.returncode}\n{printed}"
    section = section_of(command.page, command.section) if row.shows else ""
    for text in row.shows:
        assert text in printed, f"{command}\ndoes not show {text!r}\n{printed}"
        assert text in section, f"{command}\nthe page does not say that it shows {text!r}"


def section_of(page: str, title: str) -> str:
    """A section's text down to the next heading, its commands left out."""
    text = (RUNBOOKS / page).read_text(encoding="utf-8")
    found = re.search(rf"^##+ {re.escape(title)}$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no section {title}"
    return re.sub(r"```sh.*?```", "", found[1], flags=re.DOTALL)


def introduced(page: str) -> set[str]:
    """The variables that a page introduces at its top."""
    top = (RUNBOOKS / page).read_text(encoding="utf-8").split("\n## ", 1)[0]
    return set(_INTRODUCED.findall(top))


def used(page: str) -> set[str]:
    """The variables that its commands use."""
    return {name for command in commands(page) for name in _USED.findall(command.text)}


def own_skill(name: str, text: str = "One.") -> str:
    """A valid SKILL.md."""
    return skill(name, text)
