"""What is wrong with one skill's files, by content: edited, gone, added, or put back to an earlier version by a person.

What follows from it is left to `upkeep`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from shared.puller.calls import FOLDER_MODE
from shared.puller.layout import ancestors
from shared.puller.look import Thing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.model import BlobId, LiveSkill
    from shared.puller.layout import Wanted
    from shared.puller.look import Seen
    from shared.puller.sweep import Print

MISSING, CHANGED, ADDED = "missing", "changed", "added"
REPAIRED, REPORTED, KEPT = "repaired", "reported", "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One path that was not as installed. `what` became of it: `changed`, `missing`, `added`; what was done: `action`."""

    path: str
    what: str
    action: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One skill as it stands.

    Args:
        skill: What the manifest says of it.
        wanted: Its paths with what shall stand there.
        seen: What stands there, from a look at the paths of `wanted` and `former`.
        taken: How it looked just before that was read.
        former: What stood on its paths by rights before.
    """

    skill: LiveSkill
    wanted: Mapping[str, Wanted]
    seen: Mapping[str, Seen]
    taken: Print
    former: Mapping[str, frozenset[BlobId]] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether everything is as installed, and nothing else is there."""
        return not self.faults and not self.added

    @property
    def is_right(self) -> bool:
        """Whether everything is as installed; what is foreign beside it is nobody's fault."""
        return not self.faults and not self._restored

    @property
    def is_restored(self) -> bool:
        """Whether a person put an earlier version back: something of it stands there, and no content that is foreign."""
        edited = any(what == CHANGED and self._is_foreign(path) for path, what in self.faults.items())
        return bool(self._restored) and not edited

    @property
    def has_hollow(self) -> bool:
        """Whether a folder of ours stands empty from which a repair that was interrupted has taken our files."""
        former = {folder for path in self.former for folder in ancestors(path)} - self._folders
        return any(not any(path.startswith(f"{folder}/") for path in self.seen) for folder in former & self.seen.keys())

    @cached_property
    def faults(self) -> dict[str, str]:
        """The paths that are not as they shall be, with what is wrong."""
        files = {
            path: CHANGED if path in self.seen else MISSING
            for path, want in self.wanted.items()
            if not _is_as_installed(self.seen.get(path), want)
        }
        return files | {path: CHANGED for path in self._folders if _is_shut(self.seen.get(path))}

    @cached_property
    def added(self) -> list[str]:
        """The paths of what is not ours inside the skill's folders."""
        former = {folder for path in self.former for folder in ancestors(path)}
        return [
            path
            for path, seen in self.seen.items()
            if path not in self.wanted
            and path not in self._folders
            and path not in self._restored
            and not (path in former and seen.thing is Thing.FOLDER)
        ]

    def drift(self, action: str) -> list[Drift]:
        """List everything, with what was done about what is not foreign."""
        back = {path: ADDED for path in self._restored if path not in self.wanted}
        return [
            *(Drift(path=_printable(path), what=what, action=action) for path, what in {**self.faults, **back}.items()),
            *(Drift(path=_printable(path), what=ADDED, action=REPORTED) for path in self.added),
        ]

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(folder for path in self.wanted for folder in ancestors(path))

    @cached_property
    def _restored(self) -> frozenset[str]:
        """The paths where an earlier content of theirs stands."""
        return frozenset(path for path, blobs in self.former.items() if self._is_former(path, blobs))

    def _is_former(self, path: str, blobs: frozenset[BlobId]) -> bool:
        found, want = self.seen.get(path), self.wanted.get(path)
        return found is not None and found.blob in blobs and (want is None or found.blob != want.blob)

    def _is_foreign(self, path: str) -> bool:
        found, want = self.seen[path], self.wanted.get(path)
        return want is not None and found.blob != want.blob and path not in self._restored


def _is_as_installed(seen: Seen | None, want: Wanted) -> bool:
    # The gateway refuses a file with a second hard link.
    is_file = seen is not None and seen.thing is Thing.FILE and seen.links == 1
    return is_file and seen is not None and (seen.blob, seen.mode) == (want.blob, want.mode)


def _is_shut(seen: Seen | None) -> bool:
    return seen is not None and seen.thing is Thing.FOLDER and seen.mode != FOLDER_MODE


def _printable(path: str) -> str:
    # Anybody on the volume names files as they like; a name that is no text could not be reported.
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
