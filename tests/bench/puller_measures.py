"""What the benchmark makes of its measurements of the puller: ratios, rows for people, verdicts. A figure that the puller
does not tell is None, printed as "-", and meets no target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.measures import percentile
from tests.bench.targets import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INSTALL_IN_COPIES = 2.0
CHANGE_MS, POLL_CPU_MS, SWEEP_SHARE, MEMORY_MB = 50.0, 3.0, 0.01, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """One first install, and what `cp -r` of the result took right after it, alone and up to the end of `sync -f`.

    `seconds` go from the start of the process to its word that all is installed; `fetching_ms` of these were spent waiting
    for the release function.
    """

    seconds: float
    fetching_ms: float | None
    copy_seconds: float
    synced_copy_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The install of a deployment that changed one skill, in milliseconds as the puller tells them."""

    took_ms: float | None
    fetching_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A while without news. `looks` are the puller's own count; requests are what the server saw.

    `reports` are the heartbeats among the requests; `sweep_seconds` is the part of the CPU time that went into the sweep.
    """

    seconds: float
    looks: int
    requests: int
    not_modified: int
    reports: int
    cpu_seconds: float
    sweep_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything about the puller. `peak_memory_mb` (10^6 bytes) is the most that any of its processes held."""

    skills: int
    installs: list[Install]
    changes: list[Change]
    idle: Idle
    peak_memory_mb: float


def in_copies(installs: Sequence[Install], *, apart: bool, synced: bool) -> float | None:
    """Return how many times as long as the copy the install takes, by the medians of both.

    Args:
        installs: All of them.
        apart: Without the time that was spent waiting for the release function.
        synced: Against the copy that is on the disk too.
    """
    waited = [each.fetching_ms for each in installs]
    if apart and None in waited:
        return None
    took = median(each.seconds - ((each.fetching_ms or 0.0) / 1000 if apart else 0.0) for each in installs)
    return took / median(each.synced_copy_seconds if synced else each.copy_seconds for each in installs)


def apart_from_fetching(changes: Sequence[Change]) -> list[float] | None:
    """Return the milliseconds of each change without those that were spent waiting for the release function."""
    found = [
        each.took_ms - each.fetching_ms for each in changes if each.took_ms is not None and each.fetching_ms is not None
    ]
    return found if len(found) == len(changes) else None


def poll_cpu_ms(idle: Idle) -> float:
    """Return the CPU time of one look in milliseconds, without the sweep where that is known."""
    return 1000 * (idle.cpu_seconds - (idle.sweep_seconds or 0.0)) / idle.looks if idle.looks else math.nan


def sweep_share(idle: Idle) -> float | None:
    """Return which share of a core the sweep takes."""
    return None if idle.sweep_seconds is None else idle.sweep_seconds / idle.seconds


def is_one_request(idle: Idle) -> bool:
    """Whether each look was one request that was answered 304, heartbeats aside; one may be under way at either end."""
    asked = idle.requests - idle.reports
    return idle.looks > 0 and asked == idle.not_modified and abs(asked - idle.looks) <= 1


def told(found: Measured) -> str:
    """Tell it for people."""
    installs, idle = found.installs, found.idle
    seconds, copied, synced = (
        median(getattr(each, name) for each in installs) for name in ("seconds", "copy_seconds", "synced_copy_seconds")
    )
    waited = [each.fetching_ms / 1000 for each in installs if each.fetching_ms is not None]
    rows = [
        ("first install", f"{seconds:.2f} s, {_or_dash(median(waited) if waited else None, '.2f')} s of it fetching"),
        ("cp -r", f"{copied:.2f} s, with sync -f {synced:.2f} s"),
        *(_ratios(installs, apart=apart) for apart in (False, True)),
        ("one changed skill", f"{_change(found.changes)} ms apart from fetching ({len(found.changes)} deployments)"),
        ("idle", f"{idle.looks} looks in {idle.seconds:.0f} s, {idle.requests} requests ({idle.reports} reports)"),
        ("CPU of a look", f"{poll_cpu_ms(idle):.2f} ms, sweep {_percent(sweep_share(idle))} of a core"),
        ("peak memory", f"{found.peak_memory_mb:.0f} MB"),
    ]
    width = max(len(name) for name, _ in rows)
    head = f"puller, {found.skills} skills, medians of {len(installs)} installs"
    return "\n".join([head, *(f"  {name.ljust(width)}  {text}" for name, text in rows)])


def verdicts(found: Measured) -> Iterator[Verdict]:
    """Judge the figures."""
    where, idle = f"puller, {found.skills} skills:", found.idle
    copies = in_copies(found.installs, apart=True, synced=False)
    yield Verdict(
        text=f"{where} first install apart from fetching {_or_dash(copies, '.1f')} x cp -r (at most 2)",
        met=copies is not None and copies <= INSTALL_IN_COPIES,
    )
    times = apart_from_fetching(found.changes)
    yield Verdict(
        text=f"{where} one changed skill {_change(found.changes)} ms apart from fetching (below {CHANGE_MS:.0f})",
        met=bool(times) and percentile(times or [], 0.95) < CHANGE_MS,
    )
    yield Verdict(text=f"{where} an idle look is one request, answered 304", met=is_one_request(idle))
    cpu, share = poll_cpu_ms(idle), sweep_share(idle)
    yield Verdict(text=f"{where} CPU of an idle look {cpu:.2f} ms (below {POLL_CPU_MS:.0f})", met=cpu < POLL_CPU_MS)
    yield Verdict(
        text=f"{where} the sweep takes {_percent(share)} of a core (below 1 %)",
        met=share is not None and share < SWEEP_SHARE,
    )
    memory = found.peak_memory_mb
    yield Verdict(text=f"{where} peak memory {memory:.0f} MB (below {MEMORY_MB:.0f})", met=memory < MEMORY_MB)


def _ratios(installs: Sequence[Install], *, apart: bool) -> tuple[str, str]:
    plain, synced = (_or_dash(in_copies(installs, apart=apart, synced=synced), ".1f") for synced in (False, True))
    return ("  without fetching" if apart else "  with fetching"), f"{plain} x cp -r, {synced} x cp -r with sync -f"


def _change(changes: Sequence[Change]) -> str:
    times = apart_from_fetching(changes)
    middle, late = (percentile(times, share) if times else None for share in (0.5, 0.95))
    return f"p50 {_or_dash(middle, '.0f')} p95 {_or_dash(late, '.0f')}"


def _percent(share: float | None) -> str:
    return f"{_or_dash(None if share is None else 100 * share, '.2f')} %"


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
