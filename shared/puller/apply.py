"""Bringing the volume to a pointer that is believed: back up, install, prove that the gateway loaded it, or go back.

Whether a pointer may be believed is `follow`'s business; what the gateway says of it, `prove`'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.names import timestamp
from shared.core.verify import UnverifiedPointer, read_record
from shared.errors import SkillSyncError
from shared.puller.install import Order
from shared.puller.prove import Proof
from shared.puller.report import Result, Word
from shared.puller.state import Edition, Failed, Proving

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model import DeploymentId, Pointer, Trust
    from shared.puller.install import Installed, Installer
    from shared.puller.memory import Memory
    from shared.puller.prove import Prover, Verdict
    from shared.puller.snapshot import Snapshots
    from shared.puller.state import State


MAX_FAILURES = 8
"""In a row; the functions undo the first, and are told of the others."""


class Applier:
    """Changes the volume as a whole, one deployment at a time.

    Args:
        installer: Changes the files.
        memory: What the volume remembers.
        layouts: `tree`, `flat` or both.
        snapshots: The backups; None keeps none.
        prover: Asks the gateway; None where nobody can be asked.
    """

    def __init__(
        self,
        installer: Installer,
        memory: Memory,
        layouts: tuple[str, ...],
        snapshots: Snapshots | None = None,
        prover: Prover | None = None,
    ) -> None:
        self._installer = installer
        self._bundles = installer.bundles
        self._clock = installer.clock
        self._layouts = layouts
        self._snapshots = snapshots
        self.memory = memory
        self.prover = prover

    def fetch(self, pointer: Pointer, trust: Trust) -> Edition:
        """Make sure that the manifest of a pointer is here and fit to be installed; errors as for `Bundles.fetch`."""
        reference = pointer.manifest
        target = Edition(manifest=reference.sha256, size=reference.size, skills=reference.skills, layouts=self._layouts)
        self._bundles.fetch(target, trust)
        return target

    def bring(self, pointer: Pointer, target: Edition) -> Word:
        """Install a deployment and prove it; errors as for `Installer.install`.

        Returns:
            `CURRENT` when it stood there already, `INSTALLED`, `UNPROVED`, or `HELD` when it failed its proof, now or before.
        """
        state, deployment = self.memory.state, pointer.deployment
        if state.failed is not None and state.failed.deployment == deployment:
            return self._held(state.failed)
        known = state.deployment == deployment
        self._back_up(lambda snapshots: snapshots.hand_over(state, deployment))
        if self.prover is not None and not known:
            self.memory.state = replace(state, proving=self.prover.before(state, target, deployment))
        started, fetching = self._clock.monotonic(), self._installer.stage.fetching_seconds
        done = self._install(Order(target=target, deployment=deployment))
        if known and not done.changed and not state.unfinished:
            self.memory.state = done.state
            return self.stand(pointer)
        self._remember_installed(done.state, deployment)
        self.relax()
        log.info(
            "Installed deployment",
            deployment=deployment,
            commit=pointer.commit,
            steps=done.changed,
            skills=pointer.manifest.skills,
            displaced=done.displaced,
            took_ms=round(1000 * (self._clock.monotonic() - started), 1),
            fetching_ms=round(1000 * (self._installer.stage.fetching_seconds - fetching), 1),
        )
        return self._prove(waiting=True) or Word(outcome=Result.INSTALLED)

    def _remember_installed(self, state: State, deployment: DeploymentId) -> None:
        own = state.proving if state.proving is not None and state.proving.deployment == deployment else None
        # Where there is nothing to prove, what stood before stands again, and that was in order.
        failures = () if own is None else state.failures
        at = timestamp(self._clock.now())
        self.memory.remember(replace(state, deployment=deployment, installed_at=at, proving=own, failures=failures))

    def stand(self, pointer: Pointer) -> Word:
        """Say how things stand while a deployment stays the live one; errors as for `Installer.install`."""
        failed = self.memory.state.failed
        if failed is not None and failed.deployment == pointer.deployment:
            return self._held(failed)
        return self._prove(waiting=False) or Word(outcome=Result.CURRENT)

    def finish(self, trust: Trust) -> None:
        """Complete an install that was cut short, though what is offered now is refused: a mixture must not be served.

        What was being installed had passed every check, and its objects are named by their content.
        """
        state = self.memory.state
        try:
            pointer = read_record(UnverifiedPointer(state.envelope), trust)
            self.bring(pointer, self.fetch(pointer, trust))
        except (SkillSyncError, OSError) as error:
            log.warning("An install that was cut short cannot be completed yet", detail=str(error))

    def look_after(self) -> bool:
        """Do what is not urgent: the next backup, and throwing away manifests that nobody needs any more.

        Returns:
            Whether it was done; what fails is told, and keeps nothing from being installed.
        """
        state = self.memory.state
        return self._spare_time(lambda: self._tidy(state)) and self._back_up(lambda each: each.make_ready(state))

    def relax(self) -> None:
        """Give back memory that is not needed until the next look."""
        self._bundles.relax()

    def _tidy(self, state: State) -> None:
        needed = {each.manifest for each in state.editions}
        if state.proving is not None and state.proving.former is not None:
            needed.add(state.proving.former.manifest)
        if self._snapshots is not None:
            needed |= self._snapshots.manifests
        self._bundles.keep(needed)
        self._bundles.relax()
        if state.installed is not None:
            self._bundles.sync(state.installed)

    def _back_up(self, act: Callable[[Snapshots], None]) -> bool:
        snapshots = self._snapshots
        return snapshots is None or self._spare_time(lambda: act(snapshots), "The backup cannot be made")

    def _spare_time(self, act: Callable[[], None], failed: str = "The puller's folder cannot be tidied up") -> bool:
        try:
            act()
        except (OSError, SkillSyncError) as error:
            code = f"OS_{error.errno}" if isinstance(error, OSError) else error.code
            log.warning(failed, code=code, detail=str(error))
            return False
        return True

    def _install(self, order: Order) -> Installed:
        return self._installer.install(self.memory.state, order, self.memory.remember)

    def _prove(self, *, waiting: bool) -> Word | None:
        """Judge the outstanding proof; None when there is none, or when it holds."""
        state = self.memory.state
        if self.prover is None or state.proving is None or state.installed is None:
            return None
        if state.proving.deployment != state.deployment:
            return None  # noted for an install that has not begun
        verdict = self.prover.prove(state.proving, state.installed, waiting=waiting)
        if verdict.proof is Proof.HOLDS:
            self.memory.remember(replace(state, proving=None, failures=()))
            log.info("The gateway has loaded what was installed", deployment=state.deployment, detail=verdict.detail)
            return None
        if verdict.proof is Proof.FAILS:
            return self._go_back(state.proving, state.installed, verdict)
        return Word(outcome=Result.UNPROVED, reasons=verdict.reasons)

    def _go_back(self, proving: Proving, target: Edition, verdict: Verdict) -> Word:
        log.error(
            "The gateway does not stand what was installed; the files from before are put back",
            deployment=proving.deployment,
            reasons=verdict.reasons,
            skills=verdict.skills,
            detail=verdict.detail,
        )
        failed = Failed(
            deployment=proving.deployment, manifest=target.manifest, reasons=verdict.reasons, skills=verdict.skills
        )
        # Noted before the first file goes back: after a crash in between it goes on going back.
        failures = (*self.memory.state.failures, failed)[-MAX_FAILURES:]
        self.memory.remember(replace(self.memory.state, failures=failures))
        return self._held(failed)

    def _held(self, failed: Failed) -> Word:
        proving, installed = self.memory.state.proving, self.memory.state.installed
        if proving is not None and proving.deployment == failed.deployment and installed is not None:
            self._put_back(proving, proving.former or self._bundles.nothing(installed.layouts))
        return Word(outcome=Result.HELD, reasons=failed.reasons)

    def _put_back(self, proving: Proving, former: Edition) -> None:
        """Install what stood before, from the backup where that is whole; errors as for `Installer.install`."""
        spare = None if self._snapshots is None else self._snapshots.copy_of(proving.deployment)
        done = self._install(Order(target=former, deployment=proving.deployment, spare=spare))
        at = timestamp(self._clock.now())
        self.memory.remember(replace(done.state, deployment=proving.former_deployment, installed_at=at, proving=None))
        is_well = self.prover is not None and self.prover.wait_until_well()
        log.info("The files from before are back", deployment=proving.former_deployment, gateway_is_well=is_well)
