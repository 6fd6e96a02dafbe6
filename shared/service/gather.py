"""Gathering what a decision needs: first what is live, only then the head, and of the head only what is not known yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.archive import unpack
from shared.core.case import Case, Verdict
from shared.core.discover import discover
from shared.core.selection import select_files
from shared.errors import InputError, NotFoundError, UnavailableError
from shared.model import BlobId
from shared.service.objects import read_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from shared.model import CommitSha, LiveSkill, Manifest, SkillAtHead, SkillId, TreeEntry
    from shared.service.context import Context, Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The skills that the branch head holds."""

    commit: CommitSha
    skills: dict[SkillId, SkillAtHead]


def read_head(context: Context, commit: CommitSha) -> Head:
    """List the commit's tree and find the skills in it."""
    return Head(commit=commit, skills=discover(context.source.listing(commit), context.root))


def judge_skills(
    context: Context, before: Manifest, head: Head, ids: Iterable[SkillId], deadline: Deadline
) -> dict[SkillId, Verdict]:
    """Judge these skills at head, fetching only the contents that no archive of theirs holds.

    Args:
        context: The ports.
        before: The live manifest.
        head: The skills at head.
        ids: Which of them to judge.
        deadline: Checked before the source is asked; bounds the judging.
    """
    skills = [head.skills[key] for key in ids]
    selections = {skill.id: select_files(skill, context.terms) for skill in skills}
    wanted = {
        entry.id: replace(entry, path=f"{skill.path}/{entry.path}")
        for skill in skills
        for entry in selections[skill.id].entries
    }
    contents = _from_archives(context, _holders(before, wanted, {skill.id for skill in skills}), wanted)
    missing = [entry for key, entry in wanted.items() if BlobId(key) not in contents]
    deadline.check()
    if missing:
        contents = {**contents, **context.source.blobs(head.commit, missing)}
    cases = [
        Case(
            skill=skill,
            contents={BlobId(entry.id): contents[BlobId(entry.id)] for entry in selections[skill.id].entries},
            live=before.skills.get(skill.id),
            terms=context.terms,
        )
        for skill in skills
        if selections[skill.id].entries
    ]
    judged = {
        case.skill.id: verdict for case, verdict in zip(cases, context.judge(cases, deadline.remaining()), strict=True)
    }
    hopeless = {key: Verdict(findings=found.findings, candidate=None) for key, found in selections.items()}
    return hopeless | judged


def _holders(before: Manifest, wanted: Mapping[str, TreeEntry], ids: AbstractSet[SkillId]) -> list[LiveSkill]:
    # A file that did not change, or only moved, is in an archive of the live manifest; the source is not asked again. The
    # skills' own archives come first: a licence that stands in every skill must not have all archives read.
    missing = set(wanted)
    holders: list[LiveSkill] = []
    for skill in sorted(before.skills.values(), key=lambda skill: (skill.id not in ids, skill.id)):
        held = missing.intersection(file.blob for file in skill.files)
        if held:
            holders.append(skill)
            missing -= held
    return holders


def _from_archives(
    context: Context, holders: Iterable[LiveSkill], wanted: Mapping[str, TreeEntry]
) -> dict[BlobId, bytes]:
    found: dict[BlobId, bytes] = {}
    for files in context.together([lambda skill=skill: _files_of(context, skill) for skill in holders]):  # type: ignore[misc]
        found.update((blob, data) for blob, data in files.items() if blob in wanted)
    return found


def _files_of(context: Context, skill: LiveSkill) -> dict[BlobId, bytes]:
    try:
        return {file.blob: file.data for file in unpack(read_object(context.store, skill.archive))}
    except (NotFoundError, InputError, UnavailableError) as error:
        # The source still has it; publishing the skill anew then repairs the store.
        log.warning("A live archive cannot be read; its files are fetched again", code=error.code, skill=skill.id)
        return {}
