"""Git's hashes of folders, computed from files, for trees that come from no repository."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from shared.model import Kind, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODES = {
    Kind.FILE: b"100644",
    Kind.EXECUTABLE: b"100755",
    Kind.SYMLINK: b"120000",
    Kind.FOLDER: b"40000",
    Kind.SUBMODULE: b"160000",
}


def with_folders(files: Iterable[TreeEntry]) -> list[TreeEntry]:
    """Add every folder with the id that git would give it.

    Args:
        files: All entries but folders; no path twice, and none that another one needs as a folder.

    Returns:
        All entries with their folders, in no certain order.

    Source:
        https://git-scm.com/book/en/v2/Git-Internals-Git-Objects#_tree_objects
    """
    entries = list(files)
    inside: dict[str, list[TreeEntry]] = {"": []}
    for entry in entries:
        path = entry.path
        while path:
            path = path.rpartition("/")[0]
            inside.setdefault(path, [])
        inside[entry.path.rpartition("/")[0]].append(entry)
    folders: list[TreeEntry] = []
    # The deepest first: a folder's id is made of the ids of what is in it.
    for path in sorted((path for path in inside if path), key=lambda path: path.count("/"), reverse=True):
        folder = TreeEntry(path=path, kind=Kind.FOLDER, id=_tree_id(inside[path]))
        folders.append(folder)
        inside[path.rpartition("/")[0]].append(folder)
    return entries + folders


def _tree_id(entries: Iterable[TreeEntry]) -> str:
    lines = []
    for entry in entries:
        name = entry.path.rpartition("/")[2].encode("utf-8", "surrogatepass")
        order = name + b"/" if entry.kind is Kind.FOLDER else name
        lines.append((order, b"%s %s\0%s" % (_MODES[entry.kind], name, bytes.fromhex(entry.id))))
    content = b"".join(line for _, line in sorted(lines))
    return hashlib.sha1(b"tree %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
