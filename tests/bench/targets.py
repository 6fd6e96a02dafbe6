"""What the benchmark must reach: the budget of a push, of an unchanged poll, and of a first deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.measures import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.measures import Sample, Scene

GITHUB_REQUESTS, STORE_REQUESTS, STORE_DEPTH = 3, 10, 6
NOT_MODIFIED = 304
PUSH_TO_FILE_MS = 1500.0
PEAK_MEMORY_MB = 200.0
HEALTH_MS = 100.0
DASHBOARD_MS, DASHBOARD_BYTES = 300.0, 150_000
_FIRST_DEPLOYMENT_OF = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One target and whether it was met."""

    text: str
    met: bool


def verdicts(scene: Scene) -> Iterator[Verdict]:
    """Judge one scene.

    Args:
        scene: What was measured. Where the round trips are 0, requests side by side cannot be told from requests in
            sequence, so that target is judged only where there are some.
    """
    where = f"{scene.skills} skills at {scene.github_round_trip:g}/{scene.store_round_trip:g} ms:"
    github = max(sample.github.requests for sample in scene.pushes)
    store = max(sample.store.requests for sample in scene.pushes)
    yield Verdict(
        text=f"{where} a push asks GitHub {github} times (budget {GITHUB_REQUESTS})", met=github <= GITHUB_REQUESTS
    )
    yield Verdict(
        text=f"{where} a push asks the store {store} times (budget {STORE_REQUESTS})", met=store <= STORE_REQUESTS
    )
    if scene.store_round_trip:
        depth = max(sample.store.depth for sample in scene.pushes)
        yield Verdict(text=f"{where} {depth} of these in sequence (budget {STORE_DEPTH})", met=depth <= STORE_DEPTH)
        late = percentile([sample.file for sample in scene.pushes], 0.95)
        yield Verdict(
            text=f"{where} push to file p95 {late:.0f} ms (below {PUSH_TO_FILE_MS:.0f})", met=late < PUSH_TO_FILE_MS
        )
    yield Verdict(
        text=f"{where} an unchanged poll is one request to GitHub, answered 304",
        met=all(_is_one_not_modified(poll) for poll in scene.polls),
    )
    if scene.skills >= _FIRST_DEPLOYMENT_OF:
        peak = scene.peak_memory_mb
        text = f"{where} peak memory of a function at the first deployment {peak:.0f} MB (below {PEAK_MEMORY_MB:.0f})"
        yield Verdict(text=text, met=peak < PEAK_MEMORY_MB)


def _is_one_not_modified(poll: Sample) -> bool:
    return poll.github.statuses == (NOT_MODIFIED,)
