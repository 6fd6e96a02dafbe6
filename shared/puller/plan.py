"""The order in which a volume comes to hold a manifest, as a list of steps. Pure; carrying them out is `install`'s business.

The gateway decides the order. It loads a skill again when its SKILL.md is renamed over or its folder comes or goes, it has
no last good version to fall back to, and it loses sight of a folder that is swapped. Hence:

  add      a complete folder is renamed in
  update   the folder stays, with the mode that ours have; resources first, then SKILL.md, then what is stale
  remove   the folder is renamed out; where foreign files stay in it, SKILL.md goes first, then our other files
  re-add   last of all, because a name that was just removed has to rest for a while
  .reload  touched at the very end, once for all skills (`announce`)

No step of one skill depends on another skill's, so that thousands are planned some at a time.

Only files whose content we wrote are ever deleted. What stands in the way otherwise is displaced, that is, moved to the
backup folder; what is only overwritten is copied there first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shared.core.discover import SKILL_FILE
from shared.puller.calls import FOLDER_MODE
from shared.puller.layout import RELOAD, ancestors, top
from shared.puller.look import Thing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from shared.model import BlobId
    from shared.puller.layout import Wanted
    from shared.puller.look import Seen


@dataclass(frozen=True, slots=True)
class Add:
    """Rename a staged folder to where nothing stands; directly below the skills folder not before the name has rested."""

    path: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Rename a staged file to where a file stands, or nothing."""

    path: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Copy a foreign file to the backup folder; the next `Replace` overwrites it."""

    path: str


@dataclass(frozen=True, slots=True)
class Displace:
    """Move something foreign to the backup folder."""

    path: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Rename a skill's folder, which holds only our files, out of the skills folder."""

    path: str


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a file of ours."""

    path: str


@dataclass(frozen=True, slots=True)
class Prune:
    """Remove a folder that our files have left empty."""

    path: str


@dataclass(frozen=True, slots=True)
class Open:
    """Give a folder of ours the mode that all of them have."""

    path: str


@dataclass(frozen=True, slots=True)
class Touch:
    """Set a file's time to now."""

    path: str


Step = Add | Replace | Keep | Displace | Remove | Delete | Prune | Open | Touch


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a plan is made from.

    Args:
        wanted: What shall stand on the volume.
        known: What we wrote, or were about to write: path to the ids of the contents.
        seen: What stands there now, from a look at all paths of both, and at `.reload`.
        resting: Names directly below the skills folder that were removed a moment ago.
    """

    wanted: Mapping[str, Wanted]
    known: Mapping[str, frozenset[BlobId]]
    seen: Mapping[str, Seen]
    resting: Collection[str] = ()


def make_plan(situation: Situation) -> tuple[Step, ...]:
    """List the steps in order; no step at all when everything is as it shall be."""
    if not situation.seen:
        return _all_new(situation.wanted, situation.resting)
    clearing: list[Step] = []
    updates: list[Step] = []
    adds: list[Step] = []
    late: list[Step] = []
    for part in _parts(situation):
        if not part.wanted:
            clearing += part.remove()
        elif part.is_file or part.thing() is Thing.FOLDER:
            updates += part.update()
        elif part.thing() is None:
            (late if part.name in situation.resting else adds).append(Add(part.name))
        else:
            clearing.append(Displace(part.name))
            late.append(Add(part.name))
    return (*clearing, *updates, *adds, *late)


def _all_new(wanted: Collection[str], resting: Collection[str]) -> tuple[Step, ...]:
    """Plan where nothing stands: as the general rules do, which take far longer to say it of thousands."""
    names = list(dict.fromkeys(top(path) for path in sorted(wanted)))
    files = [Replace(name) for name in names if name in wanted]
    folders = sorted((name for name in names if name not in wanted), key=lambda name: name in resting)
    return (*files, *map(Add, folders))


def to_stage(steps: Iterable[Step], wanted: Collection[str]) -> set[str]:
    """Return the wanted paths whose files the steps take from the staging folder."""
    files = {step.path for step in steps if isinstance(step, Replace)}
    folders = {step.path for step in steps if isinstance(step, Add)}
    return {path for path in wanted if path in files or not folders.isdisjoint(ancestors(path))}


def displaced_by(steps: Iterable[Step]) -> list[str]:
    """Return the paths of foreign things that the steps put aside."""
    return [step.path for step in steps if isinstance(step, Displace | Keep)]


def announce(reload: Seen | None) -> list[Step]:
    """List the steps that end an install which changed something: the reload mark is touched, whatever stood there."""
    blocked = reload is not None and reload.thing is not Thing.FILE
    return [Displace(RELOAD), Touch(RELOAD)] if blocked else [Touch(RELOAD)]


def _parts(situation: Situation) -> list[_Part]:
    parts: dict[str, _Part] = {}
    for path in sorted({*situation.wanted, *situation.known}):
        parts.setdefault(top(path), _Part(top(path)))
    for path, want in situation.wanted.items():
        parts[top(path)].wanted[path] = want
    for path, blobs in situation.known.items():
        parts[top(path)].known[path] = blobs
    for path, seen in situation.seen.items():
        if top(path) in parts:
            parts[top(path)].seen[path] = seen
    return list(parts.values())


class _Part:
    """One name directly below the skills folder: a skill's folder, or its file in layout `flat`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wanted: dict[str, Wanted] = {}
        self.known: dict[str, frozenset[BlobId]] = {}
        self.seen: dict[str, Seen] = {}

    @property
    def is_file(self) -> bool:
        return self.name in self.wanted

    def thing(self, path: str | None = None) -> Thing | None:
        found = self.seen.get(self.name if path is None else path)
        return None if found is None else found.thing

    def update(self) -> list[Step]:
        """Bring a folder that stays, or a flat file, to what is wanted."""
        clearing: dict[str, list[Step]] = {}
        puts: dict[Step, None] = {}
        for path in sorted(self.wanted, key=lambda path: (self._is_skill_file(path), path)):
            blocker, step = self._put(path)
            if blocker is not None:
                clearing.setdefault(blocker, self._clear(blocker))
            if step is not None:
                if blocker is None and path in self.seen and not self._is_ours(path) and not self._is_wanted(path):
                    puts[Keep(path)] = None
                puts[step] = None
        shut = sorted({folder for path in self.wanted for folder in ancestors(path) if self._is_shut(folder)})
        ways_out = [step for steps in clearing.values() for step in steps]
        return [*map(Open, shut), *ways_out, *puts, *self._leave({step.path for step in ways_out})]

    def _is_shut(self, folder: str) -> bool:
        return self.thing(folder) is Thing.FOLDER and self.seen[folder].mode != FOLDER_MODE

    def remove(self) -> list[Step]:
        """Take everything of ours away."""
        if self.thing() is not Thing.FOLDER or self.name in self.known:
            return self._leave(set())
        leaving = self._leave(set())
        if self._remaining(self.name, {step.path for step in leaving}):
            return sorted(leaving, key=lambda step: not self._is_skill_file(step.path))
        return [*(step for step in leaving if isinstance(step, Displace)), Remove(self.name)]

    def _put(self, path: str) -> tuple[str | None, Step | None]:
        """Say what stands in the way of a wanted file, and which step puts it there."""
        for folder in ancestors(path):
            thing = self.thing(folder)
            if thing is not Thing.FOLDER:
                return (None if thing is None else folder), Add(folder)
        found = self.seen.get(path)
        if found is None or found.thing is Thing.FILE:
            right = found is not None and self._is_wanted(path) and found.mode == self.wanted[path].mode
            # The gateway refuses a file with a second hard link, so such a one is replaced by one of its own.
            return None, None if right and found is not None and found.links == 1 else Replace(path)
        return path, Replace(path)

    def _clear(self, path: str) -> list[Step]:
        """Make way at a path: what is wholly ours is deleted, all else displaced."""
        if self._is_ours(path):
            return [Delete(path)]
        below = [inner for inner in self.seen if inner.startswith(f"{path}/")]
        if self.thing(path) is Thing.FOLDER and all(map(self._is_of_us, [path, *below])):
            deepest_first = sorted([path, *below], reverse=True)
            return [Delete(inner) if self._is_ours(inner) else Prune(inner) for inner in deepest_first]
        return [Displace(path)]

    def _leave(self, gone: set[str]) -> list[Step]:
        """Take away the known files that are no longer wanted, then the folders that they leave empty."""
        steps: list[Step] = []
        for path in sorted(self.known.keys() - self.wanted.keys()):
            if gone.intersection([path, *ancestors(path)]) or self.thing(path) is not Thing.FILE:
                continue
            steps.append(Delete(path) if self._is_ours(path) else Displace(path))
        left = gone | {step.path for step in steps}
        needed = {folder for path in self.wanted for folder in ancestors(path)}
        for folder in sorted(self._our_folders - needed - gone - {self.name}, reverse=True):
            if self.thing(folder) is Thing.FOLDER and not self._remaining(folder, left):
                steps.append(Prune(folder))
                left.add(folder)
        return steps

    def _remaining(self, folder: str, gone: Collection[str]) -> bool:
        """Whether anything but folders of ours would remain in a folder."""
        return any(
            path.startswith(f"{folder}/")
            and path not in gone
            and not (path in self._our_folders and seen.thing is Thing.FOLDER)
            for path, seen in self.seen.items()
        )

    @cached_property
    def _our_folders(self) -> frozenset[str]:
        return frozenset(folder for path in self.known for folder in ancestors(path))

    def _is_ours(self, path: str) -> bool:
        found = self.seen.get(path)
        return found is not None and found.blob is not None and found.blob in self.known.get(path, ())

    def _is_of_us(self, path: str) -> bool:
        return self._is_ours(path) or (self.thing(path) is Thing.FOLDER and path in self._our_folders)

    def _is_wanted(self, path: str) -> bool:
        return self.seen[path].blob == self.wanted[path].blob

    def _is_skill_file(self, path: str) -> bool:
        return path == f"{self.name}/{SKILL_FILE}"
