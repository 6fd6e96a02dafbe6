"""Contents out of archives: only what has the wanted hash is taken, and no archive fills the memory."""

from __future__ import annotations

import gc
import gzip
import io
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.github_tarball import SCANNED_BYTES, wanted_files
from shared.core.git_objects import blob_id
from shared.errors import RejectedError, SkillSyncError, UnavailableError
from tests.adapters.test_github_fake import archive
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.model import BlobId

WHERE = "https://api.github.com/repos/octo/skills"
MOST = 10_000


def packed(*members: tuple[tarfile.TarInfo | str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=form) as file:
        for member, data in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = info.size or len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read(data: bytes, wanted: dict[str, BlobId], most: int = MOST) -> dict[BlobId, bytes]:
    return wanted_files(iter([data]), wanted, most, WHERE)


def wants(**contents: bytes) -> dict[str, BlobId]:
    return {path: blob_id(data) for path, data in contents.items()}


def test_wanted_files_are_found_below_the_one_folder() -> None:
    data = packed(("top/a", b"A"), ("top/b", b"B"), ("top/c", b"C"))
    assert read(data, wants(a=b"A", c=b"C")) == {blob_id(b"A"): b"A", blob_id(b"C"): b"C"}


def test_a_real_archive_of_git_gives_all_that_no_attribute_changed(tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    long = "/".join(["deep" * 20] * 3) + "/ä.md"
    contents = {
        "plain": b"plain",
        "subst": b"$Format:%H$\n",
        "ident": b"$Id$\n",
        "crlf": b"a\nb\n",
        "left-out": b"left out",
        long: b"long",
        "empty": b"",
    }
    attributes = "subst export-subst\nident ident\ncrlf text eol=crlf\nleft-out export-ignore\n"
    repo.write_all({".gitattributes": attributes, **contents})
    repo.symlink("link", "plain")
    repo.commit()
    found = read(archive(repo), {path: blob_id(data) for path, data in contents.items()})
    assert sorted(found.values()) == sorted([b"plain", b"long", b""])


def test_reading_ends_with_the_last_wanted_file() -> None:
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        data = gzip.compress(gzip.decompress(packed(("top/a", b"A"), ("top/z", bytes(4 * 2**20)))), compresslevel=0)
        for start in range(0, len(data), 2**16):
            taken += 1
            yield data[start : start + 2**16]

    assert wanted_files(pieces(), wants(a=b"A"), MOST, WHERE)
    assert taken < 5


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_nothing_but_plain_files_of_the_right_path_and_hash_is_taken() -> None:
    data = packed(
        ("a", b"A"),
        ("top/x/a", b"A"),
        ("top//a", b"A"),
        ("top/../a", b"A"),
        ("top/a", b"wrong"),
        (link("top/a", tarfile.SYMTYPE, "A"), b""),
        (link("top/a", tarfile.LNKTYPE, "top/x/a"), b""),
        (link("top/a", tarfile.CHRTYPE, ""), b""),
        (link("top/a", tarfile.DIRTYPE, ""), b""),
    )
    assert read(data, wants(a=b"A")) == {}
    assert read(packed(("top/a", b"wrong"), ("top/a", b"A")), wants(a=b"A")) == {blob_id(b"A"): b"A"}


def test_nothing_is_written_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read(packed(("top/a", b"A"), ("top/../../b", b"B"), ("/etc/c", b"C")), wants(a=b"A", b=b"B"))
    assert list(tmp_path.iterdir()) == []


def test_wanted_files_may_fill_their_allowance_and_not_more() -> None:
    data = packed(("top/a", bytes(600)), ("top/b", bytes(400)))
    wanted = wants(a=bytes(600), b=bytes(400))
    assert len(read(data, wanted, 1000)) == 2
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        read(data, wanted, 999)


def test_a_file_that_says_to_be_huge_is_not_read() -> None:
    info = tarfile.TarInfo("top/a")
    info.size = 2**40
    out = io.BytesIO()
    out.write(info.tobuf(tarfile.PAX_FORMAT))
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        read(gzip.compress(out.getvalue() + bytes(10_000)), wants(a=b"A"))


def test_a_sparse_file_is_not_blown_up() -> None:
    info = tarfile.TarInfo("top/a")
    info.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,1",
        "GNU.sparse.size": "9" * 12,
    }
    assert read(packed((info, b"A")), wants(a=b"A")) == {}


def zeros(count: int) -> Iterator[bytes]:
    """A gzip of so many zeros, made as it is read."""
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    block = b"\0\xff\xff\0\0" + bytes(2**16 - 1)
    for _ in range(count // (2**16 - 1) + 1):
        yield block


def test_a_bomb_is_stopped_at_the_cap() -> None:
    info = tarfile.TarInfo("top/other")
    info.size = 2 * SCANNED_BYTES
    head = info.tobuf(tarfile.PAX_FORMAT)
    start, *_ = zeros(1)
    stored = b"\0" + len(head).to_bytes(2, "little") + (len(head) ^ 0xFFFF).to_bytes(2, "little") + head

    def pieces() -> Iterator[bytes]:
        yield start + stored
        yield from list(zeros(1))[1:] * (2 * SCANNED_BYTES // 2**16)

    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        wanted_files(pieces(), wants(a=b"A"), MOST, WHERE)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_an_extended_header_cannot_fill_the_memory(kind: bytes) -> None:
    info = tarfile.TarInfo("top/x")
    info.type, info.size = kind, 8 * 2**20
    data = gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(8 * 2**20), compresslevel=0)
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        for start in range(0, len(data), 2**16):
            taken += 2**16
            yield data[start : start + 2**16]

    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        wanted_files(pieces(), wants(a=b"A"), MOST, WHERE)
    assert taken < 2 * 2**20


def test_a_chain_of_extended_headers_ends_in_an_error() -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 0
    data = gzip.compress(info.tobuf(tarfile.GNU_FORMAT) * 1900)
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        read(data, wants(a=b"A"))


GOOD = packed(("top/a", b"A" * 2000), ("top/b", b"B"))
PLAIN = gzip.decompress(GOOD)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", GOOD[:40], gzip.compress(PLAIN[:600]), gzip.compress(b"x" * 2000), PLAIN],
    ids=["nothing", "text", "a beginning", "half a file", "no tar", "not packed"],
)
def test_what_is_no_archive_is_corrupt(data: bytes) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        read(data, wants(a=b"A" * 2000, nowhere=b"x"))


@given(data=st.data())
def test_a_broken_archive_gives_our_error_or_right_contents(data: st.DataObject) -> None:
    broken = bytearray(PLAIN[: data.draw(st.integers(0, 4096))])
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=5)):
        if place < len(broken):
            broken[place] = value
    wanted = wants(a=b"A" * 2000, b=b"B")
    try:
        found = read(gzip.compress(bytes(broken)), wanted)
    except SkillSyncError:
        return
    assert all(blob_id(content) == name for name, content in found.items())


def test_headers_of_many_files_are_not_collected() -> None:
    data = packed(*[(f"top/{number}", b"") for number in range(2000)])
    alive: list[int] = []

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]
            alive.append(sum(isinstance(item, tarfile.TarInfo) for item in gc.get_objects()))

    wanted_files(pieces(), wants(nowhere=b"x"), MOST, WHERE)
    assert len(alive) > 3
    assert max(alive) < 100
