"""`python -m shared.puller` as a process: its exit codes, its lock, its end on SIGTERM."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.service import serving
from tests.fakes.trusted import anchor
from tests.fakes.world import ANCHOR, TRUST, World, skill
from tests.git_server import GitServer, Received, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
KEY = "k" * 40


class Served:
    """A world behind real HTTP, and a volume for real puller processes."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.folder = folder
        self.reports: list[dict[str, object]] = []
        self.server = GitServer(folder, routes=self._answer)

    def _answer(self, received: Received) -> Reply:
        if received.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(401, {}, b"{}")
        if received.path == "v1/report":
            self.reports.append(json.loads(received.body))
            return Reply(204)
        if received.path == "v1/current":
            envelope, etag = serving.current(self.world.store)
            known = received.headers.get("if-none-match") == etag
            return Reply(304 if known else 200, {"ETag": etag}, b"" if known else envelope)
        if received.path.startswith("v1/trust/"):
            return Reply(404, {}, b'{"code": "TRUST_UNKNOWN"}')
        return Reply(200, {}, serving.served_object(self.world.store, received.path.rsplit("/", 1)[-1]))

    def environment(self, **changes: str) -> dict[str, str]:
        settings = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "RELEASE_URL": self.server.url("").rstrip("/"),
            "PULLER_ID": "edge",
            "PULLER_KEY": KEY,
            "TRUST_ANCHOR": ANCHOR,
            "SKILLS_DIR": str(self.folder / "data" / "skills"),
            "BACKUP_DIR": str(self.folder / "data" / "backups" / "skills"),
            "PULL_INTERVAL_SECONDS": "0.05",
        }
        return {**settings, **changes}

    def once(self, way: str = "--once", **changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "shared.puller", way]
        environment = {name: value for name, value in self.environment(**changes).items() if value}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    built = Served(tmp_path)
    # The world's clock stands still in the past or future; a real puller's does not.
    built.world.clock.moment = datetime.now(UTC)
    built.world.deploy(skill("a"))
    with built.server:
        yield built


def test_once_installs_and_ends_with_0(served: Served) -> None:
    assert served.once().returncode == 0
    assert (served.folder / "data" / "skills" / "a" / "SKILL.md").exists()
    assert [report["outcome"] for report in served.reports] == ["installed"]
    assert served.once().returncode == 0


def test_what_is_refused_ends_with_1(served: Served) -> None:
    assert served.once(TRUST_ANCHOR=anchor(replace(TRUST, repo="octo/other"))).returncode == 1
    assert not (served.folder / "data" / "skills" / "a").exists()


def test_a_release_function_that_cannot_be_reached_ends_with_69(served: Served) -> None:
    assert served.once(RELEASE_URL="http://127.0.0.1:9").returncode == 69


def test_a_key_that_is_not_accepted_ends_with_69_and_is_never_logged(served: Served) -> None:
    done = served.once(PULLER_KEY="x" * 40)
    assert done.returncode == 69
    assert "PULLER_KEY_REFUSED" in done.stdout
    assert "x" * 40 not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"RELEASE_URL": "", "PULLER_KEY": ""}, "RELEASE_URL, PULLER_KEY"),
        ({"TRUST_ANCHOR": "{}"}, "TRUST_ANCHOR_INVALID"),
        ({"TRUST_ANCHOR": "not json"}, "TRUST_ANCHOR_INVALID"),
        ({"SKILLS_LAYOUT": "round"}, "SKILLS_LAYOUT"),
        ({"PULL_INTERVAL_SECONDS": "-1"}, "PULL_INTERVAL_SECONDS"),
    ],
)
def test_a_wrong_setting_ends_with_78_and_is_named(served: Served, changes: dict[str, str], word: str) -> None:
    done = served.once(**changes)
    assert (done.returncode, done.stderr) == (78, "")
    assert word in done.stdout
    assert "Traceback" not in done.stdout


def test_a_second_puller_on_the_same_volume_ends_with_75(served: Served) -> None:
    served.once()
    with (served.folder / "data" / ".skill-sync" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert served.once().returncode == 75
    assert served.once().returncode == 0


def test_help_tells_the_exit_codes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shared.puller", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert all(code in done.stdout for code in ("69", "75", "78"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_follows_until_it_is_asked_to_end_and_then_ends_with_0(served: Served, number: int) -> None:
    command = [sys.executable, "-m", "shared.puller"]
    process = subprocess.Popen(command, cwd=served.folder, env=served.environment(), stdout=subprocess.DEVNULL)
    try:
        file = served.folder / "data" / "skills" / "a.md"
        wait_until(file.exists)
        served.world.deploy(skill("a", "Two."))
        wait_until(lambda: file.read_bytes() == skill("a", "Two.")["a/SKILL.md"])
    finally:
        process.send_signal(number)
    assert process.wait(timeout=20) == 0


def test_modes_do_not_follow_the_umask_not_even_of_the_skills_folder(served: Served) -> None:
    old = os.umask(0o077)
    try:
        assert served.once().returncode == 0
    finally:
        os.umask(old)
    skills = served.folder / "data" / "skills"
    modes = {
        path.relative_to(skills.parent).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in skills.rglob("*")
    }
    assert stat.S_IMODE(skills.stat().st_mode) == 0o755
    assert modes == {"skills/a": 0o755, "skills/a/SKILL.md": 0o644, "skills/a.md": 0o644, "skills/.reload": 0o644}


def test_a_process_that_is_killed_at_any_time_is_completed_by_the_next(served: Served) -> None:
    skills = served.folder / "data" / "skills"
    for number in range(4):
        served.world.deploy(*(skill(f"s{each}", f"Text {number}.", notes="n") for each in range(number, number + 20)))
        command = [sys.executable, "-m", "shared.puller"]
        process = subprocess.Popen(command, cwd=served.folder, env=served.environment(), stdout=subprocess.DEVNULL)
        marks = [f"s{each}" for each in range(number, number + 20, 5)]
        wait_until(lambda name=marks[number]: (skills / name).exists())  # type: ignore[misc]
        process.kill()
        process.wait(timeout=20)
    assert served.once().returncode == 0
    wanted = {f"{key}/{path}": data for key, files in served.world.live().items() for path, data in files.items()}
    wanted |= {f"{key}.md": files["SKILL.md"] for key, files in served.world.live().items()}
    found = {path.relative_to(skills).as_posix(): path.read_bytes() for path in skills.rglob("*") if path.is_file()}
    assert found == wanted | {".reload": b""}
    texts = [(f"s{each}", f"Text {number}.") for number in range(4) for each in range(number, number + 20)]
    ours = {data for key, text in texts for data in skill(key, text, notes="n").values()}
    kept = [path for path in (served.folder / "data" / "backups").rglob("*") if path.is_file()]
    assert {path.read_bytes() for path in kept} <= ours, "nothing was taken for foreign"
    assert not [path for path in kept if path.suffix == ".2"]


def wait_until(holds: Callable[[], bool]) -> None:
    until, pause = time.monotonic() + 20, threading.Event()
    while not holds():
        assert time.monotonic() < until
        pause.wait(0.02)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({}, 0, "answers"),
        ({"PULLER_KEY": "x" * 40}, 69, "PULLER_KEY_REFUSED"),
        ({"RELEASE_URL": "http://127.0.0.1:9"}, 69, "RELEASE_UNREACHABLE"),
        ({"PULLER_KEY": ""}, 78, "CONFIG_MISSING"),
    ],
)
def test_a_check_asks_and_changes_nothing(served: Served, changes: dict[str, str], status: int, code: str) -> None:
    done = served.once("--check", **changes)
    assert (done.returncode, code in done.stdout) == (status, True)
    assert not (served.folder / "data").exists()


def test_a_volume_is_verified_against_what_was_installed(served: Served) -> None:
    assert served.once("--verify").returncode == 78
    served.once()
    assert served.once("--verify").returncode == 0
    skills = served.folder / "data" / "skills"
    (skills / "a.md").write_text("edited")
    (skills / "a" / "SKILL.md").unlink()
    done = served.once("--verify")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["path"], each["what"]) for each in lines] == [("a.md", "changed"), ("a/SKILL.md", "missing")]
    assert (skills / "a.md").read_text() == "edited"
