"""One skill's case before the rules, and what they say of it: two values that can be carried to another process and back.

The rules themselves are `judge`'s business; whoever only asks for a verdict does not load them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.core.rules import finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.core.rules import Terms
    from shared.model import BlobId, Finding, LiveSkill, SkillAtHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A skill at head, the contents that `select_files` chose of it, its published version, and the terms."""

    skill: SkillAtHead
    contents: Mapping[BlobId, bytes] = field(repr=False)
    live: LiveSkill | None
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A skill that may be published: its manifest entry and its archive."""

    skill: LiveSkill
    archive: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rules say of one skill. `candidate` is None when a finding of severity error keeps it out."""

    findings: tuple[Finding, ...]
    candidate: Candidate | None


def uncheckable(case: Case, how: str) -> Verdict:
    """Keep a skill out on which the checks themselves came to a bad end: what nobody could check is not published.

    Args:
        case: The skill.
        how: How they ended; quotes nothing of the skill's content.
    """
    return Verdict(findings=(finding("UNCHECKABLE", case.skill.path, detail=how),), candidate=None)
