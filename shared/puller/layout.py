"""Which file of which skill stands where below the skills folder. How it gets there is left to `plan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.discover import SKILL_FILE
from shared.core.names import is_slug
from shared.core.paths import check_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from shared.model import BlobId, Manifest, SkillId

TREE = "tree"
FLAT = "flat"
RELOAD = ".reload"
"""Touched after each install; no skill's id has a dot, so nothing of ours can stand there."""
_FLAT_SUFFIX = ".md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file as it shall stand on the volume. `source` is its path inside `skill`; `size` is in bytes."""

    skill: SkillId
    source: str
    blob: BlobId
    mode: int
    size: int


def wanted_files(manifest: Manifest, layouts: Collection[str]) -> dict[str, Wanted]:
    """Say what shall stand below the skills folder: path (with `/` between segments) to file.

    Args:
        manifest: What is live.
        layouts: `tree`, `flat` or both; a layout that is not named has no files.
    """
    wanted: dict[str, Wanted] = {}
    for key, skill in manifest.skills.items():
        for file in skill.files:
            want = Wanted(skill=key, source=file.path, blob=file.blob, mode=file.mode, size=file.size)
            if TREE in layouts:
                wanted[f"{key}/{file.path}"] = want
            if FLAT in layouts and file.path == SKILL_FILE:
                wanted[f"{key}{_FLAT_SUFFIX}"] = want
    return wanted


def is_layout_path(path: str) -> bool:
    """Whether any manifest could put a file there. What a damaged state names beside that is never touched."""
    name, slash, rest = path.partition("/")
    if slash:
        return is_slug(name) and check_path(rest) is None
    return name.endswith(_FLAT_SUFFIX) and is_slug(name.removesuffix(_FLAT_SUFFIX))


def top(path: str) -> str:
    """Return the name that a path has directly below the skills folder."""
    return path.partition("/")[0]


def ancestors(path: str) -> Iterator[str]:
    """Yield the folders above a path, the topmost first, without the skills folder itself."""
    at = path.find("/")
    while at != -1:
        yield path[:at]
        at = path.find("/", at + 1)
