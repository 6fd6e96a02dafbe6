"""Whether one skill at head may be published, and as what. The rules' words stand in `rules`; each check is a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.archive import pack
from shared.core.canonical import digest_of
from shared.core.case import Candidate, Verdict
from shared.core.content import check_content
from shared.core.discover import SKILL_FILE, SKILL_FILE_NAMES
from shared.core.frontmatter import FrontmatterError, read_frontmatter
from shared.core.rules import (
    MAX_CONTENT_FINDINGS,
    MAX_DESCRIPTION_CHARS,
    MAX_NAME_CHARS,
    MAX_RESOURCE_BYTES,
    MAX_SKILL_TOTAL_BYTES,
    finding,
)
from shared.core.selection import has_error, path_of, select_files
from shared.core.version import MANIFEST_FILE, effective_version
from shared.model import BlobId, FileEntry, Finding, Kind, LiveSkill, Severity, SkillAtHead, SkillFile, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.core.case import Case
    from shared.core.frontmatter import Frontmatter
    from shared.core.rules import Terms
    from shared.core.version import EffectiveVersion


def judge_case(case: Case) -> Verdict:
    """Judge one case; see `judge`."""
    return judge(case.skill, case.contents, case.live, case.terms)


def judge(skill: SkillAtHead, contents: Mapping[BlobId, bytes], live: LiveSkill | None, terms: Terms) -> Verdict:
    """Judge one skill.

    Args:
        skill: The skill at head.
        contents: The content of every file that `select_files` chose.
        live: The published version, None where there is none.
        terms: The settings that rules depend on.
    """
    selection = select_files(skill, terms)
    if not selection.entries:
        return Verdict(findings=selection.findings, candidate=None)
    files, skipped = _load(skill, selection.entries, contents)
    findings = [*selection.findings, *skipped, *_check_sizes(skill, files, terms), *_check_contents(skill, files)]
    try:
        frontmatter = read_frontmatter(_skill_file(files).data)
    except FrontmatterError as error:
        detail = f"the value of {error.unquoted}: holds a colon and needs quotes" if error.unquoted else ""
        findings.append(finding(error.code, path_of(skill, SKILL_FILE), error.line, detail=detail))
        return Verdict(findings=tuple(findings), candidate=None)
    manifest_file = next((file.data for file in files if file.path == MANIFEST_FILE), None)
    version = effective_version(frontmatter, manifest_file, skill.tree, terms.version)
    findings += _check_members(skill, frontmatter)
    findings += _check_version(skill, frontmatter, version, live)
    if has_error(findings) or version.text is None:
        return Verdict(findings=tuple(findings), candidate=None)
    name = (frontmatter.text("name") or "").strip()
    return Verdict(findings=tuple(findings), candidate=_candidate(skill, files, name, version.text, version.source))


def _candidate(skill: SkillAtHead, files: list[SkillFile], name: str, version: str, source: str) -> Candidate:
    archive = pack(files)
    entries = (
        FileEntry(path=file.path, mode=0o755 if file.executable else 0o644, blob=file.blob, size=len(file.data))
        for file in files
    )
    return Candidate(
        skill=LiveSkill(
            id=skill.id,
            name=name,
            version=version,
            version_source=source,
            path=skill.path,
            tree=skill.tree,
            archive=digest_of(archive),
            archive_size=len(archive),
            files=tuple(sorted(entries, key=lambda entry: entry.path)),
        ),
        archive=archive,
    )


def _load(
    skill: SkillAtHead, entries: Iterable[TreeEntry], contents: Mapping[BlobId, bytes]
) -> tuple[list[SkillFile], list[Finding]]:
    files: list[SkillFile] = []
    skipped: list[Finding] = []
    for entry in entries:
        # A skill.md is published under the one name that the gateway loads.
        path = SKILL_FILE if entry.path in SKILL_FILE_NAMES else entry.path
        data = contents[BlobId(entry.id)]
        if path != SKILL_FILE and len(data) > MAX_RESOURCE_BYTES:
            skipped.append(finding("RESOURCE_SKIPPED", path_of(skill, path), detail=f"{len(data)} bytes"))
        else:
            executable = entry.kind is Kind.EXECUTABLE
            files.append(SkillFile(path=path, executable=executable, blob=BlobId(entry.id), data=data))
    return files, skipped


def _check_sizes(skill: SkillAtHead, files: list[SkillFile], terms: Terms) -> Iterable[Finding]:
    size = len(_skill_file(files).data)
    if size > terms.max_skill_file_bytes:
        limit = f"{size} bytes, at most {terms.max_skill_file_bytes}"
        yield finding("FILE_TOO_LARGE", path_of(skill, SKILL_FILE), detail=limit)
    total = sum(len(file.data) for file in files)
    if total > MAX_SKILL_TOTAL_BYTES:
        yield finding("SKILL_TOO_LARGE", skill.path, detail=f"{total} bytes")


def _check_contents(skill: SkillAtHead, files: Iterable[SkillFile]) -> Iterable[Finding]:
    # Of every published file, also when the frontmatter is broken: an author should learn of a secret at once.
    # What keeps it out comes first, so that no number of warnings can push it over the bound.
    found = [item for file in files for item in check_content(path_of(skill, file.path), file.data)]
    found.sort(key=lambda item: (item.severity is not Severity.ERROR, item.path, item.line))
    return found[:MAX_CONTENT_FINDINGS]


def _check_members(skill: SkillAtHead, frontmatter: Frontmatter) -> Iterable[Finding]:
    path = path_of(skill, SKILL_FILE)
    name = (frontmatter.text("name") or "").strip()
    description = (frontmatter.text("description") or "").strip()
    if not name or len(name) > MAX_NAME_CHARS:
        yield finding("NAME_MISSING", path, frontmatter.lines.get("name", 1))
    elif name != skill.id:
        yield finding("NAME_MISMATCH", path, frontmatter.lines.get("name", 1))
    if not description:
        yield finding("DESC_MISSING", path, frontmatter.lines.get("description", 1))
    elif len(description) > MAX_DESCRIPTION_CHARS:
        detail = f"{len(description)} characters"
        yield finding("DESC_TOO_LONG", path, frontmatter.lines.get("description", 1), detail=detail)


def _check_version(
    skill: SkillAtHead, frontmatter: Frontmatter, version: EffectiveVersion, live: LiveSkill | None
) -> Iterable[Finding]:
    path = path_of(skill, SKILL_FILE)
    line = frontmatter.lines.get("version", 1)
    if version.text is None:
        yield finding("VERSION_INVALID", path, line)
    elif version.source == "derived":
        yield finding("VERSION_DERIVED", path, line)
    elif live is not None and live.tree != skill.tree and live.version == version.text:
        yield finding("VERSION_NOT_BUMPED", path, line)
    if version.conflicting:
        yield finding("VERSION_CONFLICT", path, line)


def _skill_file(files: list[SkillFile]) -> SkillFile:
    return next(file for file in files if file.path == SKILL_FILE)
