"""Which contents stood on which of our paths before: what equals one of them was put back by a person on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.model import BlobId
from shared.puller.layout import is_layout_path, skill_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from shared.model import SkillId
    from shared.puller.files import Root

HISTORY = "history"
_DRAFT = "history.new"
MAX_BYTES = 4 * 1024 * 1024
"""Some 50,000 replaced files; then what was told twice is told once, and the older half is forgotten."""


class History:
    """A file with one line, `<blob id> <path>`, for each content that was replaced or removed.

    Args:
        own: The puller's own folder.
    """

    def __init__(self, own: Root) -> None:
        self._own = own

    def note(self, former: Iterable[tuple[str, BlobId]]) -> None:
        """Remember contents (path and blob id) that are about to go; a line that a crash cuts off is never matched."""
        lines = "".join(f"{blob} {path}\n" for path, blob in former).encode()
        if lines:
            self._shorten()
            # The last line may have been cut off: without a line's end before it, the first one would go with that.
            self._own.append(HISTORY, b"\n" + lines)

    def of(self, skills: Collection[SkillId]) -> dict[SkillId, dict[str, frozenset[BlobId]]]:
        """Return, for each of these skills, its paths in both layouts with every content that stood there before."""
        found: dict[SkillId, dict[str, set[BlobId]]] = {key: {} for key in skills}
        for line in self._lines() if skills else []:
            blob, _, path = line.partition(" ")
            paths = found.get(skill_at(path))
            if paths is not None and is_layout_path(path):
                paths.setdefault(path, set()).add(BlobId(blob))
        return {key: {path: frozenset(blobs) for path, blobs in paths.items()} for key, paths in found.items()}

    def _lines(self) -> list[str]:
        if self._own.stat(HISTORY) is None:
            return []
        return b"".join(self._own.chunks(HISTORY)).decode("utf-8", "replace").split("\n")[:-1]

    def _shorten(self) -> None:
        found = self._own.stat(HISTORY)
        if found is None or found.st_size <= MAX_BYTES:
            return
        kept: list[bytes] = []
        left = MAX_BYTES // 2
        for line in dict.fromkeys(reversed(self._lines())):  # the newest first, each once
            kept.append(f"{line}\n".encode())
            left -= len(kept[-1])
            if left < 0:
                break
        self._own.clear(_DRAFT)
        self._own.create(_DRAFT, [b"".join(reversed(kept))], 0o600)
        self._own.move(_DRAFT, self._own, HISTORY)
