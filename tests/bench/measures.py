"""What the benchmark makes of its measurements: percentiles, requests in sequence, one table, one JSON document."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that a server saw. Times in seconds on the monotonic clock, sizes in bytes."""

    what: str
    status: int
    started: float
    ended: float
    sent: int
    received: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What one push or poll cost at one server. `depth` is how many requests stood one behind the other."""

    requests: int
    depth: int
    sent: int
    received: int
    statuses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One push or poll. Times in milliseconds from the moment at which the branch head was published."""

    github: Traffic
    store: Traffic
    answer: float
    pointer: float = math.nan
    file: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that was measured at one size with one pair of round trips (milliseconds)."""

    skills: int
    github_round_trip: float
    store_round_trip: float
    first_seconds: float
    first_file_seconds: float
    peak_memory_mb: float
    pushes: list[Sample] = field(default_factory=list)
    polls: list[Sample] = field(default_factory=list)


def traffic(requests: Iterable[Request]) -> Traffic:
    """Sum up requests.

    Args:
        requests: All that one server saw of one push or poll.
    """
    found = list(requests)
    return Traffic(
        requests=len(found),
        depth=in_sequence(found),
        sent=sum(request.sent for request in found),
        received=sum(request.received for request in found),
        statuses=tuple(request.status for request in sorted(found, key=lambda request: request.started)),
    )


def in_sequence(requests: Iterable[Request]) -> int:
    """Count the longest chain of requests of which each began after the one before had ended.

    Taking always the next that ends first gives the longest such chain (interval scheduling).
    """
    depth, free = 0, -math.inf
    for request in sorted(requests, key=lambda request: request.ended):
        if request.started >= free:
            depth, free = depth + 1, request.ended
    return depth


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


_HEAD = (
    "",
    "skills",
    "GitHub/store ms",
    "p50 ms",
    "p95 ms",
    "max ms",
    "GitHub",
    "store",
    "in sequence",
    "kB in",
    "kB out",
)


def table(scenes: Sequence[Scene]) -> str:
    """Return all measurements as one table for people."""
    rows: list[Sequence[str]] = [_HEAD]
    for scene in scenes:
        where = (str(scene.skills), f"{scene.github_round_trip:g}/{scene.store_round_trip:g}")
        for name in ("pointer", "answer", "file"):
            times = [getattr(sample, name) for sample in scene.pushes]
            rows.append((f"push to {name}", *where, *_times(times), *_traffic(scene.pushes)))
        rows.append(("unchanged poll", *where, *_times([poll.answer for poll in scene.polls]), *_traffic(scene.polls)))
        first = f"{scene.first_seconds:.1f} s live, {scene.first_file_seconds:.1f} s on the volume"
        rows.append((f"first deployment: {first}, peak {scene.peak_memory_mb:.0f} MB", *where))
    widths = [max(len(row[i]) for row in rows if len(row) == len(_HEAD)) for i in range(len(_HEAD))]
    return "\n".join(_line(row, widths) for row in rows)


def document(scenes: Sequence[Scene]) -> dict[str, object]:
    """Return all measurements for machines."""
    return {"schema": "skill-sync/bench/1", "scenes": [asdict(scene) for scene in scenes]}


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    if len(row) < len(widths):
        return f"{row[0]} ({', '.join(row[1:])})"
    return "  ".join(
        text.ljust(width) if i == 0 else text.rjust(width)
        for i, (text, width) in enumerate(zip(row, widths, strict=True))
    )


def _times(values: Sequence[float]) -> tuple[str, ...]:
    return tuple(f"{percentile(values, share):.0f}" for share in (0.5, 0.95, 1.0))


def _traffic(samples: Sequence[Sample]) -> tuple[str, ...]:
    github = _most_common([sample.github.requests for sample in samples])
    store = _most_common([sample.store.requests for sample in samples])
    depth = _most_common([sample.store.depth for sample in samples])
    received = percentile([sample.github.received + sample.store.received for sample in samples], 0.5) / 1000
    sent = percentile([sample.github.sent + sample.store.sent for sample in samples], 0.5) / 1000
    return github, store, depth, f"{received:.1f}", f"{sent:.1f}"


def _most_common(counts: Sequence[int]) -> str:
    least, most = min(counts, default=0), max(counts, default=0)
    return str(least) if least == most else f"{least}-{most}"
