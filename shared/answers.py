"""How the outcome of a sync looks in an answer; which status code it gets is the functions' choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.manifest import finding_document, withheld_document
from shared.model import Status

if TYPE_CHECKING:
    from shared.service.sync import Outcome

_WORDS = {None: "unchanged", Status.SUCCESS: "deployed", Status.REJECTED: "rejected", Status.ROLLED_BACK: "deployed"}


def sync_answer(outcome: Outcome) -> dict[str, object]:
    """Describe what a sync did: the deployment, what was published and removed, and what was withheld and why."""
    warnings = outcome.warnings or {}
    return {
        "deploymentId": outcome.deployment,
        "status": _WORDS[outcome.status],
        "commit": outcome.commit,
        "skills": [{"name": key, "version": version} for key, version in outcome.published],
        "removed": list(outcome.removed),
        "rejected": rejections(outcome),
        "warnings": {key: [finding_document(item) for item in findings] for key, findings in warnings.items()},
    }


def rejections(outcome: Outcome) -> list[dict[str, object]]:
    """List what this sync withheld, with the findings that tell its author what to change."""
    return [{"name": item.id, **withheld_document(item)} for item in outcome.withheld]
