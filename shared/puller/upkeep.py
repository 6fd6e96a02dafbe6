"""Keeping the volume as it was installed: what somebody changed is confirmed by content, repaired or only told.

Files that are not ours stay, wherever they are. A skill of which an earlier version stands there, and nothing that was edited,
was put back by an operator, on purpose: it is told, and kept until it gets a new archive or `--resume` is asked for.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from shared import log
from shared.errors import DeadlineError, SkillSyncError
from shared.puller.drift import CHANGED, KEPT, REPAIRED, REPORTED, Case
from shared.puller.install import Order
from shared.puller.layout import files_of
from shared.puller.look import look
from shared.puller.scope import GROUP
from shared.puller.stillness import Stillness
from shared.puller.sweep import Sweep, share_of
from shared.puller.volume import make_watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shared.core.manifest_view import ManifestView
    from shared.model import BlobId, Digest, SkillId
    from shared.ports import Clock
    from shared.puller.drift import Drift
    from shared.puller.files import Root
    from shared.puller.install import Installer
    from shared.puller.memory import Memory
    from shared.puller.snapshot import Snapshots
    from shared.puller.state import Edition

REPAIR, REPORT = "repair", "report"
RESUME = "resume"
"""An empty file of this name in the puller's own folder asks it to take everything back under its care."""
TRYING_SECONDS = 10.0
"""For so long one look goes on trying to repair the others, when one could not be repaired."""


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
        self._resuming = False
        self._tried: Edition | None = None
        self._looked_at: float | None = None
        self._moving = Stillness(clock)
        self._owed: set[SkillId] = set()
        self._told: dict[SkillId, frozenset[int]] = {}
        self._waiting: list[Drift] = []
        self._fault = ""
        self.sweep = Sweep(self._skills)
        self.cpu_seconds = 0.0
        """What all looks, and what was confirmed and repaired in them, have cost since this process began."""
        self.counts: Counter[str] = Counter()
        """How many paths were repaired, reported and kept since this process began."""

    @property
    def is_cut_short(self) -> bool:
        """Whether a repair was interrupted: nothing but what is installed was being written."""
        state = self._memory.state
        return state.installed is not None and set(state.unfinished) == {state.installed}

    def prepare(self) -> bool:
        """Make sure that there is a folder to look after, and take everything back under care if that was asked for.

        Returns:
            Whether that was asked for just now; it stays asked for, over restarts, until everything is as installed.

        Raises:
            OSError: the disk refused.
        """
        make_watched(self._skills, self._own)
        if self._own.stat(RESUME) is None:
            return False
        begins, self._resuming = not self._resuming, True
        if begins:
            log.info("Resumed: everything is taken back under care")
            self._memory.remember(replace(self._memory.state, failures=()))
            self.sweep.forget()
        if begins or not self._owed or self._tried != self._memory.state.installed:
            self._take_back()
        return begins

    def look(self, *, everything: bool = False) -> tuple[Drift, ...]:
        """Look at the skills whose turn it is, and act on what is confirmed.

        Args:
            everything: Look at all skills, and act at once on whatever is wrong.

        Returns:
            What was found, for the report; what was told before and is still so is not told again.
        """
        began = time.thread_time()
        self._look(everything=everything)
        self.cpu_seconds += time.thread_time() - began
        found, self._waiting = tuple(self._waiting), []
        return found

    def start(self) -> None:
        """Begin a round: what stands on the volume was looked at as a whole just now."""
        self._looked_at = self._clock.monotonic()

    def _take_back(self) -> None:
        state = self._memory.state
        if state.unfinished and not self.is_cut_short:
            return  # the install goes first
        self._tried = state.installed
        if self._look(everything=True) and not self._owed:
            self._memory.remember(replace(self._memory.state, kept={}))
            self._own.clear(RESUME)
            self._resuming = False

    def _look(self, *, everything: bool) -> bool:
        """Look, and keep what was found; says whether all that was to be looked at was."""
        now = self._clock.monotonic()
        at_once = everything or self._looked_at is None
        share = 1.0 if at_once or self._looked_at is None else share_of(now - self._looked_at)
        self._looked_at = now
        try:
            for drift in self._round(share, at_once=at_once):
                self._waiting.append(drift)
            # What was being repaired stands, and its end has still to be told.
            is_done = not self._owed and (not self.is_cut_short or self._repair([]))
        except (SkillSyncError, OSError) as error:
            self._complain(error)  # what is still so is found again in the next round
            return False
        if is_done:
            self._fault = ""
        return True

    def _round(self, share: float, *, at_once: bool) -> Iterator[Drift]:
        state = self._memory.state
        if state.installed is None or (state.unfinished and not self.is_cut_short):
            return
        view = self._installer.bundles.known(state.installed)
        if view is None:
            return
        layouts = state.installed.layouts
        suspects = iter(dict.fromkeys((*self._moving, *self.sweep.suspects(view, layouts, share))))
        if at_once:
            self._owed.clear()  # whoever is still owed a repair comes up again
        while keys := list(islice(suspects, GROUP)):
            yield from self._act([case for key in keys if (case := self._case(view, key, layouts))], at_once=at_once)

    def _act(self, cases: list[Case], *, at_once: bool) -> Iterator[Drift]:
        odd = [case for case in cases if not case.is_plain]
        former = self._installer.history.of([case.skill.id for case in odd])
        odd = [self._with_former(case, former[case.skill.id]) for case in odd]
        ready = [case for case in odd if at_once or self._moving.is_still(case.skill.id, case.taken)]
        right = [*(case for case in cases if case.is_plain), *filter(self._is_right, ready)]
        wrong = [case for case in ready if not self._is_right(case)]
        kept = {case.skill.id: case.skill.archive for case in wrong if self._is_kept(case)}
        self._note(kept, right)
        repaired = self._repaired([case for case in wrong if case.skill.id not in kept]) if self._repairs else set()
        for case in right:
            self._settle(case, is_owed=False)
            yield from self._tell(case, REPORTED)
        for case in wrong:
            key = case.skill.id
            self._settle(case, is_owed=self._repairs and key not in kept, is_repaired=key in repaired)
            yield from self._tell(case, KEPT if key in kept else REPAIRED if key in repaired else REPORTED)

    @property
    def _repairs(self) -> bool:
        return self._resuming or self._mode == REPAIR

    def _case(self, view: ManifestView, key: SkillId, layouts: tuple[str, ...]) -> Case | None:
        """Read what stands there of a skill; None when there is no such skill any more, or when it cannot be read."""
        skill = view.find(key)
        try:
            if skill is not None:
                wanted = dict(files_of(skill, layouts))
                taken = self.sweep.take(wanted)
                return Case(skill=skill, wanted=wanted, taken=taken, seen=look(self._skills, wanted))
        except OSError as error:
            self._complain(error)
            self._owed.add(key)
        self._moving.forget(key)
        return None

    def _with_former(self, case: Case, former: Mapping[str, frozenset[BlobId]]) -> Case:
        seen = look(self._skills, {*case.wanted, *former}) if former else case.seen
        return replace(case, former=former, seen=seen)

    def _is_right(self, case: Case) -> bool:
        is_half_done = self._resuming or case.skill.id in self._memory.state.repairing
        return case.is_right and not (is_half_done and case.has_hollow)

    def _is_kept(self, case: Case) -> bool:
        state, key = self._memory.state, case.skill.id
        if self._resuming or key in state.repairing:
            return False
        return state.kept.get(key) == case.skill.archive or case.is_restored

    def _note(self, kept: Mapping[SkillId, Digest], right: Iterable[Case]) -> None:
        """Note what an operator keeps from now on, and what is as installed again, and so under care again."""
        state = self._memory.state
        healed = {case.skill.id for case in right}
        now = {key: archive for key, archive in {**state.kept, **kept}.items() if key not in healed}
        repairing = tuple(key for key in state.repairing if key not in healed)
        if (now, repairing) != (state.kept, state.repairing):
            self._memory.remember(replace(state, kept=now, repairing=repairing))

    def _repaired(self, cases: list[Case]) -> set[SkillId]:
        """Repair what can be repaired, and return it: together, or one by one, so that no skill stands in another's way."""
        # What failed the last time comes last.
        keys = sorted((case.skill.id for case in cases), key=lambda key: (key in self._owed, key))
        if not keys or self._repair(keys):
            return set(keys)
        done: set[SkillId] = set()
        began = self._clock.monotonic()
        for key in keys if len(keys) > 1 else []:
            if self._repair([key]):
                done.add(key)
            elif self._clock.monotonic() - began >= TRYING_SECONDS:
                break
        return done

    def _repair(self, only: list[SkillId]) -> bool:
        state = self._memory.state
        if state.installed is None or state.deployment is None:
            return False
        spare = None if self._snapshots is None else self._snapshots.copy_of_now()
        order = Order(target=state.installed, deployment=state.deployment, only=only, spare=spare)
        # With the first change it is on the disk which skills are half repaired: no person brought back what they hold.
        begun = replace(state, repairing=tuple(sorted({*state.repairing, *only})))
        try:
            done = self._installer.install(begun, order, self._memory.remember).state
            self._memory.remember(replace(done, repairing=tuple(key for key in done.repairing if key not in only)))
        except DeadlineError:
            raise
        except (SkillSyncError, OSError) as error:
            self._complain(error)
            return False
        return True

    def _settle(self, case: Case, *, is_owed: bool, is_repaired: bool = False) -> None:
        """Remember how things look now; what was repaired is looked at once more, for it has new numbers."""
        key = case.skill.id
        self._moving.forget(key)
        self._owed.discard(key)
        if not is_owed:
            self.sweep.is_right(key, case.taken)
        elif not is_repaired:
            self._owed.add(key)

    def _tell(self, case: Case, action: str) -> Iterator[Drift]:
        """Yield what is news: what was repaired, and what is not as it was when it was told before."""
        found = {
            hash((each, case.seen.get(each.path) if each.what == CHANGED else None)): each
            for each in case.drift(action)
        }
        told = self._told.pop(case.skill.id, frozenset())
        standing = frozenset(mark for mark, each in found.items() if each.action != REPAIRED)
        if standing:
            self._told[case.skill.id] = standing
        for each in (each for mark, each in found.items() if mark not in told):
            self.counts[each.action] += 1
            log.warning("A file was not as it was installed", path=each.path, what=each.what, action=each.action)
            yield each

    def _complain(self, error: SkillSyncError | OSError) -> None:
        code = f"OS_{error.errno}" if isinstance(error, OSError) else error.code
        if code != self._fault:
            log.warning("What somebody changed cannot be repaired yet", code=code, detail=str(error))
        self._fault = code
