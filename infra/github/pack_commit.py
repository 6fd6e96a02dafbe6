"""Packs a commit as tar.gz: exactly its files, each as git stores it. Who gets the pack is `skill_sync_action`'s business."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


class StepError(Exception):
    """The step failed; the text says why and holds no secret."""


def pack(folder: Path, commit: str) -> bytes:
    """Pack exactly what the commit holds, as tar.gz: each file as git stores it.

    `git archive` leaves files out (export-ignore) and changes others (export-subst, line ends); what it packs is not the
    commit. Submodules are references to other repositories, and not packed.

    Args:
        folder: The repository.
        commit: Which commit.

    Returns:
        The same bytes for the same commit.
    """
    listed = git(folder, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")
    entries = [entry.split(b"\t", 1) for entry in listed if entry]
    files = [(*meta.split(b" "), path) for meta, path in entries if not meta.startswith(b"160000 ")]
    stream = io.BytesIO()
    with tarfile.open(
        fileobj=stream, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        contents = _contents(folder, [name for _, _, name, _ in files])
        for (mode, _, _, path), data in zip(files, contents):  # noqa: B905 - as many, or git's answer was refused
            _add(archive, mode, path.decode("utf-8", "surrogateescape"), data)
    return gzip.compress(stream.getvalue(), mtime=0)


def _add(archive: tarfile.TarFile, mode: bytes, path: str, data: bytes) -> None:
    member = tarfile.TarInfo(path)
    if mode == b"120000":
        member.type, member.linkname = tarfile.SYMTYPE, data.decode("utf-8", "surrogateescape")
        archive.addfile(member)
        return
    member.mode, member.size = (0o755 if mode == b"100755" else 0o644), len(data)
    archive.addfile(member, io.BytesIO(data))


def _contents(folder: Path, names: Sequence[bytes]) -> Iterator[bytes]:
    answer = git(folder, "cat-file", "--batch", data=b"".join(name + b"\n" for name in names))
    at = 0
    for name in names:
        end = answer.index(b"\n", at)
        found, kind, size = answer[at:end].split(b" ")
        if (found, kind) != (name, b"blob"):
            raise StepError("git did not give the commit's files")
        at = end + 1 + int(size)
        yield answer[end + 1 : at]
        at += 1


def git(folder: Path, *arguments: str, data: bytes = b"", environment: Mapping[str, str] | None = None) -> bytes:
    """Run git in a folder and return what it printed.

    Raises:
        StepError: git failed; with the last line of what it said.
    """
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=data,
        capture_output=True,
        check=False,
        env=None if environment is None else dict(environment),
    )
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise StepError(f"git {arguments[0]} failed: {''.join(told)[:500]}")
    return done.stdout
