"""What goes back when a deployment failed its health check at a puller. Pure; reading the manifests is the service's business.

A failed deployment takes back only what it changed itself, and of that only what nobody has touched since. A late report
about an older deployment therefore undoes nothing newer. A person who releases a skill afterwards puts the same tree back,
but a manifest in between lacked it, so that a report which is still lying there does not undo the release.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.core.decide import changes
from shared.core.names import is_digest, parse_deployment
from shared.core.pointer import lineage
from shared.errors import InputError
from shared.model import Action, Digest, Reason, Trigger, Withheld

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from shared.core.decide import Decision
    from shared.model import CommitSha, LiveSkill, Manifest, Pointer, SkillId, TreeId


MAX_SUSPECTS = 8
"""So many deployments behind what is live, what a puller has may be for its failure to tell of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A deployment that failed.

    Args:
        before: What was live before it.
        failed: What it made live.
        since: Every manifest since, the live one last.
        good: The last one before it that has not failed itself, and may be gone back to; None is the one before it.
    """

    before: Manifest
    failed: Manifest
    since: Sequence[Manifest] = ()
    good: Manifest | None = None


def failed_deployments(reports: Iterable[Mapping[str, object]], live: Pointer) -> dict[tuple[int, ...], frozenset[int]]:
    """List, puller by puller, the sequence numbers of the deployments that failed there one after the other, oldest first.

    Only the first one of which anything is left is to be undone: what came after it may have failed for its sake alone. While
    a puller has not tried what is live now, nobody knows more, and only the first one is named. Behind those that failed
    come those that the puller never tried alone, since more than one were made while it was busy: when what is live fails
    and nothing is left of what failed before, the fault came with one of them.

    Args:
        reports: What is kept of the pullers' reports; anything that no report holds names nothing.
        live: The live pointer. Deployments of another epoch, or older than its history, are never undone.

    Returns:
        Each row with all deployments that no skill may go back to: those that failed, and those that were never tried alone.
    """
    rows: dict[tuple[int, ...], frozenset[int]] = {}
    for report in reports:
        former = report.get("failed_before")
        told = [*(former if isinstance(former, list) else []), report.get("failed")]
        named = {_named(failed, live.epoch) for failed in told}
        row = tuple(sorted(seq for seq, digest in lineage(live) if (seq, digest) in named))
        untried = _untried(report, row, live)
        key = (*row, *untried) if live.seq in row else row[:1]
        rows[key] = rows.get(key, frozenset()) | {*row, *untried}
    return {row: rows[row] for row in sorted(rows) if row}


def _untried(report: Mapping[str, object], row: Sequence[int], live: Pointer) -> list[int]:
    """List what was made after that which stands at a puller, and before what is live, without having failed there itself."""
    try:
        epoch, seq = parse_deployment(str(report.get("deployment")))
    except InputError:
        return []
    # A puller that was away for long, or never had anything, says nothing about so many: others live well with them.
    is_near = epoch == live.epoch and live.seq - seq <= MAX_SUSPECTS
    return [each for each, _ in lineage(live) if seq < each < live.seq and each not in row] if is_near else []


def can_be_undone(deployment: Pointer, before: Manifest, failed: Manifest) -> bool:
    """Whether a failure undoes a deployment, as its record and the two manifests tell.

    A deploy or release is. What a person or a recovery put back is left to people; so is the first deployment of a later
    epoch, as nothing tells what it followed. And what went back is not brought forward again when that fails too: the two
    would take turns for ever. Such a deployment is known by this: no other poll publishes anything at the head that was
    decided on before, unless the rules or the publish root are new.

    Args:
        deployment: Its record; one that was refreshed names another head.
        before: What was live before it.
        failed: What it made live.
    """
    went_back = (
        deployment.trigger is Trigger.POLLING
        and deployment.commit == deployment.previous_commit
        and (before.rules, before.root) == (failed.rules, failed.root)
    )
    follows = bool(deployment.history) or deployment.epoch == 1
    return deployment.action in {Action.DEPLOY, Action.RELEASE} and follows and not went_back


def standing(failure: Failure) -> list[SkillId]:
    """List the skills that the failed deployment changed and that are, in every manifest since, exactly as it left them."""
    before, failed = failure.before, failure.failed
    return [
        key
        for key in sorted(before.skills.keys() | failed.skills.keys())
        if _tree(before, key) != _tree(failed, key)
        and all(_tree(later, key) == _tree(failed, key) for later in failure.since)
    ]


def undo(live: Manifest, failures: Iterable[Failure], commit: CommitSha, spared: AbstractSet[SkillId]) -> Decision:
    """Give every skill that still stands as a failed deployment left it its last good version, and withhold its head version.

    A skill that was new goes away, one that was removed comes back. The note keeps the head version from being published
    again until it changes or a person releases it; a note that is there already does the same, and stays.

    Args:
        live: The live manifest.
        failures: The deployments that failed.
        commit: The head that the live pointer was decided on.
        spared: Skills that stay as they are.
    """
    back = {
        key: former
        for failure in failures
        for key in standing(failure)
        if key not in spared
        for former in [(failure.good or failure.before).skills.get(key)]
        if (None if former is None else former.tree) != _tree(live, key)
    }
    notes = {key: _note(live, key, former, commit) for key, former in back.items()}
    skills = {key: skill for key, skill in {**live.skills, **back}.items() if skill is not None}
    withheld = {key: item for key, item in {**live.withheld, **notes}.items() if item is not None}
    return changes(live, replace(live, skills=skills, withheld=withheld))


def _note(live: Manifest, key: SkillId, former: LiveSkill | None, commit: CommitSha) -> Withheld | None:
    held = live.withheld.get(key)
    if held is None:
        # What is not withheld is live as the head has it, or gone at head.
        known = live.skills.get(key) or former
        path = "" if known is None else known.path
        return Withheld(id=key, tree=_tree(live, key), path=path, reason=Reason.UNHEALTHY, commit=commit)
    # The head itself may have gone back meanwhile and wait for something; now it is live. The rules' word stands, though.
    is_head = held.tree == (None if former is None else former.tree)
    return None if is_head and held.reason is not Reason.REJECTED else held


def _named(failed: object, epoch: int) -> tuple[int, Digest] | None:
    if not isinstance(failed, dict):
        return None
    deployment, manifest = str(failed.get("deployment")), str(failed.get("manifest"))
    try:
        named, seq = parse_deployment(deployment)
    except InputError:
        return None
    return (seq, Digest(manifest)) if named == epoch and is_digest(manifest) else None


def _tree(manifest: Manifest, key: SkillId) -> TreeId | None:
    skill = manifest.skills.get(key)
    return None if skill is None else skill.tree
