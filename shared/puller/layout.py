"""Which file of which skill stands where below the skills folder. How it gets there is left to `plan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.discover import SKILL_FILE
from shared.core.names import is_slug
from shared.core.paths import check_path
from shared.model import SkillId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from shared.model import BlobId, LiveSkill

TREE = "tree"
FLAT = "flat"
RELOAD = ".reload"
"""Touched after each install; no skill's id has a dot, so nothing of ours can stand there."""
FLAT_SUFFIX = ".md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file as it shall stand on the volume. `source` is its path inside `skill`; `size` is in bytes."""

    skill: SkillId
    source: str
    blob: BlobId
    mode: int
    size: int


def files_of(skill: LiveSkill, layouts: Collection[str]) -> Iterator[tuple[str, Wanted]]:
    """Say what one skill puts below the skills folder: path (with `/` between segments) and file.

    Args:
        skill: As the manifest names it.
        layouts: `tree`, `flat` or both; a layout that is not named has no files.
    """
    for file in skill.files:
        want = Wanted(skill=skill.id, source=file.path, blob=file.blob, mode=file.mode, size=file.size)
        if TREE in layouts:
            yield f"{skill.id}/{file.path}", want
        if FLAT in layouts and file.path == SKILL_FILE:
            yield f"{skill.id}{FLAT_SUFFIX}", want


def skill_at(path: str) -> SkillId:
    """Return the id of the skill that a path below the skills folder belongs to, if it is any's."""
    return SkillId(top(path).removesuffix(FLAT_SUFFIX))


def is_layout_path(path: str) -> bool:
    """Whether any manifest could put a file there. What a damaged note names beside that is never touched."""
    name, slash, rest = path.partition("/")
    if slash:
        return is_slug(name) and check_path(rest) is None
    return name.endswith(FLAT_SUFFIX) and is_slug(name.removesuffix(FLAT_SUFFIX))


def top(path: str) -> str:
    """Return the name that a path has directly below the skills folder."""
    return path.partition("/")[0]


def ancestors(path: str) -> Iterator[str]:
    """Yield the folders above a path, the topmost first, without the skills folder itself."""
    at = path.find("/")
    while at != -1:
        yield path[:at]
        at = path.find("/", at + 1)
