"""Cold starts: from the start of a function's process to its first answer, beside a function that does nothing.

A refused webhook shows what every instance pays before it does anything; the first deployment what is loaded on top of that
when the first push comes, GitHub and the bucket answering at once. The three are started in turn, so that a busy machine
slows all of them. What the figures must be is judged here as well; how an image is made is `tests.image`'s business.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from shared.adapters.signer import Ed25519Signer
from shared.cli.announce import signed_headers
from shared.cli.keys import load_keys
from tests.bench.skills import skill_files
from tests.bench.targets import Verdict
from tests.fakes.trusted import anchor, first_version
from tests.gcs.server import GcsServer
from tests.gcs.stand_in import Gcs
from tests.github.server import GitHubStandIn
from tests.image import Asked, Image
from tests.repos import Repo
from tests.stage import BUCKET, NAME, OWNER, REPO, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.image import Answered

REFUSED_RATIO = 1.3
FIRST_DEPLOYMENT_RATIO = 2.5
ROUNDS = 9
_SKILLS = 3
_NOTHING = "0" * 40
_CLOUD_KEYS = ("GITHUB_WEBHOOK_SECRET", "MANUAL_SYNC_API_KEY", "PULLER_KEY_HASHES", "SIGNING_KEY")
_HELLO = Asked(method="GET", path="/")
_EXPECTED = {"hello": 200, "refused": 401, "deployed": 200}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Every start, in milliseconds on the clock, and the processor time of each process beside it."""

    hello: list[float]
    refused: list[float]
    deployed: list[float]
    hello_cpu: list[float]
    refused_cpu: list[float]
    deployed_cpu: list[float]

    def ratio(self, name: str) -> float:
        """How many times as long as the function that does nothing, by the medians."""
        return median(getattr(self, name)) / median(self.hello)

    def cpu_ratio(self, name: str) -> float:
        """The same of the processor time, which other processes disturb less."""
        return median(getattr(self, f"{name}_cpu")) / median(self.hello_cpu)


def measure(folder: Path, *, rounds: int = ROUNDS) -> Measured:
    """Start each in turn.

    Args:
        folder: An empty folder.
        rounds: How many starts of each.

    Raises:
        RuntimeError: one answered something else than it must.
    """
    found: dict[str, list[Answered]] = {name: [] for name in _EXPECTED}
    image = Image(folder / "image")
    with outside(folder) as around:
        for number in range(rounds):
            settings = around.settings(number)
            answers = {
                "hello": image.first_answer("hello", _HELLO, {}),
                "refused": image.first_answer("webhook", around.push(secret="w" * 40), settings),
                "deployed": image.first_answer("webhook", around.push(), settings),
            }
            for name, answer in answers.items():
                if answer.status != _EXPECTED[name]:
                    raise RuntimeError(f"{name}: expected {_EXPECTED[name]}, got {answer.status} {answer.body[:300]!r}")
                found[name].append(answer)
    walls = {name: [answer.wall_ms for answer in answers] for name, answers in found.items()}
    cpus = {f"{name}_cpu": [answer.cpu_ms for answer in answers] for name, answers in found.items()}
    return Measured(**walls, **cpus)


def told(found: Measured) -> str:
    """Tell it for people."""
    parts = [
        f"{name} {median(getattr(found, name)):.0f} ms (processor {median(getattr(found, f'{name}_cpu')):.0f} ms)"
        for name in _EXPECTED
    ]
    return f"cold starts, medians of {len(found.hello)}: {', '.join(parts)}"


def verdicts(found: Measured) -> Iterator[Verdict]:
    """Judge the figures."""
    for name, what, most in (
        ("refused", "a refused signature", REFUSED_RATIO),
        ("deployed", "the first deployment", FIRST_DEPLOYMENT_RATIO),
    ):
        ratio = found.ratio(name)
        text = f"from a cold start to the answer of {what} {ratio:.2f} times a function that does nothing"
        yield Verdict(text=f"{text} (at most {most})", met=ratio <= most)


class Outside:
    """GitHub with a small repository, and a bucket; each round has its own prefix there."""

    def __init__(self, folder: Path, github: GitHubStandIn, bucket: GcsServer) -> None:
        self._github, self._bucket = github, bucket
        self.keys = load_keys(folder / "keys.env")
        self._repo = Repo(folder / "origin")
        files = {path: text for number in range(_SKILLS) for path, text in skill_files(number).items()}
        self._repo.write_all(files)
        self._paths = [*files]
        self._head = self._repo.commit("All skills")
        github.token = TOKEN
        github.publish(REPO, self._repo)

    def settings(self, number: int) -> dict[str, str]:
        """The webhook's settings, for a store that nothing was deployed to."""
        trust = first_version(Ed25519Signer(self.keys["SIGNING_KEY"]), repo=REPO, ref="refs/heads/main")
        return {
            "STORE_URI": f"gs://{BUCKET}/round-{number}",
            "STORAGE_EMULATOR_HOST": self._bucket.url,
            "GITHUB_API_URL": self._github.api_url,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_OWNER": OWNER,
            "GITHUB_REPO": NAME,
            "GITHUB_BRANCH": "main",
            **{name: self.keys[name] for name in _CLOUD_KEYS},
            "TRUST_ANCHOR": anchor(trust),
        }

    def push(self, secret: str | None = None) -> Asked:
        """The delivery that announces the head; signed with some other secret where one is given."""
        push = {
            "ref": "refs/heads/main",
            "before": _NOTHING,
            "after": self._head,
            "created": True,
            "deleted": False,
            "forced": False,
            "repository": {"full_name": REPO, "default_branch": "main"},
            "commits": [{"id": self._head, "added": self._paths, "removed": [], "modified": []}],
        }
        body = json.dumps(push).encode()
        headers = signed_headers(secret or self.keys["GITHUB_WEBHOOK_SECRET"], body)
        return Asked(method="POST", path="/webhook/github", body=body, headers=headers)


@contextmanager
def outside(folder: Path) -> Iterator[Outside]:
    """Serve both."""
    with GitHubStandIn(folder / "github") as github, GcsServer(Gcs(BUCKET)) as bucket:
        yield Outside(folder, github, bucket)
