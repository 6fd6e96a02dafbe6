"""Tree listings as GitHub's REST API gives them, each folder proved by git's own hash of it. No I/O.

Source: https://docs.github.com/en/rest/git/trees#get-a-tree
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.errors import RejectedError
from shared.model import Kind, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ENTRIES: Final = 100_000
MAX_PATH_CHARS: Final = 16 * 2**20
"""The limits of listings over the git protocol as well."""
_ID = re.compile(r"[0-9a-f]{40}")
_TREE: Final = "tree"
# Mode as the API writes it: kind, type as the API writes it, and mode as git's tree objects have it.
_MODES: Final = {
    "100644": (Kind.FILE, "blob", b"100644"),
    "100664": (Kind.FILE, "blob", b"100664"),
    "100755": (Kind.EXECUTABLE, "blob", b"100755"),
    "120000": (Kind.SYMLINK, "blob", b"120000"),
    "040000": (Kind.FOLDER, _TREE, b"40000"),
    "160000": (Kind.SUBMODULE, "commit", b"160000"),
}


class MalformedTreeError(ValueError):
    """A listing is not what the API documents, or not what git's hashes say. The message quotes nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One answer: `entries` in git's order, folders before what is in them; `complete` unless the API has cut it short.

    A complete listing is proved; of one that was cut short nothing is, and its entries are left out.
    """

    entries: tuple[TreeEntry, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class _Item:
    """One line of a listing. `key` sorts as git does: a folder's name counts as if a slash followed it."""

    key: bytes
    mode: bytes
    entry: TreeEntry

    @property
    def parent(self) -> str:
        return self.entry.path.rpartition("/")[0]

    @property
    def line(self) -> bytes:
        """How git's tree object writes the entry."""
        name = self.entry.path.rpartition("/")[2].encode()
        return b"%s %s\0%s" % (self.mode, name, bytes.fromhex(self.entry.id))


def is_id(text: str) -> bool:
    """Whether this is the id of an object: 40 lower-case hex digits, not all of them zero."""
    return _ID.fullmatch(text) is not None and text.strip("0") != ""


def parse_listing(document: dict[str, object], *, asked: str, is_commit: bool, recursive: bool) -> Listing:
    """Read a listing, and prove every folder in it by computing its id from what is in it.

    Args:
        document: The answer.
        asked: The id that was asked for.
        is_commit: Whether that is a commit's. Of its tree the API names either the tree's own id, with which the whole
            is compared, or the commit's again, and then only the folders are proved.
        recursive: Whether folders' contents were asked for; if not, only the whole can be proved.

    Raises:
        MalformedTreeError: It cannot be read, or is not what the hashes say.
        RejectedError: `SOURCE_TOO_LARGE`.
    """
    raw, truncated, sha = document.get("tree"), document.get("truncated"), document.get("sha")
    if not isinstance(raw, list) or not isinstance(truncated, bool) or not isinstance(sha, str) or not is_id(sha):
        raise MalformedTreeError("members are missing")
    if truncated:
        return Listing(entries=(), complete=False)
    if len(raw) > MAX_ENTRIES:
        raise too_large()
    items = sorted((_item(line) for line in raw), key=lambda item: item.key)
    root = _prove(items, recursive=recursive)
    named = sha if is_commit else asked
    if root != named and not (is_commit and sha == asked):
        raise MalformedTreeError("the whole has another hash")
    return Listing(entries=tuple(item.entry for item in items), complete=True)


def too_large() -> RejectedError:
    """The error for a repository with too many files: `SOURCE_TOO_LARGE`."""
    return RejectedError("SOURCE_TOO_LARGE", f"the commit has more than {MAX_ENTRIES} files and folders")


def _prove(items: Iterable[_Item], *, recursive: bool) -> str:
    """Check each folder against what is in it; return the id of the whole."""
    lines: defaultdict[str, list[bytes]] = defaultdict(list)
    folders = {"": ""}
    paths: set[str] = set()
    for item in items:
        # Git refuses a second entry of the same name, also when only one of the two is a folder.
        if item.entry.path in paths:
            raise MalformedTreeError("a name stands twice")
        if item.parent not in folders:
            raise MalformedTreeError("a file has no folder")
        paths.add(item.entry.path)
        lines[item.parent].append(item.line)
        if recursive and item.entry.kind is Kind.FOLDER:
            folders[item.entry.path] = item.entry.id
    if any(_tree_id(lines[path]) != id_ for path, id_ in folders.items() if path):
        raise MalformedTreeError("a folder has another hash")
    return _tree_id(lines[""])


def _tree_id(lines: list[bytes]) -> str:
    """Hash a folder as git does: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects#_tree_objects."""
    content = b"".join(lines)
    return hashlib.sha1(b"tree %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _item(line: object) -> _Item:
    if not isinstance(line, dict):
        raise MalformedTreeError("an entry is no object")
    path, mode, id_, size = (line.get(name) for name in ("path", "mode", "sha", "size"))
    if not isinstance(path, str) or not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise MalformedTreeError("an entry lacks path or id")
    if not isinstance(mode, str) or mode not in _MODES or line.get("type") != _MODES[mode][1]:
        raise MalformedTreeError("an entry is of no known kind")
    kind, type_, git_mode = _MODES[mode]
    counted = type_ == "blob" and isinstance(size, int) and not isinstance(size, bool) and size >= 0
    if (size is not None and type_ == "blob" and not counted) or "\0" in path:
        raise MalformedTreeError("an entry has no true size")
    if any(segment in {"", ".", ".."} for segment in path.split("/")):
        raise MalformedTreeError("an entry has no proper path")
    try:
        key = path.encode() + (b"/" if kind is Kind.FOLDER else b"")
    except UnicodeEncodeError:
        raise MalformedTreeError("an entry's path is no text") from None
    return _Item(key, git_mode, TreeEntry(path=path, kind=kind, id=id_, size=size if counted else None))
