"""The whole gate as one function of files and odd entries, as the hostile cases, the fuzzer and the benchmark ask it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.core.git_objects import blob_id
from shared.core.judge import judge
from shared.core.rules import Terms
from shared.core.selection import select_files
from shared.model import Kind, SkillAtHead, SkillId, TreeEntry, TreeId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.core.case import Verdict

TREE = TreeId("5" * 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One skill's folder. `kinds` names entries that are no plain files; a link's or submodule's content is never read."""

    files: Mapping[str, bytes] = field(repr=False)
    name: str = "hello"
    kinds: Mapping[str, Kind] = field(default_factory=dict)


def at_head(folder: Folder, *, with_sizes: bool = True) -> SkillAtHead:
    """Return the folder as a listing shows it; git alone tells no sizes."""
    entries = tuple(
        TreeEntry(
            path=path,
            kind=folder.kinds.get(path, Kind.FILE),
            id=blob_id(data),
            size=len(data) if with_sizes else None,
        )
        for path, data in folder.files.items()
    )
    return SkillAtHead(id=SkillId(folder.name), path=f"skills/{folder.name}", tree=TREE, entries=entries)


def judged(folder: Folder, *, with_sizes: bool = True, terms: Terms | None = None) -> Verdict:
    """Judge a folder as a sync does, giving only the contents that the listing's judgement asks for."""
    skill = at_head(folder, with_sizes=with_sizes)
    asked = {entry.id for entry in select_files(skill, terms or Terms()).entries}
    contents = {key: data for data in folder.files.values() if (key := blob_id(data)) in asked}
    return judge(skill, contents, None, terms or Terms())


def codes(verdict: Verdict) -> set[str]:
    """The codes of all findings."""
    return {found.code for found in verdict.findings}
