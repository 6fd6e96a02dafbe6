"""The manifest as canonical bytes, and back. Which skills stand in it is `decide`'s business."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.names import is_digest, is_slug
from shared.core.paths import check_path, collides
from shared.errors import InputError
from shared.model import (
    BlobId,
    CommitSha,
    Digest,
    FileEntry,
    Finding,
    LiveSkill,
    Manifest,
    Reason,
    Severity,
    SkillId,
    TreeId,
    Withheld,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "skill-sync/manifest/1"
MAX_MANIFEST_BYTES = 30 * 1024 * 1024
"""What one reply of a function can carry, with room for headers (32 MB)."""
_MODES = {"0644": 0o644, "0755": 0o755}
_GIT_ID = re.compile(r"[0-9a-f]{40}")


def empty_manifest(*, channel: str, repo: str, root: str, rules: str) -> Manifest:
    """Return what is live before the first deployment: nothing."""
    return Manifest(channel=channel, repo=repo, root=root, rules=rules, skills={}, withheld={})


def manifest_bytes(manifest: Manifest) -> bytes:
    """Write a manifest canonically; its SHA-256 is its name."""
    return canonical_bytes(
        {
            "schema": SCHEMA,
            "channel": manifest.channel,
            "repo": manifest.repo,
            "root": manifest.root,
            "rules": manifest.rules,
            "skills": {key: _skill_document(skill) for key, skill in manifest.skills.items()},
            "withheld": {key: withheld_document(item) for key, item in manifest.withheld.items()},
        }
    )


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest whose digest the caller has already compared with a verified pointer.

    Even so every id, path, mode and size is checked again: what writes files trusts nobody.

    Raises:
        InputError: a member is missing or not what it must be.
    """
    document = parse_object(data, what="the manifest")
    if document.get("schema") != SCHEMA:
        raise InputError("MANIFEST_INVALID", f"expected schema {SCHEMA!r}")
    skills = member(document, "skills", dict, what="the manifest")
    withheld = member(document, "withheld", dict, what="the manifest")
    return Manifest(
        channel=_text(document, "channel"),
        repo=_text(document, "repo"),
        root=_text(document, "root"),
        rules=_text(document, "rules"),
        skills={SkillId(key): parse_skill(SkillId(key), value) for key, value in skills.items()},
        withheld={SkillId(key): _withheld(SkillId(key), value) for key, value in withheld.items()},
    )


def withheld_document(item: Withheld) -> dict[str, object]:
    """Write one withheld head version, as the manifest and the API show it."""
    return {
        "tree": item.tree,
        "path": item.path,
        "reason": item.reason.value,
        "commit": item.commit,
        "findings": [finding_document(finding) for finding in item.findings],
    }


def finding_document(finding: Finding) -> dict[str, object]:
    """Write one finding: code, severity, place and hint; it never holds the matched text."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "path": finding.path,
        "line": finding.line,
        "hint": finding.hint,
    }


def _skill_document(skill: LiveSkill) -> dict[str, object]:
    return {
        "name": skill.name,
        "version": skill.version,
        "version_source": skill.version_source,
        "path": skill.path,
        "tree": skill.tree,
        "archive": {"sha256": skill.archive, "size": skill.archive_size},
        "files": [
            {"path": file.path, "mode": f"{file.mode:04o}", "blob": file.blob, "size": file.size}
            for file in skill.files
        ],
    }


def parse_skill(key: SkillId, value: object) -> LiveSkill:
    """Read one live skill's entry.

    Raises:
        InputError: a member is missing or not what it must be.
    """
    if not is_slug(key):
        raise InputError("MANIFEST_INVALID", f"a live skill's id is a slug, got {key[:80]!r}")
    archive = member(value, "archive", dict, what=key)
    sha256 = _text(archive, "sha256")
    if not is_digest(sha256):
        raise InputError("MANIFEST_INVALID", f"{key}: the archive's sha256 is not a digest")
    files = tuple(_file(key, item) for item in member(value, "files", list, what=key))
    clash = collides([file.path for file in files])
    if clash is not None:
        raise InputError("MANIFEST_INVALID", f"{key}: {clash[0]!r}: {clash[1]}")
    return LiveSkill(
        id=key,
        name=_text(value, "name"),
        version=_text(value, "version"),
        version_source=_text(value, "version_source"),
        path=_text(value, "path"),
        tree=TreeId(_git_id(value, "tree")),
        archive=Digest(sha256),
        archive_size=_size(archive, key),
        files=files,
    )


def _file(key: SkillId, value: object) -> FileEntry:
    path = _text(value, "path")
    reason = check_path(path)
    if reason is not None:
        raise InputError("MANIFEST_INVALID", f"{key}: {path[:80]!r}: {reason}")
    mode = _MODES.get(_text(value, "mode"))
    if mode is None:
        raise InputError("MANIFEST_INVALID", f"{key}: a file's mode is 0644 or 0755")
    return FileEntry(path=path, mode=mode, blob=BlobId(_git_id(value, "blob")), size=_size(value, key))


def _withheld(key: SkillId, value: object) -> Withheld:
    tree = member(value, "tree", str, what=key) if isinstance(value, dict) and value.get("tree") is not None else None
    try:
        reason = Reason(_text(value, "reason"))
        findings = tuple(_finding(item) for item in member(value, "findings", list, what=key))
    except ValueError:
        raise InputError("MANIFEST_INVALID", f"{key[:80]!r}: unknown reason or severity") from None
    return Withheld(
        id=key,
        tree=None if tree is None else TreeId(tree),
        path=_text(value, "path"),
        reason=reason,
        commit=CommitSha(_text(value, "commit")),
        findings=findings,
    )


def _finding(value: object) -> Finding:
    return Finding(
        code=_text(value, "code"),
        severity=Severity(_text(value, "severity")),
        path=_text(value, "path"),
        line=member(value, "line", int, what="a finding"),
        hint=_text(value, "hint"),
    )


def _git_id(value: object, key: str) -> str:
    text = _text(value, key)
    if _GIT_ID.fullmatch(text) is None:
        raise InputError("MANIFEST_INVALID", f"{key!r} is 40 hex digits, got {text[:80]!r}")
    return text


def _size(value: object, what: str) -> int:
    size = member(value, "size", int, what=what)
    if size < 0:
        raise InputError("MANIFEST_INVALID", f"{what}: a size is not below zero, got {size}")
    return size


def _text(value: Mapping[str, object] | object, key: str) -> str:
    return member(value, key, str, what="the manifest")
