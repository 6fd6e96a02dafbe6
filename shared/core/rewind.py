"""Whether the store was taken back in time: what it says is live, against what anybody with a signature remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.states import MISMATCH, PENDING
from shared.core.verify import UnverifiedPointer, examine, floor_of, read_former, read_pointer, read_record
from shared.errors import UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.model import Pointer, Trust

_UNVERIFIABLE = "pointer_unverifiable"
_UNPROVEN = "history_unproven"
_REVOKED = "the signer of the pointer was revoked before it was signed anew: operator epoch bump"
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
        orphan: The newest of an older epoch by a signer who has been revoked since, where there are no formers: what it
            withholds is still known, its content is not to be trusted.
        restore: A witness of this very epoch, to be put back where `current` holds what nobody signed.
        reason: What is wrong, empty when nothing is.
        detail: The same for people.
        against: The witness that accuses the store.
    """

    pointer: Pointer | None = None
    formers: tuple[Witness, ...] = ()
    orphan: Witness | None = None
    restore: Witness | None = None
    reason: str = ""
    detail: str = ""
    against: Witness | None = None


def judge_store(
    current: bytes | None,
    witnesses: Sequence[Witness],
    trust: Trust,
    now: datetime,
    *,
    orphans: Sequence[Witness] = (),
) -> StoreVerdict:
    """Judge what the store says is live.

    Args:
        current: The envelope in `current.json`, None when there is none; read after all that the witnesses say.
        witnesses: What is remembered.
        trust: The newest trust.
        now: The time.
        orphans: Records by signers who have been revoked since.
    """
    for witness in witnesses:
        if witness.pointer.epoch > trust.epoch:
            detail = f"{witness.party} remembers epoch {witness.pointer.epoch}, the trust says {trust.epoch}"
            return StoreVerdict(reason=MISMATCH, detail=detail, against=witness)
    same = [witness for witness in witnesses if witness.pointer.epoch == trust.epoch]
    older = [witness for witness in witnesses if witness.pointer.epoch < trust.epoch]
    if current is None:
        return _without(same, older) or _orphaned(orphans, trust) or StoreVerdict()
    try:
        found = read_former(UnverifiedPointer(current), trust)
    except UnverifiedError as error:
        itself = _by_past_signer(current, trust)
        known = [*orphans, *([] if itself is None else [itself])]
        verdict = StoreVerdict(reason=error.code, detail=_REVOKED if itself else error.message)
        return _unbelieved(error, same, older) or _orphaned(known, trust) or verdict
    if found.epoch < trust.epoch and same:
        against = _newest(same)
        detail = f"the pointer is of epoch {found.epoch}, {against.party} remembers {against.pointer.deployment}"
        return StoreVerdict(reason=MISMATCH, detail=detail, against=against)
    if found.epoch < trust.epoch:
        itself = Witness(party="store", pointer=found, envelope=current)
        # What is live goes before what is only remembered, where both are the same deployment.
        return StoreVerdict(formers=_ordered([itself, *older]), reason=PENDING, detail=f"still epoch {found.epoch}")
    return _compared(current, same, trust, now)


def _without(same: Sequence[Witness], older: Sequence[Witness]) -> StoreVerdict | None:
    if same:
        against = _newest(same)
        return StoreVerdict(
            reason=MISMATCH, detail=f"{against.party} remembers a pointer, there is none", against=against
        )
    if older:
        return StoreVerdict(formers=_ordered(older), reason=PENDING, detail="there is no pointer of this epoch yet")
    return None


def _unbelieved(error: UnverifiedError, same: Sequence[Witness], older: Sequence[Witness]) -> StoreVerdict | None:
    if error.code != _UNVERIFIABLE:
        return StoreVerdict(reason=error.code, detail=error.message)
    if same:
        return StoreVerdict(reason=error.code, detail=error.message, restore=_newest(same))
    if older:
        return StoreVerdict(formers=_ordered(older), reason=PENDING, detail=error.message)
    return None


def _orphaned(orphans: Sequence[Witness], trust: Trust) -> StoreVerdict | None:
    older = [each for each in orphans if each.pointer.epoch < trust.epoch]
    if not older:
        return None
    detail = "what is known of the former epoch was signed by a signer who is revoked"
    return StoreVerdict(orphan=_newest(older), reason=PENDING, detail=detail)


def _by_past_signer(current: bytes, trust: Trust) -> Witness | None:
    try:
        return Witness(party="store", pointer=read_record(UnverifiedPointer(current), trust), envelope=current)
    except UnverifiedError:
        return None


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
