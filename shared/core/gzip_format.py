"""The gzip container, written to the same bytes everywhere and read within a bound; what it holds is not known here."""

from __future__ import annotations

import struct
import zlib

from shared.errors import InputError

# RFC 1952, section 2.3: magic, method deflate, no flags, no time, no extra flags, operating system unknown.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_MAX_STORED_BYTES = 0xFFFF
_GZIP_ONLY = 16 + zlib.MAX_WBITS


def wrap(payload: bytes) -> bytes:
    """Put `payload` into a gzip member of stored (uncompressed) deflate blocks.

    A digest of ours names an archive by its bytes, and what deflate makes of the same input differs between zlib,
    zlib-ng and the versions of either: an archive packed again after an update of the base image would get another
    name. Stored blocks leave the compressor no choice, and skills are small enough to travel as they are.

    Source:
        RFC 1951, section 3.2.4 (stored blocks) and RFC 1952, section 2.3 (header and trailer).
    """
    starts = range(0, len(payload), _MAX_STORED_BYTES) or range(1)
    blocks = [_stored(payload[at : at + _MAX_STORED_BYTES], final=at == starts[-1]) for at in starts]
    return b"".join([_HEADER, *blocks, struct.pack("<II", zlib.crc32(payload), len(payload) & 0xFFFFFFFF)])


def unwrap(data: bytes, *, max_bytes: int) -> bytes:
    """Return what one gzip member holds, checked against its CRC and length; any deflate is read, not only stored.

    Args:
        data: The member, and nothing behind it.
        max_bytes: The most that may come out; not much more is ever held in memory.

    Raises:
        InputError: `ARCHIVE_INVALID`.
    """
    inflate = zlib.decompressobj(_GZIP_ONLY)
    try:
        # One byte of room above the bound: what fills it is too large, and less means that zlib stopped by itself.
        payload = inflate.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise InputError("ARCHIVE_INVALID", f"expected one gzip member, zlib says: {error}") from error
    if len(payload) > max_bytes:
        raise InputError("ARCHIVE_INVALID", f"unpacks to more than {max_bytes} bytes")
    if not inflate.eof:
        raise InputError("ARCHIVE_INVALID", f"expected one gzip member, it ends early after {len(data)} bytes")
    if inflate.unused_data:
        raise InputError("ARCHIVE_INVALID", f"expected one gzip member, {len(inflate.unused_data)} bytes follow it")
    return payload


def _stored(chunk: bytes, *, final: bool) -> bytes:
    return struct.pack("<BHH", final, len(chunk), len(chunk) ^ 0xFFFF) + chunk
