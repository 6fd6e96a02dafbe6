"""Complete copies of the set as it stood before each deployment, which a plain `cp -r` brings back.

The copy is made while nothing is urgent, behind an install, and only renamed when the next one begins. A file that did not
change is one file in all copies (a hard link), but never the live one: the gateway refuses a hard-linked SKILL.md.
"""

from __future__ import annotations

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
    from collections.abc import Iterator

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
class Notes:
    """What is remembered: of which installed files `NEXT` is the copy, and which folder before it holds which."""

    ready: dict[str, str] | None = None
    base: str | None = None
    base_files: dict[str, str] = field(default_factory=dict)
    handed: dict[str, str] = field(default_factory=dict)


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
        self._save(Notes(ready=None, base=deployment, base_files=files, handed=handed))

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
        for folder, files in folders.items():
            self._root.make_folders(f"{_PARTIAL}/{folder}".rstrip("/"), synced=False)
            linked = self._link(folder, files)
            for name in files.keys() - linked:
                self._copy(f"{folder}/{name}".lstrip("/"))
        self._root.sync_disk()
        self._root.move(_PARTIAL, self._root, NEXT)
        self._save(replace(self._notes, ready=dict(state.installed)))

    def _link(self, folder: str, files: dict[str, str]) -> set[str]:
        """Link what did not change since the last backup; returns the names. Folder by folder, for there may be thousands."""
        known = self._notes.base_files
        same = [name for name, blob in files.items() if known.get(f"{folder}/{name}".lstrip("/")) == blob]
        linked: set[str] = set()
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
                        linked.add(name)
        except OSError:
            return linked  # somebody threw the backup away, or put something else in its place: the rest is copied
        return linked

    def _copy(self, path: str) -> None:
        found = self._skills.stat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return  # somebody took it away; what stands there is not ours to copy
        self._root.create(f"{_PARTIAL}/{path}", self._skills.chunks(path), stat.S_IMODE(found.st_mode))

    def _prune(self) -> None:
        """Keep 30 days, and at least ten; of these as many of the newest as the bytes allow, and always one."""
        names = sorted((name for name in self._root.names() if _NAME.fullmatch(name)), key=_order)
        now = self._clock.now()
        handed = {name: self._notes.handed.get(name, timestamp(now)) for name in names}
        kept = [
            name
            for number, name in enumerate(reversed(names))
            if number < KEPT_AT_LEAST or now - parse_timestamp(handed[name]) <= KEPT_FOR
        ]
        inodes = dict(self._files(NEXT))
        for number, name in enumerate(kept):
            inodes.update(self._files(name))
            if number and sum(inodes.values()) > self._max_bytes:
                kept = kept[:number]
                break
        for name in set(names) - set(kept):
            self._root.clear(name)
            log.info("An old backup is thrown away", backup=name)
        self._save(replace(self._notes, handed={name: handed[name] for name in kept}))

    def _files(self, folder: str) -> Iterator[tuple[int, int]]:
        for name in self._root.names(folder):
            path = f"{folder}/{name}"
            found = self._root.stat(path)
            if found is not None and stat.S_ISDIR(found.st_mode):
                yield from self._files(path)
            elif found is not None:
                yield found.st_ino, found.st_size

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
            }
        )
        self._own.clear(_DRAFT)
        self._own.create(_DRAFT, [data], 0o600)
        self._own.move(_DRAFT, self._own, _NOTES)
        self._notes = notes


def _order(name: str) -> tuple[int, int, int]:
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else (0, 0, 0)


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise InputError("MEMBER_INVALID", "expected an object of texts")
    return {str(name): str(text) for name, text in value.items()}
