"""From what stands on the disk to what shall stand there: an ordered list of steps, pure. `install` carries them out.

The order is what a watching gateway needs (seen with chokidar 5): a skill is **added** by renaming a complete folder in,
**updated** inside its own folder (resources first, then SKILL.md, then stale files go), **removed** by renaming the
folder out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from shared.core.discover import SKILL_FILE
from shared.puller.layout import RELOAD, ancestors, top
from shared.puller.look import Thing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from shared.puller.layout import Wanted
    from shared.puller.look import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Displace:
    """Move something foreign that stands on one of our paths to the backup folder."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFolder:
    """Rename a complete, staged folder into the skills folder; `files` are its paths there."""

    name: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Rename a staged file over its path, making the folders above it."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove one of our files, and then the folders above it that are empty, but for the skill's own."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFolder:
    """Rename a skill's folder out of the skills folder; nothing foreign is in it."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """Touch the reload mark: always the last step."""

    path: str = RELOAD


T = TypeVar("T")
Step = Displace | AddFolder | Put | Delete | RemoveFolder | Touch


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps, and which wanted files must be staged for them. `steps` is empty when everything stands as it shall."""

    steps: tuple[Step, ...]
    staged: frozenset[str]


def plan_install(seen: Mapping[str, Seen], ours: Collection[str], wanted: Mapping[str, Wanted]) -> Plan:
    """Plan an install.

    Args:
        seen: What stands on the disk, as `look` tells for `ours` and `wanted`.
        ours: Paths whose files we installed, or may have when a crash came in between.
        wanted: What shall stand there.
    """
    seen_by, ours_by, wanted_by = _by_name(seen), _by_name(dict.fromkeys(ours)), _by_name(wanted)
    steps: list[Step] = []
    for name in sorted(ours_by.keys() | wanted_by.keys()):
        steps += _Name(name, seen_by.get(name, {}), ours_by.get(name, {}), wanted_by.get(name, {})).steps()
    staged = {step.path for step in steps if isinstance(step, Put)}
    staged.update(path for step in steps if isinstance(step, AddFolder) for path in step.files)
    return Plan(steps=(*steps, Touch()) if steps else (), staged=frozenset(staged))


def _by_name(paths: Mapping[str, T]) -> dict[str, dict[str, T]]:
    # Once for all names: to look through every path for every skill would take a second for a thousand skills.
    found: dict[str, dict[str, T]] = {}
    for path, value in paths.items():
        found.setdefault(top(path), {})[path] = value
    return found


class _Name:
    """The steps for one name directly below the skills folder: a skill's folder, or a flat file.

    Args:
        name: The name; every path in the others begins with it.
        seen: What stands there.
        ours: The paths that are ours.
        wanted: What shall stand there.
    """

    def __init__(
        self, name: str, seen: Mapping[str, Seen], ours: Collection[str], wanted: Mapping[str, Wanted]
    ) -> None:
        self._name = name
        self._seen = seen
        self._ours = set(ours)
        self._wanted = wanted

    def steps(self) -> Iterator[Step]:
        if not self._wanted:
            yield from self._removal()
        elif self._name in self._wanted or self._is_folder():
            yield from self._update()
        else:
            if self._name in self._seen:
                yield Displace(path=self._name)
            yield AddFolder(name=self._name, files=tuple(sorted(self._wanted)))

    def _is_folder(self) -> bool:
        found = self._seen.get(self._name)
        return found is not None and found.thing is Thing.FOLDER

    def _update(self) -> Iterator[Step]:
        stale = self._stale()
        # Where a file becomes a folder, or a folder a file, what is in the way goes first; all else that is stale goes last.
        blocking = {path for path in stale if self._is_in_the_way(path)}
        for path in sorted(blocking):
            yield Delete(path=path)
        displaced = set(self._foreign_in_the_way(blocking))
        for path in sorted(displaced):
            yield Displace(path=path)
        changed = [path for path in self._wanted if not self._stands(path)]
        # SKILL.md last: the gateway reads the folder again at its change, and must then find everything else in place.
        for path in sorted(changed, key=lambda path: (path == f"{self._name}/{SKILL_FILE}", path)):
            yield Put(path=path)
        for path in sorted(stale - blocking):
            if not any(folder in displaced for folder in ancestors(path)):
                yield Delete(path=path)

    def _removal(self) -> Iterator[Step]:
        present = self._stale()
        if not present:
            return
        files = {path for path, what in self._seen.items() if what.thing is not Thing.FOLDER}
        leading = {folder for path in self._ours for folder in ancestors(path)}
        folders = {path for path, what in self._seen.items() if what.thing is Thing.FOLDER}
        if self._is_folder() and files == present and folders <= leading:
            yield RemoveFolder(name=self._name)
            return
        for path in sorted(present, key=lambda path: (path != f"{self._name}/{SKILL_FILE}", path)):
            yield Delete(path=path)

    def _is_in_the_way(self, path: str) -> bool:
        leads = any(path in ancestors(want) for want in self._wanted)
        return leads or any(folder in self._wanted and self._is_ours_alone(folder) for folder in ancestors(path))

    def _is_ours_alone(self, folder: str) -> bool:
        inside = {path: what for path, what in self._seen.items() if path.startswith(f"{folder}/")}
        leading = {step for path in self._ours for step in ancestors(path)}
        return all(
            path in leading if what.thing is Thing.FOLDER else path in self._ours for path, what in inside.items()
        )

    def _foreign_in_the_way(self, gone: Collection[str]) -> Iterator[str]:
        emptied = {folder for path in gone for folder in ancestors(path)}
        for path in self._wanted:
            for step in (*ancestors(path), path):
                found = self._seen.get(step)
                if found is None or step in gone or (step == path and step in emptied):
                    break
                if not self._fits(step, path, found):
                    yield step
                    break

    def _fits(self, step: str, path: str, found: Seen) -> bool:
        if step != path:
            return found.thing is Thing.FOLDER
        return found.thing is Thing.FILE and (path in self._ours or found.blob == self._wanted[path].blob)

    def _stands(self, path: str) -> bool:
        found, want = self._seen.get(path), self._wanted[path]
        # The gateway refuses a file with a second hard link, so such a one is written anew.
        return (
            found is not None
            and found.thing is Thing.FILE
            and (found.blob, found.mode, found.links) == (want.blob, want.mode, 1)
        )

    def _stale(self) -> set[str]:
        return {
            path
            for path in self._ours - self._wanted.keys()
            if path in self._seen and self._seen[path].thing is Thing.FILE
        }
