"""The operational state as one pure function: what functions and puller may do, and what a person must do next.

READY deploys. DEGRADED deploys too, and heals by itself. PAUSED never deploys and goes on serving. A latch outlives its cause:
only an operator's new epoch resets it, and what was raised in an older epoch is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.model import Latch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.model import Trust


class Condition(StrEnum):
    """The three states."""

    READY = "READY"
    DEGRADED = "DEGRADED"
    PAUSED = "PAUSED"


MISMATCH = "mismatch_detected"
VIOLATION = "monotonic_violation"
WRONG_CHANNEL = "wrong_channel"
PENDING = "epoch_pending_republish"
REJECTED_BUNDLE = "bundle_rejected"
LATCHING = frozenset({MISMATCH, VIOLATION})
PAUSING = LATCHING | {WRONG_CHANNEL, PENDING, REJECTED_BUNDLE}

_BUMP = "find out who rewound the store, then: operator epoch bump, operator trust push"
_PUSH = "the trust was rewound too: operator trust push; then look again"
_ACK = "find out how two histories came to be, then: operator epoch bump --incident ID, operator trust push"
_ACK_ONLY = "the violation is not acknowledged: operator pause ack --incident ID, operator trust push"
_ACTIONS = {
    WRONG_CHANNEL: "let CHANNEL, GITHUB_OWNER, GITHUB_REPO and GITHUB_BRANCH agree with the trust",
    PENDING: "none: the next sync publishes in the new epoch",
    REJECTED_BUNDLE: "look at the manifest that was refused; any other one is tried",
    "trust_invalid": "look at the newest file in trust/: it does not follow its predecessor",
    "trust_expired": "sign a new version of the trust; nothing is blocked meanwhile",
    "pointer_unverifiable": "see who wrote current.json; if its signer was revoked too early: operator epoch bump",
    "pointer_expired": "see why nobody polls; the poll signs the pointer anew",
    "clock_skew": "set the clock of this host",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state with its reasons, the pausing ones first. `since` is when the oldest latch in force was raised."""

    condition: Condition
    reasons: tuple[str, ...] = ()
    since: str | None = None

    @property
    def deploys_allowed(self) -> bool:
        """Whether anything may be published or installed."""
        return self.condition is not Condition.PAUSED


def with_latch(latches: Iterable[Latch], reason: str, trust: Trust, at: str) -> tuple[Latch, ...]:
    """Raise a latch, if the reason is one that latches; it carries the epoch of the trust, and keeps its first time.

    Args:
        latches: Those that are known.
        reason: Why.
        trust: As it is now.
        at: The time.
    """
    known = tuple(latches)
    if reason not in LATCHING or any((each.reason, each.epoch) == (reason, trust.epoch) for each in known):
        return known
    return (*known, Latch(reason=reason, epoch=trust.epoch, since=at))


def in_force(latches: Iterable[Latch], trust: Trust) -> tuple[Latch, ...]:
    """Return the latches that still hold: a new epoch resets them, a violation only together with its acknowledgement."""
    return tuple(each for each in latches if not _is_reset(each, trust))


def state_of(troubles: Iterable[str], latches: Iterable[Latch], trust: Trust) -> State:
    """Say in which state a party is.

    Args:
        troubles: The reasons that its last look found; none when all is well.
        latches: Those that it remembers.
        trust: The newest trust that it believes.
    """
    holding = in_force(latches, trust)
    reasons = {each.reason for each in holding} | set(troubles)
    ordered = tuple(sorted(reasons, key=lambda reason: (reason not in PAUSING, reason)))
    since = min((each.since for each in holding), default=None)
    if not ordered:
        return State(condition=Condition.READY)
    paused = ordered[0] in PAUSING
    return State(condition=Condition.PAUSED if paused else Condition.DEGRADED, reasons=ordered, since=since)


def next_action(state: State, latches: Iterable[Latch], trust: Trust, *, remembered_epoch: int) -> str:
    """Say what a person has to do next; "none" when nothing.

    Args:
        state: The state.
        latches: Those that are remembered.
        trust: The newest trust that is believed.
        remembered_epoch: The highest epoch that anybody remembers, 0 where nobody does.
    """
    if remembered_epoch > trust.epoch:
        return _PUSH
    for latch in in_force(latches, trust):
        if latch.reason == VIOLATION:
            return _ACK_ONLY if trust.epoch > latch.epoch else _ACK
    actions: Mapping[str, str] = {**_ACTIONS, MISMATCH: _BUMP, VIOLATION: _ACK}
    return next((actions[reason] for reason in state.reasons if reason in actions), "none")


def _is_reset(latch: Latch, trust: Trust) -> bool:
    if latch.epoch > trust.epoch:
        return True  # nobody can have raised it; what lies ahead of the trust is found out by the memory itself
    return trust.epoch > latch.epoch and (latch.reason != VIOLATION or trust.ack >= latch.epoch)
