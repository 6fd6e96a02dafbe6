"""Validation on demand: the same rules as a sync's, on a tree that is published nowhere. Nothing is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.case import Case, Verdict
from shared.core.discover import discover
from shared.core.selection import bundle_findings, select_files
from shared.core.validation_report import report_of
from shared.model import BlobId, SkillId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from shared.core.rules import Terms
    from shared.core.validation_report import Report
    from shared.model import CommitSha, TreeEntry
    from shared.ports import Source


def validate(
    listing: Iterable[TreeEntry],
    contents: Callable[[Sequence[TreeEntry]], Mapping[BlobId, bytes]],
    judged: Callable[[Case], Verdict],
    terms: Terms,
    root: str,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Report:
    """Judge every skill of a tree as if none were live.

    Args:
        listing: Every entry of the tree, folders included.
        contents: Reads the contents of the entries that it is given; asked once for each skill.
        judged: Judges one skill.
        terms: The settings that rules depend on.
        root: The publish root.
        told: Told how many skills of how many are judged.
    """
    skills = discover(listing, root)
    findings = []
    good = 0
    for number, (key, skill) in enumerate(skills.items(), 1):
        selection = select_files(skill, terms)
        verdict = Verdict(findings=selection.findings, candidate=None)
        if selection.entries:
            found = contents([replace(entry, path=f"{skill.path}/{entry.path}") for entry in selection.entries])
            needed = {BlobId(entry.id): found[BlobId(entry.id)] for entry in selection.entries}
            verdict = judged(Case(skill=skill, contents=needed, live=None, terms=terms))
        findings += [(key, found) for found in verdict.findings]
        good += verdict.candidate is not None
        told(number, len(skills))
    findings += [(SkillId(""), found) for found in bundle_findings(good, root)]
    return report_of(len(skills), findings)


def validate_commit(
    source: Source, commit: CommitSha | None, judged: Callable[[Case], Verdict], terms: Terms, root: str
) -> Report:
    """Judge every skill of a commit; None is the head of the source's branch. Errors are those of the source."""
    found = source.head(None) if commit is None else commit
    listing = source.listing(found)
    skills = discover(listing, root).values()
    wanted = {
        entry.id: replace(entry, path=f"{skill.path}/{entry.path}")
        for skill in skills
        for entry in select_files(skill, terms).entries
    }
    contents = source.blobs(found, list(wanted.values())) if wanted else {}
    return validate(listing, lambda _entries: contents, judged, terms, root)
