"""Carrying out an install: everything is fetched, verified and staged before the first live file changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.errors import DeadlineError, UnavailableError
from shared.puller.backup import DRIFT, OUT, Backup
from shared.puller.layout import RELOAD, skill_at, top
from shared.puller.look import look
from shared.puller.plan import (
    Add,
    Delete,
    Displace,
    Keep,
    Open,
    Prune,
    Remove,
    Replace,
    Situation,
    Touch,
    announce,
    displaced_by,
    make_plan,
    to_stage,
)
from shared.puller.resting import Resting
from shared.puller.scope import Opened, Scope, gone
from shared.puller.stage import STAGING, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from shared.model import BlobId, DeploymentId, SkillId
    from shared.ports import Clock
    from shared.puller.bundles import Bundles
    from shared.puller.client import ReleaseClient
    from shared.puller.files import Root
    from shared.puller.history import History
    from shared.puller.look import Seen
    from shared.puller.plan import Step
    from shared.puller.scope import Group
    from shared.puller.state import Edition, State
    from shared.puller.volume import Volume

_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be installed.

    Args:
        target: The edition; its manifest is open in `Bundles`.
        deployment: Names the backup of foreign files.
        only: Look at these skills alone: something has changed them.
        spare: A copy of what is wanted, where content is looked for before it is fetched.
    """

    target: Edition
    deployment: DeploymentId
    only: Collection[SkillId] | None = None
    spare: Root | None = None


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
        bundles: The manifests.
        history: Told what is replaced.
        clock: For the rest that a removed name needs.
        stopping: Whether the process was asked to end: no further step then begins.
    """

    def __init__(
        self,
        volume: Volume,
        client: ReleaseClient,
        bundles: Bundles,
        history: History,
        clock: Clock,
        stopping: Callable[[], bool] = bool,
    ) -> None:
        self.volume = volume
        self.bundles = bundles
        self.history = history
        self.clock = clock
        self.stopping = stopping
        self.stage = Stage(volume.skills, volume.own, client, stopping)

    def install(self, state: State, order: Order, remember: Callable[[State], None]) -> Installed:
        """Install a verified manifest; what stands on the disk already is left alone.

        Args:
            state: What is remembered; its `unfinished` names what a crash may have left.
            order: What shall be live.
            remember: Puts a new state on the disk; whatever is raised later, the caller goes on from it.

        Raises:
            UnverifiedError: `bundle_mismatch` or `bundle_rejected`, before anything live changed.
            UnavailableError: an archive could not be fetched; nothing live changed.
            DeadlineError: `STOPPED`, between two steps; the next start completes what is half done.
            OSError: the disk refused; the next try completes what is half done.
        """
        try:
            return _Run(self, state, order, remember).carry_out()
        finally:
            self.stage.stop()


@dataclass(frozen=True, slots=True)
class _Found:
    """What the first pass found of a group: its steps if nothing stood there, nor should have; else its skills' ids."""

    keys: tuple[SkillId, ...]
    new: tuple[Step, ...]


class _Run:
    """One install; what must be known from its first pass to its last lives here."""

    def __init__(self, tools: Installer, state: State, order: Order, remember: Callable[[State], None]) -> None:
        self._tools = tools
        self._skills, self._own = tools.volume.skills, tools.volume.own
        self._order = order
        self._state = state
        self._remember = remember
        self._scope = self._opened(state, order)
        self._staged: set[str] = set()
        self._found: list[_Found] = []
        self._resting = Resting(state, tools.clock)
        self._changed = 0

    def carry_out(self) -> Installed:
        """Look and stage, note what begins, change, announce."""
        self._settle()
        state, target = self._state, self._order.target
        continued = bool(state.unfinished) or state.deployment == self._order.deployment
        state = replace(state, displaced=state.displaced if continued else ())
        if self._prepare():
            self._begin(replace(state, unfinished=(*(each for each in state.unfinished if each != target), target)))
            self._change()
        elif state.unfinished:
            self._take(announce(look(self._skills, {RELOAD}).get(RELOAD)), self._backup({}))
            self._state = state
        else:
            self._state = state
        done = replace(
            self._state, installed=target, unfinished=(), removed_at=self._resting.removed_at(), kept=self._scope.kept()
        )
        self._tools.stage.clear()
        return Installed(state=done, changed=self._changed, displaced=done.displaced)

    def _opened(self, state: State, order: Order) -> Scope:
        bundles = self._tools.bundles
        target = Opened(edition=order.target, view=bundles.view(order.target))
        before = [
            Opened(edition=edition, view=view)
            for edition in dict.fromkeys(state.editions)
            if (view := bundles.known(edition)) is not None
        ]
        return Scope(target, before, state, self._tools.history, order.only)

    def _settle(self) -> None:
        """Sort out what had left the skills folder when an install was interrupted."""
        self._backup(self._scope.knowing(self._own.names(OUT))).settle()

    def _prepare(self) -> bool:
        """Stage what is missing; says whether anything is to be done."""
        self._tools.stage.clear(self._order.spare)
        needed = False
        for group in self._scope.groups():
            seen, steps = self._planned(group)
            self._stage(group, seen, steps)
            needed = needed or bool(steps)
            is_new = bool(steps) and not seen and not group.known
            if group.keys:
                self._found.append(_Found((), steps) if is_new else _Found(tuple(group.keys), ()))
            self._tools.bundles.relax()  # else all of a large manifest would be in memory by the end
        self._tools.stage.sync()
        return needed

    def _begin(self, state: State) -> None:
        # From here until the caller remembers the end, a crash leaves a mixture of files, each of which `installed` or
        # `unfinished` names.
        self._state = state
        self._remember(state)

    def _change(self) -> None:
        late: list[Step] = []
        for found in self._found:
            steps, known = self._again(found)
            waiting = {step: None for step in steps if isinstance(step, Add) and self._resting.seconds(step.path)}
            self._take([step for step in steps if step not in waiting], self._backup(known))
            late += waiting
        self._take(late, self._backup({}))
        self._take(announce(look(self._skills, {RELOAD}).get(RELOAD)), self._backup({}))

    def _planned(self, group: Group) -> tuple[Mapping[str, Seen], tuple[Step, ...]]:
        seen = look(self._skills, group.paths)
        resting = self._resting.among({top(path) for path in group.paths})
        return seen, make_plan(Situation(wanted=group.wanted, known=group.known, seen=seen, resting=resting))

    def _stage(self, group: Group, seen: Mapping[str, Seen], steps: Collection[Step]) -> bool:
        """Stage what these steps need and is not staged; says whether anything was missing."""
        missing = {path for path in to_stage(steps, group.wanted) if not self._is_staged(path)}
        self._tools.stage.fill(group, missing, seen)
        whole = {step.path for step in steps if isinstance(step, Add) and "/" not in step.path}
        self._staged |= whole | {path for path in missing if top(path) not in whole}
        return bool(missing)

    def _is_staged(self, path: str) -> bool:
        return path in self._staged or top(path) in self._staged

    def _again(self, found: _Found) -> tuple[tuple[Step, ...], Mapping[str, frozenset[BlobId]]]:
        """Look again: what is decided on is what stands there now, not before a download."""
        if found.new and not look(self._skills, [step.path for step in found.new]):
            return found.new, {}
        group = self._scope.again(found.keys or {skill_at(step.path): None for step in found.new})
        steps = self._ready(group)
        self._foresee(steps)
        self._tools.history.note(gone(group))
        return steps, group.known

    def _ready(self, group: Group) -> tuple[Step, ...]:
        for _ in range(_ROUNDS):
            seen, steps = self._planned(group)
            if not self._stage(group, seen, steps):
                return steps
            self._tools.stage.sync()
        raise UnavailableError("VOLUME_BUSY", "the skills folder kept changing while the install was prepared")

    def _foresee(self, steps: Collection[Step]) -> None:
        """Note what will be put aside before it happens, so that it is told even after a crash."""
        displaced = dict.fromkeys((*self._state.displaced, *displaced_by(steps)))
        if len(displaced) > len(self._state.displaced):
            self._begin(replace(self._state, displaced=tuple(displaced)))

    def _backup(self, known: Mapping[str, frozenset[BlobId]]) -> Backup:
        volume = self._tools.volume
        folder = DRIFT if self._order.target == self._state.installed else self._order.deployment
        return Backup(skills=volume.skills, own=volume.own, root=volume.backup, folder=folder, known=known)

    def _take(self, steps: Iterable[Step], backup: Backup) -> None:
        names: list[str] = []
        for step in steps:
            self._pause_before(step)
            if isinstance(step, Add | Replace) and "/" not in step.path:
                names.append(step.path)
            else:
                # One flush for all that were moved in, also of other skills, before anything else follows.
                self._tools.stage.move_in(names)
                self._tools.stage.flush()
                names.clear()
                self._carry_out(step, backup)
            self._changed += 1
            if isinstance(step, Remove | Displace) and "/" not in step.path:
                self._resting.begins(step.path)
        self._tools.stage.move_in(names)

    def _pause_before(self, step: Step) -> None:
        left = self._resting.seconds(step.path) if isinstance(step, Add) else 0.0
        if left:
            self._tools.clock.sleep(left)
        if self._tools.stopping():
            raise DeadlineError("STOPPED", "the puller was asked to end between two steps")

    def _carry_out(self, step: Step, backup: Backup) -> None:
        skills = self._skills
        match step:
            case Add(path=path) | Replace(path=path):
                self._own.move(f"{STAGING}/{path}", skills, path)
            case Keep(path=path):
                backup.keep(path)
            case Displace(path=path) | Remove(path=path):
                backup.take(path)
            case Delete(path=path):
                skills.delete(path)
            case Prune(path=path):
                skills.prune(path)
            case Open(path=path):
                skills.open_up(path)
            case Touch(path=path):
                skills.touch(path)
