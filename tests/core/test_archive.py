from __future__ import annotations

import gzip
import hashlib
import io
import random
import struct
import tarfile
import tracemalloc
import unicodedata
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.archive import LIMITS, Limits, pack, unpack
from shared.core.gzip_format import unwrap, wrap
from shared.core.paths import check_path, collides
from shared.core.tar_format import BLOCK, TarEntry, read_tar, write_tar
from shared.errors import InputError
from tests.core.archives import GOLDEN, HOSTILE, LONG, MIB, VALID, VALID_TAR, bomb, edited, member, skill_file, tar_of

if TYPE_CHECKING:
    from shared.model import SkillFile


def assert_refused(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(InputError) as caught:
        unpack(data, limits)
    assert caught.value.code == "ARCHIVE_INVALID"
    return caught.value.message


def assert_refused_or_safe(data: bytes) -> None:
    try:
        found = unpack(data)
    except InputError as error:
        code = error.code
    else:
        code = "ARCHIVE_INVALID"
        assert [check_path(each.path) for each in found] == [None] * len(found)
        assert unpack(pack(found)) == found
    assert code == "ARCHIVE_INVALID"


# Packing


def test_golden_files_have_the_golden_digest() -> None:
    assert len(VALID) == 158241
    assert hashlib.sha256(VALID).hexdigest() == "13e03c9b0cce51c8ce6fd6687f3351eda5842fb4110fff13275daa2c1c53ee2d"


def test_archive_of_no_files_has_the_golden_digest() -> None:
    assert hashlib.sha256(pack([])).hexdigest() == "b08193cf43a91db41bab4fe3cb9221c8e3ab5ecc9c6ece59e4990c7da59a13fc"
    assert unpack(pack([])) == ()


@given(st.permutations(GOLDEN))
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_files_does_not_change_a_byte(files: list[SkillFile]) -> None:
    assert pack(files) == VALID


def test_content_path_and_executable_bit_each_change_the_bytes() -> None:
    variants = [
        skill_file("a", b"1"),
        skill_file("b", b"1"),
        skill_file("a", b"2"),
        skill_file("a", b"1", executable=True),
    ]
    assert len({pack([each]) for each in variants}) == len(variants)


def test_standard_tools_read_the_archive_and_find_no_times_owners_or_names() -> None:
    with tarfile.open(fileobj=io.BytesIO(VALID), mode="r:gz") as tar:
        members = tar.getmembers()
        contents = {each.name: tar.extractfile(each).read() for each in members}
    assert contents == {each.path: each.data for each in GOLDEN}
    assert [each.name for each in members] == sorted(contents, key=str.encode)
    assert {(each.mtime, each.uid, each.gid, each.uname, each.gname) for each in members} == {(0, 0, 0, "", "")}
    assert {each.name for each in members if each.mode == 0o755} == {"scripts/run.sh"}
    assert {each.mode for each in members} == {0o644, 0o755}


def test_the_gzip_container_has_no_time_name_or_compression() -> None:
    assert VALID[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    final, size, complement = struct.unpack_from("<BHH", VALID, 10)
    assert (final, size, complement) == (0, 65_535, 0)
    blocks = -(-len(VALID_TAR) // 65_535)
    assert len(VALID) == 10 + 5 * blocks + len(VALID_TAR) + 8
    assert VALID[-8:] == struct.pack("<II", zlib.crc32(VALID_TAR), len(VALID_TAR))


@pytest.mark.parametrize("size", [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071])
def test_containers_around_the_block_size_are_read_by_the_standard_library(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    assert gzip.decompress(wrap(payload)) == payload


@pytest.mark.parametrize("length", range(85, 121))
def test_paths_around_every_limit_of_the_header_are_read_by_the_standard_library(length: int) -> None:
    for letter in ("a", "\u00e9"):
        path = letter * length
        with tarfile.open(fileobj=io.BytesIO(pack([skill_file(path, b"1")])), mode="r:gz") as tar:
            assert tar.getnames() == [path]


@pytest.mark.parametrize(
    "paths", [["../a"], ["/a"], ["a\ud800"], ["a", "a"], ["a", "A"], ["a", "a/b"], [f"f{i}" for i in range(201)]]
)
def test_files_that_could_not_be_unpacked_are_not_packed(paths: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        pack([skill_file(path) for path in paths])
    assert caught.value.code == "ARCHIVE_INVALID"


def test_more_content_than_the_limit_is_not_packed() -> None:
    limits = Limits(files=2, content_bytes=10)
    pack([skill_file("a", bytes(5)), skill_file("b", bytes(5))], limits)
    with pytest.raises(InputError):
        pack([skill_file("a", bytes(5)), skill_file("b", bytes(6))], limits)


# Packing and unpacking

segments = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=8)
paths = st.lists(segments, min_size=1, max_size=4).map(lambda parts: unicodedata.normalize("NFC", "/".join(parts)))
long_paths = st.integers(90, 240).map("x".__mul__)
files = st.builds(skill_file, paths | long_paths, st.binary(max_size=1100), executable=st.booleans())
skills = st.lists(files.filter(lambda each: check_path(each.path) is None), max_size=6).filter(
    lambda skill: collides(each.path for each in skill) is None
)


@given(skills)
@settings(deadline=None)
def test_unpacking_gives_back_what_was_packed_sorted(skill: list[SkillFile]) -> None:
    assert unpack(pack(skill)) == tuple(sorted(skill, key=lambda each: each.path.encode()))


def test_golden_files_come_back() -> None:
    assert sorted(unpack(VALID), key=repr) == sorted(GOLDEN, key=repr)


def test_archive_at_both_limits_comes_back() -> None:
    skill = [skill_file(f"{number:0240}", bytes(8 * MIB // 200)) for number in range(200)]
    assert list(unpack(pack(skill))) == skill


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_compressed_archives_of_other_writers_are_read_when_they_hold_plain_files(style: int) -> None:
    attributes = {"size": 700, "mtime": 1_700_000_000, "uname": "somebody", "uid": 1000}
    data = tar_of(member("b/c", **attributes, mode=0o755), member("a", **attributes), format=style)
    assert unpack(data) == (skill_file("a", b"x" * 700), skill_file("b/c", b"x" * 700, executable=True))


def test_pax_archive_with_fractional_times_and_a_long_path_is_read() -> None:
    data = tar_of(member(LONG, mtime=1.5, uname="\u00fc"), format=tarfile.PAX_FORMAT)
    assert unpack(data) == (skill_file(LONG),)


def test_ustar_archive_with_a_split_path_is_read() -> None:
    path = "a" * 90 + "/" + "b" * 90
    assert unpack(tar_of(member(path), format=tarfile.USTAR_FORMAT)) == (skill_file(path),)


# Refusing


@pytest.mark.parametrize(("reason", "data"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archive_is_refused_for_its_reason(reason: str, data: bytes) -> None:
    assert reason in assert_refused(data)


def test_archive_cut_anywhere_is_refused() -> None:
    for end in range(0, len(VALID), 97):
        assert_refused(VALID[:end])


def test_tar_stream_cut_anywhere_is_refused() -> None:
    for end in range(0, len(VALID_TAR), 97):
        assert_refused(wrap(VALID_TAR[:end]))


def test_own_limits_are_obeyed() -> None:
    data = pack([skill_file("a", bytes(10)), skill_file("b", bytes(10))])
    assert len(unpack(data, Limits(files=2, content_bytes=20))) == 2
    assert assert_refused(data, Limits(files=1, content_bytes=20)) == "expected at most 1 files, got more"
    assert assert_refused(data, Limits(files=2, content_bytes=19)) == "expected at most 19 bytes, got 20"


@pytest.mark.parametrize("size", [0, 1, 65_534, 65_535, 65_536, 200_000])
def test_a_container_is_read_alike_whoever_wrote_it(size: int) -> None:
    payload = bytes(range(251)) * (size // 251) + bytes(size % 251)
    for data in (wrap(payload), gzip.compress(payload, 0), gzip.compress(payload, 9)):
        assert unwrap(data, max_bytes=size) == payload
        for spoilt in (data[:-1], data + b"\0", data[:-8] + bytes(8) if size else data[:-1]):
            with pytest.raises(InputError):
                unwrap(spoilt, max_bytes=size)
        if size:
            with pytest.raises(InputError):
                unwrap(data, max_bytes=size - 1)


@pytest.mark.parametrize("byte", [0x00, 0x01, 0x7F, 0xFF])
def test_the_checksum_of_a_header_is_the_plain_sum_whatever_its_bytes_are(byte: int) -> None:
    block = bytearray(VALID_TAR[:BLOCK])
    block[1:100] = bytes([byte]) * 99  # the name; a NUL in it ends it
    block[345:500] = bytes([byte]) * 155
    block[148:156] = b" " * 8
    right = sum(block)
    for checksum in (right, right + 1, right + 65_521):
        block[148:156] = b"%06o\0 " % checksum
        try:
            list(read_tar(bytes(block) + VALID_TAR[BLOCK:]))
            message = ""
        except InputError as error:
            message = error.message  # a name may be no text; that is said behind the checksum
        assert ("checksum" in message) is (checksum != right)


def test_bomb_is_refused_within_a_small_multiple_of_the_limit() -> None:
    data = bomb()
    assert len(data) < 2 * MIB
    tracemalloc.start()
    try:
        assert "unpacks to more than" in assert_refused(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * LIMITS.content_bytes


@given(st.binary(max_size=2000))
@settings(deadline=None)
def test_random_bytes_are_refused_and_nothing_else_is_raised(data: bytes) -> None:
    assert_refused(data)
    assert_refused(wrap(data))


SMALL_TAR = write_tar([TarEntry(path="\u00e9", mode=0o755, data=b"1" * 600), TarEntry(path="b", mode=0o644, data=b"")])
changes = st.lists(st.tuples(st.integers(0, len(SMALL_TAR) + 30), st.binary(max_size=14)), min_size=1, max_size=3)


@given(where=changes, inside=st.booleans(), insert=st.booleans())
@settings(max_examples=400, deadline=None)
def test_changed_archive_is_refused_or_read_and_nothing_else_is_raised(
    where: list[tuple[int, bytes]], *, inside: bool, insert: bool
) -> None:
    data = bytearray(SMALL_TAR if inside else wrap(SMALL_TAR))
    for at, new in where:
        data[at : at if insert else at + len(new)] = new
    assert_refused_or_safe(wrap(bytes(data)) if inside else bytes(data))


fields = st.sampled_from([(0, 100), (100, 8), (124, 12), (156, 1), (257, 8), (345, 155)])
texts = st.binary(max_size=155) | st.text("01234567 -+x\0", max_size=12).map(str.encode)


@given(fields, texts)
@settings(max_examples=200, deadline=None)
def test_header_field_of_any_text_is_refused_or_read_and_nothing_else_is_raised(
    field: tuple[int, int], text: bytes
) -> None:
    at, size = field
    assert_refused_or_safe(edited(at, text[:size]))
