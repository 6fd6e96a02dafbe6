"""What the summary notes of the skills that the newest deployment withholds: few, short, and since which deployment.

It is what alerts are made of, so that nobody has to read a manifest for them. What a person withheld by a rollback is no news.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.names import parse_deployment
from shared.errors import InputError
from shared.model import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from shared.core.decide import Decision
    from shared.core.summary import Summary
    from shared.model import DeploymentId, Pointer, Withheld

MAX_NOTED = 50
MAX_CODES = 5
MAX_ID_CHARS = 200
SHORT = 12
"""So many digits of a tree or commit tell it from every other one of a repository."""
_ORDER = (Reason.DELETION_GUARD, Reason.REJECTED, Reason.UNHEALTHY, Reason.TOGETHER)

Line = dict[str, object]


def with_withheld(summary: Summary, pointer: Pointer, decision: Decision) -> Summary:
    """Note what a deployment withholds, unless a later one is noted already.

    Deletions that wait are one line a push; every other skill has its own. A line that was there keeps its `since`, and never
    gives way to another one: what leaves the list is not withheld any more. What finds no place is counted in `more`, and
    gets none later, as it would look like news then.

    Args:
        summary: As it is.
        pointer: The deployment's pointer.
        decision: What it changed.
    """
    former = summary.withheld
    if _as_of(former) > (pointer.epoch, pointer.seq):
        return summary
    before = {_name(line): line for line in lines_of(summary)}
    now = {_name(line): line for line in _lines(decision.manifest.withheld.values(), pointer.deployment)}
    news = {_name(line) for line in _lines(decision.withheld, pointer.deployment)}
    overflowed = former.get("more", 0) != 0
    kept = [{**line, "since": before[name]["since"]} for name, line in now.items() if name in before]
    fresh = [line for name, line in now.items() if name not in before and (name in news or not overflowed)]
    listed = [*kept, *fresh][:MAX_NOTED]
    noted = {"deployment": pointer.deployment, "more": len(now) - len(listed), "skills": sorted(listed, key=_rank)}
    return replace(summary, withheld=noted)


def lines_of(summary: Summary) -> list[Line]:
    """List what is noted; a line that has not the form that it must have is left out."""
    found = summary.withheld.get("skills")
    return [line for line in found if _is_line(line)] if isinstance(found, list) else []


def is_known(summary: Summary) -> bool:
    """Whether the summary knows what is withheld; one that was lost learns it with the next deployment."""
    return _as_of(summary.withheld) == summary.newest > (0, 0)


def _lines(withheld: Collection[Withheld], deployment: DeploymentId) -> list[Line]:
    alone: list[Line] = [
        {
            "id": item.id[:MAX_ID_CHARS],
            "tree": (item.tree or "")[:SHORT],
            "reason": item.reason.value,
            "codes": sorted({found.code for found in item.findings})[:MAX_CODES],
            "since": deployment,
        }
        for item in withheld
        if item.reason in _ORDER and item.reason is not Reason.DELETION_GUARD
    ]
    return sorted([*alone, *_guarded(withheld, deployment)], key=_rank)


def _guarded(withheld: Collection[Withheld], deployment: DeploymentId) -> list[Line]:
    counts: dict[str, int] = {}
    for item in withheld:
        if item.reason is Reason.DELETION_GUARD:
            counts[item.commit[:SHORT]] = counts.get(item.commit[:SHORT], 0) + 1
    reason = Reason.DELETION_GUARD.value
    return [
        {"id": "", "tree": "", "reason": reason, "commit": commit, "count": count, "since": deployment}
        for commit, count in counts.items()
    ]


def _name(line: Mapping[str, object]) -> tuple[object, ...]:
    return (line["reason"], line["id"], line["tree"], line.get("commit", ""))


def _rank(line: Mapping[str, object]) -> tuple[int, str]:
    return [reason.value for reason in _ORDER].index(str(line["reason"])), str(line["id"])


def _is_line(line: object) -> bool:
    return (
        isinstance(line, dict)
        and all(isinstance(line.get(key), str) for key in ("id", "tree", "reason", "since"))
        and line["reason"] in {reason.value for reason in _ORDER}
        and isinstance(line.get("commit", ""), str)
    )


def _as_of(noted: Mapping[str, object]) -> tuple[int, int]:
    try:
        return parse_deployment(str(noted.get("deployment")))
    except InputError:
        return (0, 0)
