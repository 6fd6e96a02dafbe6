"""Packs as a server sends them: measured before they are unpacked, so that a small pack cannot fill the memory."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Final

from dulwich.pack import OFS_DELTA, REF_DELTA, read_pack_header

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dulwich.object_store import MemoryObjectStore

    from shared.adapters.git_limits import Allowance

_HEADER_BYTES: Final = 12
_SLICE_BYTES: Final = 64 * 1024
_CONTINUED: Final = 0x80


def unpack(pack: bytes, store: MemoryObjectStore, allowance: Allowance) -> None:
    """Put the objects of a pack into a store, each under the hash of its content.

    Args:
        pack: A complete pack, without references to objects outside.
        store: Where the objects go.
        allowance: How many bytes the unpacked objects may have.

    Raises:
        RejectedError: `SOURCE_TOO_LARGE`.
        zlib.error, IndexError, and what dulwich raises: the pack is broken.
    """
    for size in _unpacked_sizes(pack):
        allowance.take(size)
    file, commit, abort = store.add_pack()
    try:
        file.write(pack)
        commit()
    finally:
        abort()  # closes the temporary file, also after a commit that failed


def _unpacked_sizes(pack: bytes) -> Iterator[int]:
    """Yield what unpacking takes, bit by bit, so that the caller can stop before a bomb has gone off.

    The format: https://git-scm.com/docs/gitformat-pack
    """
    _, count = read_pack_header(BytesIO(pack).read)
    offset = _HEADER_BYTES
    for _ in range(count):
        kind = pack[offset] >> 4 & 0x7
        offset = _after_number(pack, offset)
        if kind == OFS_DELTA:
            offset = _after_number(pack, offset)
        elif kind == REF_DELTA:
            offset += 20
        offset = yield from _inflated(pack, offset, is_delta=kind in {OFS_DELTA, REF_DELTA})


def _inflated(pack: bytes, offset: int, *, is_delta: bool) -> Generator[int, None, int]:
    """Yield the sizes of one object's pieces; return the offset behind it."""
    stream = zlib.decompressobj()
    first = True
    while not stream.eof:
        given = stream.unconsumed_tail
        if not given:
            given = pack[offset : offset + _SLICE_BYTES]
            offset += len(given)
        piece = stream.decompress(given, _SLICE_BYTES)
        if not piece and not given:
            raise zlib.error("the pack ends within an object")
        yield len(piece)
        if is_delta and first:
            yield _delta_result_size(piece)
        first = False
    return offset - len(stream.unused_data)


def _after_number(data: bytes, offset: int) -> int:
    while data[offset] & _CONTINUED:
        offset += 1
    return offset + 1


def _delta_result_size(delta: bytes) -> int:
    """Read the second number of a delta: how large it makes the object."""
    start = _after_number(delta, 0)
    digits = delta[start : _after_number(delta, start)]
    return sum((digit & ~_CONTINUED) << 7 * place for place, digit in enumerate(digits))
