"""Whether polls come as they should. What follows from it, for health and for alerts, is their business."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.names import age_of

if TYPE_CHECKING:
    from datetime import datetime

    from shared.core.summary import Summary

STALE_AFTER_POLLS = 3


def is_poller_stale(summary: Summary, poll_seconds: float, now: datetime) -> bool:
    """Whether no poll has finished or failed for three intervals, where any deployment or poll is known.

    A poll that fails is not stale: it has a cause of its own, and goes on trying.
    """
    noted = summary.poller
    times = [str(noted[key]) for key in ("last_check", "error_at") if key in noted]
    first = [str(line.get("timestamp")) for line in summary.deployments[:1]]
    last = max(times, default=None) or next(iter(first), None)
    return last is not None and age_of(last, now) > timedelta(seconds=STALE_AFTER_POLLS * poll_seconds)
