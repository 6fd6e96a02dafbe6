"""Noticing that something on the volume changed, by the files' times and numbers alone, all of them within a minute.

What a look of this kind says is a suspicion; `upkeep` confirms it by content.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.discover import SKILL_FILE
from shared.model import SkillId
from shared.puller.layout import FLAT, FLAT_SUFFIX, TREE, ancestors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from shared.core.manifest_view import ManifestView
    from shared.puller.files import Root

ROUND_SECONDS = 50.0
"""In so many seconds all files are looked at once, whatever the pauses are, if those are alike and not longer."""
_TICK_SECONDS = 0.05
"""The kernel's clock for files moves in steps of up to 10 ms: within one, a second change leaves the same time."""


@dataclass(frozen=True, slots=True)
class Print:
    """How some files look by their numbers. `age` is the newest change's, in seconds of this host's clock."""

    numbers: int
    age: float


class Sweep:
    """Goes around the skills.

    Args:
        skills: The skills folder.
    """

    def __init__(self, skills: Root) -> None:
        self._skills = skills
        self._prints: dict[SkillId, int] = {}
        self._next = b""
        self.looked_at = 0
        """How many skills were looked at since then."""

    def suspects(self, view: ManifestView, layouts: Collection[str], share: float) -> list[SkillId]:
        """Look at the next skills, and return those that are not as they were when they were last right.

        Args:
            view: What is installed; each of its skills was checked when it was accepted.
            layouts: In which layouts.
            share: How much of the whole round to do, from 0 to 1; behind the last skill comes the first.
        """
        with self._skills.open() as fd:
            return [
                key
                for key, paths in self._slice(view, layouts, share)
                if self._prints.get(key) != hash(_numbers(fd, paths))
            ]

    def take(self, paths: Iterable[str]) -> Print:
        """Take the numbers of some files; to be taken before their content is read, so that a later change shows."""
        with self._skills.open() as fd:
            numbers = _numbers(fd, with_folders(paths))
        newest = max((each[2] for each in numbers if each is not None), default=0)
        return Print(hash(numbers), time.time() - newest / 1e9)

    def is_right(self, key: SkillId, taken: Print) -> None:
        """Remember how a skill looks that is as it shall be, or whose state was told."""
        if abs(taken.age) > _TICK_SECONDS:
            self._prints[key] = taken.numbers
        else:
            # It changed just now: should it change again at once, it would still look the same.
            self._prints.pop(key, None)

    def forget(self) -> None:
        """Suspect everything again."""
        self._prints.clear()

    def _slice(self, view: ManifestView, layouts: Collection[str], share: float) -> Iterator[tuple[SkillId, list[str]]]:
        whole = view.end - view.first
        left = min(whole, max(1, int(share * whole)))
        at = self._beginning(view)
        while left > 0 and (key := view.key(at)) is not None:
            self.looked_at += 1
            name = SkillId(key.decode())
            yield name, with_folders(_paths(name, view.text(at), layouts))
            behind = view.following(at)
            left -= behind - at
            at = view.first if behind == view.end else behind
        self._next = view.key(at) or b""

    def _beginning(self, view: ManifestView) -> int:
        """Return where the round goes on; the skill that was to be next may have gone meanwhile."""
        at = view.position(SkillId(self._next.decode())) if self._next else view.first
        if at is None:
            at = view.first
            while (key := view.key(at)) is not None and key < self._next:
                at = view.following(at)
        return view.first if at == view.end else at


def share_of(elapsed: float) -> float:
    """Return how much of a round is due so many seconds after the last look, so that it ends before its time is over."""
    # The pause before the next look must fit in as well.
    return 1.0 if 2 * elapsed >= ROUND_SECONDS else max(0.0, elapsed) / (ROUND_SECONDS - elapsed)


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


def _numbers(fd: int, paths: Iterable[str]) -> tuple[tuple[int, ...] | None, ...]:
    found: list[tuple[int, ...] | None] = []
    for path in paths:
        try:
            seen = os.stat(path, dir_fd=fd, follow_symlinks=False)
        except OSError:
            found.append(None)
        else:
            numbers = (seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_mode, seen.st_nlink)
            found.append(numbers)
    return tuple(found)
