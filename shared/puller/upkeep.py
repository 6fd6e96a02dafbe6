"""Keeping the volume as it was installed: what somebody changed is confirmed by content, repaired or only told.

Files that are not ours stay, wherever they are. A skill whose changed files all equal what this puller installed there
before was put back by an operator, on purpose: it is told, and kept until it gets a new archive or `--resume` is asked for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import log
from shared.errors import SkillSyncError
from shared.puller.install import Order
from shared.puller.layout import ancestors, files_of
from shared.puller.look import Thing, look
from shared.puller.sweep import ROUND_SECONDS, Sweep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.core.manifest_view import ManifestView
    from shared.model import LiveSkill, SkillId
    from shared.ports import Clock
    from shared.puller.files import Root
    from shared.puller.install import Installer
    from shared.puller.layout import Wanted
    from shared.puller.look import Seen
    from shared.puller.memory import Memory
    from shared.puller.snapshot import Snapshots

REPAIR, REPORT = "repair", "report"
RESUME = "resume"
"""An empty file of this name in the puller's own folder asks it to take everything back under its care."""
MISSING, CHANGED, ADDED = "missing", "changed", "added"
REPAIRED, REPORTED, KEPT = "repaired", "reported", "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One path that was not as installed. `what` became of it: `changed`, `missing`, `added`; what was done: `action`."""

    path: str
    what: str
    action: str


class Upkeep:
    """Looks after the installed files of one volume.

    Args:
        installer: Repairs.
        memory: What is installed, and what an operator keeps.
        clock: Says how much of a round is due.
        snapshots: Their newest copy serves for repairs while nothing can be fetched; None where none are kept.
        mode: `repair` or `report`.
    """

    def __init__(
        self,
        installer: Installer,
        memory: Memory,
        clock: Clock,
        snapshots: Snapshots | None = None,
        *,
        mode: str = REPAIR,
    ) -> None:
        self._skills: Root = installer.volume.skills
        self._own: Root = installer.volume.own
        self._installer = installer
        self._memory = memory
        self._clock = clock
        self._snapshots = snapshots
        self._mode = mode
        self._looked_at: float | None = None
        self._told: set[tuple[str, str, str]] = set()
        self._fault = ""
        self.sweep = Sweep(self._skills)
        self.counts: Counter[str] = Counter()
        """How many paths were repaired, reported and kept since this process began."""

    def resume(self) -> bool:
        """Take everything back under care if that was asked for; says whether it was."""
        if self._own.stat(RESUME) is None:
            return False
        self._memory.remember(replace(self._memory.state, kept={}, failures=()))
        self._own.clear(RESUME)
        log.info("Resumed: everything is kept as it was installed again")
        self.sweep.forget()
        self._told.clear()
        self._repair_all()
        return True

    def look(self, *, everything: bool = False) -> tuple[Drift, ...]:
        """Look at the skills whose turn it is, and act on what is confirmed.

        Args:
            everything: Look at all skills.

        Returns:
            What was found, for the report; what was told before and is still so is not told again.
        """
        now = self._clock.monotonic()
        share = 1.0 if everything or self._looked_at is None else min(1.0, (now - self._looked_at) / ROUND_SECONDS)
        self._looked_at = now
        try:
            found = self._act(share)
        except (SkillSyncError, OSError) as error:
            code = f"OS_{error.errno}" if isinstance(error, OSError) else error.code
            if code != self._fault:
                log.warning("What somebody changed cannot be repaired yet", code=code, detail=str(error))
            self._fault = code
            return ()  # what is still so is found again in the next round
        self._fault = ""
        return found

    def start(self) -> None:
        """Begin a round: what stands on the volume was looked at as a whole just now."""
        self._looked_at = self._clock.monotonic()

    def _act(self, share: float) -> tuple[Drift, ...]:
        state, bundles = self._memory.state, self._installer.bundles
        view = None if state.installed is None or state.unfinished else bundles.known(state.installed)
        if view is None or state.installed is None:
            return ()
        layouts = state.installed.layouts
        cases = [self._case(view, key, layouts) for key in self.sweep.suspects(view, layouts, share)]
        wrong = [case for case in cases if case.faults]
        kept = [case for case in wrong if self._is_kept(case)]
        broken = [case for case in wrong if case not in kept]
        self._keep(kept)
        if broken and self._mode == REPAIR:
            self._repair(broken)
        found = [
            *(each for case in kept for each in case.drift(KEPT)),
            *(each for case in broken for each in case.drift(REPAIRED if self._mode == REPAIR else REPORTED)),
            *(Drift(path=path, what=ADDED, action=REPORTED) for case in cases for path in case.added),
        ]
        self._settle(cases, repaired=broken if self._mode == REPAIR else [])
        return self._news(found)

    def _case(self, view: ManifestView, key: SkillId, layouts: tuple[str, ...]) -> _Case:
        skill = view.find(key)
        wanted = {} if skill is None else dict(files_of(skill, layouts))
        fingerprint = self.sweep.fingerprint(wanted)
        return _Case(key=key, skill=skill, wanted=wanted, seen=look(self._skills, wanted), fingerprint=fingerprint)

    def _is_kept(self, case: _Case) -> bool:
        """Whether an operator put an earlier version back: what changed is all ours, and nothing is missing."""
        if case.skill is not None and self._memory.state.kept.get(case.key) == case.skill.archive:
            return True
        former = self._installer.history.of(case.key)
        return all(
            what == CHANGED and case.seen[path].blob in former.get(path, ()) for path, what in case.faults.items()
        )

    def _keep(self, cases: Iterable[_Case]) -> None:
        state = self._memory.state
        kept = {**state.kept, **{case.key: case.skill.archive for case in cases if case.skill is not None}}
        if kept != state.kept:
            self._memory.remember(replace(state, kept=kept))

    def _repair(self, cases: Iterable[_Case]) -> None:
        state = self._memory.state
        if state.installed is None or state.deployment is None:
            return
        spare = None if self._snapshots is None else self._snapshots.copy_of_now()
        only = [case.key for case in cases]
        order = Order(target=state.installed, deployment=state.deployment, only=only, spare=spare)
        self._memory.remember(self._installer.install(state, order, self._memory.remember).state)

    def _settle(self, cases: Iterable[_Case], repaired: list[_Case]) -> None:
        """Remember how things look now; what was repaired is looked at once more, for it has new numbers."""
        for case in cases:
            if case not in repaired:
                self.sweep.is_right(case.key, case.fingerprint)

    def _news(self, found: Iterable[Drift]) -> tuple[Drift, ...]:
        news = [each for each in found if (each.path, each.what, each.action) not in self._told]
        self.counts.update(each.action for each in news)
        for each in news:
            log.warning("A file was not as it was installed", path=each.path, what=each.what, action=each.action)
            if each.action != REPAIRED:
                self._told.add((each.path, each.what, each.action))
        return tuple(news)

    def _repair_all(self) -> None:
        mode, self._mode = self._mode, REPAIR
        try:
            self.look(everything=True)
        finally:
            self._mode = mode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """One suspicious skill: what shall stand, what stands, and how it looked just before that was read."""

    key: SkillId
    skill: LiveSkill | None
    wanted: Mapping[str, Wanted]
    seen: Mapping[str, Seen]
    fingerprint: int

    @property
    def faults(self) -> dict[str, str]:
        """The paths that are not as they shall be, with what is wrong."""
        return {
            path: CHANGED if path in self.seen else MISSING
            for path, want in self.wanted.items()
            if not _is_as_installed(self.seen.get(path), want)
        }

    @property
    def added(self) -> list[str]:
        """The paths of what is not ours inside the skill's folders."""
        folders = {folder for path in self.wanted for folder in ancestors(path)}
        return [path for path in self.seen if path not in self.wanted and path not in folders]

    def drift(self, action: str) -> list[Drift]:
        """List the faults with what was done."""
        return [Drift(path=path, what=what, action=action) for path, what in self.faults.items()]


def _is_as_installed(seen: Seen | None, want: Wanted) -> bool:
    # The gateway refuses a file with a second hard link.
    is_file = seen is not None and seen.thing is Thing.FILE and seen.links == 1
    return is_file and seen is not None and (seen.blob, seen.mode) == (want.blob, want.mode)
