"""An upload is read within bounds and in memory: what is hostile about it ends in a clear refusal or in the rules' hands."""

from __future__ import annotations

import gzip
import io
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.git_trees import with_folders
from shared.core.upload import MAX_UNPACKED_BYTES, read_archive, read_skill_file, tree_of
from shared.errors import InputError
from shared.model import Kind, TreeEntry
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shared.core.upload import Tree


def packed(*members: tarfile.TarInfo, data: bytes = b"x", form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for member in members:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(stream.getvalue(), mtime=0)


def a_file(path: str, mode: int = 0o644) -> tarfile.TarInfo:
    made = tarfile.TarInfo(path)
    made.mode = mode
    return made


def odd(path: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(path)
    made.type, made.linkname = kind, link
    return made


def kinds(tree: Tree) -> dict[str, Kind]:
    return {entry.path: entry.kind for entry in tree.listing}


def refused(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.code, caught.value.status


def test_an_archive_becomes_a_listing_with_its_folders() -> None:
    tree = read_archive(packed(a_file("a/SKILL.md"), a_file("b/run.sh", 0o755)))
    expected = {"a": Kind.FOLDER, "a/SKILL.md": Kind.FILE, "b": Kind.FOLDER, "b/run.sh": Kind.EXECUTABLE}
    assert kinds(tree) == expected
    assert set(tree.contents.values()) == {b"x"}


def test_ids_of_files_and_folders_are_gits_own(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "origin")
    repo.write_all({"a/SKILL.md": "one", "a/deep/er/x": "two", "a.b/y": "three", "a-b": "four", "ä/z": "five"})
    repo.write("a/run.sh", "#!/bin/sh\n", executable=True)
    repo.symlink("a/link", "SKILL.md")
    repo.commit()
    archive = repo.git("archive", "--format=tar", "-o", str(tmp_path / "tree.tar"), "HEAD")
    assert archive == ""
    tree = read_archive(gzip.compress((tmp_path / "tree.tar").read_bytes()))
    lines = repo.git("ls-tree", "-r", "-t", "-z", "HEAD").split("\0")[:-1]
    assert {entry.path: entry.id for entry in tree.listing} == {
        line.split("\t")[1]: line.split("\t")[0].split()[2] for line in lines
    }


def test_one_folder_around_everything_is_taken_away_unless_it_is_the_skill() -> None:
    assert "a/SKILL.md" in kinds(read_archive(packed(a_file("repo-1234/a/SKILL.md"), a_file("repo-1234/README.md"))))
    assert "a/SKILL.md" in kinds(read_archive(packed(a_file("a/SKILL.md"), a_file("a/x"))))
    assert "a/SKILL.md" in kinds(read_archive(packed(a_file("./a/SKILL.md"), a_file("./b/x"))))


@pytest.mark.parametrize(
    "member",
    [
        odd("a/x", tarfile.SYMTYPE, "/etc/passwd"),
        odd("a/x", tarfile.LNKTYPE, "SKILL.md"),
        odd("a/x", tarfile.CHRTYPE),
        odd("a/x", tarfile.BLKTYPE),
        odd("a/x", tarfile.FIFOTYPE),
    ],
    ids=["link", "hard link", "character device", "block device", "pipe"],
)
def test_what_is_no_plain_file_is_left_to_the_rules(member: tarfile.TarInfo) -> None:
    assert kinds(read_archive(packed(a_file("a/SKILL.md"), a_file("b/y"), member)))["a/x"] is Kind.SYMLINK


@pytest.mark.parametrize("path", ["../a", "a/../../b", "/a", "a//b", "./../a", "a/./b"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    data = packed(a_file(path), a_file("other"))
    assert refused(lambda: read_archive(data)) == ("UPLOAD_PATH_INVALID", 422)


def test_a_path_that_stands_twice_or_is_file_and_folder_is_refused() -> None:
    assert refused(lambda: read_archive(packed(a_file("a/x"), a_file("a/x"), a_file("b")))) == (
        "UPLOAD_PATH_INVALID",
        422,
    )
    assert refused(lambda: read_archive(packed(a_file("a"), a_file("a/x"), a_file("b")))) == (
        "UPLOAD_PATH_INVALID",
        422,
    )


def test_names_that_are_no_text_are_kept_escaped() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", encoding="latin-1", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(a_file("a/\xff.md"))
    assert "\\xff.md" in kinds(read_archive(gzip.compress(stream.getvalue())))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f\x8b",
        b"no archive",
        gzip.compress(b"no tar", mtime=0),
        gzip.compress(b"x" * 10_000, mtime=0),
        packed(a_file("a"))[:-9],
        gzip.compress(b"", mtime=0),
    ],
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert refused(lambda: read_archive(data))[0] == "UPLOAD_INVALID"


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(MAX_UNPACKED_BYTES + 1))
    assert len(bomb) < 100_000
    assert refused(lambda: read_archive(bomb)) == ("UPLOAD_TOO_LARGE", 413)


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.core.upload.MAX_ENTRIES", 3)
    data = packed(*(a_file(f"a/{number}") for number in range(4)))
    assert refused(lambda: read_archive(data)) == ("UPLOAD_TOO_LARGE", 413)


def test_a_skill_file_alone_is_a_folder_of_its_name() -> None:
    assert kinds(read_skill_file(b"x", "hello")) == {"hello": Kind.FOLDER, "hello/SKILL.md": Kind.FILE}


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, packed_first: bool) -> None:  # noqa: FBT001 - hypothesis passes it so
    with suppress(InputError):
        assert read_archive(gzip.compress(data, mtime=0) if packed_first else data).listing == []


@given(st.dictionaries(st.sampled_from(["a/b", "a/c/d", "e", "a/c/e", "f/g"]), st.binary(max_size=5)))
def test_every_folder_of_a_file_is_listed_once(files: dict[str, bytes]) -> None:
    listing = tree_of((path, Kind.FILE, data) for path, data in files.items()).listing
    folders = {path.rpartition("/")[0] for path in files} | {"a" for path in files if path.startswith("a/")}
    assert {entry.path for entry in listing if entry.kind is Kind.FOLDER} == folders - {""}
    assert with_folders([entry for entry in listing if entry.kind is not Kind.FOLDER]) is not None
    assert all(isinstance(entry, TreeEntry) for entry in listing)
