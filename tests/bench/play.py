"""One scene of the benchmark: a first deployment, then pushes one by one, then polls that find nothing."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.measures import Request, Sample, Scene, traffic
from tests.bench.skills import skill_file, skill_files, skill_id
from tests.gcs.server import Exchange
from tests.stage import REPO, Stage

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.github.server import Seen
    from tests.stage import RoundTrips

_POINTER = "current.json"
_OK = 200


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far the servers' logs had come."""

    github: int
    store: int


def play(folder: Path, skills: int, trips: RoundTrips, *, pushes: int, polls: int) -> Scene:
    """Play a scene.

    Args:
        folder: An empty folder.
        skills: How many skills the repository holds, three files each.
        trips: The round trips.
        pushes: How many pushes, each changing one file.
        polls: How many polls that find nothing new.
    """
    with Stage(folder, trips) as stage:
        stage.repo.write_all({path: text for number in range(skills) for path, text in skill_files(number).items()})
        before = stage.repo.commit("All skills")
        stage.publish()
        stage.start()
        started = time.monotonic()
        _accepted(stage.poll())
        live = time.monotonic()
        peak = stage.peak_memory_mb()
        stage.start_puller()
        last = stage.volume(f"{skill_id(skills - 1)}/SKILL.md")
        installed = stage.wait_for(last.exists, "the first installation")
        scene = Scene(
            skills=skills,
            github_round_trip=trips.github,
            store_round_trip=trips.store,
            first_seconds=live - started,
            first_file_seconds=installed - started,
            peak_memory_mb=peak,
        )
        for number in range(pushes):
            sample, before = _push(stage, number % skills, f"Version {number} of the text.", before)
            scene.pushes.append(sample)
        scene.polls.extend(_poll(stage) for _ in range(polls))
        return scene


def _push(stage: Stage, number: int, text: str, before: str) -> tuple[Sample, str]:
    path = f"{skill_id(number)}/SKILL.md"
    content = skill_file(number, text)
    stage.repo.write(path, content)
    after = stage.repo.commit(text)
    mark = _mark(stage)
    stage.publish()
    started = time.monotonic()
    answer = stage.webhook(_payload(path, before, after))
    answered = time.monotonic()
    _accepted(answer)
    file = stage.volume(path)
    arrived = stage.wait_for(lambda: file.read_text() == content, f"{path} on the volume")
    github, store = _since(stage, mark)
    pointer = min(request.ended for request in store if _moves_the_pointer(request))
    sample = Sample(
        github=traffic(github),
        store=traffic(store),
        answer=1000 * (answered - started),
        pointer=1000 * (pointer - started),
        file=1000 * (arrived - started),
    )
    return sample, after


def _poll(stage: Stage) -> Sample:
    mark = _mark(stage)
    started = time.monotonic()
    _accepted(stage.poll())
    answered = time.monotonic()
    github, store = _since(stage, mark)
    return Sample(github=traffic(github), store=traffic(store), answer=1000 * (answered - started))


def _moves_the_pointer(request: Request) -> bool:
    return request.what.startswith("POST ") and request.what.endswith(_POINTER) and request.status == _OK


def _mark(stage: Stage) -> _Mark:
    return _Mark(len(stage.github.requests), len(stage.store.log))


def _since(stage: Stage, mark: _Mark) -> tuple[list[Request], list[Request]]:
    github = [_seen(entry) for entry in stage.github.requests[mark.github :]]
    return github, [_seen(entry) for entry in stage.store.log[mark.store :]]


def _accepted(answer: httpx.Response) -> None:
    if answer.status_code != _OK:
        raise RuntimeError(f"expected 200, got {answer.status_code}: {answer.text[:500]}")


def _payload(path: str, before: str, after: str) -> bytes:
    push = {
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "created": False,
        "deleted": False,
        "forced": False,
        "repository": {"full_name": REPO, "default_branch": "main"},
        "commits": [{"id": after, "added": [], "removed": [], "modified": [path]}],
    }
    return json.dumps(push).encode()


def _seen(entry: Seen | Exchange) -> Request:
    """What either server's log tells of one request."""
    what = entry.target if isinstance(entry, Exchange) else entry.path
    return Request(
        what=f"{entry.method} {what}",
        status=entry.status,
        started=entry.started,
        ended=entry.ended,
        sent=entry.request_bytes,
        received=entry.response_bytes,
    )
