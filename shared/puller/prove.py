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
from shared.puller.uptime import Uptime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
"""A routine look is made that often: an install need not wait for a slow gateway, and for how long it was up is known."""
QUICK_SECONDS = 1.0
"""A gateway that answers sooner is asked anew before an install."""
AGAIN_SECONDS = 10.0
"""Between looks at a gateway that was down already."""
MOST_CHANGES = 1000
"""Of more changed skills only the first are looked for by name."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 1.0


class Proof(Enum):
    """What became of a proof. `OPEN`: the gateway was down before, and still is."""

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
        self._took = 0.0
        self.uptime = Uptime(clock)
        self.proofs = {Proof.HOLDS: 0, Proof.FAILS: 0}
        """How many deployments were proved, and failed, since this process began."""

    @property
    def is_up(self) -> bool | None:
        """Whether the gateway was well at the last look; None before the first."""
        return None if self._last is None else self._last.healthy

    def look(self) -> Sighting:
        """Look at the gateway now."""
        began = self._clock.monotonic()
        self._last = self._probe.look()
        self._looked_at = self._clock.monotonic()
        self._took = self._looked_at - began
        if self._last.code != STOPPED:
            self.uptime.note(healthy=self._last.healthy)
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
            state: What is installed. While a proof is outstanding, also that of an install that was cut short, what to go back
                to is what stood before that, and how the gateway was then still counts.
            target: What is going to be installed.
            deployment: Its name.

        Raises:
            DeadlineError: `STOPPED`.
        """
        held = state.proving
        if held is not None and held.deployment == deployment and state.unfinished:
            return held  # it was interrupted, and what it has done since may show in the gateway
        former, name = state.installed, state.deployment
        if held is not None:
            former, name = held.former, held.former_deployment
        changes = self._changes(former, target)
        if not changes:
            return None
        seen = self._fresh_look()
        return Proving(
            deployment=deployment,
            former=former,
            former_deployment=name,
            listed=self._listed(seen, changes, target, held),
            was_healthy=seen.healthy or (held is not None and held.was_healthy),
        )

    def prove(self, proving: Proving, target: Edition, *, at_once: bool) -> Verdict:
        """Ask until it is proved, or the deadline has passed; a gateway that was down before is not waited for.

        Args:
            proving: What was noted before.
            target: What was installed.
            at_once: Whether to ask a gateway that was down though it was asked a moment ago.

        Raises:
            DeadlineError: `STOPPED`; the proof stays outstanding.
        """
        if not (proving.was_healthy or at_once) and self._age() < AGAIN_SECONDS:
            return Verdict(proof=Proof.OPEN, reasons=(GATEWAY_DOWN,))
        verdict = self._asked(proving, target)
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

    def _asked(self, proving: Proving, target: Edition) -> Verdict:
        changes, others = self._changes(proving.former, target), self._ids(target)
        listed = None if proving.listed is None else frozenset(map(str, proving.listed))
        began, pause = self._clock.monotonic(), _FIRST_PAUSE_SECONDS
        while True:
            # Of a look that takes seconds nobody knows which of them it shows: only its beginning is sure.
            waited = self._clock.monotonic() - began
            seen = self.look()
            look = judge(listed, seen, changes, others=others)
            if seen.healthy and _is_enough(look, waited):
                return Verdict(proof=Proof.HOLDS, detail=_told(look))
            if seen.code == STOPPED or self._stopping():
                raise DeadlineError("STOPPED", "the puller was asked to end before the reload was proved")
            if not (seen.healthy or proving.was_healthy):
                return Verdict(proof=Proof.OPEN, reasons=(GATEWAY_DOWN,), detail=seen.detail)
            if look.failures and self._clock.monotonic() - began >= PROOF_SECONDS:
                return _failure(look, seen)
            self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _fresh_look(self) -> Sighting:
        """Return how the gateway is now: what is quickly asked is asked anew, so that nobody is blamed for an earlier fall."""
        last, freshness = self._last, 2 * FRESH_SECONDS if self._took >= QUICK_SECONDS else 0.0
        seen = last if last is not None and last.healthy and self._age() < freshness else self.look()
        if seen.code == STOPPED:
            raise DeadlineError("STOPPED", "the puller was asked to end before the gateway was asked")
        return seen

    def _listed(
        self, seen: Sighting, changes: Sequence[Change], target: Edition, held: Proving | None
    ) -> tuple[SkillId, ...] | None:
        former = None if held is None else held.listed
        if seen.skills is None and former is None:
            return None
        ids = {SkillId(change.id) for change in changes}
        listed = set(map(SkillId, listed_before(seen, changes, others=self._ids(target))))
        return tuple(sorted(listed | (ids & set(former or ()))))

    def _age(self) -> float:
        return self._clock.monotonic() - self._looked_at

    def _changes(self, former: Edition | None, target: Edition) -> list[Change]:
        old = None if former is None else self._bundles.known(former)
        found = filter(_is_visible, differences(old, self._bundles.view(target)))
        return [self._change(each, target) for each in islice(found, MOST_CHANGES)]

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


def _failure(look: Look, seen: Sighting) -> Verdict:
    reasons = tuple(sorted({code for code, _ in look.failures}))
    skills = tuple(SkillId(key) for _, key in look.failures if key)
    return Verdict(proof=Proof.FAILS, reasons=reasons, skills=skills, detail=seen.detail)


def _told(look: Look) -> str:
    if look.pending:
        return f"not listed as expected, which is no fault: {', '.join(look.pending[:20])}"
    return "by digests" if look.certain else "by health alone, or names"
