"""The archive of one skill: the same files give the same bytes, and only safe files ever come out of one.

How tar and gzip look as bytes is left to `tar_format` and `gzip_format`; where the files go, to the puller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.git_objects import blob_id
from shared.core.gzip_format import unwrap, wrap
from shared.core.paths import check_path, collides
from shared.core.tar_format import BLOCK, MAX_PAX_BYTES, TarEntry, read_tar, write_tar
from shared.errors import InputError
from shared.model import SkillFile

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FILES = 200
MAX_CONTENT_BYTES = 8 * 1024 * 1024
_MODES = {False: 0o644, True: 0o755}
_EXECUTABLE = {mode: executable for executable, mode in _MODES.items()}
# What tar may need beside a file's content: its header, its pax header with header, and padding.
_FRAME_BYTES = 3 * BLOCK + MAX_PAX_BYTES
_RECORD_BYTES = 20 * BLOCK  # ordinary writers fill up the end to a whole record

MAX_ARCHIVE_BYTES = MAX_CONTENT_BYTES + MAX_FILES * _FRAME_BYTES + _RECORD_BYTES + 64 * 1024
"""No archive that `unpack` takes is larger: what cannot be compressed grows by 5 bytes in 64 KiB (RFC 1951, 3.2.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an archive may hold: `files` counts them, `content_bytes` is the sum of their sizes."""

    files: int = MAX_FILES
    content_bytes: int = MAX_CONTENT_BYTES


LIMITS = Limits()


def pack(files: Iterable[SkillFile], limits: Limits = LIMITS) -> bytes:
    """Write the deterministic `tar.gz` of one skill.

    The bytes depend on paths, contents and executable bits only: not on the order given, the machine, the time, the
    version of Python or of zlib. `SkillFile.blob` is not looked at.

    Args:
        files: The skill's files, in any order.
        limits: The most that may go in; what `unpack` would refuse is never written.

    Raises:
        InputError: `ARCHIVE_INVALID`: a path that is not safe, two that collide, or too much.
    """
    entries = [TarEntry(path=each.path, mode=_MODES[each.executable], data=each.data) for each in files]
    _check(entries, limits)
    return wrap(write_tar(sorted(entries, key=lambda entry: entry.path.encode())))


def unpack(data: bytes, limits: Limits = LIMITS) -> tuple[SkillFile, ...]:
    """Read an archive, trusting nothing in it; memory stays within a small multiple of the limits.

    Args:
        data: The `tar.gz`; other writers' archives are read too when they hold regular files only.
        limits: The most that may come out.

    Returns:
        The files, sorted by the bytes of their paths.

    Raises:
        InputError: `ARCHIVE_INVALID`, whatever is wrong with it.
    """
    tar = unwrap(data, max_bytes=limits.content_bytes + limits.files * _FRAME_BYTES + _RECORD_BYTES)
    entries = []
    for entry in read_tar(tar):
        entries.append(entry)
        if len(entries) > limits.files:
            break  # `_check` refuses it; an archive of countless empty files is not read to its end
    _check(entries, limits)
    return tuple(map(_skill_file, sorted(entries, key=lambda entry: entry.path.encode())))


def _check(entries: list[TarEntry], limits: Limits) -> None:
    if len(entries) > limits.files:
        raise InputError("ARCHIVE_INVALID", f"expected at most {limits.files} files, got more")
    size = sum(len(entry.data) for entry in entries)
    if size > limits.content_bytes:
        raise InputError("ARCHIVE_INVALID", f"expected at most {limits.content_bytes} bytes, got {size}")
    for entry in entries:
        reason = check_path(entry.path)
        if reason is not None:
            raise InputError("ARCHIVE_INVALID", f"{entry.path[:80]!r}: {reason}")
        if entry.mode not in _EXECUTABLE:
            raise InputError("ARCHIVE_INVALID", f"{entry.path!r}: expected mode 644 or 755, got {entry.mode:o}")
    collision = collides(entry.path for entry in entries)
    if collision is not None:
        raise InputError("ARCHIVE_INVALID", f"{collision[0]!r}: {collision[1]}")


def _skill_file(entry: TarEntry) -> SkillFile:
    return SkillFile(path=entry.path, executable=_EXECUTABLE[entry.mode], blob=blob_id(entry.data), data=entry.data)
