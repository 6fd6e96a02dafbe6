"""The tar stream of regular files, written to the byte and read strictly; fit paths and sizes are `archive`'s rule.

`tarfile` is not used, for two reasons. Its header bytes have changed in patch releases of Python (bpo-45863), which
would rename every archive. And it reads much that nobody here writes: it takes an unreadable header in the middle for
the end, follows GNU and sparse extensions, and fails in a dozen ways. What is not understood here is refused.

Source:
    POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block":
    https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = 512
MAX_PAX_BYTES = 2 * BLOCK
_MAX_NAME_BYTES = 100
_END = bytes(2 * BLOCK)
# name, mode, uid, gid, size, mtime, checksum, type, link name, magic, version, user, group, device numbers, prefix
_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
# Of these, what is looked at: name, mode, size, checksum, type, magic with version, prefix
_READ = struct.Struct("100s8s16x12s12x8s1s100x8s80x155s12x")
_CHECKSUM = slice(148, 156)
_REGULAR = frozenset({b"0", b"\0"})
_PAX = b"x"
_USTAR = (b"ustar\0", b"00")
_USTAR_MARK = b"".join(_USTAR)
_MARKS = frozenset({_USTAR_MARK, b"ustar  \0"})  # the other one is GNU's
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,3}) ([^=\n]+)=")
# What ordinary writers add about a file and nobody needs. Everything else (sizes, links, sparse maps) is refused.
_IGNORED_KEYS = frozenset({b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TarEntry:
    """One regular file. `path` is what the stream says and may be hostile; `mode` holds all bits that it says."""

    path: str
    mode: int
    data: bytes = field(repr=False)


def write_tar(entries: Iterable[TarEntry]) -> bytes:
    """Write the files in the given order, without times, owners or names of owners."""
    return b"".join([*map(_member, entries), _END])


def read_tar(tar: bytes) -> Iterator[TarEntry]:
    """Yield the files of a stream that holds regular files and their pax paths only, up to a well-formed end.

    Raises:
        InputError: `ARCHIVE_INVALID`, while iterating: files before the fault have been yielded already.
    """
    at, pax = 0, None
    while not _is_end(tar, at):
        header = _parse_header(tar[at : at + BLOCK])
        at += BLOCK
        data = _content(tar, at, header.size)
        at += _padded(header.size)
        if header.kind == _PAX and pax is None:
            pax = _parse_pax(data)
        elif header.kind in _REGULAR:
            yield TarEntry(path=_text((pax or {}).get(b"path", header.path)), mode=header.mode, data=data)
            pax = None
        else:
            raise _invalid(f"expected regular files only, got an entry of type {header.kind!r}")
    if pax is not None:
        raise _invalid("a pax header without its file")


class _Header(NamedTuple):
    path: bytes
    mode: int
    size: int
    kind: bytes


def _member(entry: TarEntry) -> bytes:
    path = entry.path.encode()
    header = _header(path, entry.mode, len(entry.data), b"0") + entry.data + _padding(len(entry.data))
    if path.isascii() and len(path) <= _MAX_NAME_BYTES:
        return header
    record = _pax_record(path)
    return _header(b"././@PaxHeader", 0o644, len(record), _PAX) + record + _padding(len(record)) + header


def _header(path: bytes, mode: int, size: int, kind: bytes) -> bytes:
    # A path that does not fit stands whole in the pax header before; here remains what an old reader can show.
    name = path.decode().encode("ascii", "replace")[:_MAX_NAME_BYTES]
    zero, blank, sizes = b"0000000", b" " * 8, b"%011o" % size
    fields = [name, b"%07o" % mode, zero, zero, sizes, b"0" * 11, blank, kind, b"", *_USTAR, b"", b"", b"", b"", b""]
    block = bytearray(_HEADER.pack(*fields))
    block[_CHECKSUM] = b"%06o\0 " % sum(block)
    return bytes(block)


def _pax_record(path: bytes) -> bytes:
    # The length counts its own digits, so it is found by trying: adding a digit once is enough for any path.
    rest = b" path=" + path + b"\n"
    size = len(rest) + len(str(len(rest)))
    size = len(rest) + len(str(size))
    return b"%d" % size + rest


def _parse_header(block: bytes) -> _Header:
    if len(block) < BLOCK:
        raise _invalid("the stream ends inside a header")
    name, mode, size, checksum, kind, mark, prefix = _READ.unpack(block)
    if mark not in _MARKS:
        raise _invalid("a header without the mark of ustar")
    if _octal(checksum) != _sum(block) - sum(checksum) + len(checksum) * ord(" "):
        raise _invalid("a header's checksum does not hold")
    if mark == _USTAR_MARK and prefix[0]:
        name = _until_nul(prefix) + b"/" + _until_nul(name)
    return _Header(path=_until_nul(name), mode=_octal(mode), size=_octal(size), kind=kind)


def _sum(block: bytes) -> int:
    """Add up the bytes of a header, several times as fast as `sum` does."""
    # The low half of Adler-32 is the sum modulo 65,521 (RFC 1950, section 2.2): of 256 bytes, which have 65,280 at most,
    # it is the sum itself.
    half = BLOCK // 2
    return (zlib.adler32(block[:half], 0) & 0xFFFF) + (zlib.adler32(block[half:], 0) & 0xFFFF)


def _parse_pax(data: bytes) -> dict[bytes, bytes]:
    if len(data) > MAX_PAX_BYTES:
        raise _invalid(f"a pax header of more than {MAX_PAX_BYTES} bytes")
    values: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        match = _PAX_RECORD.match(data, at)
        if match is None or match[2] in values:
            raise _invalid("a pax header with a malformed or doubled record")
        end = at + int(match[1])
        if end > len(data) or end <= match.end() or data[end - 1 : end] != b"\n":
            raise _invalid("a pax record whose length does not hold")
        values[match[2]] = data[match.end() : end - 1]
        at = end
    if not values.keys() <= {b"path", *_IGNORED_KEYS}:
        raise _invalid("a pax header that says more than a path, times and owners")
    return values


def _content(tar: bytes, at: int, size: int) -> bytes:
    data, padding = tar[at : at + size], tar[at + size : at + _padded(size)]
    if len(data) + len(padding) != _padded(size):
        raise _invalid("the stream ends inside a file")
    if padding.count(0) != len(padding):
        raise _invalid("bytes hidden in the padding of a file")
    return data


def _is_end(tar: bytes, at: int) -> bool:
    if any(tar[at : at + BLOCK]):
        return False
    size = len(tar) - at
    if size < len(_END) or size % BLOCK or tar.count(0, at) != size:
        raise _invalid("expected two blocks of zeros and nothing else at the end")
    return True


def _octal(raw: bytes) -> int:
    # Digits only: the binary form that GNU tar has for huge and negative numbers is refused with the rest.
    match = _OCTAL.fullmatch(raw)
    if match is None:
        raise _invalid("a header with a field that is not an octal number")
    return int(match[1], 8)


def _until_nul(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0]


def _text(path: bytes) -> str:
    try:
        return path.decode()
    except UnicodeDecodeError as error:
        raise _invalid("a path that is not UTF-8") from error


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _padding(size: int) -> bytes:
    return bytes(_padded(size) - size)


def _invalid(message: str) -> InputError:
    return InputError("ARCHIVE_INVALID", message)
