"""How the outcome of a sync looks in an answer; which status code it gets is the functions' choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.manifest import finding_document, withheld_document
from shared.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.model import Withheld
    from shared.service.preview import Preview
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
        "rejected": rejections(outcome.withheld),
        "warnings": {key: [finding_document(item) for item in findings] for key, findings in warnings.items()},
    }


def preview_answer(found: Preview) -> dict[str, object]:
    """Describe what a sync would do; `deploymentId` is what is live, and stays so."""
    return {
        "status": "would_deploy" if found.deploys else "unchanged",
        "deploymentId": found.deployment,
        "commit": found.commit,
        "skills": [{"name": key, "version": version} for key, version in found.published],
        "removed": list(found.removed),
        "rejected": rejections(found.withheld),
    }


def rejections(withheld: Iterable[Withheld]) -> list[dict[str, object]]:
    """List what a sync withholds, with the findings that tell its author what to change."""
    return [{"name": item.id, **withheld_document(item)} for item in withheld]
