"""What stands on the disk now, by content: nothing that anybody remembers is taken for it."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from shared.model import BlobId
from shared.puller.files import CHUNK_BYTES
from shared.puller.layout import ancestors, top

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from shared.puller.files import Root


class Thing(StrEnum):
    """What a name in a folder can stand for."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One name on the disk. `blob` is known for regular files that were asked for; `links` counts hard links."""

    thing: Thing
    mode: int
    links: int
    blob: BlobId | None = None


def look(root: Root, paths: Collection[str]) -> dict[str, Seen]:
    """Look at these paths, and at everything else in the folders that lead to them.

    A folder that leads to none of them is one entry, however much is in it: it is foreign, and may be huge.

    Args:
        root: The folder that they are relative to.
        paths: The paths that matter.

    Returns:
        Everything that exists, path to what it is. No link is followed.
    """
    walk = _Walk(paths)
    with root.open() as fd:
        for name in sorted({top(path) for path in paths}):
            walk.visit(fd, name, name)
    return walk.seen


def differing(root: Root, contents: Mapping[str, BlobId]) -> list[tuple[str, str]]:
    """List the paths that do not hold these contents, each with `missing` or `changed`."""
    seen = look(root, contents)
    return [
        (path, "missing" if path not in seen else "changed")
        for path, blob in contents.items()
        if path not in seen or seen[path].blob != blob
    ]


def blob_at(root: Root, path: str) -> BlobId | None:
    """Return the id of the regular file at a path; None when there is none."""
    found = root.stat(path)
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    with root.parent(path) as (fd, name):
        return blob_in(fd, name)


class _Walk:
    def __init__(self, paths: Collection[str]) -> None:
        self.seen: dict[str, Seen] = {}
        self._paths = paths

    # Not before they are asked for: of thousands that are installed for the first time, nothing is there.
    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(self._paths)

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(folder for path in self._paths for folder in ancestors(path))

    def visit(self, fd: int, name: str, path: str) -> None:
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        thing = _thing(found.st_mode)
        blob = blob_in(fd, name) if thing is Thing.FILE and path in self._wanted else None
        self.seen[path] = Seen(thing=thing, mode=stat.S_IMODE(found.st_mode), links=found.st_nlink, blob=blob)
        if thing is Thing.FOLDER and path in self._folders:
            self._descend(fd, name, path)

    def _descend(self, fd: int, name: str, path: str) -> None:
        inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        try:
            for child in sorted(os.listdir(inside)):  # noqa: PTH208 - a Path has no descriptor
                self.visit(inside, child, f"{path}/{child}")
        finally:
            os.close(inside)


def _thing(mode: int) -> Thing:
    if stat.S_ISREG(mode):
        return Thing.FILE
    if stat.S_ISDIR(mode):
        return Thing.FOLDER
    return Thing.LINK if stat.S_ISLNK(mode) else Thing.OTHER


def blob_in(folder: int, name: str) -> BlobId:
    """Return the id of a regular file in an open folder; no link is followed."""
    # Git's hash begins with the size. A file that grows meanwhile gets a hash that no file has: it is then foreign.
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        left = os.fstat(fd).st_size
        sha1 = hashlib.sha1(b"blob %d\0" % left, usedforsecurity=False)
        while left >= 0 and (chunk := os.read(fd, CHUNK_BYTES)):
            left -= len(chunk)
            sha1.update(chunk)
    finally:
        os.close(fd)
    return BlobId(sha1.hexdigest())
