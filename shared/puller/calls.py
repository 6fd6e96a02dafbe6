"""The system calls that change a disk, so that a test can count them, make them fail, or end the world after any one."""

from __future__ import annotations

import ctypes
import os

FOLDER_MODE = 0o755


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
