"""What the summary notes of the audit graph: how far it was fed, and since when that fails. Health and alerts read it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.names import parse_deployment
from shared.errors import InputError

if TYPE_CHECKING:
    from shared.core.summary import Summary
    from shared.model import DeploymentId, Pointer


def with_fed(summary: Summary, deployment: DeploymentId) -> Summary:
    """Note that the graph holds everything up to that deployment."""
    return replace(summary, audit={"deployment": deployment})


def with_audit_failure(summary: Summary, code: str, at: str) -> Summary:
    """Note that the graph could not be fed; the first of several failures in a row tells since when."""
    noted = summary.audit
    known = {"deployment": noted["deployment"]} if "deployment" in noted else {}
    return replace(summary, audit={**known, "error": code, "since": noted.get("since", at)})


def fed_number(summary: Summary) -> tuple[int, int]:
    """Return epoch and sequence up to which the graph was fed, (0, 0) before it ever was."""
    try:
        return parse_deployment(str(summary.audit.get("deployment")))
    except InputError:
        return 0, 0


def audit_pending(summary: Summary, pointer: Pointer | None) -> int:
    """Count the deployments that the graph lacks; of those of former epochs only that there are some."""
    if pointer is None:
        return 0
    epoch, seq = fed_number(summary)
    if epoch == pointer.epoch:
        return max(0, pointer.seq - seq)
    return pointer.seq if epoch < pointer.epoch else 0


def audit_health(summary: Summary, pointer: Pointer | None, *, configured: bool) -> dict[str, object]:
    """Describe the audit graph for `GET /health`.

    Args:
        summary: What is noted.
        pointer: What is live.
        configured: Whether there is a graph at all.

    Returns:
        `status`: `disabled`; `behind`, deployments are pending; `unreachable`, none are, but the last try failed; or
        `connected`. `pending` counts deployments; `error` and `since` tell of the failures that still go on.
    """
    if not configured:
        return {"status": "disabled", "pending": 0}
    pending, error = audit_pending(summary, pointer), summary.audit.get("error")
    status = "behind" if pending else "unreachable" if error else "connected"
    return {"status": status, "pending": pending, "error": error, "since": summary.audit.get("since")}
