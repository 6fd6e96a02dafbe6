"""Proving a reload: what the gateway listed before an install, and asking again behind it until it is proved or too late.

What one look says of a deployment is `proof`'s verdict; going back is `apply`'s business.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING

from shared import log
from shared.core.discover import SKILL_FILE
from shared.core.manifest_view import differences
from shared.errors import DeadlineError
from shared.model import SkillId
from shared.puller.layout import FLAT_SUFFIX, TREE
from shared.puller.proof import Change, judge, listed_before
from shared.puller.sighting import STOPPED
from shared.puller.state import Proving

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.core.manifest_view import Difference
    from shared.model import DeploymentId
    from shared.ports import Clock
    from shared.puller.bundles import Bundles
    from shared.puller.files import Root
    from shared.puller.probe import Probe
    from shared.puller.proof import Verdict as Look
    from shared.puller.sighting import Sighting
    from shared.puller.state import Edition, State

PROOF_SECONDS = 30.0
"""Until then the gateway must have loaded what was installed, and be healthy; what it lists takes some 4 s to ask for."""
SETTLING_SECONDS = 2.0
"""So long a gateway that tells no digests may take to notice a change; before that its word proves nothing."""
PENDING_SECONDS = 10.0
"""So long a skill that may never be listed is waited for."""
FRESH_SECONDS = 60.0
"""How old a look from before the install may be; a routine one is made that often."""
AGAIN_SECONDS = 10.0
"""Between looks at a gateway that was down already."""
MOST_CHANGES = 1000
"""Of more changed skills only the first are looked for by name."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 1.0


class Proof(Enum):
    """What became of a proof. `OPEN`: the gateway was down before, and still is; or this process was asked to end."""

    HOLDS = auto()
    FAILS = auto()
    OPEN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a proof, with codes, the ids of the skills at fault, and a word for people."""

    proof: Proof
    reasons: tuple[str, ...] = ()
    skills: tuple[SkillId, ...] = ()
    detail: str = ""


GATEWAY_DOWN = "gateway_down"


class Prover:
    """Asks one gateway.

    Args:
        probe: Looks at it.
        skills: The skills folder: the digests of what was installed are taken from there.
        bundles: The manifests, which say what a deployment changes.
        clock: For the deadline and the pauses.
        stopping: Whether the process was asked to end.
    """

    def __init__(
        self, probe: Probe, skills: Root, bundles: Bundles, clock: Clock, stopping: Callable[[], bool] = bool
    ) -> None:
        self._probe = probe
        self._skills = skills
        self._bundles = bundles
        self._clock = clock
        self._stopping = stopping
        self._last: Sighting | None = None
        self._looked_at = float("-inf")
        self.proofs = {Proof.HOLDS: 0, Proof.FAILS: 0}
        """How many deployments were proved, and failed, since this process began."""

    @property
    def is_up(self) -> bool | None:
        """Whether the gateway was well at the last look; None before the first."""
        return None if self._last is None else self._last.healthy

    def look(self) -> Sighting:
        """Look at the gateway now."""
        self._last = self._probe.look()
        self._looked_at = self._clock.monotonic()
        return self._last

    def look_sometimes(self) -> None:
        """Look again when the last look is no longer fresh: an install then need not wait for one."""
        if self._age() >= FRESH_SECONDS:
            was = self.is_up
            seen = self.look()
            if seen.healthy is not was:
                told = log.info if seen.healthy else log.warning
                told("The gateway is up" if seen.healthy else "The gateway is down", code=seen.code, detail=seen.detail)

    def before(self, state: State, target: Edition, deployment: DeploymentId) -> Proving | None:
        """Note what is to be known before an install; None when it changes no skill.

        Args:
            state: What is installed; while its own proof is outstanding, what to go back to is what stood before that.
            target: What is going to be installed.
            deployment: Its name.

        Raises:
            DeadlineError: `STOPPED`.
        """
        former, name = state.installed, state.deployment
        if state.proving is not None and state.proving.deployment == name:
            former, name = state.proving.former, state.proving.former_deployment
        if state.proving is not None and state.proving.deployment == deployment and state.unfinished:
            return state.proving  # it was interrupted, and what it has done since may show in the gateway
        changes = self._changes(former, target)
        if not changes:
            return None
        last = self._last
        seen = last if last is not None and last.healthy and self._age() < 2 * FRESH_SECONDS else self.look()
        if seen.code == STOPPED:
            raise DeadlineError("STOPPED", "the puller was asked to end before the gateway was asked")
        listed = None if seen.skills is None else listed_before(seen, changes, others=self._ids(target))
        return Proving(
            deployment=deployment,
            former=former,
            former_deployment=name,
            listed=None if listed is None else tuple(map(SkillId, sorted(listed))),
            was_healthy=seen.healthy,
        )

    def prove(self, proving: Proving, target: Edition, *, waiting: bool) -> Verdict:
        """Ask until it is proved, or the deadline has passed.

        Args:
            proving: What was noted before.
            target: What was installed.
            waiting: Whether to wait for a gateway that was down before; for one that was well it is waited in any case.
        """
        if not proving.was_healthy and not waiting and self._age() < AGAIN_SECONDS:
            return Verdict(proof=Proof.OPEN, reasons=(GATEWAY_DOWN,))
        verdict = self._asked(proving, target, patient=waiting or proving.was_healthy)
        if verdict.proof in self.proofs:
            self.proofs[verdict.proof] += 1
        return verdict

    def wait_until_well(self) -> bool:
        """Wait until the gateway is well, for as long as a proof may take: the files from before were put back."""
        began, pause = self._clock.monotonic(), _FIRST_PAUSE_SECONDS
        while not self.look().healthy:
            if self._stopping() or self._clock.monotonic() - began >= PROOF_SECONDS:
                return False
            self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return True

    def _asked(self, proving: Proving, target: Edition, *, patient: bool) -> Verdict:
        changes, others = self._changes(proving.former, target), self._ids(target)
        listed = None if proving.listed is None else frozenset(map(str, proving.listed))
        began, pause = self._clock.monotonic(), _FIRST_PAUSE_SECONDS
        while True:
            seen = self.look()
            look = judge(listed if proving.was_healthy else None, seen, changes, others=others)
            waited = self._clock.monotonic() - began
            if seen.healthy and _is_enough(look, waited):
                return Verdict(proof=Proof.HOLDS, detail=_told(look))
            if self._stopping() or not patient:
                return Verdict(proof=Proof.OPEN, reasons=(GATEWAY_DOWN,), detail=seen.detail)
            if waited >= PROOF_SECONDS:
                return _too_late(proving, look, seen)
            self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _age(self) -> float:
        return self._clock.monotonic() - self._looked_at

    def _changes(self, former: Edition | None, target: Edition) -> list[Change]:
        old = None if former is None else self._bundles.known(former)
        found = islice(differences(old, self._bundles.view(target)), MOST_CHANGES)
        return [self._change(each, target) for each in found if _is_visible(each)]

    def _change(self, each: Difference, target: Edition) -> Change:
        names = frozenset({str(each.id), *(skill.name for skill in (each.old, each.new) if skill is not None)})
        return Change(id=each.id, names=names, digest=None if each.new is None else self._digest(each.id, target))

    def _digest(self, key: SkillId, target: Edition) -> str:
        path = f"{key}/{SKILL_FILE}" if TREE in target.layouts else f"{key}{FLAT_SUFFIX}"
        digest = hashlib.sha256()
        try:
            for chunk in self._skills.chunks(path):
                digest.update(chunk)
        except OSError:
            pass  # not installed yet, or taken away by somebody: no gateway can have it
        return digest.hexdigest()

    def _ids(self, target: Edition) -> frozenset[str]:
        view = self._bundles.view(target)
        return frozenset((view.key(at) or b"").decode() for at in view.starts())


def _is_visible(each: Difference) -> bool:
    """Whether a gateway could tell the two apart: a new path in the repository changes nothing on the volume."""
    return each.old is None or each.new is None or each.old.files != each.new.files


def _is_enough(look: Look, waited: float) -> bool:
    if look.failures:
        return False
    return look.certain or waited >= (PENDING_SECONDS if look.pending else SETTLING_SECONDS)


def _too_late(proving: Proving, look: Look, seen: Sighting) -> Verdict:
    if not proving.was_healthy:
        return Verdict(proof=Proof.OPEN, reasons=(GATEWAY_DOWN,), detail=seen.detail)
    reasons = tuple(sorted({code for code, _ in look.failures}))
    skills = tuple(SkillId(key) for _, key in look.failures if key)
    return Verdict(proof=Proof.FAILS, reasons=reasons, skills=skills, detail=seen.detail)


def _told(look: Look) -> str:
    if look.pending:
        return f"not listed as expected, which is no fault: {', '.join(look.pending[:20])}"
    return "by digests" if look.certain else "by health alone, or names"
