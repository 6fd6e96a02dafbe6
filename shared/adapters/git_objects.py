"""Git objects read from a dulwich object store, each checked against its own hash: listings, contents, descent.

Where the objects come from, a repository on disk or a server's pack, is the business of the sources.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Final

from dulwich.objects import S_ISGITLINK, Blob, Commit, ObjectID, RawObjectID, ShaFile, Tree, parse_tree, sha_to_hex
from dulwich.pack import obj_sha

from shared.errors import RejectedError, UnavailableError
from shared.model import BlobId, CommitSha, Kind, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dulwich.object_store import BaseObjectStore

    from shared.adapters.git_limits import Allowance

MAX_ENTRIES: Final = 100_000
MAX_PATH_CHARS: Final = 16 * 2**20
_ID = re.compile(rb"[0-9a-f]{40}")
_SHA256_HEX: Final = 64


def object_id(name: str) -> ObjectID:
    """Turn an id of ours into dulwich's."""
    return ObjectID(name.encode("ascii", "replace"))


def is_id(name: bytes) -> bool:
    """Whether this is the id of an object: 40 lower-case hex digits, not all of them zero."""
    return _ID.fullmatch(name) is not None and name.strip(b"0") != b""


def commit_sha(name: bytes, where: str) -> CommitSha:
    """Turn what a branch points to into a commit's id.

    Raises:
        RejectedError: `SOURCE_UNSUPPORTED`, the repository uses SHA-256 for its own ids.
        UnavailableError: `SOURCE_UNAVAILABLE`, this is no id.
    """
    if is_id(name):
        return CommitSha(name.decode())
    if len(name) == _SHA256_HEX:
        raise RejectedError("SOURCE_UNSUPPORTED", f"{where} names objects by SHA-256, only SHA-1 is supported")
    raise UnavailableError("SOURCE_UNAVAILABLE", f"expected a commit's id from {where}, got {name[:80]!r}")


def list_tree(store: BaseObjectStore, commit: CommitSha) -> list[TreeEntry]:
    """List every entry of a commit's tree, folders included, in git's order (that of `git ls-tree -r -t`).

    Raises:
        RejectedError: `SOURCE_TOO_LARGE`. Few objects can make an endless listing, as folders may be named twice.
        UnavailableError: `SOURCE_CORRUPT`.
    """
    entries: list[TreeEntry] = []
    chars = 0
    for entry in _walk(store, Commit.from_string(read(store, object_id(commit), Commit)).tree):
        entries.append(entry)
        chars += len(entry.path)
        if len(entries) > MAX_ENTRIES or chars > MAX_PATH_CHARS:
            raise RejectedError("SOURCE_TOO_LARGE", f"commit {commit} has more than {MAX_ENTRIES} files and folders")
    return entries


def read_blobs(store: BaseObjectStore, entries: Sequence[TreeEntry], allowance: Allowance) -> dict[BlobId, bytes]:
    """Read the contents of these entries.

    Raises:
        RejectedError: `SOURCE_TOO_LARGE`.
        UnavailableError: `SOURCE_CORRUPT`.
    """
    contents: dict[BlobId, bytes] = {}
    for name in dict.fromkeys(entry.id for entry in entries):
        contents[BlobId(name)] = data = read(store, object_id(name), Blob)
        allowance.take(len(data))
    return contents


def read(store: BaseObjectStore, name: ObjectID, kind: type[ShaFile]) -> bytes:
    """Read one object's content, checked against git's hash of it.

    Raises:
        UnavailableError: `SOURCE_CORRUPT`, it is missing, of another kind, or not what its name says.
    """
    try:
        number, data = store.get_raw(name)
    except KeyError:
        raise _corrupt(name, kind, "it is missing") from None
    if number != kind.type_num:
        raise _corrupt(name, kind, "it is of another kind")
    # dulwich takes a stored object's name from where it lies, so only this tells that the content is the right one.
    if sha_to_hex(RawObjectID(obj_sha(number, data))) != name:
        raise _corrupt(name, kind, "its content has another hash")
    return data


def has_commit(store: BaseObjectStore, name: ObjectID) -> bool:
    """Whether the store has a commit of that name."""
    return _parents(store, name) is not None


def descends(store: BaseObjectStore, commit: ObjectID, ancestor: ObjectID, tick: Callable[[], object]) -> bool | None:
    """Say whether `commit` descends from `ancestor`, as far as the store knows the history.

    Args:
        store: Holds the commits.
        commit: Where the walk begins.
        ancestor: What is looked for; need not be in the store.
        tick: Called at each commit; may raise to end the walk.

    Returns:
        None when it was not found and parts of the history are missing.
    """
    seen = {commit}
    layer = [commit]
    gaps = False
    while layer:
        parents: list[ObjectID] = []
        for name in layer:
            tick()
            known = _parents(store, name)
            gaps = gaps or known is None
            parents += known or []
        if ancestor in parents:
            return True
        layer = [name for name in dict.fromkeys(parents) if name not in seen]
        seen.update(layer)
    return None if gaps else False


def _parents(store: BaseObjectStore, commit: ObjectID) -> list[ObjectID] | None:
    try:
        found = store[commit]
    except KeyError:
        return None
    return found.parents if isinstance(found, Commit) else None


def _walk(store: BaseObjectStore, root: ObjectID) -> Iterator[TreeEntry]:
    # A stack instead of recursion: how deep the folders are nested is the committer's choice.
    stack = [_children(store, root, "")]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        yield entry
        if entry.kind is Kind.FOLDER:
            stack.append(_children(store, object_id(entry.id), f"{entry.path}/"))


def _children(store: BaseObjectStore, tree: ObjectID, prefix: str) -> Iterator[TreeEntry]:
    for name, mode, id_ in parse_tree(read(store, tree, Tree), 20):
        # A slash within a name would feign a folder; git never writes one. Escaped, the path rules refuse it.
        text = name.decode("utf-8", "backslashreplace").replace("/", r"\x2f")
        yield TreeEntry(path=prefix + text, kind=_kind(mode), id=id_.decode())


def _kind(mode: int) -> Kind:
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    if S_ISGITLINK(mode):
        return Kind.SUBMODULE
    if stat.S_ISLNK(mode):
        return Kind.SYMLINK
    return Kind.EXECUTABLE if mode & stat.S_IXUSR else Kind.FILE


def _corrupt(name: ObjectID, kind: type[ShaFile], why: str) -> UnavailableError:
    wanted = f"{kind.type_name.decode()} {name.decode(errors='replace')}"
    return UnavailableError("SOURCE_CORRUPT", f"expected {wanted} from the repository, {why}")
