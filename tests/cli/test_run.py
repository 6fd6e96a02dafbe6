"""`run` as a user starts it: real processes, a real repository, files that appear, change and go."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.cli.announce import push_payload, signed_headers
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20.0


class Running:
    """A started `run` with its folders and keys."""

    def __init__(self, data: Path, port: int, process: subprocess.Popen[str]) -> None:
        self.data = data
        self.url = f"http://127.0.0.1:{port}"
        self.process = process

    @property
    def keys(self) -> dict[str, str]:
        lines = (self.data / "keys.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def post(self, path: str, body: object) -> httpx.Response:
        headers = {"x-api-key": self.keys["MANUAL_SYNC_API_KEY"]}
        return httpx.post(self.url + path, json=body, headers=headers, timeout=30)

    def get(self, path: str) -> dict[str, object]:
        headers = {"x-api-key": self.keys["MANUAL_SYNC_API_KEY"]}
        return dict(httpx.get(self.url + path, headers=headers, timeout=30).json())

    def announce(self, repo: Repo) -> httpx.Response:
        body = json.dumps(push_payload(repo.path, "main", f"local/{repo.path.name}")).encode()
        headers = signed_headers(self.keys["GITHUB_WEBHOOK_SECRET"], body)
        return httpx.post(f"{self.url}/webhook/github", content=body, headers=headers, timeout=30)

    def text(self, path: str) -> str | None:
        try:
            return (self.data / "skills" / path).read_text()
        except OSError:
            return None

    def files(self) -> dict[str, str]:
        """Everything in the skills folder but the reload mark; what vanishes while this reads is not in it."""
        root = self.data / "skills"
        paths = [os.path.relpath(Path(folder) / name, root) for folder, _, names in os.walk(root) for name in names]
        return {path: text for path in paths if path != ".reload" and (text := self.text(path)) is not None}


def until(holds: Callable[[], bool], what: str) -> float:
    """Wait for a condition; return how long it took."""
    started = time.monotonic()
    pause = threading.Event()
    while not holds():
        assert time.monotonic() - started < PATIENCE_SECONDS, f"not within {PATIENCE_SECONDS} s: {what}"
        pause.wait(0.02)
    return time.monotonic() - started


def free_port() -> int:
    """A port that is free, and the next one too: a stand-in for GitHub takes that. Below those that connections take."""
    return next(port for port in random.sample(range(20_000, 32_000), 200) if _is_free(port) and _is_free(port + 1))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def command(data: Path, port: int, *extra: str) -> list[str]:
    return [sys.executable, "-m", "shared.cli", "run", "--data", str(data), "--port", str(port), *extra]


@contextmanager
def running(data: Path, *extra: str) -> Iterator[Running]:
    port = free_port()
    log = data.with_suffix(".screen")
    with log.open("w") as screen:
        process = subprocess.Popen(command(data, port, *extra), cwd=ROOT, stdout=screen, stderr=screen, text=True)
        try:
            until(lambda: "Ctrl-C ends everything" in log.read_text() or process.poll() is not None, "first screen")
            assert process.poll() is None, log.read_text()
            yield Running(data, port, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def skill(name: str, text: str) -> str:
    return f"---\nname: {name}\ndescription: Does {name}.\nversion: 1.0.0\n---\n{text}\n"


def both(files: Mapping[str, str]) -> dict[str, str]:
    """What both layouts hold for these files of the tree layout."""
    flat = {f"{path.split('/')[0]}.md": text for path, text in files.items() if path.endswith("/SKILL.md")}
    return {**files, **flat}


def test_a_push_a_lost_push_a_deletion_and_a_rollback_reach_the_volume(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "team-skills")
    repo.write_all({"a/SKILL.md": skill("a", "One."), "a/notes.txt": "Notes", "b/SKILL.md": skill("b", "One.")})
    repo.commit()
    with running(tmp_path / "data", "--repo", str(repo.path)) as run:
        first = both({"a/SKILL.md": skill("a", "One."), "a/notes.txt": "Notes", "b/SKILL.md": skill("b", "One.")})
        until(lambda: run.files() == first, "the first install")

        repo.write("a/SKILL.md", skill("a", "Two."))
        repo.commit()
        answer = run.announce(repo)
        assert answer.status_code == 200
        until(lambda: run.text("a.md") == run.text("a/SKILL.md") == skill("a", "Two."), "an announced push")

        repo.write("b/SKILL.md", skill("b", "Two."))
        repo.commit()
        until(lambda: run.text("b/SKILL.md") == skill("b", "Two."), "a push that nobody announced")

        repo.delete("b")
        repo.commit()
        until(lambda: run.text("b.md") is None and not (run.data / "skills" / "b").exists(), "a deletion")

        assert run.post("/api/rollback", {"to": "1-1"}).status_code == 200
        until(lambda: run.files() == first, "a rollback")
        repo.write("README.md", "Unrelated.")
        repo.commit()
        assert run.announce(repo).json()["status"] == "unchanged"
        assert run.post("/api/poll", {}).json()["status"] == "unchanged"
        assert run.files() == first
        repo.write("a/SKILL.md", skill("a", "Three."))
        repo.commit()
        until(lambda: run.text("a/SKILL.md") == skill("a", "Three."), "the rolled-back skill changes")
        assert run.text("b/SKILL.md") == skill("b", "One.")

        until(lambda: _puller_status(run) == "current", "the puller's report")
    assert run.process.returncode == 0


def _puller_status(run: Running) -> str | None:
    pullers = httpx.get(f"{run.url}/health", timeout=10).json()["services"]["pullers"]
    return pullers[0]["status"] if pullers else None


def test_history_played_forward_and_backward_leaves_each_commits_skills(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "team-skills")
    expected: list[tuple[str, dict[str, str]]] = []
    state: dict[str, str] = {}
    steps = [
        {"a/SKILL.md": skill("a", "1")},
        {"b/SKILL.md": skill("b", "1"), "b/run.sh": "#!/bin/sh\n"},
        {"a/SKILL.md": skill("a", "2"), "a/deep/er/file.txt": "x"},
        {"c/SKILL.md": skill("c", "1"), "b/run.sh": None},
        {"b/SKILL.md": None, "a/deep/er/file.txt": "y"},
    ]
    for step in steps:
        for path, text in step.items():
            if text is None:
                repo.delete(path)
                state.pop(path)
            else:
                repo.write(path, text)
                state[path] = text
        expected.append((repo.commit(), both(state)))
    with running(tmp_path / "data", "--repo", str(repo.path), "--branch", "main") as run:
        for commit, files in [*expected, *reversed(expected), *expected]:
            repo.reset(commit)
            run.announce(repo)
            until(lambda files=files: run.files() == files, commit)  # type: ignore[misc]


def test_the_sample_is_served_without_any_argument_and_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    with running(tmp_path / "data") as run:
        until(
            lambda: run.text("word-count/SKILL.md") is not None and run.text("commit-messages.md") is not None,
            "the sample",
        )
        assert (run.data / "skills/word-count/scripts/count.sh").stat().st_mode & 0o777 == 0o755
        assert run.text("unfinished/SKILL.md") is None
        assert (run.data / "keys.env").stat().st_mode & 0o777 == 0o600
        children = _children(run.process.pid)
        assert len(children) >= 2
    screen = tmp_path.joinpath("data.screen").read_text()
    assert run.process.returncode == 0
    assert all(word in screen for word in (run.url, "keys.env", "Try next", "Stopped."))
    assert not any(value in screen for name, value in run.keys.items() if name != "PULLER_ID")
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "the children's end")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_second_start_on_the_same_data_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "team-skills")
    repo.write("a/SKILL.md", skill("a", "One."))
    repo.commit()
    with running(tmp_path / "data", "--repo", str(repo.path)) as run:
        until(lambda: run.text("a/SKILL.md") is not None, "the first install")
        keys = run.keys
    repo.write("a/SKILL.md", skill("a", "Two."))
    repo.commit()
    with running(tmp_path / "data", "--repo", str(repo.path)) as run:
        until(lambda: run.text("a/SKILL.md") == skill("a", "Two."), "the change made meanwhile")
        assert run.keys == keys
        assert run.post("/api/rollback", {"to": "1-1"}).json()["deploymentId"] == "1-3"


def test_a_dead_puller_ends_the_run_with_a_word(tmp_path: Path) -> None:
    with running(tmp_path / "data") as run:
        until(lambda: len(_children(run.process.pid)) >= 2, "the children")
        os.kill(max(_children(run.process.pid)), signal.SIGKILL)
        until(lambda: run.process.poll() is not None, "the end")
        assert run.process.returncode == 1
    assert "ended with -9; see" in tmp_path.joinpath("data.screen").read_text()


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        (("--repo", "/nowhere/at/all"), "REPO_UNKNOWN"),
        (("--port", "70000"), "PORT_IN_USE"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_starts(
    tmp_path: Path, extra: tuple[str, ...], code: str
) -> None:
    done = subprocess.run(
        command(tmp_path / "data", free_port(), *extra),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"[{code}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            command(tmp_path / "data", port), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode, "[PORT_IN_USE]" in done.stderr) == (1, True)


def test_data_of_another_repository_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Repo(tmp_path / name).commit()
    with running(tmp_path / "data", "--repo", str(tmp_path / "one")):
        pass
    done = subprocess.run(
        command(tmp_path / "data", free_port(), "--repo", str(tmp_path / "two")),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "[DATA_IN_USE]" in done.stderr) == (1, True)


def test_push_announces_the_head_as_github_would(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "team-skills")
    repo.write("a/SKILL.md", skill("a", "One."))
    repo.commit()
    push = [sys.executable, "-m", "shared.cli", "push", "--data", str(tmp_path / "data")]
    before = subprocess.run(push, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (before.returncode, "[NOT_PREPARED]" in before.stderr) == (1, True)
    with running(tmp_path / "data", "--repo", str(repo.path)):
        done = subprocess.run(push, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout[:4]) == (0, "200 ")
    after = subprocess.run(push, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (after.returncode, "[NOT_RUNNING]" in after.stderr) == (1, True)
