"""`python -m tests.github` as a person starts it: a real process, real pushes, a receiver on loopback."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from shared.core.webhook import check_signature
from tests.git_server import GitServer, Received, Reply
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
NAME = "octo/skills"
SECRET = "s" * 40
PATIENCE_SECONDS = 20.0
READY = re.compile(r"GitHub stand-in is ready on (http://127\.0\.0\.1:\d+)")


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    started, pause = time.monotonic(), threading.Event()
    while not holds():
        assert time.monotonic() - started < PATIENCE_SECONDS, f"not within {PATIENCE_SECONDS} s: {what}"
        pause.wait(0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A started stand-in, the repository that it began with, and the webhook's other end."""

    url: str
    repo: Repo
    receiver: GitServer
    process: subprocess.Popen[str]
    screen: Path

    @property
    def calls(self) -> list[Received]:
        return [exchange.received for exchange in self.receiver.log]

    def push(self, *refs: str) -> None:
        self.repo.git("push", "-q", "--force", f"{self.url}/{NAME}.git", *refs)

    def control(self, name: str, body: object) -> httpx.Response:
        return httpx.post(f"{self.url}/_control/{name}", json=body, timeout=10)

    def shown(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON there is
        return httpx.get(f"{self.url}/_control/{name}", timeout=10).json()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "team-skills")
    made.write("a/SKILL.md", "One.")
    made.commit("Add a")
    made.git("tag", "v1")
    made.git("branch", "topic")
    return made


def command(folder: Path, repo: Repo, url: str, *extra: str) -> list[str]:
    (folder / "keys.env").write_text(f"# Keys.\nPULLER_KEY=x\nGITHUB_WEBHOOK_SECRET={SECRET}\n")
    return [
        *(sys.executable, "-m", "tests.github", "--root", str(folder / "github"), "--port", "0", "--repo", NAME),
        *("--from", str(repo.path), "--webhook-url", url, "--secret-file", str(folder / "keys.env"), *extra),
    ]


@contextmanager
def started(folder: Path, repo: Repo, *extra: str) -> Iterator[StandIn]:
    screen = folder / "screen"
    with GitServer(folder, routes=lambda _: Reply(200)) as receiver, screen.open("w") as out:
        line = command(folder, repo, receiver.url("webhook/github"), *extra)
        with subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out, text=True) as process:
            try:
                until(lambda: process.poll() is not None or READY.search(screen.read_text()) is not None, "readiness")
                found = READY.search(screen.read_text())
                assert found is not None, screen.read_text()
                yield StandIn(url=found[1], repo=repo, receiver=receiver, process=process, screen=screen)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=PATIENCE_SECONDS)


def test_a_push_is_announced_signed_with_where_from_and_where_to(tmp_path: Path, repo: Repo) -> None:
    before = repo.head
    with started(tmp_path, repo) as github:
        repo.write("b/SKILL.md", "One.")
        after = repo.commit("Add b")
        github.push("main")
        until(lambda: len(github.calls) == 1, "the webhook")
        (call,) = github.calls
        assert call.path == "webhook/github"
        check_signature(call.headers["x-hub-signature-256"], call.body, [SECRET])
        payload = json.loads(call.body)
        assert (payload["ref"], payload["before"], payload["after"]) == ("refs/heads/main", before, after)
        assert payload["repository"]["full_name"] == NAME
        assert payload["commits"][0]["added"] == ["b/SKILL.md"]
        guid = call.headers["x-github-delivery"]
        until(lambda: f"delivery  {guid} push: 200 OK" in github.screen.read_text(), "the delivery's line")
        assert f"push      refs/heads/main {before[:12]}...{after[:12]}\n" in github.screen.read_text()
    assert github.process.returncode == 0
    assert SECRET not in github.screen.read_text()


def test_it_begins_with_the_branches_and_tags_of_the_repository(tmp_path: Path, repo: Repo) -> None:
    with started(tmp_path, repo, "--branch", "topic") as github:
        listed = repo.git("ls-remote", "--symref", f"{github.url}/{NAME}.git").split("\n")
        assert {line.split("\t")[1] for line in listed} == {
            "HEAD",
            "refs/heads/main",
            "refs/heads/topic",
            "refs/tags/v1",
        }
        assert listed[0] == "ref: refs/heads/topic\tHEAD"
        assert github.calls == []


def test_what_was_pushed_is_still_there_after_the_next_start(tmp_path: Path, repo: Repo) -> None:
    with started(tmp_path, repo) as github:
        repo.write("b/SKILL.md", "One.")
        pushed = repo.commit("Add b")
        github.push("main")
    repo.commit("Not pushed")
    with started(tmp_path, repo) as github:
        assert repo.git("ls-remote", f"{github.url}/{NAME}.git", "refs/heads/main").split("\t")[0] == pushed


def test_a_token_is_asked_for_when_there_is_one(tmp_path: Path, repo: Repo) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    with started(tmp_path, repo, "--token-file", str(tmp_path / "token")) as github:
        target = f"{github.url}/{NAME}.git/info/refs?service=git-upload-pack"
        assert httpx.get(target, timeout=10).status_code == 401
        assert httpx.get(target, auth=("x-access-token", "t0ken"), timeout=10).status_code == 200
    assert "t0ken" not in github.screen.read_text()


def test_a_lost_webhook_is_seen_in_the_list_and_asked_for_again(tmp_path: Path, repo: Repo) -> None:
    with started(tmp_path, repo) as github:
        assert github.control("switches", {"drop": 1}).json()["drop"] == 1
        repo.commit("Lost")
        github.push("main")
        until(lambda: len(github.shown("deliveries")) == 1, "the failed delivery")
        (lost,) = github.shown("deliveries")
        assert (lost["status_code"], github.calls) == (502, [])
        assert github.control("redeliver", {"guid": lost["guid"]}).status_code == 202
        until(lambda: len(github.calls) == 1, "the redelivery")
        assert github.calls[0].headers["x-github-delivery"] == lost["guid"]
        until(lambda: len(github.shown("deliveries")) == 2, "its line")
        assert github.shown("deliveries")[0]["redelivery"] is True
        assert github.control("redeliver", {"guid": "unknown"}).status_code == 404


def test_the_rest_api_shows_the_same_deliveries_and_redelivers_by_number(tmp_path: Path, repo: Repo) -> None:
    with started(tmp_path, repo) as github:
        repo.commit("More")
        github.push("main")
        until(lambda: len(github.shown("deliveries")) == 1, "the delivery's line")
        api = f"{github.url}/api/v3/repos/{NAME}/hooks"
        (hook,) = httpx.get(api, timeout=10).json()
        assert hook["config"]["url"] == github.receiver.url("webhook/github")
        (listed,) = httpx.get(f"{api}/{hook['id']}/deliveries", timeout=10).json()
        assert {**listed, "hook_id": hook["id"]} == github.shown("deliveries")[0]
        whole = httpx.get(f"{api}/{hook['id']}/deliveries/{listed['id']}", timeout=10).json()
        assert whole["request"]["payload"] == json.loads(github.calls[0].body)
        again = httpx.post(f"{api}/{hook['id']}/deliveries/{listed['id']}/attempts", timeout=10)
        assert again.status_code == 202
        until(lambda: len(github.calls) == 2, "the redelivery")
        assert github.calls[0].body == github.calls[1].body


def test_a_force_push_and_a_deletion_are_announced_as_such(tmp_path: Path, repo: Repo) -> None:
    with started(tmp_path, repo) as github:
        repo.git("commit", "-q", "--amend", "-m", "Reworded")
        github.push("main", ":topic")
        until(lambda: len(github.calls) == 2, "both webhooks")
        forced, deleted = (json.loads(call.body) for call in github.calls)
        assert (forced["ref"], forced["forced"], forced["after"]) == ("refs/heads/main", True, repo.head)
        assert (deleted["ref"], deleted["deleted"]) == ("refs/heads/topic", True)
        assert "(forced)" in github.screen.read_text()


def test_a_ping_is_sent_when_it_is_asked_for(tmp_path: Path, repo: Repo) -> None:
    with started(tmp_path, repo) as github:
        assert github.control("ping", {}).status_code == 202
        until(lambda: len(github.calls) == 1, "the ping")
        assert github.calls[0].headers["x-github-event"] == "ping"
        assert json.loads(github.calls[0].body)["hook_id"] == 1


def test_switches_of_both_kinds_are_shown_and_turned_and_what_is_wrong_turns_none(tmp_path: Path, repo: Repo) -> None:
    with started(tmp_path, repo, "--latency", "0.01") as github:
        shown = github.shown("switches")
        assert (shown["latency_seconds"], shown["drop"], shown["form"]) == (0.01, 0, False)
        turned = github.control("switches", {"delay": 1, "double": 2, "latency_seconds": 0})
        assert turned.json() == {**shown, "delay": 1, "double": 2, "latency_seconds": 0}
        unknown = github.control("switches", {"drop": 1, "dorp": 1})
        assert (unknown.status_code, unknown.json()["known"]) == (400, sorted(shown))
        assert "dorp" in unknown.json()["message"]
        for wrong in ({"drop": "1"}, {"drop": True}, {"form": 1}, {"delay": None}, [1]):
            assert github.control("switches", wrong).status_code == 400
        assert github.shown("switches")["drop"] == 0
        assert github.control("nothing", {}).status_code == 404


def test_an_interrupt_ends_it_cleanly_too(tmp_path: Path, repo: Repo) -> None:
    with started(tmp_path, repo) as github:
        github.process.send_signal(signal.SIGINT)
        assert github.process.wait(timeout=PATIENCE_SECONDS) == 0
    assert "Traceback" not in github.screen.read_text()


def test_what_cannot_be_served_is_said_in_a_line(tmp_path: Path, repo: Repo) -> None:
    def said(*arguments: str) -> str:
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        return done.stderr

    line = command(tmp_path, repo, "http://127.0.0.1:9/")
    assert "not a git repository" in said(*line, "--from", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "in use" in said(*line, "--port", str(taken.getsockname()[1]))
    (tmp_path / "keys.env").write_text("PULLER_KEY=x\n")
    assert "GITHUB_WEBHOOK_SECRET" in said(*line)


def test_a_hook_made_by_the_api_is_pinged_signed_and_changed_as_the_api_changes_it(tmp_path: Path, repo: Repo) -> None:
    with started(tmp_path, repo) as github:
        hooks = f"{github.url}/api/v3/repos/{NAME}/hooks"
        assert httpx.post(hooks, json={"config": {}}).status_code == 422
        asked = {"name": "web", "events": ["push"], "config": {"url": github.receiver.url("new"), "secret": "n" * 40}}
        made = httpx.post(hooks, json=asked)
        assert (made.status_code, made.json()["config"]["content_type"]) == (201, "form")
        until(lambda: len(github.calls) == 1, "the ping of a new hook")
        assert github.calls[0].headers["content-type"] == "application/x-www-form-urlencoded"
        one = f"{hooks}/{made.json()['id']}"
        assert httpx.patch(f"{one}/config", json={"content_type": "json"}).json()["content_type"] == "json"
        assert httpx.post(f"{one}/pings").status_code == 204
        until(lambda: len(github.calls) == 2, "the ping that was asked for")
        check_signature(github.calls[1].headers["x-hub-signature-256"], github.calls[1].body, ["n" * 40])
        assert json.loads(github.calls[1].body)["hook_id"] == made.json()["id"]
