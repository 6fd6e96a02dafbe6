"""What somebody uploads to be validated: a packed tree, or one skill file. Read in memory, within bounds; nothing is unpacked.

What is hostile about files is the rules' business; here is refused only what cannot be read as a tree at all.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.core.discover import SKILL_FILE
from shared.core.git_objects import blob_id
from shared.core.git_trees import with_folders
from shared.errors import InputError
from shared.model import Kind, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.model import BlobId

MAX_PACKED_BYTES = 32 * 2**20
MAX_UNPACKED_BYTES = 64 * 2**20
MAX_ENTRIES = 100_000
GZIP = b"\x1f\x8b"
_WINDOW = 16 + zlib.MAX_WBITS
_EXECUTABLE = 0o111
_TOO_LARGE, _UNPROCESSABLE = 413, 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A tree with everything in it: the listing with its folders, and the content of each file by its id."""

    listing: list[TreeEntry]
    contents: Mapping[BlobId, bytes] = field(repr=False)


def tree_of(files: Iterable[tuple[str, Kind, bytes]]) -> Tree:
    """Make a tree of files, links among them; a link's content is what it points to.

    Raises:
        InputError: `UPLOAD_PATH_INVALID`, a path leads out of the tree, stands twice, or is a file and a folder.
    """
    entries: dict[str, TreeEntry] = {}
    contents: dict[BlobId, bytes] = {}
    for path, kind, data in files:
        if path in entries or any(segment in {"", ".", ".."} for segment in path.split("/")):
            raise _path_invalid("expected each path once, relative, and without dot segments")
        name = blob_id(data)
        entries[path] = TreeEntry(path=path, kind=kind, id=name, size=len(data))
        contents[name] = data
    listing = with_folders(entries.values())
    if len({entry.path for entry in listing}) != len(listing):
        raise _path_invalid("a path is a file and a folder")
    return Tree(listing=listing, contents=contents)


def read_skill_file(data: bytes, name: str) -> Tree:
    """Make a tree of one skill file.

    Args:
        data: Its content.
        name: The skill's folder.

    Raises:
        InputError: `UPLOAD_PATH_INVALID`.
    """
    return tree_of([(f"{name}/{SKILL_FILE}", Kind.FILE, data)])


def read_archive(data: bytes, *, unwrap: bool = True) -> Tree:
    """Read a packed tree (`tar.gz`).

    Args:
        data: The archive.
        unwrap: Whether a single folder around everything, as forges pack it, is taken away.

    Raises:
        InputError: `UPLOAD_INVALID` (400), `UPLOAD_TOO_LARGE` (413), `UPLOAD_PATH_INVALID` (422).
    """
    raw = _unpacked(data)
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:", encoding="utf-8") as archive:
            files = list(_files(archive))
    except (tarfile.TarError, EOFError, ValueError, LookupError, OverflowError, RecursionError, OSError):
        raise InputError("UPLOAD_INVALID", "expected a tar archive packed by gzip, got something else") from None
    return tree_of(_without_wrapper(files) if unwrap else files)


def _unpacked(data: bytes) -> bytes:
    if len(data) > MAX_PACKED_BYTES:
        raise _too_large()
    stream = zlib.decompressobj(wbits=_WINDOW)
    try:
        raw = stream.decompress(data, MAX_UNPACKED_BYTES + 1)
    except zlib.error:
        raise InputError("UPLOAD_INVALID", "expected a tar archive packed by gzip, got something else") from None
    if len(raw) > MAX_UNPACKED_BYTES:
        raise _too_large()
    if not stream.eof:
        raise InputError("UPLOAD_INVALID", "the archive ends too early")
    return raw


def _files(archive: tarfile.TarFile) -> Iterable[tuple[str, Kind, bytes]]:
    count = 0
    while (member := archive.next()) is not None:
        count += 1
        if count > MAX_ENTRIES:
            raise _too_large()
        if member.isdir():
            continue
        path = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").removeprefix("./")
        if member.isreg() and not member.issparse():
            kind = Kind.EXECUTABLE if member.mode & _EXECUTABLE else Kind.FILE
            stream = archive.extractfile(member)
            yield path, kind, b"" if stream is None else stream.read()
        else:
            # Links, devices and the like: the rules refuse whatever is no plain file.
            yield path, Kind.SYMLINK, member.linkname.encode("utf-8", "surrogateescape")


def _without_wrapper(files: list[tuple[str, Kind, bytes]]) -> list[tuple[str, Kind, bytes]]:
    tops = {path.partition("/")[0] for path, _, _ in files}
    wrapped = len(tops) == 1 and all("/" in path for path, _, _ in files)
    top = next(iter(tops), "")
    if not wrapped or any(path == f"{top}/{SKILL_FILE}" for path, _, _ in files):
        return files
    return [(path.partition("/")[2], kind, data) for path, kind, data in files]


def _path_invalid(message: str) -> InputError:
    return InputError("UPLOAD_PATH_INVALID", message, status=_UNPROCESSABLE)


def _too_large() -> InputError:
    limit = f"at most {MAX_PACKED_BYTES} bytes packed, {MAX_UNPACKED_BYTES} unpacked, {MAX_ENTRIES} entries"
    return InputError("UPLOAD_TOO_LARGE", limit, status=_TOO_LARGE)
