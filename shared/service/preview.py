"""What an operator's sync would do now. It gathers and decides as the sync does, and writes nothing anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.decide import Occasion, decide, to_judge
from shared.core.manifest import empty_manifest
from shared.core.rules import rule_set_version
from shared.errors import UnavailableError
from shared.service.gather import judge_skills, read_head
from shared.service.head import HeadReader
from shared.service.live import peek_live
from shared.service.objects import read_manifest
from shared.service.publish import publishable
from shared.service.quota import obey
from shared.service.recover import complete_former, ground

if TYPE_CHECKING:
    from shared.core.decide import Decision
    from shared.model import CommitSha, DeploymentId, Manifest, Pointer, SkillId, Withheld
    from shared.service.context import Context, Deadline
    from shared.service.live import Live


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would come of a sync with this head.

    `deploys` says whether another deployment would be live afterwards, be it only because skills are withheld;
    `deployment` is what is live now, None before the first one.
    """

    deploys: bool
    deployment: DeploymentId | None
    commit: CommitSha
    published: tuple[tuple[SkillId, str], ...] = ()
    removed: tuple[SkillId, ...] = ()
    withheld: tuple[Withheld, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What the sync would build on. `recovers`: a new epoch would be opened with it, whatever the head says."""

    manifest: Manifest
    pointer: Pointer | None
    recovers: bool


def preview(context: Context, deadline: Deadline) -> Preview:
    """Gather and decide; the pointer, the records, the summary and the alerts stay as they are.

    Args:
        context: The ports; of the store only reads are asked.
        deadline: Until when it must be told.

    Raises:
        DeadlineError: not finished in time.
        PausedError: as a sync.
        UnverifiedError: as a sync.
        UnavailableError: source or store did not answer.
        InputError: `MANIFEST_TOO_LARGE`.
    """
    deadline.check()
    try:
        return _foretold(context, deadline)
    except UnavailableError:
        deadline.check()  # a source that is cut off by our own deadline has not failed
        raise


def _foretold(context: Context, deadline: Deadline) -> Preview:
    live = peek_live(context)
    obey(context, live.summary)
    found = _ground(context, live)
    commit = HeadReader(context.source, context.clock, None).settled_head(found.pointer, deadline)
    serving = found.pointer or (live.formers[0].pointer if live.formers else None)
    deployment = None if serving is None else serving.deployment
    if found.pointer is not None and found.pointer.commit == commit:
        return Preview(deploys=found.recovers, deployment=deployment, commit=commit)
    decision = _decision(context, found.manifest, commit, deadline)
    if found.pointer is not None and decision.manifest == found.manifest:
        return Preview(deploys=found.recovers, deployment=deployment, commit=commit)
    publishable(decision.manifest)
    return Preview(
        deploys=True,
        deployment=deployment,
        commit=commit,
        published=tuple((key, decision.manifest.skills[key].version) for key in decision.published),
        removed=decision.removed,
        withheld=decision.withheld,
    )


def _ground(context: Context, live: Live) -> _Ground:
    if live.pointer is not None:
        manifest = read_manifest(context.store, live.pointer.manifest.sha256)
        return _Ground(manifest=manifest, pointer=live.pointer, recovers=False)
    former = complete_former(context, live)
    if former is not None:
        return _Ground(manifest=former[1], pointer=former[0].pointer, recovers=True)
    trust, rules = context.trust, rule_set_version(context.terms)
    nothing = empty_manifest(channel=trust.channel, repo=trust.repo, root=context.root, rules=rules)
    return _Ground(manifest=ground(context, live) or nothing, pointer=None, recovers=False)


def _decision(context: Context, before: Manifest, commit: CommitSha, deadline: Deadline) -> Decision:
    context.judge.prepare()
    head = read_head(context, commit)
    occasion = Occasion(
        commit=commit,
        new_head=True,
        release={},
        rejudge=False,
        policy=context.terms.validation,
        rules=rule_set_version(context.terms),
        root=context.root,
    )
    verdicts = judge_skills(context, before, head, to_judge(before, head.skills, occasion), deadline)
    return decide(before, head.skills, verdicts, occasion)
