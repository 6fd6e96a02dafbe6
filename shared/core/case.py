"""One skill's case before the rules: all that `judge` looks at, in one value that can be carried to another process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.core.judge import Verdict, judge
from shared.core.rules import finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.core.rules import Terms
    from shared.model import BlobId, LiveSkill, SkillAtHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A skill at head, the contents that `select_files` chose of it, its published version, and the terms."""

    skill: SkillAtHead
    contents: Mapping[BlobId, bytes] = field(repr=False)
    live: LiveSkill | None
    terms: Terms


def judge_case(case: Case) -> Verdict:
    """Judge one case; see `judge`."""
    return judge(case.skill, case.contents, case.live, case.terms)


def uncheckable(case: Case, how: str) -> Verdict:
    """Keep a skill out on which the checks themselves came to a bad end: what nobody could check is not published.

    Args:
        case: The skill.
        how: How they ended; quotes nothing of the skill's content.
    """
    return Verdict(findings=(finding("UNCHECKABLE", case.skill.path, detail=how),), candidate=None)
