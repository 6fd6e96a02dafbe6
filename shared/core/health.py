"""Health as one pure function of what a few bounded reads brought: what is live, how fresh it is, who follows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.audit_note import audit_health
from shared.core.kpis import kpis
from shared.core.names import parse_deployment, parse_timestamp, timestamp
from shared.core.polling import STALE_AFTER_POLLS
from shared.core.report import follows
from shared.core.states import Condition, State
from shared.core.summary import Summary, blocked_until
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from shared.model import Pointer

SILENT_AFTER = timedelta(minutes=5)
"""Every puller tells each minute how things stand: five in a row did not come."""
BEHIND_AFTER = timedelta(minutes=2)
"""A puller looks every two seconds, and a proof of reload takes up to 30 s, and again for going back: that is done by then."""
HELD_AFTER = timedelta(minutes=2)
"""What heals by itself, such as a clock or a gateway that starts anew, has done so by then."""
_ALLOWANCES = {"behind": BEHIND_AFTER, "held": HELD_AFTER}
_RECENT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was read. `pullers` holds each puller's last report, as `serving` keeps it; of one that never reported its id."""

    pointer: Pointer | None
    summary: Summary
    pullers: Sequence[Mapping[str, object]]
    webhook_configured: bool
    poll_seconds: float
    state: State
    audit_configured: bool = False


def health_of(evidence: Evidence, now: datetime) -> dict[str, object]:
    """Describe the service's health.

    Unhealthy: no head was read for three polling intervals, nothing was ever deployed, the state is PAUSED, or a puller is
    silent, or behind or held for more than its allowance. Degraded: the state is, the last sync failed, the audit graph
    cannot be fed, or a puller is held: it refuses what it is offered, or could not prove that its gateway loaded it. One
    that is behind for a moment is at work, which is no fault; neither is what is withheld, its author's business.

    Args:
        evidence: What was read.
        now: The time.

    Returns:
        The answer of `GET /health`.
    """
    poller = _poller(evidence, now)
    audit = audit_health(evidence.summary, evidence.pointer, configured=evidence.audit_configured)
    pullers = [_puller(report, evidence, now) for report in evidence.pullers]
    lines = [dict(line) for line in reversed(evidence.summary.deployments)]
    newest = lines[0] if lines else {}
    pointer = evidence.pointer
    return {
        "status": _status(evidence, [poller, audit], pullers, now),
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
            "audit": audit,
            "pullers": pullers,
        },
        "skills": {
            "count": 0 if pointer is None else pointer.manifest.skills,
            "withheld": newest.get("withheld", 0),
            "last_updated": next((line["published"] for line in lines if line.get("published")), []),
        },
        "last_deployment": _brief(newest) if newest else None,
        "recent_deployments": [str(line["id"]) for line in lines[:_RECENT]],
        "kpis": kpis(evidence.summary, evidence.pullers, now),
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


def _status(
    evidence: Evidence,
    services: Sequence[Mapping[str, object]],
    pullers: Sequence[Mapping[str, object]],
    now: datetime,
) -> str:
    condition, (poller, _) = evidence.state.condition, services
    if evidence.pointer is None or poller["status"] != "running" or condition is Condition.PAUSED:
        return "unhealthy"
    if any(_is_red(puller, now) for puller in pullers):
        return "unhealthy"
    is_held = any(puller["status"] == "held" for puller in pullers)
    fails = any(service.get("error") for service in services)
    return "degraded" if condition is not Condition.READY or fails or is_held else "healthy"


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


def _puller(report: Mapping[str, object], evidence: Evidence, now: datetime) -> dict[str, object]:
    last, deployment, pointer = report.get("last_report"), report.get("deployment"), evidence.pointer
    status, since = "current", None
    if _is_older(last, SILENT_AFTER, now):
        status, since = "silent", last
    elif not follows(report):
        status, since = "held", report.get("not_following_since")
    elif pointer is not None and deployment != pointer.deployment:
        status, since = "behind", _behind_since(deployment, pointer, evidence.summary)
    described = {"id": report.get("id"), "status": status, "last_report": last, "deployment": deployment}
    told = {key: report.get(key) for key in ("state", "trust_version")}
    return {**described, **told, "reasons": report.get("reasons", []), "since": since}


def _behind_since(deployment: object, pointer: Pointer, summary: Summary) -> str:
    """Say when that was deployed which a puller ought to have installed next, as far back as the summary reaches."""
    at = pointer.deployed_at
    try:
        stands = parse_deployment(str(deployment))
    except InputError:  # it has none, or says nothing that could be one
        return at
    missed = (str(line.get("timestamp")) for line in summary.deployments if parse_deployment(str(line["id"])) > stands)
    return min([at, *missed])


def _is_red(puller: Mapping[str, object], now: datetime) -> bool:
    allowance = _ALLOWANCES.get(str(puller["status"]))
    return puller["status"] == "silent" or (
        allowance is not None and puller["since"] is not None and _is_older(puller["since"], allowance, now)
    )


def _is_older(written: object, age: timedelta, now: datetime) -> bool:
    try:
        return now - parse_timestamp(str(written)) > age
    except InputError:  # a time that nobody can read proves nothing
        return True


def _brief(line: Mapping[str, object]) -> dict[str, object]:
    return {key: line.get(key) for key in ("id", "timestamp", "commit_sha", "status", "trigger")}
