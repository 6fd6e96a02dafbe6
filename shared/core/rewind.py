"""Whether the store was taken back in time: what it says is live, against what anybody with a signature remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.states import MISMATCH, PENDING
from shared.core.verify import UnverifiedPointer, examine, floor_of, read_former, read_pointer
from shared.errors import UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.model import Pointer, Trust

_UNVERIFIABLE = "pointer_unverifiable"
_UNPROVEN = "history_unproven"
_DATED = frozenset({"pointer_expired", "clock_skew"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A pointer that a party remembers, proved by our own signature on it. `epoch` may be ahead of the trust's."""

    party: str
    pointer: Pointer
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreVerdict:
    """What the store's pointer is worth.

    Args:
        pointer: The live one, None where there is none of this epoch that can be believed.
        formers: Those of older epochs, newest first, to go on from in this one.
        restore: A witness of this very epoch, to be put back where `current` holds what nobody signed.
        reason: What is wrong, empty when nothing is.
        detail: The same for people.
        against: The witness that accuses the store.
    """

    pointer: Pointer | None = None
    formers: tuple[Witness, ...] = ()
    restore: Witness | None = None
    reason: str = ""
    detail: str = ""
    against: Witness | None = None


def judge_store(current: bytes | None, witnesses: Sequence[Witness], trust: Trust, now: datetime) -> StoreVerdict:
    """Judge what the store says is live.

    Args:
        current: The envelope in `current.json`, None when there is none; read after all that the witnesses say.
        witnesses: What is remembered.
        trust: The newest trust.
        now: The time.
    """
    for witness in witnesses:
        if witness.pointer.epoch > trust.epoch:
            detail = f"{witness.party} remembers epoch {witness.pointer.epoch}, the trust says {trust.epoch}"
            return StoreVerdict(reason=MISMATCH, detail=detail, against=witness)
    same = [witness for witness in witnesses if witness.pointer.epoch == trust.epoch]
    older = [witness for witness in witnesses if witness.pointer.epoch < trust.epoch]
    if current is None:
        return _without(same, older)
    try:
        found = read_former(UnverifiedPointer(current), trust)
    except UnverifiedError as error:
        return _unbelieved(error, same, older)
    if found.epoch < trust.epoch and same:
        against = _newest(same)
        detail = f"the pointer is of epoch {found.epoch}, {against.party} remembers {against.pointer.deployment}"
        return StoreVerdict(reason=MISMATCH, detail=detail, against=against)
    if found.epoch < trust.epoch:
        itself = Witness(party="store", pointer=found, envelope=current)
        # What is live goes before what is only remembered, where both are the same deployment.
        return StoreVerdict(formers=_ordered([itself, *older]), reason=PENDING, detail=f"still epoch {found.epoch}")
    return _compared(current, same, trust, now)


def _without(same: Sequence[Witness], older: Sequence[Witness]) -> StoreVerdict:
    if same:
        against = _newest(same)
        return StoreVerdict(
            reason=MISMATCH, detail=f"{against.party} remembers a pointer, there is none", against=against
        )
    if older:
        return StoreVerdict(formers=_ordered(older), reason=PENDING, detail="there is no pointer of this epoch yet")
    return StoreVerdict()


def _unbelieved(error: UnverifiedError, same: Sequence[Witness], older: Sequence[Witness]) -> StoreVerdict:
    if error.code != _UNVERIFIABLE:
        return StoreVerdict(reason=error.code, detail=error.message)
    if same:
        return StoreVerdict(reason=error.code, detail=error.message, restore=_newest(same))
    if older:
        return StoreVerdict(formers=_ordered(older), reason=PENDING, detail=error.message)
    return StoreVerdict(reason=error.code, detail=error.message)


def _compared(current: bytes, same: Sequence[Witness], trust: Trust, now: datetime) -> StoreVerdict:
    envelope = UnverifiedPointer(current)
    pointer = read_pointer(envelope, trust)
    for witness in same:
        verdict = examine(envelope, trust, floor_of(witness.pointer), now)
        # A memory that is older than the pointer's history accuses nobody.
        if verdict.reason and verdict.reason not in {*_DATED, _UNPROVEN}:
            return StoreVerdict(reason=verdict.reason, detail=verdict.detail, against=witness)
    dated = examine(envelope, trust, None, now)
    return StoreVerdict(pointer=pointer, reason=dated.reason, detail=dated.detail)


def _newest(witnesses: Sequence[Witness]) -> Witness:
    return _ordered(witnesses)[0]


def _ordered(witnesses: Sequence[Witness]) -> tuple[Witness, ...]:
    # Stable: of the same deployment what stands first stays first.
    return tuple(sorted(witnesses, key=lambda each: (-each.pointer.epoch, -each.pointer.seq)))
