"""Bringing the volume to a pointer that is believed: back up, install, prove that the gateway loaded it, or go back.

Whether a pointer may be believed is `follow`'s business; what the gateway says of it, `prove`'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.names import timestamp
from shared.core.verify import UnverifiedPointer, read_record
from shared.errors import DeadlineError, SkillSyncError
from shared.puller.install import Order
from shared.puller.prove import GATEWAY_DOWN, Proof
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
_PROOFS = {Proof.HOLDS: "holds", Proof.OPEN: "open"}
"""As the reports have them; a deployment that failed is told by itself."""


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
        self._landed: tuple[DeploymentId, float] | None = None
        self._proved: tuple[DeploymentId, str] | None = None
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
        known = (state.deployment, state.manifest) == (deployment, target.manifest)
        self._back_up(lambda snapshots: snapshots.hand_over(state, deployment))
        # Remembered with the first change: until then the proof that is outstanding is still that of what is installed.
        noted = replace(state, proving=self._before(target, deployment)) if not known else state
        started, fetching = self._clock.monotonic(), self._installer.stage.fetching_seconds
        done = self._install(noted, Order(target=target, deployment=deployment))
        if known and not done.changed and not state.unfinished:
            self.memory.state = done.state
            return self.stand(pointer)
        self._remember_installed(done.state, deployment)
        if not known:
            self._landed = (deployment, self._clock.monotonic())
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
        return self._prove(at_once=True) or Word(outcome=Result.INSTALLED)

    def _before(self, target: Edition, deployment: DeploymentId) -> Proving | None:
        return None if self.prover is None else self.prover.before(self.memory.state, target, deployment)

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
        return self._prove(at_once=False) or Word(outcome=Result.CURRENT)

    def go_on(self) -> None:
        """Go on with the proof that is outstanding, or with going back, whatever is offered now.

        What fails is told, and keeps a newer deployment from nothing: it may be the one that heals.

        Raises:
            DeadlineError: `STOPPED`.
        """
        state = self.memory.state
        try:
            if state.failed is not None and state.proving is not None and _is_of(state.proving, state.failed):
                self._put_back(state.proving)
            elif not state.unfinished:
                self._prove(at_once=False)
        except DeadlineError:
            raise
        except (OSError, SkillSyncError) as error:
            log.warning(
                "The gateway does not stand what is installed, and it cannot be put back yet", detail=str(error)
            )

    def told(self) -> dict[str, object]:
        """Say what the functions count: how long ago this process installed what stands there, how its proof ended, uptime.

        It goes along with every report, since any may be the first that gets through; what was told before counts once.
        """
        news: dict[str, object] = {}
        if self._landed is not None and self._landed[0] == self.memory.state.deployment:
            news["ago_ms"] = round(1000 * (self._clock.monotonic() - self._landed[1]))
        if self._proved is not None and self._proved[0] == self.memory.state.deployment:
            news["proof"] = self._proved[1]
        gateway = {} if self.prover is None else {"gateway": self.prover.uptime.document()}
        return {**({"install": news} if news else {}), **gateway}

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

    def _install(self, state: State, order: Order) -> Installed:
        return self._installer.install(state, order, self.memory.remember)

    def _prove(self, *, at_once: bool) -> Word | None:
        """Judge the outstanding proof; None when there is none, or when it holds."""
        proving, installed = self.memory.state.proving, self.memory.state.installed
        if proving is None or installed is None or proving.deployment != self.memory.state.deployment:
            return None
        if self.prover is None:
            self._end_proof("Nobody can be asked any more whether the gateway has loaded what was installed")
            return None
        verdict = self.prover.prove(proving, installed, at_once=at_once)
        if verdict.proof in _PROOFS:
            self._proved = (proving.deployment, _PROOFS[verdict.proof])
        if verdict.proof is Proof.HOLDS:
            self._end_proof("The gateway has loaded what was installed", detail=verdict.detail)
            return None
        if verdict.proof is Proof.FAILS:
            return self._go_back(proving, installed, verdict)
        return Word(outcome=Result.UNPROVED, reasons=verdict.reasons, about=proving.deployment)

    def _end_proof(self, message: str, **details: str) -> None:
        state = self.memory.state
        self.memory.remember(replace(state, proving=None, failures=()))
        log.info(message, deployment=state.deployment, **details)

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
        state = self.memory.state
        if state.proving is not None and _is_of(state.proving, failed):
            self._put_back(state.proving)
        elif state.unfinished and state.installed is not None:
            # A repair that was cut short: what goes on is not an install, for that would bring what has failed.
            order = Order(target=state.installed, deployment=failed.deployment)
            self.memory.remember(self._install(state, order).state)
        is_down = self.prover is not None and self.prover.is_up is False
        reasons = dict.fromkeys((*failed.reasons, *((GATEWAY_DOWN,) if is_down else ())))
        return Word(outcome=Result.HELD, reasons=tuple(reasons), about=failed.deployment)

    def _put_back(self, proving: Proving) -> None:
        """Install what stood before, from the backup where that is whole; errors as for `Installer.install`."""
        former = proving.former or self._bundles.nothing(self._layouts)
        spare = None if self._snapshots is None else self._snapshots.copy_of(proving.deployment)
        done = self._install(self.memory.state, Order(target=former, deployment=proving.deployment, spare=spare))
        state = replace(done.state, installed=proving.former, deployment=proving.former_deployment, proving=None)
        at = None if proving.former is None else timestamp(self._clock.now())
        self.memory.remember(replace(state, installed_at=at))
        is_well = self.prover is not None and self.prover.wait_until_well()
        log.info("The files from before are back", deployment=proving.former_deployment, gateway_is_well=is_well)


def _is_of(proving: Proving, failed: Failed) -> bool:
    """Whether this proof has failed, so that what was installed is to go back, or is going."""
    return proving.deployment == failed.deployment
