"""Complete copies of the set as it stood before each deployment, which a plain `cp -r` brings back.

The copy is made while nothing is urgent, behind an install, and only renamed when the next one begins. A file that did not
change is one file in all copies (a hard link), but never the live one: the gateway refuses a hard-linked SKILL.md.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import log
from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.names import parse_timestamp, timestamp
from shared.errors import InputError
from shared.puller.look import blob_in

if TYPE_CHECKING:
    from shared.model import DeploymentId
    from shared.ports import Clock
    from shared.puller.install import Volume
    from shared.puller.state import State

SCHEMA = "skill-sync/snapshots/1"
KEPT_AT_LEAST = 10
KEPT_FOR = timedelta(days=30)
NEXT = ".next"
_PARTIAL = ".next-partial"
_NOTES = "snapshots.json"
_DRAFT = "snapshots.new"
_NAME = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})(?:\.([0-9]{1,6}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a backup takes in bytes: all its files, and those that no backup before it has."""

    whole: int = 0
    fresh: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What is remembered: of which installed files `NEXT` is the copy, and which folder before it holds which.

    `handed` says when each backup began to stand for its deployment, `sizes` what it takes.
    """

    ready: dict[str, str] | None = None
    next_size: Size = field(default_factory=Size)
    base: str | None = None
    base_files: dict[str, str] = field(default_factory=dict)
    handed: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)


class Snapshots:
    """The backups of one volume.

    Args:
        volume: The folders.
        clock: Says how old a backup is.
        max_bytes: What all of them may take together; the newest is kept in any case.
    """

    def __init__(self, volume: Volume, clock: Clock, max_bytes: int) -> None:
        self._skills = volume.skills
        self._own = volume.own
        self._root = volume.backup
        self._clock = clock
        self._max_bytes = max_bytes
        self._notes = self._load()

    def hand_over(self, state: State, deployment: DeploymentId) -> None:
        """Let the copy of what is installed now stand under the deployment that is about to change it.

        Args:
            state: What is installed; nothing is copied where nothing is, or where an install was cut short.
            deployment: The one that begins.

        Raises:
            OSError: the disk refused.
        """
        if not state.installed or state.installing is not None or state.deployment == deployment:
            return
        if self._root.stat(deployment) is not None:
            return  # the same deployment begins again
        if not self._is_ready(state):
            self._build(state)  # it follows on the heels of another one
        files = self._notes.ready or {}
        self._root.move(NEXT, self._root, deployment)
        handed = {**self._notes.handed, deployment: timestamp(self._clock.now())}
        sizes = {**self._notes.sizes, deployment: self._notes.next_size}
        self._save(Notes(base=deployment, base_files=files, handed=handed, sizes=sizes))

    def make_ready(self, state: State) -> None:
        """Copy what is installed now, and throw away what is too old; to be called while nothing is urgent.

        Raises:
            OSError: the disk refused.
        """
        if not state.installed or state.installing is not None or self._is_ready(state):
            return
        self._build(state)
        self._prune()

    def _is_ready(self, state: State) -> bool:
        return self._notes.ready == state.installed and self._root.stat(NEXT) is not None

    def _build(self, state: State) -> None:
        self._root.path.mkdir(parents=True, exist_ok=True)
        for left in (_PARTIAL, NEXT):
            self._root.clear(left)
        self._root.make_folders(_PARTIAL)
        folders: dict[str, dict[str, str]] = {}
        for path, blob in sorted(state.installed.items()):
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, {})[name] = blob
        old = fresh = 0
        for folder, files in folders.items():
            self._root.make_folders(f"{_PARTIAL}/{folder}".rstrip("/"), synced=False)
            linked = self._link(folder, files)
            old += sum(linked.values())
            fresh += sum(self._copy(f"{folder}/{name}".lstrip("/")) for name in files.keys() - linked.keys())
        self._root.sync_disk()
        self._root.move(_PARTIAL, self._root, NEXT)
        size = Size(whole=old + fresh, fresh=fresh)
        self._save(replace(self._notes, ready=dict(state.installed), next_size=size))

    def _link(self, folder: str, files: dict[str, str]) -> dict[str, int]:
        """Link what did not change since the last backup, a folder at a time; returns names with sizes."""
        known = self._notes.base_files
        same = [name for name, blob in files.items() if known.get(f"{folder}/{name}".lstrip("/")) == blob]
        linked: dict[str, int] = {}
        if self._notes.base is None or not same:
            return linked
        try:
            with (
                self._root.open(f"{self._notes.base}/{folder}".rstrip("/")) as base,
                self._root.open(f"{_PARTIAL}/{folder}".rstrip("/")) as target,
            ):
                for name in same:
                    # By content: a copy that somebody damaged must not be passed on.
                    if blob_in(base, name) == files[name]:
                        self._root.link(name, base, target)
                        linked[name] = os.stat(name, dir_fd=base, follow_symlinks=False).st_size
        except OSError:
            return linked  # somebody threw the backup away, or put something else in its place: the rest is copied
        return linked

    def _copy(self, path: str) -> int:
        """Copy a live file; returns its size."""
        found = self._skills.stat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return 0  # somebody took it away; what stands there is not ours to copy
        self._root.create(f"{_PARTIAL}/{path}", self._skills.chunks(path), stat.S_IMODE(found.st_mode))
        return found.st_size

    def _prune(self) -> None:
        """Keep 30 days, and at least ten; of these as many of the newest as the bytes allow, and always one."""
        names = sorted((name for name in self._root.names() if _NAME.fullmatch(name)), key=_order)
        now, handed = self._clock.now(), self._notes.handed
        kept = [
            name
            for number, name in enumerate(reversed(names))
            if number < KEPT_AT_LEAST or name not in handed or now - parse_timestamp(handed[name]) <= KEPT_FOR
        ]
        for number in range(1, len(kept)):
            if self._bytes(kept[: number + 1]) > self._max_bytes:
                kept = kept[:number]
                break
        for name in set(names) - set(kept):
            self._root.clear(name)
            log.info("An old backup is thrown away", backup=name)
        notes = self._notes
        self._save(
            replace(
                notes,
                handed={name: handed.get(name, timestamp(now)) for name in kept},
                sizes={name: size for name, size in notes.sizes.items() if name in kept},
            )
        )

    def _bytes(self, names: list[str]) -> int:
        """Return what these backups, newest first, take together: the oldest whole, of each other what is new in it.

        No disk is walked for it: with thousands of skills that takes longer than an install.
        """
        sizes = [self._notes.sizes.get(name, Size()) for name in names]
        return self._notes.next_size.fresh + sum(size.fresh for size in sizes[:-1]) + sizes[-1].whole

    def _load(self) -> Notes:
        if self._own.stat(_NOTES) is None:
            return Notes()
        try:
            document = parse_object(b"".join(self._own.chunks(_NOTES)), what="the notes on backups")
            what = "the notes on backups"
            ready, base = document.get("ready"), document.get("base")
            return Notes(
                ready=None if ready is None else _texts(ready),
                base=None if base is None else member(document, "base", str, what=what),
                base_files=_texts(document.get("base_files")),
                handed={name: timestamp(parse_timestamp(at)) for name, at in _texts(document.get("handed")).items()},
                next_size=_size(document.get("next_size")),
                sizes={name: _size(size) for name, size in member(document, "sizes", dict, what=what).items()},
            )
        except InputError:
            return Notes()  # everything in it can be found out again, at the cost of a copy

    def _save(self, notes: Notes) -> None:
        data = canonical_bytes(
            {
                "schema": SCHEMA,
                "ready": notes.ready,
                "base": notes.base,
                "base_files": notes.base_files,
                "handed": notes.handed,
                "next_size": [notes.next_size.whole, notes.next_size.fresh],
                "sizes": {name: [size.whole, size.fresh] for name, size in notes.sizes.items()},
            }
        )
        self._own.clear(_DRAFT)
        self._own.create(_DRAFT, [data], 0o600)
        self._own.move(_DRAFT, self._own, _NOTES)
        self._notes = notes


def _order(name: str) -> tuple[int, int, int]:
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else (0, 0, 0)


def _size(value: object) -> Size:
    match value:
        case [int(whole), int(fresh)]:
            return Size(whole=whole, fresh=fresh)
    raise InputError("MEMBER_INVALID", "a size is a pair of numbers")


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise InputError("MEMBER_INVALID", "expected an object of texts")
    return {str(name): str(text) for name, text in value.items()}
