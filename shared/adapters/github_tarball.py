"""Files out of a repository's archive as it streams by: nothing is written to disk, and only what is wanted is kept.

An archive is not the repository: attributes (`export-subst`, `export-ignore`, `ident`, `eol`) change what is in it. A file
is taken only when its bytes have the wanted hash; the caller fetches what is missing in another way.

Source: https://docs.github.com/en/rest/repos/contents#download-a-repository-archive-tar
"""

from __future__ import annotations

import tarfile
from typing import IO, TYPE_CHECKING, Final, cast

from shared.adapters.github_body import gunzip
from shared.adapters.github_faults import corrupt
from shared.core.git_objects import blob_id
from shared.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shared.model import BlobId

SCANNED_BYTES: Final = 512 * 2**20
"""The most that is unpacked of one archive."""
_HEADER_BYTES: Final = 2**20
"""The most that may stand between two files: tarfile reads extended headers whole."""


def wanted_files(pieces: Iterator[bytes], wanted: Mapping[str, BlobId], most: int, where: str) -> dict[BlobId, bytes]:
    """Read an archive and keep the wanted files.

    Args:
        pieces: The `tar.gz`, as it comes.
        wanted: The id of each wanted path, below the one folder that everything stands in.
        most: How many bytes the kept contents may have in all.
        where: How messages name the repository.

    Returns:
        The contents that were there and are right.

    Raises:
        UnavailableError: `SOURCE_CORRUPT`.
        RejectedError: `SOURCE_TOO_LARGE`.
    """
    stream = _Stream(gunzip(pieces, where), where)
    found: dict[BlobId, bytes] = {}
    missing = set(wanted.values())
    try:
        stream.allow(_HEADER_BYTES)
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", encoding="utf-8") as archive:
            while missing and (member := archive.next()) is not None:
                name = wanted.get(member.name.partition("/")[2])
                stream.allow(max(member.size, 0) + _HEADER_BYTES)
                if name in missing and member.isreg() and not member.issparse():
                    if member.size > most - sum(map(len, found.values())):
                        raise RejectedError("SOURCE_TOO_LARGE", f"{where} gives more than {most} bytes at once")
                    file = archive.extractfile(member)
                    data = b"" if file is None else file.read()
                    if blob_id(data) == name:
                        found[name] = data
                        missing.discard(name)
                archive.members.clear()  # type: ignore[attr-defined] # the headers of all files would be kept
    except (tarfile.TarError, EOFError, ValueError, LookupError, OverflowError, RecursionError) as error:
        raise corrupt(where, f"its archive cannot be read ({type(error).__name__})") from None
    return found


class _Stream:
    """The unpacked archive as the file that tarfile reads, up to what was allowed."""

    def __init__(self, pieces: Iterator[bytes], where: str) -> None:
        self._pieces = pieces
        self._where = where
        self._piece = b""
        self._scanned = 0
        self._allowed = 0

    def allow(self, count: int) -> None:
        """Let so many bytes be read from here on."""
        self._allowed = self._scanned + count

    def read(self, size: int) -> bytes:
        if not self._piece:
            self._piece = next(self._pieces, b"")
        piece, self._piece = self._piece[:size], self._piece[size:]
        self._scanned += len(piece)
        if self._scanned > SCANNED_BYTES:
            message = f"the archive of {self._where} has more than {SCANNED_BYTES} bytes unpacked"
            raise RejectedError("SOURCE_TOO_LARGE", message)
        if self._scanned > self._allowed:
            raise ValueError("an extended header is too long")
        return piece
