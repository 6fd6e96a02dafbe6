"""What a skill's listing alone tells, before any of its content is there; `judge` looks at that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.discover import SKILL_FILE_NAMES
from shared.core.names import is_slug
from shared.core.paths import check_path, collides
from shared.core.rules import (
    JUNK_FOLDERS,
    JUNK_SUFFIX,
    MAX_RESOURCE_BYTES,
    MAX_SKILL_FILES,
    MAX_SKILL_TOTAL_BYTES,
    MAX_SKILLS,
    UNWATCHED_IDS,
    finding,
)
from shared.model import Finding, Kind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.core.rules import Terms
    from shared.model import SkillAtHead, TreeEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the listing alone tells: the files that would be published, and what is wrong or left out."""

    entries: tuple[TreeEntry, ...]
    findings: tuple[Finding, ...]


def select_files(skill: SkillAtHead, terms: Terms) -> Selection:
    """Judge a skill by its listing and choose the files whose content is needed.

    A skill that fails here needs no content: nothing is fetched for a folder of 100,000 files, or for one huge file.
    """
    kept: list[TreeEntry] = []
    findings = [*_check_id(skill), *(finding("DUPLICATE_ID", skill.path, detail=other) for other in skill.shadowed)]
    junk: set[str] = set()
    for entry in skill.entries:
        if len(kept) > MAX_SKILL_FILES:
            break  # too many already; nobody needs to know the rest
        root = _junk_root(entry.path)
        if root is not None:
            junk.add(root)
            continue
        verdict = _check_entry(skill, entry, terms)
        if verdict is None:
            kept.append(entry)
        else:
            findings.append(verdict)
    findings += [finding("JUNK_SKIPPED", path_of(skill, path)) for path in sorted(junk)]
    clash = collides([entry.path for entry in kept])
    if clash is not None:
        path, reason = clash
        findings.append(finding("PATH_UNSAFE", path_of(skill, path), detail=reason))
    total = sum(entry.size or 0 for entry in kept)
    if len(kept) > MAX_SKILL_FILES or total > MAX_SKILL_TOTAL_BYTES:
        count = f"{len(skill.entries)} entries" if len(kept) > MAX_SKILL_FILES else f"{len(kept)} files, {total} bytes"
        findings.append(finding("SKILL_TOO_LARGE", skill.path, detail=count))
    return Selection(entries=() if has_error(findings) else tuple(kept), findings=tuple(findings))


def bundle_findings(skills: int, root: str) -> tuple[Finding, ...]:
    """Judge a bundle as a whole.

    Args:
        skills: How many would be live.
        root: The publish root.
    """
    return (finding("TOO_MANY_SKILLS", root, detail=f"{skills}"),) if skills > MAX_SKILLS else ()


def _check_id(skill: SkillAtHead) -> Iterable[Finding]:
    if not is_slug(skill.id) or check_path(skill.id) is not None:
        yield finding("ID_INVALID", skill.path)
    if skill.id in UNWATCHED_IDS:
        yield finding("ID_UNWATCHED", skill.path)


def _junk_root(path: str) -> str | None:
    """Return the folder, or else the file, that is left out; a folder is told once, however much is in it."""
    segments = path.split("/")
    for depth, segment in enumerate(segments, 1):
        if segment in JUNK_FOLDERS:
            return "/".join(segments[:depth])
    return path if path.endswith(JUNK_SUFFIX) else None


def _check_entry(skill: SkillAtHead, entry: TreeEntry, terms: Terms) -> Finding | None:
    path = path_of(skill, entry.path)
    if entry.kind is Kind.SUBMODULE:
        return finding("SUBMODULE_SKIPPED", path)
    if entry.kind is Kind.SYMLINK:
        return finding("PATH_UNSAFE", path, detail="a symbolic link")
    reason = check_path(entry.path)
    if reason is not None:
        return finding("PATH_UNSAFE", path, detail=reason)
    return _check_entry_size(entry, path, terms)


def _check_entry_size(entry: TreeEntry, path: str, terms: Terms) -> Finding | None:
    is_skill_file = entry.path in SKILL_FILE_NAMES
    limit = terms.max_skill_file_bytes if is_skill_file else MAX_RESOURCE_BYTES
    if entry.size is None or entry.size <= limit:
        return None
    code = "FILE_TOO_LARGE" if is_skill_file else "RESOURCE_SKIPPED"
    return finding(code, path, detail=f"{entry.size} bytes, at most {limit}")


def path_of(skill: SkillAtHead, path: str) -> str:
    """Return where a file of a skill stands in the repository."""
    return f"{skill.path}/{path}"


def has_error(findings: Iterable[Finding]) -> bool:
    """Whether one of them keeps the skill out."""
    return any(item.severity is Severity.ERROR for item in findings)
