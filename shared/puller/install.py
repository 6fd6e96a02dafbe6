"""Carrying out an install: everything is fetched, verified and staged before the first live file changes."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import log
from shared.core.archive import unpack
from shared.core.names import parse_timestamp, timestamp
from shared.errors import InputError, UnverifiedError
from shared.puller.files import FOLDER_MODE, Root
from shared.puller.layout import ancestors, wanted_files
from shared.puller.look import look
from shared.puller.plan import AddFolder, Delete, Displace, Put, RemoveFolder, Touch, plan_install
from shared.puller.state import State, save_state

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from shared.model import DeploymentId, LiveSkill, Manifest, SkillFile, SkillId
    from shared.ports import Clock
    from shared.puller.client import ReleaseClient
    from shared.puller.files import Calls
    from shared.puller.layout import Wanted
    from shared.puller.plan import Plan, Step

READD_AFTER = timedelta(seconds=2)
"""The gateway's watcher loses a folder that comes back sooner under the same name."""
MAX_DOWNLOADS = 8
_STAGING = "staging"
_TRASH = "trash"
_REMEMBER_REMOVALS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """The folders of a volume: the watched one, ours beside it, and where foreign files go."""

    skills: Root
    own: Root
    backup: Path


def open_volume(skills_dir: Path, backup_dir: Path, calls: Calls) -> Volume:
    """Make the folders where they are missing.

    Args:
        skills_dir: What the gateway watches; never replaced once it exists.
        backup_dir: Where foreign files go.
        calls: What changes the disk.
    """
    own = skills_dir.parent / ".skill-sync"
    for path, mode in ((skills_dir, FOLDER_MODE), (own, 0o700)):
        if not path.is_dir():
            path.mkdir(parents=True)
            path.chmod(mode)
    return Volume(skills=Root(skills_dir, calls), own=Root(own, calls), backup=backup_dir)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What an install did. `changed` counts steps; `displaced` lists foreign paths that were moved to the backup."""

    state: State
    changed: int
    displaced: tuple[str, ...]


class Installer:
    """Brings a volume to a manifest.

    Args:
        volume: The folders.
        client: Where archives come from.
        clock: For the pause before a name comes back.
        layouts: `tree`, `flat` or both.
    """

    def __init__(self, volume: Volume, client: ReleaseClient, clock: Clock, layouts: Collection[str]) -> None:
        self._volume = volume
        self._client = client
        self._clock = clock
        self._layouts = layouts

    def install(self, state: State, manifest: Manifest, deployment: DeploymentId) -> Installed:
        """Install a verified manifest; what stands on the disk already is left alone.

        Args:
            state: What is remembered; its `installing` names what a crash may have left.
            manifest: What shall be live.
            deployment: Names the backup of foreign files.

        Raises:
            UnverifiedError: `bundle_mismatch` or `bundle_rejected`, before anything live changed.
            UnavailableError: an archive could not be fetched; nothing live changed.
            OSError: the disk refused; the next try completes what is half done.
        """
        wanted = wanted_files(manifest, self._layouts)
        ours = {**state.installed, **state.installing}
        seen = look(self._volume.skills, {*ours, *wanted})
        plan = plan_install(seen, ours, wanted)
        installed = {path: want.blob for path, want in wanted.items()}
        if not plan.steps and state.installed == installed and not state.installing:
            return Installed(state=state, changed=0, displaced=())
        self._clear_leftovers()
        self._stage(plan, wanted, manifest)
        # From here to the last line a crash leaves a mixture of files, all of which `installed` or `installing` names; what
        # an install that was cut short before this one may have left is among them.
        installing = {**state.installing, **installed}
        state = replace(state, installing=installing, removed_at=self._removals(state, plan))
        save_state(self._volume.own, state)
        displaced = tuple(path for path in (self._take(step, state, deployment) for step in plan.steps) if path)
        state = replace(state, installed=installed, installing={})
        save_state(self._volume.own, state)
        self._clear_leftovers()
        return Installed(state=state, changed=len(plan.steps), displaced=displaced)

    def _clear_leftovers(self) -> None:
        for name in (_STAGING, _TRASH):
            self._volume.own.clear(name)

    def _stage(self, plan: Plan, wanted: Mapping[str, Wanted], manifest: Manifest) -> None:
        self._volume.own.make_folders(_STAGING)
        self._volume.own.make_folders(_TRASH)
        needed: dict[SkillId, list[str]] = {}
        for path in sorted(plan.staged):
            needed.setdefault(wanted[path].skill, []).append(path)
        with ThreadPoolExecutor(max_workers=MAX_DOWNLOADS) as pool:
            jobs = [
                pool.submit(self._stage_skill, manifest.skills[key], {path: wanted[path] for path in paths})
                for key, paths in needed.items()
            ]
        for job in jobs:
            job.result()

    def _stage_skill(self, skill: LiveSkill, wanted: Mapping[str, Wanted]) -> None:
        files = verified_files(skill, self._client.bundle_object(skill.archive, skill.archive_size))
        for path, want in wanted.items():
            staged = f"{_STAGING}/{path}"
            self._volume.own.make_folders(staged.rpartition("/")[0])
            self._volume.own.create(staged, [files[want.source].data], want.mode)
        # A folder that is renamed in must not lose its names in a power cut.
        for folder in {folder for path in wanted for folder in ancestors(f"{_STAGING}/{path}")}:
            self._volume.own.sync(folder)

    def _removals(self, state: State, plan: Plan) -> dict[str, str]:
        # Written before it happens: after a crash the pause is kept too.
        now = self._clock.now()
        recent = {name: at for name, at in state.removed_at.items() if now - parse_timestamp(at) < _REMEMBER_REMOVALS}
        leaving = [step.name for step in plan.steps if isinstance(step, RemoveFolder)]
        leaving += [step.path for step in plan.steps if isinstance(step, Displace) and "/" not in step.path]
        return {**recent, **dict.fromkeys(leaving, timestamp(now))}

    def _take(self, step: Step, state: State, deployment: DeploymentId) -> str | None:
        skills, own = self._volume.skills, self._volume.own
        match step:
            case Displace(path=path):
                self._displace(path, deployment)
                return path
            case AddFolder(name=name):
                self._wait_for(name, state)
                own.move(f"{_STAGING}/{name}", skills, name)
            case Put(path=path):
                skills.make_folders(path.rpartition("/")[0])
                own.move(f"{_STAGING}/{path}", skills, path)
            case Delete(path=path):
                skills.delete(path)
                self._delete_empty_folders(path)
            case RemoveFolder(name=name):
                skills.move(name, own, f"{_TRASH}/{name}")
            case Touch(path=path):
                skills.touch(path)
        return None

    def _displace(self, path: str, deployment: DeploymentId) -> None:
        target = self._volume.backup / deployment / path
        target.parent.mkdir(parents=True, exist_ok=True)
        free = target
        number = 1
        while free.is_symlink() or free.exists():
            number += 1
            free = target.with_name(f"{target.name}.{number}")
        log.warning("A foreign file stood in a skill's way", path=path, kept=str(free))
        # The backup may lie on another filesystem; a link is moved as a link.
        shutil.move(self._volume.skills.path / path, free)

    def _wait_for(self, name: str, state: State) -> None:
        removed = state.removed_at.get(name)
        if removed is not None:
            left = parse_timestamp(removed) + READD_AFTER - self._clock.now()
            self._clock.sleep(min(max(left, timedelta(0)), READD_AFTER).total_seconds())

    def _delete_empty_folders(self, path: str) -> None:
        for folder in sorted(ancestors(path), key=len, reverse=True):
            try:
                self._volume.skills.delete_folder(folder)
            except OSError:
                return  # something is still in it


def verified_files(skill: LiveSkill, archive: bytes) -> dict[str, SkillFile]:
    """Unpack an archive and prove that it holds exactly the files that the manifest names.

    Args:
        skill: The manifest's entry.
        archive: The bytes, already compared with the entry's digest.

    Raises:
        UnverifiedError: `bundle_rejected`.
    """
    try:
        files = unpack(archive)
    except InputError as error:
        raise UnverifiedError("bundle_rejected", f"{skill.id}: {error.message}") from None
    found = {(file.path, 0o755 if file.executable else 0o644, file.blob, len(file.data)) for file in files}
    if found != {(file.path, file.mode, file.blob, file.size) for file in skill.files}:
        raise UnverifiedError("bundle_rejected", f"{skill.id}: the archive holds other files than the manifest names")
    return {file.path: file for file in files}
