"""Complete copies of the set as it stood before each deployment, which a plain `cp -r` brings back.

The copy is made while nothing is urgent, behind an install, and only renamed when the next one begins. A file that did not
change is one file in all copies (a hard link), but never the live one: the gateway refuses a hard-linked SKILL.md.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import log
from shared.core.manifest_view import differences
from shared.core.names import parse_timestamp, timestamp
from shared.errors import DeadlineError
from shared.puller.layout import files_of
from shared.puller.look import blob_in
from shared.puller.snapshot_notes import Notes, Size, load_notes, save_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shared.core.manifest_view import ManifestView
    from shared.model import DeploymentId, Digest, SkillId
    from shared.ports import Clock
    from shared.puller.bundles import Bundles
    from shared.puller.files import Root
    from shared.puller.state import State
    from shared.puller.volume import Volume

KEPT_AT_LEAST = 10
KEPT_FOR = timedelta(days=30)
NEXT = ".next"
_PARTIAL = ".next-partial"
_NAME = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})(?:\.([0-9]{1,6}))?")


class Snapshots:
    """The backups of one volume.

    Args:
        volume: The folders.
        bundles: The manifests, which say what to copy.
        clock: Says how old a backup is.
        max_bytes: What all of them may take together; the newest is kept in any case.
        stopping: Whether the process was asked to end: a copy that is under way is then left to the next start.
    """

    def __init__(
        self,
        volume: Volume,
        bundles: Bundles,
        clock: Clock,
        max_bytes: int,
        stopping: Callable[[], bool] = bool,
    ) -> None:
        self._bundles = bundles
        self._stopping = stopping
        self._skills = volume.skills
        self._own = volume.own
        self._root = volume.backup
        self._clock = clock
        self._max_bytes = max_bytes
        self._notes = load_notes(volume.own)

    @property
    def manifests(self) -> set[Digest]:
        """The manifests that are needed for the next copy."""
        return {each.manifest for each in (self._notes.ready, self._notes.base_edition) if each is not None}

    def copy_of(self, deployment: DeploymentId) -> Root:
        """Return the folder with the set as it stood before a deployment; it may be missing."""
        return self._root.below(deployment)

    def copy_of_now(self) -> Root:
        """Return the folder with a copy of what is installed; it may be missing."""
        return self._root.below(NEXT)

    def hand_over(self, state: State, deployment: DeploymentId) -> None:
        """Let the copy of what is installed now stand under the deployment that is about to change it.

        Args:
            state: What is installed; nothing is copied where nothing is, or where an install was cut short.
            deployment: The one that begins.

        Raises:
            OSError: the disk refused.
            DeadlineError: `STOPPED`.
        """
        if not state.installed or state.unfinished or state.deployment == deployment:
            return
        if self._root.stat(deployment) is not None:
            return  # the same deployment begins again
        if not self._is_ready(state):
            self._build(state)  # it follows on the heels of another one
        edition = self._notes.ready
        self._root.move(NEXT, self._root, deployment)
        handed = {**self._notes.handed, deployment: timestamp(self._clock.now())}
        sizes = {**self._notes.sizes, deployment: self._notes.next_size}
        self._save(Notes(base=deployment, base_edition=edition, handed=handed, sizes=sizes))

    def make_ready(self, state: State) -> None:
        """Copy what is installed now, and throw away what is too old; to be called while nothing is urgent.

        Raises:
            OSError: the disk refused.
            DeadlineError: `STOPPED`.
        """
        if not state.installed or state.unfinished or self._is_ready(state):
            return
        self._build(state)
        self._prune()

    def _is_ready(self, state: State) -> bool:
        notes = self._notes
        same = (notes.ready, notes.ready_kept) == (state.installed, state.kept)
        return same and self._root.stat(NEXT) is not None

    def _build(self, state: State) -> None:
        view = None if state.installed is None else self._bundles.known(state.installed)
        if state.installed is None or view is None:
            return
        self._root.path.mkdir(parents=True, exist_ok=True)
        for left in (_PARTIAL, NEXT):
            self._root.clear(left)
        self._root.make_folders(_PARTIAL)
        old = fresh = 0
        for folder, files, held in self._folders(view, state):
            if self._stopping():
                raise DeadlineError("STOPPED", "the puller was asked to end before the copy was whole")
            linked = self._link(folder, files, held)
            old += sum(linked.values())
            fresh += sum(self._copy(folder, name) for name in files.keys() - linked.keys())
        self._root.sync_disk()
        self._root.move(_PARTIAL, self._root, NEXT)
        size = Size(whole=old + fresh, fresh=fresh)
        self._save(replace(self._notes, ready=state.installed, ready_kept=state.kept, next_size=size))

    def _folders(self, view: ManifestView, state: State) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
        """Yield each folder with its files (name to content), and those of its paths that the last backup holds."""
        layouts = () if state.installed is None else state.installed.layouts
        former = self._former(view)
        for skill in view.skills():
            files: dict[str, dict[str, str]] = {}
            for path, want in files_of(skill, layouts):
                folder, _, name = path.rpartition("/")
                files.setdefault(folder, {})[name] = want.blob
            # What an operator has put there is copied, not what the manifest says.
            held = {} if former is None or skill.id in state.kept else former.get(skill.id)
            if held is None:
                held = {path: want.blob for path, want in files_of(skill, layouts)}
            for folder, inside in files.items():
                yield folder, inside, held

    def _former(self, view: ManifestView) -> Mapping[SkillId, dict[str, str]] | None:
        """Return what the last backup holds of the skills that have changed since; None when there is no use in it."""
        edition = self._notes.base_edition
        base = None if edition is None or self._notes.base is None else self._bundles.known(edition)
        if base is None or edition is None:
            return None
        held: dict[SkillId, dict[str, str]] = {
            each.id: {path: want.blob for path, want in files_of(each.old, edition.layouts)} if each.old else {}
            for each in differences(base, view)
        }
        self._bundles.relax()
        return held

    def _link(self, folder: str, files: dict[str, str], held: Mapping[str, str]) -> dict[str, int]:
        """Link what did not change since the last backup, a folder at a time; returns names with sizes."""
        same = [name for name, blob in files.items() if held.get(f"{folder}/{name}".lstrip("/")) == blob]
        linked: dict[str, int] = {}
        if self._notes.base is None or not same:
            return linked
        try:
            with (
                self._root.open(f"{self._notes.base}/{folder}".rstrip("/")) as base,
                self._root.open(f"{_PARTIAL}/{folder}".rstrip("/"), make=True) as target,
            ):
                for name in same:
                    # By content: a copy that somebody damaged must not be passed on.
                    if blob_in(base, name) == files[name]:
                        self._root.link(name, base, target)
                        linked[name] = os.stat(name, dir_fd=base, follow_symlinks=False).st_size
        except OSError:
            return linked  # somebody threw the backup away, or put something else in its place: the rest is copied
        return linked

    def _copy(self, folder: str, name: str) -> int:
        """Copy a live file; returns its size in bytes."""
        path = f"{folder}/{name}".lstrip("/")
        found = self._skills.stat(path)
        if found is None or not stat.S_ISREG(found.st_mode):
            return 0  # somebody took it away; what stands there is not ours to copy
        data = b"".join(self._skills.chunks(path))
        with self._root.open(f"{_PARTIAL}/{folder}".rstrip("/"), make=True) as target:
            self._root.fill(target, {name: (data, stat.S_IMODE(found.st_mode))})
        return len(data)

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

    def _save(self, notes: Notes) -> None:
        save_notes(self._own, notes)
        self._notes = notes


def _order(name: str) -> tuple[int, int, int]:
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else (0, 0, 0)
