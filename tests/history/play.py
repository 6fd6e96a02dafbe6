"""Plays a repository's whole history through the product while webhooks are lost and doubled at random.

Each commit is pushed to the stand-in for GitHub by git itself; the stand-in calls the webhook, or does not; a timer polls as
Cloud Scheduler does. Some commits are waited for, others come at once behind the one before.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.github.deliveries import Deliveries
from tests.github.events import events_of
from tests.github.hook import UNREACHABLE
from tests.history.expected import Files, Found, git, on_volume, read_volume, skills_of
from tests.stage import REPO, RoundTrips, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

POLL_SECONDS = 1.0
_HELD = "deletion_guard"
_UNREACHABLE = UNREACHABLE[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How a history is played. Shares lie between 0 and 1; with `refuse` the REST API is down all the time."""

    seed: int
    lose: float
    double: float
    wait: float = 0.5
    refuse: bool = False


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of it. `asked_rest` and `fetched_by_git` count the functions' requests to the stand-in for GitHub."""

    commits: int = 0
    waited_for: int = 0
    deployments: int = 0
    delivered: int = 0
    lost: int = 0
    recorded_as_lost: int = 0
    released: int = 0
    skills: int = 0
    files: int = 0
    asked_rest: int = 0
    fetched_by_git: int = 0


class Player:
    """Plays one history on a stage.

    Args:
        stage: A stage whose functions are not started yet.
        repository: Where the history is.
        script: How it is played.
    """

    def __init__(self, stage: Stage, repository: Path, script: Script) -> None:
        self._stage = stage
        self._repository = repository
        self._script = script
        self._random = random.Random(script.seed)
        self._seen: dict[str, list[Files]] = {}
        self._over = threading.Event()
        self.report = Report()

    def play(self, branch: str) -> Report:
        """Play all commits of the branch, oldest first.

        Raises:
            TimeoutError: the volume never came to hold what a commit holds.
        """
        commits = git(self._repository, "rev-list", "--topo-order", "--reverse", branch).decode().split()
        bare = self._stage.github.create(REPO)
        deliveries = Deliveries(REPO, seed=self._script.seed)
        self._stage.github.deliveries = deliveries
        self._stage.start()
        if self._script.refuse:
            self._stage.github.switches.status_times = 10**9
        self._stage.start_puller()
        deliveries.add_hook(f"{self._stage.url}/webhook/github", secret=self._stage.keys["GITHUB_WEBHOOK_SECRET"])
        deliveries.faults.lose_at_random = self._script.lose
        deliveries.faults.double_at_random = self._script.double
        self._stage.github.on_push = lambda changes: [
            deliveries.enqueue(event) for event in events_of(changes, bare, REPO)
        ]
        timer = threading.Thread(target=self._poll)
        with deliveries:
            timer.start()
            try:
                for number, commit in enumerate(commits, 1):
                    self._step(commit, wait=number in {1, len(commits)} or self._random.random() < self._script.wait)
            finally:
                self._over.set()
                timer.join()
        return self._finished(deliveries)

    def _step(self, commit: str, *, wait: bool) -> None:
        found = skills_of(self._repository, commit)
        for name, skill in found.items():
            if skill.valid and skill.files not in (known := self._seen.setdefault(name, [])):
                known.append(skill.files)
        git(
            self._repository,
            "push",
            "--quiet",
            "--force",
            self._stage.github.push_url(REPO),
            f"{commit}:refs/heads/main",
        )
        self.report.commits += 1
        if wait:
            self.report.waited_for += 1
            self._stage.wait_for(lambda: self._agrees(found), f"what {commit} holds on the volume")

    def _agrees(self, found: Mapping[str, Found]) -> bool:
        """Whether the volume holds the valid skills, of each invalid one nothing or an earlier valid version, and no more."""
        self._release()
        held = read_volume(self._stage.volume(""))
        kept: dict[str, Files] = {name: skill.files for name, skill in found.items() if skill.valid}
        for name in (name for name, skill in found.items() if not skill.valid):
            now = {path.removeprefix(f"{name}/"): blob for path, blob in held.items() if path.startswith(f"{name}/")}
            if now and now not in self._seen.get(name, []):
                return False
            kept |= {name: now} if now else {}
        self.report.skills, self.report.files = len(kept), len(held)
        return held == on_volume(kept)

    def _release(self) -> None:
        """Let go what the deletion guard holds, as a person would who meant it."""
        listed = self._stage.operator("GET", "/api/skills?limit=200").json()
        held = [name for name, why in listed.get("withheld", {}).items() if why["reason"] == _HELD]
        if held and self._stage.operator("POST", "/api/sync", {"release": held}).is_success:
            self.report.released += len(held)

    def _poll(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            self._stage.poll()

    def _finished(self, deliveries: Deliveries) -> Report:
        kpis = self._stage.operator("GET", "/health").json()["kpis"]
        made = [str(item["status"]) for item in _all(deliveries)]
        self.report.lost = made.count(_UNREACHABLE)
        self.report.delivered = len(made) - self.report.lost
        self.report.deployments = int(kpis["deployments"]) + int(kpis["rejected"])
        self.report.recorded_as_lost = int(kpis["webhooks_lost"])
        seen = self._stage.github.requests
        self.report.asked_rest = sum(request.kind == "rest" for request in seen)
        self.report.fetched_by_git = sum("upload-pack" in request.path + request.query for request in seen)
        return self.report


def play(folder: Path, repository: Path, branch: str, script: Script) -> Report:
    """Play a repository's history in an empty folder; errors are those of `Player.play`."""
    with Stage(folder, RoundTrips(github=0.0, store=0.0)) as stage:
        return Player(stage, repository, script).play(branch)


def _all(deliveries: Deliveries) -> Iterator[dict[str, object]]:
    for hook in deliveries.hooks():
        cursor: str | None = None
        while True:
            page, cursor = deliveries.deliveries(int(str(hook["id"])), 100, cursor)
            yield from page
            if cursor is None:
                break
