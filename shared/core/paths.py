"""Which file paths are safe to write, and which cannot stand side by side; what follows is the caller's business."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_PATH_BYTES = 240
MAX_SEGMENTS = 16

# Windows opens a device under these names in every folder, whatever follows the first dot:
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file#naming-conventions
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³]) *(?:\..*)?", re.IGNORECASE)

_Rule = tuple["Callable[[str], object]", str]
"""What is true of a bad path or segment, and how to say so."""

_PATH_RULES: tuple[_Rule, ...] = (
    (re.compile(r"[\ud800-\udfff]").search, "not valid Unicode"),
    (lambda path: len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES, f"longer than {MAX_PATH_BYTES} bytes"),
    (lambda path: path.count("/") >= MAX_SEGMENTS, f"more than {MAX_SEGMENTS} segments"),
    (lambda path: path.startswith("/"), "absolute path"),
    (lambda path: "\\" in path, "backslash"),
    (re.compile(r"[\x00-\x1f\x7f-\x9f]").search, "control character"),
    (lambda path: not unicodedata.is_normalized("NFC", path), "not in Unicode form NFC"),
)
_SEGMENT_RULES: tuple[_Rule, ...] = (
    (lambda segment: not segment, "empty segment"),
    (lambda segment: segment in {".", ".."}, "dot segment"),
    (lambda segment: segment.lower() == ".git", "a git folder"),
    (lambda segment: segment.endswith((".", " ")), "segment ends with a dot or space"),
    # Not only in front: on Windows, joining segments one by one starts again at a drive.
    (re.compile(r"[A-Za-z]:").match, "drive letter"),
    (_DEVICE.fullmatch, "device name on Windows"),
)


@lru_cache(maxsize=4096)
def check_path(path: str) -> str | None:
    """Say why a path is not safe to write on any common file system, or None when it is.

    Args:
        path: Relative to the skill's folder, with `/` between segments.

    Returns:
        A short reason without the path in it, or None.
    """
    for is_bad, reason in _PATH_RULES:
        if is_bad(path):
            return reason
    segments = path.split("/")
    for is_bad, reason in _SEGMENT_RULES:
        if any(map(is_bad, segments)):
            return reason
    return None


def collides(paths: Iterable[str]) -> tuple[str, str] | None:
    """Find two paths that cannot both exist on a file system that ignores case or Unicode form.

    Two paths collide when they are equal after NFC and case folding, or when one is a file where the other needs a
    folder. Folders that differ only so (`A/x`, `a/y`) merge without loss and do not collide.

    Args:
        paths: File paths that passed `check_path`, in any order; a path given twice collides with itself.

    Returns:
        The path at fault and a short reason that names the other one; the same pair for every order. Or None.
    """
    return _collision(tuple(sorted(paths)))


@lru_cache(maxsize=4096)  # most skills have the same few names
def _collision(ordered: tuple[str, ...]) -> tuple[str, str] | None:
    files: dict[str, str] = {}
    for path in ordered:
        other = files.get(_fold(path))
        if other is not None:
            return path, "given twice" if other == path else f"differs from {other!r} only in case or Unicode form"
        files[_fold(path)] = path
    for path in ordered:
        for folder in _folders(_fold(path)):
            if folder in files:
                return path, f"needs a folder where {files[folder]!r} is a file"
    return None


def _fold(path: str) -> str:
    # Folding case can leave NFC again, hence twice (Unicode Standard, section 3.13, D145).
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _folders(path: str) -> list[str]:
    segments = path.split("/")
    return ["/".join(segments[:count]) for count in range(1, len(segments))]
