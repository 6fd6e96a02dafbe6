"""The way out of the skills folder: what we wrote is thrown away, everything else is kept under the backup folder.

Whatever leaves is first renamed into a folder of ours on the same filesystem, so that the gateway sees it go at once and
whole. Only there is it looked at, by content: a file that came into a skill's folder at the last moment is found too. A
crash in between leaves it there, and the next install begins by settling it.
"""

from __future__ import annotations

import errno
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from shared import log
from shared.puller.layout import ancestors
from shared.puller.look import Thing, blob_at, look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.model import BlobId
    from shared.puller.files import Root

OUT = "out"
DRIFT = "drift"
"""The folder for what a repair puts aside: no deployment's, for each of theirs holds the set as it stood before it."""
MAX_COPIES = 20
"""Of one path in one folder; then the oldest makes way, so that who writes again and again does not fill the volume."""
_PARTIAL = ".skill-sync-partial"


class Backup:
    """Takes things out of the skills folder during one install.

    Args:
        skills: The folder that the gateway watches.
        own: The state folder, on the same filesystem.
        root: The backup folder; it may lie on another one, and is made when it is needed.
        folder: The one in it, named for the deployment, or `DRIFT`.
        known: What we wrote, or were about to write: path to the ids of the contents.
    """

    def __init__(
        self,
        *,
        skills: Root,
        own: Root,
        root: Root,
        folder: str,
        known: Mapping[str, frozenset[BlobId]],
    ) -> None:
        self._skills = skills
        self._own = own
        self._root = root
        self._folder = folder
        self._known = known
        self._folders = {folder for path in known for folder in ancestors(path)}

    def keep(self, path: str) -> None:
        """Copy a foreign file that is about to be overwritten; it stays in place, so that no reader misses it."""
        found, blob = self._skills.stat(path), blob_at(self._skills, path)
        if found is None or blob is None:
            return
        target = self._free(path, blob)
        if target is None:
            return  # an interrupted install has kept this very content already
        log.warning("A foreign file stood in a skill's way", path=path, kept=f"{self._root.path}/{target}")
        self._make_parent(target)
        self._root.create(_PARTIAL, self._skills.chunks(path), stat.S_IMODE(found.st_mode))
        self._root.move(_PARTIAL, self._root, target)

    def take(self, path: str) -> None:
        """Rename something out of the skills folder, then settle it."""
        self._own.make_folders(f"{OUT}/{path}".rpartition("/")[0])
        # A crash before this leaves it in place, one after it leaves it in our folder, known by the same path.
        self._skills.move(path, self._own, f"{OUT}/{path}")
        self.settle()

    def settle(self) -> None:
        """Throw away or hand over whatever has left the skills folder."""
        self._root.clear(_PARTIAL)  # half a copy, where an install was interrupted in it
        for name in self._own.names(OUT):
            self._settle(name)

    def _settle(self, path: str) -> None:
        place = f"{OUT}/{path}"
        if path not in self._folders or not self._is_folder(place):
            if blob_at(self._own, place) in self._known.get(path, ()):
                self._own.delete(place)
            else:
                self._hand_over(path)
        elif self._is_all_ours(path):
            self._own.clear(place)
        else:
            for name in self._own.names(place):
                self._settle(f"{path}/{name}")
            self._own.clear(place)

    def _is_all_ours(self, folder: str) -> bool:
        known = {f"{OUT}/{path}": blobs for path, blobs in self._known.items() if path.startswith(f"{folder}/")}
        leading = {step for path in known for step in ancestors(path)}
        return all(
            path in leading if found.thing is Thing.FOLDER else found.blob in known.get(path, ())
            for path, found in look(self._own, known).items()
            if path.startswith(f"{OUT}/{folder}/")
        )

    def _hand_over(self, path: str) -> None:
        place = f"{OUT}/{path}"
        target = self._free(path, blob_at(self._own, place))
        if target is not None:
            log.warning("A foreign file stood in a skill's way", path=path, kept=f"{self._root.path}/{target}")
            self._move_or_copy(place, target)
        self._own.clear(place)

    def _move_or_copy(self, place: str, target: str) -> None:
        self._make_parent(target)
        try:
            self._own.move(place, self._root, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(self._own.path / place, self._root.path / _PARTIAL)
            self._root.sync_all(_PARTIAL)  # before the original goes
            if self._root.stat(_PARTIAL) is not None:
                self._root.move(_PARTIAL, self._root, target)

    def _free(self, path: str, blob: BlobId | None) -> str | None:
        """Return a name in the backup that nothing has; None when this very content is kept already."""
        target = f"{self._base(path)}/{path}"
        names = [target, *(f"{target}.{number}" for number in range(2, MAX_COPIES + 1))]
        times: dict[str, int] = {}
        for name in names:
            found = self._root.stat(name)
            if found is None:
                return name
            held = blob_at(self._root, name)
            if blob is not None and held == blob:
                return None
            if held in self._known.get(path, ()) and held is not None:
                return name  # our own copy of what stood there by rights; what really stood there takes its place
            times[name] = found.st_ctime_ns
        oldest = min(names, key=lambda name: times[name])
        self._root.clear(oldest)
        return oldest

    def _base(self, path: str) -> str:
        """Return the folder; another one beside it when a file in it stands where a folder must be."""
        base, number = self._folder, 1
        while self._is_blocked(f"{base}/{path}"):
            number += 1
            base = f"{self._folder}.{number}"
        return base

    def _is_blocked(self, target: str) -> bool:
        return any(
            self._root.stat(folder) is not None and not self._is_folder(folder, self._root)
            for folder in ancestors(target)
        )

    def _is_folder(self, path: str, root: Root | None = None) -> bool:
        found = (root or self._own).stat(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def _make_parent(self, target: str) -> None:
        self._root.path.mkdir(parents=True, exist_ok=True)
        self._root.make_folders(target.rpartition("/")[0])


def _copy(source: Path, target: Path) -> None:
    mode = source.lstat().st_mode
    if stat.S_ISDIR(mode):
        shutil.copytree(source, target, symlinks=True, ignore=_special)
    elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        shutil.copy2(source, target, follow_symlinks=False)


def _special(folder: str, names: list[str]) -> list[str]:
    # A pipe, socket or device holds nothing that could be copied.
    kinds = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    return [name for name in names if not any(kind((Path(folder) / name).lstat().st_mode) for kind in kinds)]
