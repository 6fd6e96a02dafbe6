"""What one puller's reports add up to: 30 daily counters, into which each piece of news goes once.

A report may come twice, late, or in place of one that was lost. What counts is therefore never that one came in, but what
it tells beyond the one that was kept before: a deployment behind the newest that was told, the first word on its reload, a
failure that is new, the growth of a counter. All days are the functions'; the puller's clock may be another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.core.names import parse_deployment, parse_timestamp
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

VOLUME_BUCKETS_MS = (500, 1000, 2000, 4000, 6000, 8000, 9999, 30_000, 60_000)
"""Upper bounds of the histogram from push to volume, in whole milliseconds; one more bucket holds what took longer.

9,999 and not 10,000: the bucket then proves that it took less than 10 s.
"""
MAX_DAYS = 30
_MAX_GATEWAYS = 4
"""Counters of a puller's last processes: a report that comes in late is still measured by its own."""
_PROOFS = {"holds": "proved", "open": "unproved"}
_STANDING = frozenset({"installed", "current", "unproved"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The newest deployment that a puller has told to be installed: with which outcomes, and the first word on its reload."""

    deployment: str | None = None
    outcomes: tuple[str, ...] = ()
    proof: str | None = None


def told_of(report: Mapping[str, object]) -> Told:
    """Return what was told up to a kept report.

    One that was kept before anything was counted tells of what stands there; that was not installed just now.
    """
    value = report.get("told")
    if not isinstance(value, dict):
        deployment = report.get("deployment")
        known = str(deployment) if _number(deployment) > (0, 0) else None
        return Told(deployment=known, outcomes=("installed", "unproved"))
    deployment, outcomes, proof = (value.get(key) for key in ("deployment", "outcomes", "proof"))
    return Told(
        deployment=str(deployment) if _number(deployment) > (0, 0) else None,
        outcomes=tuple(item for item in outcomes if isinstance(item, str)) if isinstance(outcomes, list) else (),
        proof=proof if isinstance(proof, str) else None,
    )


def with_tally(kept: Mapping[str, object], former: Mapping[str, object]) -> dict[str, object]:
    """Add to a report what all reports so far add up to: `told`, `days` and `gateways`.

    Args:
        kept: The report, as `kept_report` made it.
        former: What is kept of the same puller's report before it; empty when there is none.
    """
    before = told_of(former)
    told = _told_now(kept, before)
    counts = {**_install_counts(told, before), "failed": _new_failures(kept, former, before)}
    watched, up, gateways = _gateway(kept.get("gateway"), former.get("gateways"))
    day = str(kept["last_report"])[:10]
    days = _counted(former.get("days"), day, {**counts, "watched_ms": watched, "up_ms": up})
    if before.deployment not in (None, told.deployment):
        days = _with_latency(days, day, _milliseconds_to_volume(kept))
    document = {"deployment": told.deployment, "outcomes": list(told.outcomes), "proof": told.proof}
    return {**kept, "told": document, "days": days, "gateways": gateways}


def _told_now(kept: Mapping[str, object], before: Told) -> Told:
    floor, deployment = kept["floor"], kept["deployment"]
    # Only what our own signature names was ever deployed; and a puller goes forward only, so an older one is old news.
    is_proved = isinstance(floor, dict) and floor.get("deployment") == deployment
    if not is_proved or _number(deployment) < _number(before.deployment):
        return before
    is_new, proof = deployment != before.deployment, _proof(kept)
    same = Told(deployment=str(deployment)) if is_new else before
    # One that refuses, or fails at, what is offered says nothing more of what it has.
    outcomes = {"unproved" if proof == "open" else "installed"} if is_new or kept["outcome"] in _STANDING else set()
    return replace(same, outcomes=tuple(sorted(outcomes.union(same.outcomes))), proof=same.proof or proof)


def _proof(kept: Mapping[str, object]) -> str | None:
    install = kept.get("install")
    found = install.get("proof") if isinstance(install, dict) else None
    # Earlier pullers tell by the outcome alone.
    return str(found) if found is not None else "open" if kept["outcome"] == "unproved" else None


def _install_counts(told: Told, before: Told) -> dict[str, int]:
    is_new = told.deployment != before.deployment
    counts = {"installs": int(is_new)}
    if told.proof in _PROOFS and (is_new or before.proof is None):
        counts[_PROOFS[told.proof]] = 1
    return counts


def _new_failures(kept: Mapping[str, object], former: Mapping[str, object], before: Told) -> int:
    fresh, newest = _failures(kept) - _failures(former), _number(before.deployment)
    # A deployment is counted by the first word on its reload: one that was unproved, and fails later, was counted.
    is_open = before.proof is None
    return sum(_number(name) > newest or (is_open and _number(name) == newest) for name, _ in fresh)


def _failures(report: Mapping[str, object]) -> set[tuple[object, object]]:
    earlier = report.get("failed_before")
    found = [*(earlier if isinstance(earlier, list) else []), report.get("failed")]
    named = [(each.get("deployment"), each.get("manifest")) for each in found if isinstance(each, dict)]
    return {each for each in named if _number(each[0]) > (0, 0) and isinstance(each[1], str)}


def _milliseconds_to_volume(kept: Mapping[str, object]) -> int | None:
    floor, install = kept["floor"], kept.get("install")
    ago = install.get("ago_ms") if isinstance(install, dict) else None
    asked_at = floor.get("asked_at") if isinstance(floor, dict) else None
    if ago is None or asked_at is None:
        return None
    # Both ends are the functions' clock: when the call came in, and when the report did, less what the puller measured.
    took = parse_timestamp(str(kept["last_report"])) - parse_timestamp(str(asked_at))
    return max(0, math.ceil(took.total_seconds() * 1000) - int(ago))


def _gateway(value: object, former: object) -> tuple[int, int, list[dict[str, object]]]:
    """Return how much longer a puller has watched its gateway, how much of that it was up, and the counters to keep."""
    known = [each for each in former if isinstance(each, dict)] if isinstance(former, list) else []
    if not isinstance(value, dict):
        return 0, 0, known
    last = next((each for each in known if each.get("since") == value["since"]), {})
    others = [each for each in known if each.get("since") != value["since"]]
    # A report that was overtaken shows less than is known: it adds nothing, and takes nothing back.
    grown = {key: max(value[key], _whole(last.get(key))) for key in ("watched_ms", "up_ms")}
    watched, up = (grown[key] - _whole(last.get(key)) for key in ("watched_ms", "up_ms"))
    return watched, min(up, watched), [*others, {"since": value["since"], **grown}][-_MAX_GATEWAYS:]


def _counted(days: object, day: str, counts: Mapping[str, int]) -> dict[str, dict[str, object]]:
    known = {key: dict(item) for key, item in days.items() if isinstance(item, dict)} if isinstance(days, dict) else {}
    today = known.setdefault(day, {})
    today.update({key: _whole(today.get(key)) + amount for key, amount in counts.items() if amount})
    return {key: known[key] for key in sorted(known)[-MAX_DAYS:]}


def _with_latency(
    days: dict[str, dict[str, object]], day: str, milliseconds: int | None
) -> dict[str, dict[str, object]]:
    if milliseconds is None or day not in days:
        return days
    counts = days[day].get("latency")
    histogram = [0] * (len(VOLUME_BUCKETS_MS) + 1)
    if isinstance(counts, list) and len(counts) == len(histogram):
        histogram = [_whole(count) for count in counts]
    histogram[sum(milliseconds > bound for bound in VOLUME_BUCKETS_MS)] += 1
    slowest = max(milliseconds, _whole(days[day].get("slowest_ms")))
    return {**days, day: {**days[day], "latency": histogram, "slowest_ms": slowest}}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _number(deployment: object) -> tuple[int, int]:
    try:
        return parse_deployment(deployment if isinstance(deployment, str) else "")
    except InputError:
        return 0, 0
