"""README's quick start on one machine: every command of it does what the page says, as it stands there, but for the port."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.test_run import free_port, skill, until
from tests.infra.quick_start import HERE, quick_start
from tests.repos import Repo, git_environment
from tests.stage import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = [line.partition("  #")[0].rstrip() for block in quick_start(HERE) for line in block.text.splitlines()]
LINKED = ("functions", "shared", "tests", "Makefile", "requirements.txt")
KEYS = ". .data/keys.env"


@dataclass(kw_only=True)
class Reader:
    """Somebody in the project's folder. `typed` are the lines of the page that were run."""

    folder: Path
    port: int = field(default_factory=free_port)
    typed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name in LINKED:
            (self.folder / name).symlink_to(ROOT / name)
        program = self.folder / ".venv" / "bin" / "python"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        program.chmod(0o755)
        (self.folder / ".venv" / ".runtime").touch()  # as younger than requirements.txt as after an installation

    def environment(self) -> dict[str, str]:
        """The port is a free one: PORT, as the page says."""
        # A `make` that runs the tests would have the page's own say that it was called by another.
        kept = {
            name: value
            for name, value in git_environment().items()
            if not name.lower().endswith("_proxy") and name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
        }
        return {**kept, "PORT": str(self.port)}

    @contextmanager
    def running(self, line: str) -> Iterator[None]:
        """Run a `make run` of the page until the block ends, by Ctrl-C."""
        screen = self.folder / "screen"
        with screen.open("w") as stream:
            process = subprocess.Popen(
                ["sh", "-c", self._line(line)],
                cwd=self.folder,
                env=self.environment(),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        try:
            until(lambda: "Ctrl-C ends everything" in screen.read_text() or process.poll() is not None, "first screen")
            assert process.poll() is None, screen.read_text()
            yield
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=30)
        assert "Stopped." in screen.read_text()

    def sh(self, line: str, before: str = "", **filled: str) -> str:
        """Run another line of the page in a second terminal, after one that was typed there before; returns what it prints."""
        text = self._line(line)
        for name, value in filled.items():
            text = text.replace(f"<{name}>", value)
        done = subprocess.run(
            ["sh", "-euc", f"{self._line(before) if before else ''}\n{text}"],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def text(self, path: str) -> str:
        file = self.folder / path
        return file.read_text() if file.exists() else ""

    def _line(self, line: str) -> str:
        assert line in LINES, f"the page has no such line: {line}"
        self.typed.add(line)
        return line.replace("localhost:8080", f"localhost:{self.port}").replace(
            "localhost:8081", f"localhost:{self.port + 1}"
        )


def change(sample: Path, name: str, text: str) -> None:
    """Commit a new text of one of the sample's skills."""
    file = sample / "skills" / name / "SKILL.md"
    file.write_text(file.read_text() + text)
    subprocess.run(["git", "commit", "-qam", text], cwd=sample, env=git_environment(), check=True)


def deployed(reader: Reader, line: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(reader.sh(line, before=KEYS))["deployments"]
    return found


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    (tmp_path / "skill-sync").mkdir()
    return Reader(folder=tmp_path / "skill-sync")


def test_every_command_does_what_the_page_says(reader: Reader) -> None:
    ask(reader)
    serve_ones_own(reader)
    play_with_webhooks(reader)
    assert {*LINES} == reader.typed | {"make test"}
    # This test is what `make test` runs, or a part of it.
    planned = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "python -m pytest" in planned.stdout


def ask(reader: Reader) -> None:
    """The sample, and what one can ask and do with the keys of the first run."""
    health, skills, deployments = LINES[LINES.index(KEYS) + 1 : LINES.index(KEYS) + 4]
    back, release = LINES[LINES.index(KEYS) + 4 :]
    with reader.running("make run"):
        until(lambda: bool(reader.text(".data/skills/word-count/SKILL.md")), "the sample")
        assert "with: make push\n" in reader.text("screen")
        assert stat.S_IMODE((reader.folder / ".data" / "keys.env").stat().st_mode) == 0o600
        assert "services" in json.loads(reader.sh(health))
        named = json.dumps(json.loads(reader.sh(skills, before=KEYS)))
        assert '"word-count"' in named
        assert len(deployed(reader, deployments)) == 1
        change(reader.folder / ".data" / "sample-repo", "word-count", "More.\n")
        until(lambda: len(deployed(reader, deployments)) == 2, "the commit, by the timer")
        answer = reader.sh(back, before=KEYS)
        assert "word-count" in answer
        until(lambda: "More." not in reader.text(".data/skills/word-count/SKILL.md"), "the rollback")
        reader.sh(release, before=KEYS, skill="word-count")
        until(lambda: "More." in reader.text(".data/skills/word-count/SKILL.md"), "the release")


def serve_ones_own(reader: Reader) -> None:
    """Somebody's own repository, beside this folder."""
    repo = Repo(reader.folder.parent / "my-skills")
    repo.write("mine/SKILL.md", skill("mine", "One."))
    repo.commit()
    with reader.running("make run REPO=../my-skills DATA=.data-mine"):
        until(lambda: "One." in reader.text(".data-mine/skills/mine/SKILL.md"), "the first install")
        repo.write("mine/SKILL.md", skill("mine", "Two."))
        repo.commit()
        assert f"make push DATA={reader.folder / '.data-mine'}\n" in reader.text("screen")
        assert reader.sh("make push DATA=.data-mine").startswith("200 ")
        until(lambda: "Two." in reader.text(".data-mine/skills/mine/SKILL.md"), "the announced commit")


def play_with_webhooks(reader: Reader) -> None:
    """The stand-in for GitHub: a push by its webhook, and one whose webhook is lost."""
    drop = next(line for line in LINES if "_control/switches" in line)
    sample, installed = reader.folder / ".data-github" / "sample-repo", ".data-github/skills/word-count/SKILL.md"
    with reader.running("make run GITHUB=stand-in DATA=.data-github"):
        until(lambda: bool(reader.text(installed)), "the sample")
        change(sample, "word-count", "Called.\n")
        reader.sh("make push DATA=.data-github")
        until(lambda: "Called." in reader.text(installed), "the push")
        assert json.loads(reader.sh(drop))["drop"] == 1
        change(sample, "word-count", "Lost.\n")
        reader.sh("make push DATA=.data-github")
        until(lambda: "Lost." in reader.text(installed), "the push whose call was lost")
