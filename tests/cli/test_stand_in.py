"""`make run GITHUB=stand-in`: push to a stand-in for GitHub at home, and see what its webhooks, or their loss, do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import httpx

from tests.cli.test_run import ROOT, command, free_port, running, skill, until
from tests.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path


def push(data: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "shared.cli", "push", "--data", str(data)]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_push_to_the_stand_in_arrives_by_webhook_and_a_lost_one_by_the_timer(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "team-skills")
    repo.write("a/SKILL.md", skill("a", "One."))
    repo.commit()
    with running(tmp_path / "data", "--repo", str(repo.path), "--branch", "main", "--github", "stand-in") as run:
        github = f"http://127.0.0.1:{int(run.url.rsplit(':', 1)[1]) + 1}"
        until(lambda: run.text("a/SKILL.md") == skill("a", "One."), "the first installation")
        repo.write("a/SKILL.md", skill("a", "Two."))
        repo.commit()
        assert push(run.data).returncode == 0
        until(lambda: run.text("a/SKILL.md") == skill("a", "Two."), "the push")
        until(lambda: len(httpx.get(f"{github}/_control/deliveries").json()) == 1, "its delivery")
        assert httpx.post(f"{github}/_control/switches", json={"drop": 1}).json()["drop"] == 1
        repo.write("a/SKILL.md", skill("a", "Three."))
        repo.commit()
        assert push(run.data).returncode == 0
        until(lambda: run.text("a/SKILL.md") == skill("a", "Three."), "the push whose webhook was lost")
        until(lambda: run.get("/health")["kpis"]["webhooks_lost"] == 1, "the record of the loss")  # type: ignore[index]
        (newest,) = run.get("/api/deployments?limit=1")["deployments"]  # type: ignore[misc]
        assert newest["trigger"] == "polling"
    assert run.process.returncode == 0
    screen = tmp_path.joinpath("data.screen").read_text()
    assert f"{github}/_control/switches" in screen


def test_a_stand_in_for_a_remote_repository_is_refused(tmp_path: Path) -> None:
    extra = ("--repo", "https://example.org/octo/skills.git", "--github", "stand-in")
    done = subprocess.run(
        command(tmp_path / "data", free_port(), *extra),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "[REPO_REMOTE]" in done.stderr) == (1, True)
