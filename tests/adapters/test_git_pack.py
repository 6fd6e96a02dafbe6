"""Packs are measured before they are unpacked."""

from __future__ import annotations

import hashlib
import struct
import zlib

import pytest
from dulwich.errors import ChecksumMismatch
from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.git_limits import Allowance
from shared.adapters.git_pack import unpack
from shared.errors import RejectedError

BLOB, OFS_DELTA, REF_DELTA = 3, 6, 7


def number(value: int) -> bytes:
    """A delta's number: seven bits a byte, the lowest first."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits[-1] |= 0x80
        digits.append(value & 0x7F)
    return bytes(digits)


def entry(kind: int, content: bytes, reference: bytes = b"", *, claimed: int | None = None) -> bytes:
    size = len(content) if claimed is None else claimed
    first, rest = size & 0xF, size >> 4
    header = bytes([kind << 4 | first | 0x80]) + number(rest)
    return header + reference + zlib.compress(content)


def pack(*entries: bytes) -> bytes:
    body = b"PACK" + struct.pack(">LL", 2, len(entries)) + b"".join(entries)
    return body + hashlib.sha1(body).digest()  # noqa: S324 - the format is git's


def delta(base: bytes, result_size: int, *operations: bytes) -> bytes:
    return number(len(base)) + number(result_size) + b"".join(operations)


def store_after(data: bytes, limit: int = 10_000) -> MemoryObjectStore:
    store = MemoryObjectStore()
    unpack(data, store, Allowance("the test", limit))
    return store


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_every_object_comes_out_under_the_hash_of_its_content(contents: list[bytes]) -> None:
    store = store_after(pack(*(entry(BLOB, content) for content in contents)))
    assert {Blob.from_string(content).id for content in contents} == set(store)


def test_deltas_are_applied() -> None:
    base = b"0123456789"
    change = delta(base, 12, b"\x90\x0a", b"\x02xy")
    reference = hashlib.sha1(b"blob 10\0" + base).digest()  # noqa: S324
    whole = entry(BLOB, base)
    for kind, where in ((OFS_DELTA, bytes([len(whole)])), (REF_DELTA, reference)):
        store = store_after(pack(whole, entry(kind, change, where)))
        assert Blob.from_string(b"0123456789xy").id in store


def test_a_delta_that_claims_a_huge_result_is_refused_before_it_is_applied() -> None:
    base = b"0123456789"
    whole = entry(BLOB, base)
    bomb = entry(OFS_DELTA, delta(base, 2**50, b"\x90\x0a"), bytes([len(whole)]))
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        store_after(pack(whole, bomb))


def test_an_object_is_measured_whatever_size_its_header_claims() -> None:
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        store_after(pack(entry(BLOB, bytes(1_000_000), claimed=5)))


def test_objects_are_measured_together() -> None:
    parts = [entry(BLOB, bytes([part]) * 3_000) for part in range(4)]
    assert len(list(store_after(pack(*parts[:3])))) == 3
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        store_after(pack(*parts))


@pytest.mark.parametrize("end", [0, 4, 11, 13, 20, -21])
def test_a_pack_that_ends_early_is_an_error(end: int) -> None:
    with pytest.raises((zlib.error, AssertionError, LookupError, ValueError, struct.error)):
        store_after(pack(entry(BLOB, bytes(range(200))))[:end])


def test_a_pack_with_another_checksum_is_an_error() -> None:
    data = pack(entry(BLOB, b"x"))
    with pytest.raises(ChecksumMismatch):
        store_after(data[:-1] + bytes([data[-1] ^ 1]))
