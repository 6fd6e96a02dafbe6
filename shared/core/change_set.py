"""What one deployment changed, with the entries themselves: from a decision that is at hand, or from two stored manifests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.core.decide import newly_withheld, roll_back, same_content
from shared.core.manifest_view import differences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.core.decide import Decision
    from shared.core.manifest_view import ManifestView
    from shared.model import CommitSha, LiveSkill, SkillId, Withheld


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """Skills that came or changed, skills that went, and what was newly withheld; `withheld_count` counts all that is."""

    published: tuple[LiveSkill, ...] = ()
    removed: tuple[LiveSkill, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    withheld_count: int = 0


def decided(decision: Decision, before: Mapping[SkillId, LiveSkill]) -> ChangeSet:
    """Return what a decision changed.

    Args:
        decision: What was decided.
        before: The skills that were live before; only removed ones are looked up.
    """
    after = decision.manifest
    return ChangeSet(
        published=tuple(after.skills[key] for key in decision.published),
        removed=tuple(before[key] for key in decision.removed if key in before),
        withheld=decision.withheld,
        withheld_count=len(after.withheld),
    )


def between(before: ManifestView | None, after: ManifestView) -> ChangeSet:
    """Return what went on between two manifests; only what differs is read.

    Args:
        before: The former one, None where there was none.
        after: The newer one.

    Raises:
        InputError: as for `parse_manifest`.
    """
    found = list(differences(before, after))
    old = {} if before is None else before.head().withheld
    new = after.head().withheld
    return ChangeSet(
        published=tuple(each.new for each in found if each.new is not None and not same_content(each.old, each.new)),
        removed=tuple(each.old for each in found if each.old is not None and each.new is None),
        withheld=tuple(new[key] for key in sorted(new) if newly_withheld(old.get(key), new[key])),
        withheld_count=len(new),
    )


def rolled_back(before: ManifestView, target: ManifestView, commit: CommitSha) -> ChangeSet:
    """Return what a rollback would change, by the very rule that it decides by; only what differs is read.

    A skill that is the same in both stays as it is, also where a newer version of it is withheld: it needs no look.

    Args:
        before: What is live.
        target: What to go back to.
        commit: The head that the live pointer was decided on.

    Raises:
        InputError: as for `parse_manifest`.
    """
    found = list(differences(before, target))
    old = {each.id: each.old for each in found if each.old is not None}
    new = {each.id: each.new for each in found if each.new is not None}
    decision = roll_back(replace(before.head(), skills=old), replace(target.head(), skills=new), commit)
    return decided(decision, old)
