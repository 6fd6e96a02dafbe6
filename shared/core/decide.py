"""What becomes of every skill: published, removed, kept or withheld. Pure; how skills are judged is `judge`'s business.

One mechanism, `withheld`, carries rejections, rollbacks, failed health checks and the deletion guard: a head version that
is noted there at the same tree id is not judged, published or reported again until it changes or a person releases it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared.core.rules import ValidationPolicy
from shared.core.selection import bundle_findings
from shared.model import Manifest, Reason, Severity, SkillId, Withheld

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.core.case import Verdict
    from shared.model import CommitSha, Finding, LiveSkill, SkillAtHead, TreeId

WHOLE = SkillId("")
"""What warnings about the bundle as a whole stand under, instead of a skill."""
GUARD_LEAST = 5
"""The deletion guard needs at least so many skills gone, and more than half of all."""
MAX_FINDINGS_NOTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a decision depends on beside the content.

    Args:
        commit: The head that is decided on.
        new_head: Whether the live pointer was decided on another head.
        release: Withheld head versions that a person let go: id to the tree id that the person saw.
        rejudge: Whether live and rejected skills are judged again although they did not change.
        policy: What one rejected skill does to the others of the same push.
        rules: The current version of the rules.
        root: The publish root.
    """

    commit: CommitSha
    new_head: bool
    release: Mapping[SkillId, TreeId | None]
    rejudge: bool
    policy: ValidationPolicy
    rules: str
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next manifest and what changes by it, ids in order. `judged` counts what was looked at."""

    manifest: Manifest
    published: tuple[SkillId, ...] = ()
    removed: tuple[SkillId, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    warnings: Mapping[SkillId, tuple[Finding, ...]] = field(default_factory=dict)
    judged: int = 0


def to_judge(before: Manifest, found: Mapping[SkillId, SkillAtHead], occasion: Occasion) -> list[SkillId]:
    """List the skills at head that must be judged, in order."""
    return [key for key in sorted(found) if _needs_judgement(before, found[key], occasion)]


def decide(
    before: Manifest, found: Mapping[SkillId, SkillAtHead], verdicts: Mapping[SkillId, Verdict], occasion: Occasion
) -> Decision:
    """Decide on every skill that is live, withheld or at head.

    Args:
        before: The live manifest (an empty one before the first deployment).
        found: The skills at head.
        verdicts: A verdict for each id that `to_judge` names.
        occasion: Everything else that matters.
    """
    fates = [
        _fate(before, key, found.get(key), verdicts, occasion)
        for key in sorted(before.skills.keys() | before.withheld.keys() | found.keys())
    ]
    fates = _guard_deletions(fates, before, occasion)
    if occasion.policy is ValidationPolicy.ALL_OR_NOTHING:
        fates = _hold_together(fates, occasion)
    whole = occasion.rejudge or not (before.skills or before.withheld)
    manifest = Manifest(
        channel=before.channel,
        repo=before.repo,
        root=occasion.root,
        rules=occasion.rules if whole else before.rules,
        skills={fate.id: fate.live for fate in fates if fate.live is not None},
        withheld={fate.id: fate.held for fate in fates if fate.held is not None},
    )
    warnings = {key: verdict.findings for key, verdict in verdicts.items() if verdict.candidate and verdict.findings}
    if many := bundle_findings(len(manifest.skills), occasion.root):
        warnings[WHOLE] = many
    return replace(changes(before, manifest), warnings=warnings, judged=len(verdicts))


def roll_back(before: Manifest, target: Manifest, commit: CommitSha) -> Decision:
    """Make an earlier manifest's skills live and withhold every head version that differs from it.

    What the head last decided on holds is known without asking the source: a skill that is not withheld is live as the
    head has it. The rollback therefore works while the source is down, and sticks until the skill itself changes.

    Args:
        before: The live manifest.
        target: The manifest to go back to.
        commit: The head that the live pointer was decided on.
    """
    withheld: dict[SkillId, Withheld] = {}
    for key in sorted(before.skills.keys() | before.withheld.keys() | target.skills.keys()):
        live, held, back = before.skills.get(key), before.withheld.get(key), target.skills.get(key)
        head = held.tree if held is not None else live.tree if live is not None else None
        if held is not None and same_content(live, back):
            withheld[key] = held
        elif (None if back is None else back.tree) != head:
            path = next((known.path for known in (held, live, back) if known is not None), "")
            withheld[key] = Withheld(id=key, tree=head, path=path, reason=Reason.ROLLED_BACK, commit=commit)
    return changes(before, replace(before, skills=target.skills, withheld=withheld))


def changes(before: Manifest, after: Manifest) -> Decision:
    """Say what going from one manifest to another publishes, removes and newly withholds."""
    return Decision(
        manifest=after,
        published=tuple(
            key for key in sorted(after.skills) if not same_content(before.skills.get(key), after.skills[key])
        ),
        removed=tuple(key for key in sorted(before.skills) if key not in after.skills),
        withheld=tuple(
            after.withheld[key]
            for key in sorted(after.withheld)
            if newly_withheld(before.withheld.get(key), after.withheld[key])
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fate:
    """What one skill comes to. `was` and `former` are how it stood; `change`: this push would publish or remove it."""

    id: SkillId
    path: str
    tree: TreeId | None
    was: LiveSkill | None
    former: Withheld | None
    live: LiveSkill | None
    held: Withheld | None = None
    released: bool = False
    change: bool = False
    rejected: bool = False


def _needs_judgement(before: Manifest, skill: SkillAtHead, occasion: Occasion) -> bool:
    live, held = before.skills.get(skill.id), before.withheld.get(skill.id)
    if held is not None and held.tree == skill.tree:
        again = occasion.rejudge and held.reason in {Reason.REJECTED, Reason.TOGETHER}
        return again or _is_let_go(held, occasion)
    return live is None or live.tree != skill.tree or occasion.rejudge


def _fate(
    before: Manifest, key: SkillId, seen: SkillAtHead | None, verdicts: Mapping[SkillId, Verdict], occasion: Occasion
) -> _Fate:
    was, held = before.skills.get(key), before.withheld.get(key)
    tree = None if seen is None else seen.tree
    path = seen.path if seen is not None else was.path if was is not None else ""
    # A folder may move without its content changing; the manifest then only learns where it stands now.
    live = replace(was, path=path) if was is not None and was.tree == tree else was
    released = held is not None and _is_released(held, occasion)
    fate = _Fate(id=key, path=path, tree=tree, was=was, former=held, live=live, released=released)
    if seen is not None and _needs_judgement(before, seen, occasion):
        return _judged(fate, verdicts[key], occasion)
    if held is not None and held.tree == tree and not _is_let_go(held, occasion):
        return replace(fate, held=replace(held, path=path or held.path))
    if seen is not None:
        return fate
    return replace(fate, live=None, change=was is not None)


def _judged(fate: _Fate, verdict: Verdict, occasion: Occasion) -> _Fate:
    unchanged = fate.live is not None and fate.live.tree == fate.tree
    if verdict.candidate is None:
        errors = [item for item in verdict.findings if item.severity is Severity.ERROR]
        # Rejected again, it keeps the push that it came with: it is not this one that is broken.
        former = fate.former
        again = former is not None and (former.tree, former.reason) == (fate.tree, Reason.REJECTED)
        push = former.commit if former is not None and again else occasion.commit
        held = _hold(fate, Reason.REJECTED, push, tuple(errors[:MAX_FINDINGS_NOTED]))
        return replace(held, rejected=not (unchanged or again))
    if unchanged:
        return fate
    return replace(fate, live=verdict.candidate.skill, change=True)


def _hold(fate: _Fate, reason: Reason, push: CommitSha, findings: tuple[Finding, ...] = ()) -> _Fate:
    note = Withheld(id=fate.id, tree=fate.tree, path=fate.path, reason=reason, commit=push, findings=findings)
    keep = fate.was if fate.change else fate.live
    return replace(fate, live=keep, held=note, change=False)


def _is_released(held: Withheld, occasion: Occasion) -> bool:
    return held.id in occasion.release and occasion.release[held.id] == held.tree


def _is_let_go(held: Withheld, occasion: Occasion) -> bool:
    return _is_released(held, occasion) or (held.reason is Reason.TOGETHER and occasion.new_head)


def _guard_deletions(fates: list[_Fate], before: Manifest, occasion: Occasion) -> list[_Fate]:
    gone = {fate.id for fate in fates if fate.change and fate.live is None and not fate.released}
    if len(gone) < GUARD_LEAST or 2 * len(gone) <= len(before.skills):
        return fates
    return [_hold(fate, Reason.DELETION_GUARD, occasion.commit) if fate.id in gone else fate for fate in fates]


def _hold_together(fates: list[_Fate], occasion: Occasion) -> list[_Fate]:
    # A push is known by the head at which its skills were first withheld; while one of them stands rejected, the others of
    # that push wait, even if an unrelated push comes in between. A second push that fails too takes them over.
    broken = occasion.commit if any(fate.rejected for fate in fates) else None
    standing = {fate.held.commit for fate in fates if fate.held is not None and fate.held.reason is Reason.REJECTED}
    pushes = [_waits_for(fate, standing, broken) for fate in fates]
    return [
        fate if push is None else _hold(fate, Reason.TOGETHER, push) for fate, push in zip(fates, pushes, strict=True)
    ]


def _waits_for(fate: _Fate, standing: set[CommitSha], broken: CommitSha | None) -> CommitSha | None:
    if not fate.change or fate.released:
        return None
    former = fate.former
    waits = former is not None and former.reason is Reason.TOGETHER and former.commit in standing
    return former.commit if former is not None and waits else broken


def same_content(one: LiveSkill | None, other: LiveSkill | None) -> bool:
    """Whether nobody could tell the two apart by what they hold and are called."""
    return (one and (one.archive, one.version)) == (other and (other.archive, other.version))


def newly_withheld(before: Withheld | None, after: Withheld) -> bool:
    """Whether what is withheld was not withheld before, or not for that reason."""
    return before is None or (before.tree, before.reason) != (after.tree, after.reason)
