"""Which skills a listing holds: every folder with a skill file, the shallower path winning where an id stands twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.model import Kind, SkillAtHead, SkillId, TreeId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.model import TreeEntry

SKILL_FILE = "SKILL.md"
SKILL_FILE_NAMES = (SKILL_FILE, "skill.md")
_FOLDERS = (Kind.FOLDER, Kind.SUBMODULE)


def discover(listing: Iterable[TreeEntry], root: str) -> dict[SkillId, SkillAtHead]:
    """Find the skills below the publish root.

    A skill is a folder with a file named exactly `SKILL.md` or `skill.md`. The search does not go on inside a skill. A
    skill file at the repository's or the publish root itself makes no skill: the gateway would take the whole root for
    one. A link of that name does make one, which the rules then refuse, so that its last good version stays.

    Args:
        listing: Every entry of the commit's tree.
        root: The publish root, without slashes at its ends; empty for the whole repository.

    Returns:
        Skills by id, each with the paths that it shadows.
    """
    entries = [entry for entry in listing if not root or entry.path.startswith(f"{root}/")]
    folders = {entry.path: TreeId(entry.id) for entry in entries if entry.kind is Kind.FOLDER}
    owners = _skill_folders(entries, folders)
    inside = _entries_by_skill(entries, owners)
    found: dict[SkillId, SkillAtHead] = {}
    for path in sorted(owners, key=lambda path: (path.count("/"), path)):
        key = SkillId(path.rsplit("/", 1)[-1])
        if key in found:
            found[key] = replace(found[key], shadowed=(*found[key].shadowed, path))
        else:
            found[key] = SkillAtHead(id=key, path=path, tree=folders[path], entries=tuple(inside[path]))
    return found


def _skill_folders(entries: Iterable[TreeEntry], folders: Mapping[str, TreeId]) -> set[str]:
    holders = {
        folder
        for folder, _, name in (entry.path.rpartition("/") for entry in entries if entry.kind not in _FOLDERS)
        if name in SKILL_FILE_NAMES and folder in folders
    }
    return {path for path in holders if not any(parent in holders for parent in _parents(path))}


def _entries_by_skill(entries: Iterable[TreeEntry], owners: set[str]) -> dict[str, list[TreeEntry]]:
    inside: dict[str, list[TreeEntry]] = {path: [] for path in owners}
    for entry in entries:
        if entry.kind is Kind.FOLDER:
            continue
        owner = next((parent for parent in _parents(entry.path) if parent in owners), None)
        if owner is not None:
            inside[owner].append(replace(entry, path=entry.path[len(owner) + 1 :]))
    return inside


def _parents(path: str) -> Iterable[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
