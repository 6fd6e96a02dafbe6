"""Health as one pure function of what a few bounded reads brought: what is live, how fresh it is, who follows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.names import parse_timestamp, timestamp
from shared.core.report import NOT_FOLLOWING
from shared.core.states import Condition, State
from shared.core.summary import LATENCY_BUCKETS_MS, Summary, blocked_until
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from shared.model import Pointer

STALE_AFTER_POLLS = 3
SILENT_AFTER = timedelta(minutes=5)
_RECENT = 10
_COUNTERS = ("webhooks", "webhooks_lost", "polls", "deployments", "rejected", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was read. `pullers` holds each puller's last report, as `serving` keeps it."""

    pointer: Pointer | None
    summary: Summary
    pullers: Sequence[Mapping[str, object]]
    webhook_configured: bool
    poll_seconds: float
    state: State


def health_of(evidence: Evidence, now: datetime) -> dict[str, object]:
    """Describe the service's health.

    Unhealthy: no head was read for three polling intervals, nothing was ever deployed, or the state is PAUSED. Degraded: the
    state is, the last sync failed, or a puller is silent, behind or held: it refuses what it is offered, or could not prove
    that its gateway loaded it. What is withheld is its author's business and no fault.

    Args:
        evidence: What was read.
        now: The time.

    Returns:
        The answer of `GET /health`.
    """
    poller = _poller(evidence, now)
    pullers = [_puller(report, evidence.pointer, now) for report in evidence.pullers]
    lines = [dict(line) for line in reversed(evidence.summary.deployments)]
    newest = lines[0] if lines else {}
    pointer = evidence.pointer
    return {
        "status": _status(evidence, poller, pullers),
        "timestamp": timestamp(now),
        "state": evidence.state.condition.value,
        "reasons": list(evidence.state.reasons),
        "services": {
            "poller": poller,
            "webhook": {
                "status": "enabled" if evidence.webhook_configured else "disabled",
                "configured": evidence.webhook_configured,
                "last_received": evidence.summary.webhook.get("last_received"),
                "last_lost": evidence.summary.webhook.get("last_lost"),
            },
            # The audit graph comes with a later version; nothing is pending where nothing is kept.
            "audit": {"status": "disabled", "pending": 0},
            "pullers": pullers,
        },
        "skills": {
            "count": 0 if pointer is None else pointer.manifest.skills,
            "withheld": newest.get("withheld", 0),
            "last_updated": next((line["published"] for line in lines if line.get("published")), []),
        },
        "last_deployment": _brief(newest) if newest else None,
        "recent_deployments": [str(line["id"]) for line in lines[:_RECENT]],
        "kpis": kpis(evidence.summary),
    }


def unreadable(code: str, now: datetime, *, webhook_configured: bool) -> dict[str, object]:
    """Describe the health when the store cannot be read or holds what nobody signed.

    Args:
        code: The error's code.
        now: The time.
        webhook_configured: Whether a webhook secret is set.
    """
    nothing = Evidence(
        pointer=None,
        summary=Summary(),
        pullers=(),
        webhook_configured=webhook_configured,
        poll_seconds=1.0,
        state=State(condition=Condition.DEGRADED, reasons=(code,)),
    )
    return {**health_of(nothing, now), "error": code}


def kpis(summary: Summary) -> dict[str, object]:
    """Sum up the days on record: counts, the share of syncs that did not fail, and bounds of the latency's percentiles.

    `deployment_success_rate` is (deployments + rejected) / (deployments + rejected + failed). The percentiles are the upper
    bounds, in milliseconds, of the histogram's buckets from call to moved pointer; None where nothing was measured or it
    took longer than the last bound.
    """
    totals = {key: _total(summary, key) for key in _COUNTERS}
    finished = totals["deployments"] + totals["rejected"]
    attempts = finished + totals["failed"]
    return {
        **totals,
        "deployment_success_rate": round(finished / attempts, 4) if attempts else None,
        "latency_p50_ms": _percentile(summary, 0.5),
        "latency_p95_ms": _percentile(summary, 0.95),
    }


def _status(evidence: Evidence, poller: Mapping[str, object], pullers: Sequence[Mapping[str, object]]) -> str:
    condition = evidence.state.condition
    if evidence.pointer is None or poller["status"] != "running" or condition is Condition.PAUSED:
        return "unhealthy"
    if (
        condition is not Condition.READY
        or poller.get("error")
        or any(puller["status"] != "current" for puller in pullers)
    ):
        return "degraded"
    return "healthy"


def _poller(evidence: Evidence, now: datetime) -> dict[str, object]:
    pointer, noted = evidence.pointer, evidence.summary.poller
    checks = [str(noted["last_check"])] if "last_check" in noted else []
    if pointer is not None:
        checks.append(pointer.head_checked_at)
    last = max(checks, default=None)
    status = "never"
    if last is not None:
        allowed = timedelta(seconds=STALE_AFTER_POLLS * evidence.poll_seconds)
        status = "running" if now - parse_timestamp(last) <= allowed else "stale"
    described = {"status": status, "last_check": last, "last_deployed_sha": None if pointer is None else pointer.commit}
    blocked = blocked_until(evidence.summary, now)
    return {
        **described,
        "error": noted.get("error"),
        "error_at": noted.get("error_at"),
        # The API is left alone until then, and the git protocol is used instead.
        "rate_limited_until": None if blocked is None else timestamp(blocked),
    }


def _puller(report: Mapping[str, object], pointer: Pointer | None, now: datetime) -> dict[str, object]:
    last, deployment = str(report.get("last_report")), report.get("deployment")
    if _is_older(last, SILENT_AFTER, now):
        status = "silent"
    elif report.get("outcome") in NOT_FOLLOWING or report.get("state") == Condition.PAUSED:
        status = "held"
    elif pointer is not None and deployment != pointer.deployment:
        status = "behind"
    else:
        status = "current"
    described = {"id": report.get("id"), "status": status, "last_report": last, "deployment": deployment}
    told = {key: report.get(key) for key in ("state", "trust_version")}
    return {**described, **told, "reasons": report.get("reasons", [])}


def _is_older(written: str, age: timedelta, now: datetime) -> bool:
    try:
        return now - parse_timestamp(written) > age
    except InputError:  # a time that nobody can read proves nothing
        return True


def _brief(line: Mapping[str, object]) -> dict[str, object]:
    return {key: line.get(key) for key in ("id", "timestamp", "commit_sha", "status", "trigger")}


def _total(summary: Summary, key: str) -> int:
    return sum(value for value in (day.get(key) for day in summary.days.values()) if isinstance(value, int))


def _percentile(summary: Summary, share: float) -> int | None:
    histogram = [sum(counts) for counts in zip(*_histograms(summary), strict=True)]
    seen, wanted = 0, share * sum(histogram)
    for bound, amount in zip(LATENCY_BUCKETS_MS, histogram, strict=False):
        seen += amount
        if seen and seen >= wanted:
            return bound
    return None


def _histograms(summary: Summary) -> Iterator[list[int]]:
    for day in summary.days.values():
        counts = day.get("latency")
        if isinstance(counts, list) and len(counts) == len(LATENCY_BUCKETS_MS) + 1:
            yield [item if isinstance(item, int) else 0 for item in counts]
