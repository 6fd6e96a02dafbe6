"""Whether one skill at head may be published, and as what. The rules' words stand in `rules`; each check is a function."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.core.archive import pack
from shared.core.canonical import digest_of
from shared.core.content import check_content
from shared.core.discover import SKILL_FILE, SKILL_FILE_NAMES
from shared.core.frontmatter import FrontmatterError, read_frontmatter
from shared.core.names import is_slug
from shared.core.paths import check_path, collides
from shared.core.rules import (
    JUNK_FOLDERS,
    JUNK_SUFFIX,
    MAX_CONTENT_FINDINGS,
    MAX_DESCRIPTION_CHARS,
    MAX_NAME_CHARS,
    MAX_RESOURCE_BYTES,
    MAX_SKILL_FILES,
    MAX_SKILL_TOTAL_BYTES,
    MAX_SKILLS,
    UNWATCHED_IDS,
    finding,
)
from shared.core.version import MANIFEST_FILE, effective_version
from shared.model import BlobId, FileEntry, Finding, Kind, LiveSkill, Severity, SkillAtHead, SkillFile, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.core.frontmatter import Frontmatter
    from shared.core.rules import Terms
    from shared.core.version import EffectiveVersion

_FILES = (Kind.FILE, Kind.EXECUTABLE)


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
    findings += [finding("JUNK_SKIPPED", _path_of(skill, path)) for path in sorted(junk)]
    clash = collides([entry.path for entry in kept])
    if clash is not None:
        path, reason = clash
        findings.append(finding("PATH_UNSAFE", _path_of(skill, path), detail=reason))
    total = sum(entry.size or 0 for entry in kept)
    if len(kept) > MAX_SKILL_FILES or total > MAX_SKILL_TOTAL_BYTES:
        count = f"{len(skill.entries)} entries" if len(kept) > MAX_SKILL_FILES else f"{len(kept)} files, {total} bytes"
        findings.append(finding("SKILL_TOO_LARGE", skill.path, detail=count))
    return Selection(entries=() if _has_error(findings) else tuple(kept), findings=tuple(findings))


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
        findings.append(finding(error.code, _path_of(skill, SKILL_FILE), error.line, detail=detail))
        return Verdict(findings=tuple(findings), candidate=None)
    manifest_file = next((file.data for file in files if file.path == MANIFEST_FILE), None)
    version = effective_version(frontmatter, manifest_file, skill.tree, terms.version)
    findings += _check_members(skill, frontmatter)
    findings += _check_version(skill, frontmatter, version, live)
    if _has_error(findings) or version.text is None:
        return Verdict(findings=tuple(findings), candidate=None)
    name = (frontmatter.text("name") or "").strip()
    return Verdict(findings=tuple(findings), candidate=_candidate(skill, files, name, version.text, version.source))


def bundle_findings(skills: int, root: str) -> tuple[Finding, ...]:
    """Judge a bundle as a whole.

    Args:
        skills: How many would be live.
        root: The publish root.
    """
    return (finding("TOO_MANY_SKILLS", root, detail=f"{skills}"),) if skills > MAX_SKILLS else ()


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
    path = _path_of(skill, entry.path)
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
            skipped.append(finding("RESOURCE_SKIPPED", _path_of(skill, path), detail=f"{len(data)} bytes"))
        else:
            executable = entry.kind is Kind.EXECUTABLE
            files.append(SkillFile(path=path, executable=executable, blob=BlobId(entry.id), data=data))
    return files, skipped


def _check_sizes(skill: SkillAtHead, files: list[SkillFile], terms: Terms) -> Iterable[Finding]:
    size = len(_skill_file(files).data)
    if size > terms.max_skill_file_bytes:
        limit = f"{size} bytes, at most {terms.max_skill_file_bytes}"
        yield finding("FILE_TOO_LARGE", _path_of(skill, SKILL_FILE), detail=limit)
    total = sum(len(file.data) for file in files)
    if total > MAX_SKILL_TOTAL_BYTES:
        yield finding("SKILL_TOO_LARGE", skill.path, detail=f"{total} bytes")


def _check_contents(skill: SkillAtHead, files: Iterable[SkillFile]) -> Iterable[Finding]:
    # Of every published file, also when the frontmatter is broken: an author should learn of a secret at once.
    # What keeps it out comes first, so that no number of warnings can push it over the bound.
    found = [item for file in files for item in check_content(_path_of(skill, file.path), file.data)]
    found.sort(key=lambda item: (item.severity is not Severity.ERROR, item.path, item.line))
    return found[:MAX_CONTENT_FINDINGS]


def _check_members(skill: SkillAtHead, frontmatter: Frontmatter) -> Iterable[Finding]:
    path = _path_of(skill, SKILL_FILE)
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
    path = _path_of(skill, SKILL_FILE)
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


def _path_of(skill: SkillAtHead, path: str) -> str:
    return f"{skill.path}/{path}"


def _has_error(findings: Iterable[Finding]) -> bool:
    return any(item.severity is Severity.ERROR for item in findings)
