"""Carrying out an install: everything is fetched, verified and staged before the first live file changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.names import parse_timestamp, timestamp
from shared.errors import ConfigError, DeadlineError, UnavailableError
from shared.puller.backup import Backup
from shared.puller.files import Root
from shared.puller.layout import RELOAD, wanted_files
from shared.puller.look import look
from shared.puller.plan import (
    Add,
    Delete,
    Displace,
    Keep,
    Prune,
    Remove,
    Replace,
    Situation,
    Touch,
    displaced_by,
    make_plan,
    to_stage,
)
from shared.puller.stage import STAGING, Stage
from shared.puller.state import known_contents

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from shared.model import BlobId, DeploymentId, Manifest
    from shared.ports import Clock
    from shared.puller.client import ReleaseClient
    from shared.puller.files import Calls
    from shared.puller.layout import Wanted
    from shared.puller.look import Seen
    from shared.puller.plan import Step
    from shared.puller.state import State

REST = timedelta(seconds=2)
"""The gateway's watcher loses a folder that comes back sooner under the same name."""
_ROUNDS = 5
_OWN_MODE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """The folders of a volume: the watched one, ours beside it, and where foreign files go."""

    skills: Root
    own: Root
    backup: Root


def open_volume(skills_dir: Path, backup_dir: Path, calls: Calls) -> Volume:
    """Make the folders where they are missing.

    Args:
        skills_dir: What the gateway watches; never replaced once it exists. A link to it is resolved.
        backup_dir: Where foreign files go; made when it is needed.
        calls: What changes the disk.

    Raises:
        ConfigError: `CONFIG_INVALID`: the folders lie so that nothing could be renamed, or backups would be loaded.
    """
    skills_dir, backup_dir = skills_dir.resolve(), backup_dir.resolve()
    if backup_dir.is_relative_to(skills_dir):
        raise ConfigError("CONFIG_INVALID", "BACKUP_DIR: expected a folder outside of SKILLS_DIR")
    path = skills_dir.parent / ".skill-sync"
    path.mkdir(mode=_OWN_MODE, parents=True, exist_ok=True)
    own = Root(path, calls)
    if not skills_dir.is_dir():
        # Made beside and renamed in, so that it never stands there with the narrow mode that a umask gives it.
        own.make_folders(skills_dir.name)
        own.move(skills_dir.name, Root(skills_dir.parent, calls), skills_dir.name)
    if skills_dir.stat().st_dev != path.stat().st_dev:
        raise ConfigError("CONFIG_INVALID", "SKILLS_DIR: expected a folder of a volume, not the volume's own root")
    return Volume(skills=Root(skills_dir, calls), own=own, backup=Root(backup_dir, calls))


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What an install did, for the caller to remember in one write with the deployment that it was.

    `changed` counts steps; `displaced` lists the foreign paths that were put aside for this deployment.
    """

    state: State
    changed: int
    displaced: tuple[str, ...]


class Installer:
    """Brings a volume to a manifest.

    Args:
        volume: The folders.
        client: Where archives come from.
        clock: For the rest that a removed name needs.
        layouts: `tree`, `flat` or both.
        stopping: Whether the process was asked to end: no further step then begins.
    """

    def __init__(
        self,
        volume: Volume,
        client: ReleaseClient,
        clock: Clock,
        layouts: Collection[str],
        stopping: Callable[[], bool] = bool,
    ) -> None:
        self._volume = volume
        self._clock = clock
        self._layouts = layouts
        self._stopping = stopping
        self._stage = Stage(volume.skills, volume.own, client, stopping)

    def install(
        self, state: State, manifest: Manifest, deployment: DeploymentId, remember: Callable[[State], None]
    ) -> Installed:
        """Install a verified manifest; what stands on the disk already is left alone.

        Args:
            state: What is remembered; its `installing` names what a crash may have left.
            manifest: What shall be live.
            deployment: Names the backup of foreign files.
            remember: Puts a new state on the disk; whatever is raised later, the caller goes on from it.

        Raises:
            UnverifiedError: `bundle_mismatch` or `bundle_rejected`, before anything live changed.
            UnavailableError: an archive could not be fetched; nothing live changed.
            DeadlineError: `STOPPED`, between two steps; the next start completes what is half done.
            OSError: the disk refused; the next try completes what is half done.
        """
        wanted = wanted_files(manifest, self._layouts)
        self._backup(state, deployment).settle()  # what had left the skills folder when an install was interrupted
        state = self._after_interruption(state)
        seen, steps = self._prepare(state, wanted, manifest)
        if not steps and state.installed == _contents(wanted):
            known = state.deployment == deployment
            return Installed(state=state, changed=0, displaced=state.displaced if known else ())
        # From here until the caller remembers the end, a crash leaves a mixture of files, each of which `installed` or
        # `installing` names.
        state = self._begun(state, wanted, seen, steps, deployment)
        remember(state)
        removed_at = self._carry_out(steps, state, self._backup(state, deployment))
        state = replace(state, installed=_contents(wanted), installing=None, removed_at=self._recent(removed_at))
        self._stage.clear()
        return Installed(state=state, changed=len(steps), displaced=state.displaced)

    def _backup(self, state: State, deployment: DeploymentId) -> Backup:
        volume = self._volume
        known = known_contents(state)
        return Backup(skills=volume.skills, own=volume.own, root=volume.backup, deployment=deployment, known=known)

    def _after_interruption(self, state: State) -> State:
        if state.installing is None:
            return state
        # When exactly a name went is not known any more: it rests from now on.
        return replace(state, removed_at=dict.fromkeys(state.removed_at, timestamp(self._clock.now())))

    def _prepare(
        self, state: State, wanted: Mapping[str, Wanted], manifest: Manifest
    ) -> tuple[dict[str, Seen], tuple[Step, ...]]:
        """Stage what is missing, then look again: what is decided on is what stands there now, not before a download."""
        known, staged = known_contents(state), set[str]()
        self._stage.clear()
        for _ in range(_ROUNDS):
            seen = look(self._volume.skills, {*known, *wanted, RELOAD})
            resting = {name for name in state.removed_at if self._rest(state.removed_at, name)}
            unfinished = state.installing is not None
            steps = make_plan(Situation(wanted=wanted, known=known, seen=seen, resting=resting, unfinished=unfinished))
            missing = to_stage(steps, wanted) - staged
            if not missing:
                return seen, steps
            self._stage.fill(manifest, wanted, missing, seen)
            staged |= missing
        raise UnavailableError("VOLUME_BUSY", "the skills folder kept changing while the install was prepared")

    def _begun(
        self,
        state: State,
        wanted: Mapping[str, Wanted],
        seen: Mapping[str, Seen],
        steps: Collection[Step],
        deployment: DeploymentId,
    ) -> State:
        # One content each is enough from here on: the one that stands there, where it is one of ours.
        installed = {**(state.installing or {}), **state.installed}
        for path, contents in known_contents(state).items():
            found = seen.get(path)
            if found is not None and found.blob is not None and found.blob in contents:
                installed[path] = found.blob
        continued = state.installing is not None or state.deployment == deployment
        displaced = (*(state.displaced if continued else ()), *displaced_by(steps))
        # Written before it happens: after a crash the name rests too.
        leaving = [step.path for step in steps if isinstance(step, Remove | Displace) and "/" not in step.path]
        return replace(
            state,
            installed=installed,
            installing=_contents(wanted),
            removed_at={**state.removed_at, **dict.fromkeys(leaving, timestamp(self._clock.now()))},
            displaced=tuple(dict.fromkeys(displaced)),
        )

    def _carry_out(self, steps: Collection[Step], state: State, backup: Backup) -> dict[str, str]:
        removed_at = dict(state.removed_at)
        for step in steps:
            left = self._rest(removed_at, step.path) if isinstance(step, Add) else 0.0
            if left:
                self._clock.sleep(left)
            if self._stopping():
                raise DeadlineError("STOPPED", "the puller was asked to end between two steps")
            self._take(step, backup)
            if isinstance(step, Remove | Displace) and "/" not in step.path:
                removed_at[step.path] = timestamp(self._clock.now())
        return removed_at

    def _take(self, step: Step, backup: Backup) -> None:
        skills = self._volume.skills
        match step:
            case Add(path=path) | Replace(path=path):
                self._volume.own.move(f"{STAGING}/{path}", skills, path)
            case Keep(path=path):
                backup.keep(path)
            case Displace(path=path) | Remove(path=path):
                backup.take(path)
            case Delete(path=path):
                skills.delete(path)
            case Prune(path=path):
                self._prune(path)
            case Touch(path=path):
                skills.touch(path)

    def _prune(self, folder: str) -> None:
        try:
            self._volume.skills.delete_folder(folder)
        except OSError:
            if not self._volume.skills.names(folder):
                raise
            # Somebody has put something into it since it was looked at: it stays.

    def _rest(self, removed_at: Mapping[str, str], name: str) -> float:
        """Return for how many seconds a name may not come back yet."""
        if name not in removed_at:
            return 0.0
        left = parse_timestamp(removed_at[name]) + REST - self._clock.now()
        # Never longer than the rest itself, whatever became of the clock meanwhile.
        return min(max(left, timedelta(0)), REST).total_seconds()

    def _recent(self, removed_at: Mapping[str, str]) -> dict[str, str]:
        return {name: at for name, at in removed_at.items() if self._rest(removed_at, name)}


def _contents(wanted: Mapping[str, Wanted]) -> dict[str, BlobId]:
    return {path: want.blob for path, want in wanted.items()}
