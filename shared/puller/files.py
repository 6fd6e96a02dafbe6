"""Changing files below a folder so that no link is ever followed and a crash leaves each name old or new, never between.

Every path is walked folder by folder from the root's own descriptor (openat with O_NOFOLLOW), so that a link put in its
way at the last moment makes the call fail instead of leading it elsewhere. What to change is left to `plan`.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.errors import InputError
from shared.puller.calls import FOLDER_MODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from shared.puller.calls import Calls

CHUNK_BYTES = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_INNER = _FOLDER | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPENDED = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_UNSAFE = frozenset({"", ".", ".."})
_TOUCHED = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Root:
    """A folder and what may be done below it. Paths have `/` between segments; "" is the folder itself.

    Every method raises OSError when the disk does not do it, and InputError `PATH_UNSAFE` for a path that could lead out.

    Args:
        path: The folder. It alone may be a link.
        calls: What changes the disk.
    """

    def __init__(self, path: Path, calls: Calls) -> None:
        self.path = path
        self._calls = calls

    def below(self, folder: str) -> Root:
        """Return a folder in this one as a root of its own; it may be missing.

        Raises:
            InputError: `PATH_UNSAFE`.
        """
        _segments(folder)
        return Root(self.path / folder, self._calls)

    def beside(self) -> Root:
        """Return the folder that this one stands in."""
        return Root(self.path.parent, self._calls)

    @contextmanager
    def open(self, folder: str = "", *, make: bool = False) -> Iterator[int]:
        """Open a folder below, following no link; the descriptor closes with the context.

        Args:
            folder: Which.
            make: Whether folders that are missing are made; a sync must follow.
        """
        fd = os.open(self.path, _FOLDER)
        try:
            for segment in _segments(folder):
                deeper = self._made(segment, fd) if make else os.open(segment, _INNER, dir_fd=fd)
                os.close(fd)
                fd = deeper
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def parent(self, path: str) -> Iterator[tuple[int, str]]:
        """Open the folder that a path stands in; gives its descriptor and the last segment."""
        folder, _, name = path.rpartition("/")
        _segments(path)
        with self.open(folder) as fd:
            yield fd, name

    def stat(self, path: str) -> os.stat_result | None:
        """Look at a path without following it; None when nothing is there, or no folder on the way."""
        try:
            with self.parent(path) as (fd, name):
                return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str = "") -> list[str]:
        """List what stands directly in a folder; nothing when there is no such folder."""
        try:
            with self.open(folder) as fd:
                return sorted(os.listdir(fd))  # noqa: PTH208 - a Path has no descriptor
        except FileNotFoundError:
            return []

    def create(self, path: str, data: Iterable[bytes], mode: int, *, synced: bool = True) -> None:
        """Write a new file, whole and (unless not `synced`) on the disk before this returns; it must not exist.

        A crash in between leaves a part of it, so this is only used where leftovers are thrown away.
        """
        with self.parent(path) as (folder, name):
            self._create(folder, name, data, mode, synced=synced)

    def fill(self, folder: int, files: Mapping[str, tuple[bytes, int]]) -> None:
        """Write new files into an open folder; the folders inside that they need are made. A sync must follow.

        Args:
            folder: The descriptor of a folder of this root.
            files: Path below that folder to content and mode.
        """
        inside: dict[str, dict[str, tuple[bytes, int]]] = {}
        for path, (data, mode) in files.items():
            name, *rest = _segments(path)
            if rest:
                inside.setdefault(name, {})["/".join(rest)] = data, mode
            else:
                self._create(folder, name, [data], mode, synced=False)
        for name, deeper in inside.items():
            fd = self._made(name, folder)
            try:
                self.fill(fd, deeper)
            finally:
                os.close(fd)

    def append(self, path: str, data: bytes) -> None:
        """Write at the end of a file, making it when it is missing; a crash may leave a part of what is written."""
        with self.parent(path) as (folder, name):
            fd = self._calls.create(name, _APPENDED, folder)
            try:
                self._write(fd, data)
                self._calls.sync(fd)
            finally:
                os.close(fd)

    def make_folders(self, folder: str, *, synced: bool = True) -> None:
        """Make a folder and those above it where they are missing; without `synced` a later `sync_disk` must follow."""
        done: list[str] = []
        for segment in _segments(folder):
            with self.open("/".join(done)) as fd:
                os.close(self._made(segment, fd, synced=synced))
            done.append(segment)

    def sync_all(self, path: str) -> None:
        """Make a file, or a folder with everything below, survive a loss of power."""
        found = self.stat(path)
        if found is not None and stat.S_ISDIR(found.st_mode):
            for name in self.names(path):
                self.sync_all(f"{path}/{name}")
        if found is not None and (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
            self.sync_one(path)

    def sync_one(self, path: str) -> None:
        """Make a file's content, or the names in a folder, survive a loss of power."""
        with self.parent(path) as (folder, name):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            self._calls.sync(fd)
        finally:
            os.close(fd)

    def move(self, path: str, to: Root, target: str, *, synced: bool = True) -> None:
        """Rename a file or folder, here or into another root on the same filesystem: the one atomic step there is.

        Before it both names are as they were, after it both are new. The folders are synced, the receiving one first: a
        loss of power may leave both names, never neither. Without `synced` it may leave the old one only.
        """
        with self.parent(path) as (fd, name), to.parent(target) as (target_fd, target_name):
            self._calls.rename(name, target_name, fd, target_fd)
            if synced:
                self._calls.sync(target_fd)
            if synced and not os.path.samestat(os.fstat(fd), os.fstat(target_fd)):
                self._calls.sync(fd)

    def move_all(self, folder: str, names: Iterable[str], to: Root) -> None:
        """Rename what stands in a folder into another root, each for itself; `sync_names` of both must follow."""
        with self.open(folder) as fd, to.open() as target_fd:
            for name in names:
                self._calls.rename(name, name, fd, target_fd)

    def sync_names(self, folder: str = "") -> None:
        """Make the names in a folder survive a loss of power."""
        with self.open(folder) as fd:
            self._calls.sync(fd)

    def link(self, name: str, fd: int, target_fd: int) -> None:
        """Give a file in an open folder the same name in another one; whoever writes the one then writes the other."""
        self._calls.link(name, name, fd, target_fd)

    def sync_disk(self) -> None:
        """Make everything on this filesystem survive a loss of power."""
        with self.open() as fd:
            self._calls.sync_disk(fd)

    def delete(self, path: str) -> None:
        """Remove a file or link."""
        with self.parent(path) as (fd, name):
            self._calls.unlink(name, fd)
            self._calls.sync(fd)

    def delete_folder(self, path: str) -> None:
        """Remove an empty folder."""
        with self.parent(path) as (fd, name):
            self._calls.remove_folder(name, fd)
            self._calls.sync(fd)

    def prune(self, path: str) -> None:
        """Remove a folder that is empty; one into which somebody has put something meanwhile stays."""
        try:
            self.delete_folder(path)
        except OSError:
            if not self.names(path):
                raise

    def touch(self, path: str) -> None:
        """Set a file's time to now, making it when it is missing; what it holds stays."""
        with self.parent(path) as (folder, name):
            fd = self._calls.create(name, _TOUCHED, folder)
            try:
                # Set anew each time: a crash between making the file and this may have left a narrow mode.
                self._calls.mode(fd, 0o644)
                self._calls.touch(fd)
            finally:
                os.close(fd)

    def open_up(self, folder: str) -> None:
        """Give a folder the mode that all of ours have."""
        with self.open(folder) as fd:
            self._calls.mode(fd, FOLDER_MODE)

    def clear(self, path: str) -> None:
        """Remove whatever is there with everything below. Only for what is our own or kept elsewhere."""
        found = self.stat(path)
        if found is None:
            return
        if not stat.S_ISDIR(found.st_mode):
            self.delete(path)
            return
        with self.parent(path) as (fd, name):
            shutil.rmtree(name, dir_fd=fd)

    def chunks(self, path: str) -> Iterator[bytes]:
        """Read a regular file piece by piece."""
        with self.parent(path) as (folder, name):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            while chunk := os.read(fd, CHUNK_BYTES):
                yield chunk
        finally:
            os.close(fd)

    def _create(self, folder: int, name: str, data: Iterable[bytes], mode: int, *, synced: bool) -> None:
        fd = self._calls.create(name, _NEW_FILE, folder)
        try:
            for chunk in data:
                self._write(fd, chunk)
            self._calls.mode(fd, mode)
            if synced:
                self._calls.sync(fd)
        finally:
            os.close(fd)

    def _made(self, name: str, fd: int, *, synced: bool = False) -> int:
        """Open a folder, which is made when it is missing."""
        try:
            self._calls.make_folder(name, fd)
        except FileExistsError:
            return os.open(name, _INNER, dir_fd=fd)
        made = os.open(name, _INNER, dir_fd=fd)
        try:
            self._calls.mode(made, FOLDER_MODE)
            if synced:
                self._calls.sync(fd)
        except BaseException:
            os.close(made)
            raise
        return made

    def _write(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._calls.write(fd, view) :]


def _segments(path: str) -> list[str]:
    segments = path.split("/") if path else []
    if "\0" in path or not _UNSAFE.isdisjoint(segments):
        raise InputError("PATH_UNSAFE", f"expected a path below the folder, got {path[:80]!r}")
    return segments
