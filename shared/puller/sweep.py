"""Noticing that something on the volume changed, by the files' times and numbers alone, all of them within a minute.

What a look of this kind says is a suspicion; `upkeep` confirms it by content.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from shared.core.discover import SKILL_FILE
from shared.model import SkillId
from shared.puller.layout import FLAT, FLAT_SUFFIX, TREE, ancestors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from shared.core.manifest_view import ManifestView
    from shared.puller.files import Root

ROUND_SECONDS = 50.0
"""In so many seconds all files are looked at once."""


class Sweep:
    """Goes around the skills.

    Args:
        skills: The skills folder.
    """

    def __init__(self, skills: Root) -> None:
        self._skills = skills
        self._prints: dict[SkillId, int] = {}
        self._next = b""
        self.cpu_seconds = 0.0
        """What all looks have cost since this process began."""
        self.looked_at = 0
        """How many skills were looked at since then."""

    def suspects(self, view: ManifestView, layouts: Collection[str], share: float) -> list[SkillId]:
        """Look at the next skills, and return those that are not as they were when they were last right.

        Args:
            view: What is installed; each of its skills was checked when it was accepted.
            layouts: In which layouts.
            share: How much of the whole round to do, from 0 to 1; a round ends at the last skill.
        """
        began = time.thread_time()
        with self._skills.open() as fd:
            found = [
                key for key, paths in self._slice(view, layouts, share) if self._prints.get(key) != _print_of(fd, paths)
            ]
        self.cpu_seconds += time.thread_time() - began
        return found

    def fingerprint(self, paths: Iterable[str]) -> int:
        """Take the numbers of some files; to be taken before their content is read, so that a later change shows."""
        with self._skills.open() as fd:
            return _print_of(fd, with_folders(paths))

    def is_right(self, key: SkillId, fingerprint: int) -> None:
        """Remember how a skill looks that is as it shall be, or whose state was told."""
        self._prints[key] = fingerprint

    def forget(self) -> None:
        """Suspect everything again."""
        self._prints.clear()

    def _slice(self, view: ManifestView, layouts: Collection[str], share: float) -> Iterator[tuple[SkillId, list[str]]]:
        at = self._beginning(view)
        until = at + max(1, int(share * (view.end - view.first))) if share < 1.0 else view.end
        if share >= 1.0:
            at = view.first
        while at < until and (key := view.key(at)) is not None:
            name = SkillId(key.decode())
            self.looked_at += 1
            yield name, with_folders(_paths(name, view.text(at), layouts))
            at = view.following(at)
        self._next = view.key(at) or b""

    def _beginning(self, view: ManifestView) -> int:
        found = view.position(SkillId(self._next.decode())) if self._next else None
        return view.first if found is None else found


def with_folders(paths: Iterable[str]) -> list[str]:
    """Return the paths and the folders that lead to them: a folder's time tells of names that came and went."""
    given = list(paths)
    return sorted({*given, *(folder for path in given for folder in ancestors(path))})


def _paths(key: SkillId, text: bytes, layouts: Collection[str]) -> Iterator[str]:
    # Read without the checks that it passed when it was accepted: this runs all the time.
    for file in json.loads(text)["files"]:
        if TREE in layouts:
            yield f"{key}/{file['path']}"
        if FLAT in layouts and file["path"] == SKILL_FILE:
            yield f"{key}{FLAT_SUFFIX}"


def _print_of(fd: int, paths: Iterable[str]) -> int:
    found: list[tuple[int, ...] | None] = []
    for path in paths:
        try:
            seen = os.stat(path, dir_fd=fd, follow_symlinks=False)
        except OSError:
            found.append(None)
        else:
            numbers = (seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_mode, seen.st_nlink)
            found.append(numbers)
    return hash(tuple(found))
