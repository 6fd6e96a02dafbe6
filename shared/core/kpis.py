"""The key figures of the last 30 days, from the daily counters that the summary and the pullers' reports keep.

  webhook_success_rate     webhooks / (webhooks + webhooks_lost): calls that came in, of all that the forge says it made
  deployment_success_rate  (deployments + rejected) / (deployments + rejected + failed): syncs that ended with a verdict
  latency_to_volume_*      from the call that made a deployment to its files on a volume; a puller's first install is left out
  hot_reload_success       proved / (proved + unproved + failed): reloads that a gateway was seen to have made
  gateway_uptime           up_ms / watched_ms: the time between a puller's looks at its gateway, by what each look found

A share is of what was counted; where nothing was, there is no value, and no target is missed. How each is counted is left
to `summary` and `tally`.
"""

from __future__ import annotations

import operator
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.names import timestamp
from shared.core.summary import LATENCY_BUCKETS_MS
from shared.core.tally import VOLUME_BUCKETS_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from shared.core.summary import Summary

WINDOW_DAYS = 30
_COUNTERS = ("webhooks", "webhooks_lost", "polls", "deployments", "rejected", "failed")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {">": operator.gt, ">=": operator.ge, "<": operator.lt}
_TARGETS = {
    "webhook_success_rate": (">", 0.99, "ratio"),
    # Nobody asked for a number: the same as for webhooks, since each failure is one call that has to be made again.
    "deployment_success_rate": (">=", 0.99, "ratio"),
    "latency_to_volume_p50": ("<", 10_000, "ms"),
    "latency_to_volume_p95": ("<", 10_000, "ms"),
    "hot_reload_success": (">=", 1, "ratio"),
    "gateway_uptime": (">", 0.999, "ratio"),
}

Day = dict[str, object]
"""One day's counters by name."""


def kpis(summary: Summary, pullers: Iterable[Mapping[str, object]], now: datetime) -> dict[str, object]:
    """Sum up the days on record that lie in the window: counts, and the indicators with their targets.

    Args:
        summary: What the functions counted.
        pullers: The pullers' reports as they are kept.
        now: The time; the window is today and the 29 days before.

    Returns:
        The counts; `latency_p50_ms` and `latency_p95_ms`, from call to moved pointer, as the upper bounds of the histogram's
        buckets, None where nothing was measured or it took longer than the last bound; and `indicators`, each with name,
        value, target, met, unit and window_days.
    """
    cloud = _in_window(summary.days, now)
    volumes = [day for report in pullers for day in _in_window(report.get("days"), now)]
    totals = {key: _total(cloud, key) for key in _COUNTERS}
    values = {**_cloud_values(totals), **_volume_values(volumes)}
    rate = values["deployment_success_rate"]
    return {
        **totals,
        "deployment_success_rate": None if rate is None else round(rate, 4),
        "latency_p50_ms": _percentile(_histogram(cloud, LATENCY_BUCKETS_MS), LATENCY_BUCKETS_MS, 0.5),
        "latency_p95_ms": _percentile(_histogram(cloud, LATENCY_BUCKETS_MS), LATENCY_BUCKETS_MS, 0.95),
        "indicators": [_indicator(name, values[name]) for name in _TARGETS],
    }


def history(
    summary: Summary, pullers: Iterable[Mapping[str, object]], now: datetime
) -> dict[str, list[tuple[str, float | None]]]:
    """Return each indicator's value for each single day of the window, oldest first; None where nothing was counted.

    Args:
        summary: What the functions counted.
        pullers: The pullers' reports as they are kept.
        now: The time.
    """
    reports = list(pullers)
    days = [timestamp(now - timedelta(days=ago))[:10] for ago in reversed(range(WINDOW_DAYS))]
    rows = {}
    for day in days:
        volumes = [found for report in reports for found in _on(report.get("days"), day)]
        rows[day] = {**_cloud_values({key: _total(_on(summary.days, day), key) for key in _COUNTERS})}
        rows[day] |= _volume_values(volumes)
    return {name: [(day, rows[day][name]) for day in days] for name in _TARGETS}


def _on(days: object, day: str) -> list[Day]:
    counters = days.get(day) if isinstance(days, dict) else None
    return [dict(counters)] if isinstance(counters, dict) else []


def _cloud_values(totals: Mapping[str, int]) -> dict[str, float | None]:
    finished = totals["deployments"] + totals["rejected"]
    return {
        "webhook_success_rate": _share(totals["webhooks"], totals["webhooks"] + totals["webhooks_lost"]),
        "deployment_success_rate": _share(finished, finished + totals["failed"]),
    }


def _volume_values(days: Sequence[Day]) -> dict[str, float | None]:
    proved = _total(days, "proved")
    return {
        "latency_to_volume_p50": _to_volume(days, 0.5),
        "latency_to_volume_p95": _to_volume(days, 0.95),
        "hot_reload_success": _share(proved, proved + _total(days, "unproved") + _total(days, "failed")),
        "gateway_uptime": _share(_total(days, "up_ms"), _total(days, "watched_ms")),
    }


def _to_volume(days: Sequence[Day], share: float) -> float | None:
    histogram = _histogram(days, VOLUME_BUCKETS_MS)
    bound = _percentile(histogram, VOLUME_BUCKETS_MS, share)
    if bound is None and any(histogram):
        # Behind the last bound the slowest one stands for all: the target is missed, and by how much at most.
        return max(value for day in days if isinstance(value := day.get("slowest_ms"), int))
    return bound


def _indicator(name: str, value: float | None) -> dict[str, object]:
    comparison, bound, unit = _TARGETS[name]
    return {
        "name": name,
        "value": None if value is None else round(value, 5),
        "target": f"{comparison} {bound}",
        "met": None if value is None else _COMPARISONS[comparison](value, bound),
        "unit": unit,
        "window_days": WINDOW_DAYS,
    }


def _in_window(days: object, now: datetime) -> list[Day]:
    first = timestamp(now - timedelta(days=WINDOW_DAYS - 1))[:10]
    known = days.items() if isinstance(days, dict) else ()
    return [dict(counters) for day, counters in known if day >= first and isinstance(counters, dict)]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _total(days: Iterable[Day], key: str) -> int:
    return sum(value for value in (day.get(key) for day in days) if isinstance(value, int))


def _histogram(days: Iterable[Day], bounds: Sequence[int]) -> list[int]:
    summed = [0] * (len(bounds) + 1)
    for day in days:
        counts = day.get("latency")
        if isinstance(counts, list) and len(counts) == len(summed):
            summed = [
                total + (count if isinstance(count, int) else 0) for total, count in zip(summed, counts, strict=True)
            ]
    return summed


def _percentile(histogram: Sequence[int], bounds: Sequence[int], share: float) -> int | None:
    seen, wanted = 0, share * sum(histogram)
    for bound, amount in zip(bounds, histogram, strict=False):
        seen += amount
        if seen and seen >= wanted:
            return bound
    return None
