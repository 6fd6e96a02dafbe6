"""Changing files below a folder so that no link is ever followed and a crash leaves each name old or new, never between.

Every path is walked folder by folder from the root's own descriptor (openat with O_NOFOLLOW), so that a link put in its
way at the last moment makes the call fail instead of leading it elsewhere. What to change is left to `plan`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FOLDER_MODE = 0o755
CHUNK_BYTES = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TOUCHED = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Calls:
    """The system calls that change a disk, one method each: a crash test ends the world after any one of them."""

    def create(self, name: str, flags: int, fd: int) -> int:
        """Open a file for writing; its mode is set once its content is whole."""
        return os.open(name, flags, 0o600, dir_fd=fd)

    def write(self, fd: int, data: memoryview) -> int:
        """Write what fits; how much that was is returned."""
        return os.write(fd, data)

    def mode(self, fd: int, mode: int) -> None:
        """Set a mode that no umask changes."""
        os.fchmod(fd, mode)

    def sync(self, fd: int) -> None:
        """Make a file's content, or a folder's names, survive a loss of power."""
        os.fsync(fd)

    def sync_disk(self, fd: int) -> None:
        """Make everything on that filesystem survive a loss of power: one call for many files and names."""
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "syncfs"):
            os.sync()  # only Linux can do it for one filesystem
        elif libc.syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")

    def rename(self, name: str, target: str, fd: int, target_fd: int) -> None:
        """Give a file or folder another name, replacing a file that has it."""
        os.replace(name, target, src_dir_fd=fd, dst_dir_fd=target_fd)

    def link(self, name: str, target: str, fd: int, target_fd: int) -> None:
        """Give a file a second name."""
        os.link(name, target, src_dir_fd=fd, dst_dir_fd=target_fd, follow_symlinks=False)

    def make_folder(self, name: str, fd: int) -> None:
        """Make an empty folder."""
        os.mkdir(name, FOLDER_MODE, dir_fd=fd)

    def unlink(self, name: str, fd: int) -> None:
        """Remove a name that is no folder's."""
        os.unlink(name, dir_fd=fd)

    def remove_folder(self, name: str, fd: int) -> None:
        """Remove an empty folder."""
        os.rmdir(name, dir_fd=fd)

    def touch(self, fd: int) -> None:
        """Set a file's times to now."""
        os.utime(fd)


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

    @contextmanager
    def open(self, folder: str = "") -> Iterator[int]:
        """Open a folder below, following no link; the descriptor closes with the context."""
        fd = os.open(self.path, _FOLDER)
        try:
            for segment in _segments(folder):
                deeper = os.open(segment, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
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

    def create(self, path: str, data: Iterable[bytes], mode: int) -> None:
        """Write a new file, whole and on the disk before this returns; it must not exist.

        A crash in between leaves a part of it, so this is only used where leftovers are thrown away.
        """
        with self.parent(path) as (folder, name):
            fd = self._calls.create(name, _NEW_FILE, folder)
            try:
                for chunk in data:
                    self._write(fd, chunk)
                self._calls.mode(fd, mode)
                self._calls.sync(fd)
            finally:
                os.close(fd)

    def make_folders(self, folder: str, *, synced: bool = True) -> None:
        """Make a folder and those above it where they are missing; without `synced` a later `sync_disk` must follow."""
        done: list[str] = []
        for segment in _segments(folder):
            with self.open("/".join(done)) as fd:
                self._make_folder(segment, fd, synced=synced)
            done.append(segment)

    def sync(self, folder: str) -> None:
        """Make the names in a folder survive a loss of power."""
        with self.open(folder) as fd:
            self._calls.sync(fd)

    def sync_all(self, path: str) -> None:
        """Make a file, or a folder with everything below, survive a loss of power."""
        found = self.stat(path)
        if found is not None and stat.S_ISDIR(found.st_mode):
            for name in self.names(path):
                self.sync_all(f"{path}/{name}")
            self.sync(path)
        elif found is not None and stat.S_ISREG(found.st_mode):
            with self.parent(path) as (folder, name):
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                self._calls.sync(fd)
            finally:
                os.close(fd)

    def move(self, path: str, to: Root, target: str) -> None:
        """Rename a file or folder, here or into another root on the same filesystem: the one atomic step there is.

        Before it both names are as they were, after it both are new. The folders are synced, the receiving one first: a
        loss of power may leave both names, never neither.
        """
        with self.parent(path) as (fd, name), to.parent(target) as (target_fd, target_name):
            self._calls.rename(name, target_name, fd, target_fd)
            self._calls.sync(target_fd)
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

    def _make_folder(self, name: str, fd: int, *, synced: bool) -> None:
        try:
            self._calls.make_folder(name, fd)
        except FileExistsError:
            return
        made = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=fd)
        try:
            self._calls.mode(made, FOLDER_MODE)
        finally:
            os.close(made)
        if synced:
            self._calls.sync(fd)

    def _write(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._calls.write(fd, view) :]


def _segments(path: str) -> list[str]:
    segments = path.split("/") if path else []
    if any(segment in {"", ".", ".."} or "\0" in segment for segment in segments):
        raise InputError("PATH_UNSAFE", f"expected a path below the folder, got {path[:80]!r}")
    return segments
