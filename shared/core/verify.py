"""Whether a pointer may be believed: from bytes that anybody could have sent to a `Pointer`, one check after the other.

The order is the rule. The signature comes before the payload is parsed, so that only a signer can reach the parser; and
what a signer said decides before the dates do, so that a clock alone can never accuse anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NewType

from shared.core.canonical import digest_of
from shared.core.envelope import open_envelope
from shared.core.names import parse_timestamp
from shared.core.pointer import PAYLOAD_TYPE, lineage, parse_pointer
from shared.errors import InputError, UnverifiedError
from shared.model import Floor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.model import Pointer, Trust

UnverifiedPointer = NewType("UnverifiedPointer", bytes)
"""An envelope as it came in; `verify_pointer` makes a `Pointer` of it, or says why not."""

CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the checks say of an envelope: the pointer, or the reason why there is none, with a sentence for people."""

    pointer: Pointer | None
    reason: str = ""
    detail: str = ""


def examine(
    envelope: UnverifiedPointer, trust: Trust, floor: Floor | None, now: datetime, *, proven: Pointer | None = None
) -> Verdict:
    """Judge an envelope by checks 3 to 9, as `verify_pointer`, with a verdict in place of an error."""
    try:
        return Verdict(pointer=verify_pointer(envelope, trust, floor, now, proven=proven))
    except UnverifiedError as error:
        return Verdict(pointer=None, reason=error.code, detail=error.message)


def read_pointer(envelope: UnverifiedPointer, trust: Trust) -> Pointer:
    """Prove who signed, that it is about our content, and that it is of this epoch (checks 3 to 6).

    Args:
        envelope: The bytes.
        trust: Whose signature counts.

    Raises:
        UnverifiedError: `pointer_unverifiable`, `wrong_channel`, `monotonic_violation` (an epoch ahead of the trust) or
            `epoch_pending_republish` (behind it).
    """
    pointer = read_former(envelope, trust)
    if pointer.epoch < trust.epoch:
        raise UnverifiedError("epoch_pending_republish", f"epoch {pointer.epoch} is behind the trusted {trust.epoch}")
    return pointer


def read_former(envelope: UnverifiedPointer, trust: Trust) -> Pointer:
    """Prove the same of a pointer that may be of an older epoch; errors as `read_pointer`."""
    return _not_ahead(_read(envelope, trust, trust.signer_keys), trust)


def read_record(envelope: UnverifiedPointer, trust: Trust) -> Pointer:
    """Prove that one of our signers wrote a record, though its key may have been revoked since: enough to show it to people.

    Args:
        envelope: The bytes.
        trust: Names the signers, past ones too.

    Raises:
        UnverifiedError: as `read_pointer`, but for an older epoch.
    """
    return _not_ahead(_read(envelope, trust, {**trust.past_signers, **trust.signer_keys}), trust)


def verify_pointer(
    envelope: UnverifiedPointer, trust: Trust, floor: Floor | None, now: datetime, *, proven: Pointer | None = None
) -> Pointer:
    """Prove that an envelope holds the newest pointer we may follow (checks 3 to 9).

    Args:
        envelope: The bytes.
        trust: Whose signature counts.
        floor: The newest pointer accepted so far, None before the first.
        now: The verifier's wall clock.
        proven: The verified record of the floor's deployment, where the floor is older than the pointer's history.

    Returns:
        The pointer. It may be the remembered one, or an older refresh of it: the caller then changes nothing.

    Raises:
        UnverifiedError: as `read_pointer`, and `mismatch_detected` (epoch or sequence behind the floor),
            `monotonic_violation` (another history), `history_unproven` (give `proven`), `clock_skew`, `pointer_expired`.
    """
    pointer = read_pointer(envelope, trust)
    if floor is not None and floor.epoch >= pointer.epoch:
        _check_lineage(pointer, floor, proven)
    if parse_timestamp(pointer.issued_at) > now + CLOCK_TOLERANCE:
        raise UnverifiedError("clock_skew", f"issued at {pointer.issued_at}, over five minutes ahead of this clock")
    if parse_timestamp(pointer.expires_at) <= now:
        raise UnverifiedError("pointer_expired", f"expired at {pointer.expires_at}")
    return pointer


def is_by_current_signer(envelope: UnverifiedPointer, trust: Trust) -> bool:
    """Whether a key that signs today signed it."""
    return _is_signed(envelope, trust.signer_keys)


def is_by_any_signer(envelope: UnverifiedPointer, trust: Trust) -> bool:
    """Whether a key that signs today, or did, signed it."""
    return _is_signed(envelope, {**trust.past_signers, **trust.signer_keys})


def _is_signed(envelope: UnverifiedPointer, keys: Mapping[str, bytes]) -> bool:
    try:
        open_envelope(envelope, PAYLOAD_TYPE, keys)
    except UnverifiedError:
        return False
    return True


def read_memory(envelope: UnverifiedPointer, trust: Trust) -> Pointer:
    """Prove that a current signer of ours wrote what a party remembers, of whatever epoch; errors as `read_pointer`."""
    return _read(envelope, trust, trust.signer_keys)


def _read(envelope: UnverifiedPointer, trust: Trust, keys: Mapping[str, bytes]) -> Pointer:
    payload = open_envelope(envelope, PAYLOAD_TYPE, keys)
    try:
        pointer = parse_pointer(payload)
    except InputError as error:
        code = "wrong_channel" if error.code == "SCHEMA_UNKNOWN" else "pointer_unverifiable"
        raise UnverifiedError(code, error.message) from None
    ours = (trust.channel, trust.repo, trust.ref)
    theirs = (pointer.channel, pointer.repo, pointer.ref)
    if ours != theirs:
        raise UnverifiedError("wrong_channel", f"expected (channel, repo, ref) {ours}, got {theirs}")
    return pointer


def _not_ahead(pointer: Pointer, trust: Trust) -> Pointer:
    if pointer.epoch > trust.epoch:
        raise UnverifiedError("monotonic_violation", f"epoch {pointer.epoch} is ahead of the trusted {trust.epoch}")
    return pointer


def floor_of(pointer: Pointer) -> Floor:
    """Return what must be remembered once this pointer is accepted."""
    return Floor(epoch=pointer.epoch, seq=pointer.seq, digest=pointer.manifest.sha256, issued_at=pointer.issued_at)


def etag_of(envelope: bytes) -> str:
    """Return the HTTP entity tag under which an envelope is served."""
    return f'"{digest_of(envelope)}"'


def _check_lineage(pointer: Pointer, floor: Floor, proven: Pointer | None) -> None:
    if (pointer.epoch, pointer.seq) < (floor.epoch, floor.seq):
        remembered = f"{floor.epoch}-{floor.seq}"
        raise UnverifiedError("mismatch_detected", f"{pointer.deployment} is behind the remembered {remembered}")
    known = dict(lineage(pointer))
    # Whoever carries the bytes could hand over any genuine record: only the floor's own proves anything.
    if proven is not None and (proven.epoch, proven.seq) == (floor.epoch, floor.seq):
        known.setdefault(proven.seq, proven.manifest.sha256)
    digest = known.get(floor.seq)
    if digest is None and floor.seq > min(known):
        raise UnverifiedError("monotonic_violation", f"the history lacks sequence {floor.seq}, which was accepted here")
    if digest is None:
        raise UnverifiedError("history_unproven", f"the history does not reach back to sequence {floor.seq}")
    if digest != floor.digest:
        raise UnverifiedError("monotonic_violation", f"sequence {floor.seq} was accepted here with another manifest")
