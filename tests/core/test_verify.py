from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.signer import Ed25519Signer
from shared.core.canonical import canonical_bytes
from shared.core.envelope import sign_envelope
from shared.core.names import timestamp
from shared.core.pointer import PAYLOAD_TYPE, refreshed, sign_pointer
from shared.core.verify import (
    UnverifiedPointer,
    etag_of,
    examine,
    floor_of,
    is_by_any_signer,
    is_by_current_signer,
    read_former,
    read_memory,
    read_pointer,
    read_record,
    verify_pointer,
)
from shared.errors import UnverifiedError
from shared.model import Floor, ManifestRef, Pointer
from tests.core.samples import NOW, TRUST, a_pointer, commit, digest
from tests.fakes.world import SIGNER

STRANGER = Ed25519Signer(base64.b64encode(bytes(32)).decode())
FLOOR = floor_of(a_pointer(5))


def signed(pointer: Pointer, signer: Ed25519Signer = SIGNER) -> UnverifiedPointer:
    return UnverifiedPointer(sign_pointer(pointer, signer))


def verified(
    pointer: Pointer, floor: Floor | None = FLOOR, *, minutes: float = 1, proven: Pointer | None = None
) -> Pointer:
    return verify_pointer(signed(pointer), TRUST, floor, NOW + timedelta(minutes=minutes), proven=proven)


def refused(pointer: Pointer, floor: Floor | None = FLOOR, *, minutes: float = 1, proven: Pointer | None = None) -> str:
    with pytest.raises(UnverifiedError) as caught:
        verified(pointer, floor, minutes=minutes, proven=proven)
    return caught.value.code


def another(pointer: Pointer, number: int = 99) -> Pointer:
    return replace(pointer, manifest=ManifestRef(sha256=digest(number), size=1, skills=1))


@pytest.mark.parametrize("seq", [5, 6, 20])
def test_the_remembered_pointer_and_what_follows_it_is_accepted(seq: int) -> None:
    assert verified(a_pointer(seq)).seq == seq


def test_without_a_memory_the_first_signed_pointer_is_accepted() -> None:
    assert verified(a_pointer(20), None).seq == 20


def test_a_refresh_of_the_remembered_deployment_is_accepted_an_older_one_too() -> None:
    older = a_pointer(5)
    newer = refreshed(older, commit=commit(9), now=NOW + timedelta(minutes=1), poll_seconds=300.0)
    assert verified(newer, floor_of(older)) == newer
    assert verified(older, floor_of(newer)).issued_at < floor_of(newer).issued_at


FAULTS: list[tuple[str, dict[str, object]]] = [
    # The order of the table is the order of the checks: each row's pointer has its own fault and all that follow.
    ("wrong_channel", {"repo": "octo/other"}),
    ("monotonic_violation", {"epoch": 2}),
    ("mismatch_detected", {"seq": 4}),
    ("monotonic_violation", {"history": ((5, digest(77)),)}),
    ("clock_skew", {"issued_at": timestamp(NOW + timedelta(minutes=6, seconds=1))}),
    ("pointer_expired", {"expires_at": timestamp(NOW)}),
]


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_checks_come_in_their_order_whatever_else_is_wrong(first: int) -> None:
    faults = {key: value for _, fault in reversed(FAULTS[first:]) for key, value in fault.items()}
    assert refused(replace(a_pointer(6), **faults)) == FAULTS[first][0]


@pytest.mark.parametrize(("code", "fault"), FAULTS)
def test_each_fault_alone_has_its_own_code(code: str, fault: dict[str, object]) -> None:
    assert refused(replace(a_pointer(6), **fault)) == code


def test_the_signature_comes_before_everything_that_a_signer_could_be_accused_of() -> None:
    everything = {key: value for _, fault in FAULTS for key, value in fault.items()}
    for pointer in (replace(a_pointer(6), **everything), replace(a_pointer(6), epoch=2), a_pointer(1)):
        with pytest.raises(UnverifiedError) as caught:
            verify_pointer(signed(pointer, STRANGER), TRUST, FLOOR, NOW)
        assert caught.value.code == "pointer_unverifiable"


def test_the_payload_is_parsed_only_when_its_signature_holds() -> None:
    rubbish = b"[" * 9000
    with pytest.raises(UnverifiedError, match="no signature"):
        read_pointer(UnverifiedPointer(sign_envelope(rubbish, PAYLOAD_TYPE, STRANGER)), TRUST)
    with pytest.raises(UnverifiedError, match=r"nests deeper|not JSON") as caught:
        read_pointer(UnverifiedPointer(sign_envelope(rubbish, PAYLOAD_TYPE, SIGNER)), TRUST)
    assert caught.value.code == "pointer_unverifiable"


def test_a_signed_document_of_another_schema_is_about_another_content() -> None:
    data = sign_envelope(canonical_bytes({"schema": "skill-sync/pointer/2"}), PAYLOAD_TYPE, SIGNER)
    with pytest.raises(UnverifiedError) as caught:
        read_pointer(UnverifiedPointer(data), TRUST)
    assert caught.value.code == "wrong_channel"


@pytest.mark.parametrize("key", ["channel", "repo", "ref"])
def test_a_pointer_for_another_channel_repository_or_branch_is_refused(key: str) -> None:
    assert refused(replace(a_pointer(6), **{key: "other"})) == "wrong_channel"


def test_an_epoch_ahead_of_the_trust_is_a_violation_and_one_behind_it_only_pending() -> None:
    trust = replace(TRUST, epoch=2)
    for epoch, code in ((3, "monotonic_violation"), (1, "epoch_pending_republish")):
        with pytest.raises(UnverifiedError) as caught:
            verify_pointer(signed(a_pointer(6, epoch=epoch)), trust, None, NOW)
        assert caught.value.code == code


def test_a_new_epoch_is_the_reset_that_lets_the_sequence_begin_again() -> None:
    pointer = a_pointer(1, epoch=2)
    assert verify_pointer(signed(pointer), replace(TRUST, epoch=2), FLOOR, NOW) == pointer


def test_nothing_of_an_epoch_before_the_remembered_one_is_accepted() -> None:
    # A trust that was put back by hand must not take the volume back with it.
    assert refused(a_pointer(9), replace(FLOOR, epoch=2, seq=1)) == "mismatch_detected"


@pytest.mark.parametrize("seq", [1, 4])
def test_a_sequence_behind_the_remembered_one_is_refused(seq: int) -> None:
    assert refused(a_pointer(seq)) == "mismatch_detected"


def test_the_same_sequence_with_another_manifest_is_a_violation() -> None:
    assert refused(another(a_pointer(5))) == "monotonic_violation"


@pytest.mark.parametrize("seq", [6, 21])
def test_a_history_that_names_another_manifest_for_what_was_accepted_is_a_violation(seq: int) -> None:
    pointer = a_pointer(seq)
    history = tuple((number, digest(77) if number == 5 else old) for number, old in pointer.history)
    assert refused(replace(pointer, history=history)) == "monotonic_violation"


def test_a_history_that_leaves_out_what_was_accepted_is_a_violation() -> None:
    pointer = a_pointer(8)
    gap = tuple(pair for pair in pointer.history if pair[0] != 5)
    assert refused(replace(pointer, history=gap)) == "monotonic_violation"


def test_a_history_that_does_not_reach_back_so_far_asks_for_the_record() -> None:
    assert verified(a_pointer(21)).seq == 21
    assert refused(a_pointer(22)) == "history_unproven"


def test_the_record_of_the_remembered_deployment_proves_the_rest() -> None:
    assert verified(a_pointer(22), proven=a_pointer(5)).seq == 22


def test_a_record_with_another_manifest_is_a_violation() -> None:
    assert refused(a_pointer(22), proven=another(a_pointer(5))) == "monotonic_violation"


@pytest.mark.parametrize("seq", [1, 4, 6])
def test_a_record_of_another_deployment_proves_nothing_and_accuses_nobody(seq: int) -> None:
    # Whoever carries the bytes could hand over any genuine record: it must not latch a violation.
    assert refused(a_pointer(22), proven=a_pointer(seq)) == "history_unproven"


def test_a_record_of_another_epoch_proves_nothing() -> None:
    assert refused(a_pointer(22), proven=a_pointer(5, epoch=3)) == "history_unproven"


def test_a_record_never_outweighs_the_history_itself() -> None:
    assert refused(another(a_pointer(5)), proven=a_pointer(5)) == "monotonic_violation"


def test_a_clock_that_is_five_minutes_slow_is_tolerated_and_no_more() -> None:
    at = timestamp(NOW + timedelta(minutes=5))
    assert verified(a_pointer(6, issued_at=at), minutes=0).seq == 6
    over = timestamp(NOW + timedelta(minutes=5, milliseconds=1))
    assert refused(a_pointer(6, issued_at=over), minutes=0) == "clock_skew"


def test_a_pointer_ends_at_the_moment_that_it_names() -> None:
    pointer = a_pointer(6, expires_at=timestamp(NOW + timedelta(minutes=30)))
    assert verified(pointer, minutes=29.9999).seq == 6
    assert refused(pointer, minutes=30) == "pointer_expired"


@pytest.mark.parametrize("minutes", [-600, 600])
def test_what_a_signer_said_decides_before_the_dates_do(minutes: float) -> None:
    assert refused(another(a_pointer(5)), minutes=minutes) == "monotonic_violation"
    assert refused(a_pointer(4), minutes=minutes) == "mismatch_detected"


def test_a_record_may_be_read_however_old_it_is() -> None:
    assert read_pointer(signed(a_pointer(5, expires_at="2020-01-01T00:00:00.000Z")), TRUST).seq == 5


def test_the_floor_remembers_what_lineage_is_checked_by() -> None:
    pointer = a_pointer(5)
    assert floor_of(pointer) == Floor(epoch=1, seq=5, digest=digest(5), issued_at=pointer.issued_at)


def test_the_entity_tag_is_the_quoted_digest_of_the_envelope() -> None:
    assert etag_of(b"") == '"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"'


# What people are told

MESSAGES = [
    (
        a_pointer(6, repo="octo/other"),
        FLOOR,
        "expected (channel, repo, ref) ('prod', 'octo/skills', 'refs/heads/main'), got",
    ),
    (a_pointer(6, epoch=2), FLOOR, "epoch 2 is ahead of the trusted 1"),
    (a_pointer(4), FLOOR, "1-4 is behind the remembered 1-5"),
    (another(a_pointer(5)), FLOOR, "sequence 5 was accepted here with another manifest"),
    (a_pointer(8, history=((7, digest(7)),)), None, ""),
    (
        a_pointer(8, history=((4, digest(4)), (7, digest(7)))),
        FLOOR,
        "the history lacks sequence 5, which was accepted here",
    ),
    (a_pointer(22), FLOOR, "the history does not reach back to sequence 5"),
    (
        a_pointer(6, issued_at="2030-01-01T00:00:00.000Z"),
        FLOOR,
        "issued at 2030-01-01T00:00:00.000Z, over five minutes",
    ),
    (a_pointer(6, expires_at=timestamp(NOW)), FLOOR, f"expired at {timestamp(NOW)}"),
]


@pytest.mark.parametrize(("pointer", "floor", "message"), MESSAGES)
def test_the_verdict_tells_people_what_was_expected_and_what_came(
    pointer: Pointer, floor: Floor | None, message: str
) -> None:
    verdict = examine(signed(pointer), TRUST, floor, NOW + timedelta(minutes=1))
    assert verdict.detail.startswith(message)
    assert bool(verdict.detail) == bool(message) == (verdict.pointer is None) == bool(verdict.reason)


def test_an_epoch_that_is_over_is_told_too() -> None:
    verdict = examine(signed(a_pointer(6)), replace(TRUST, epoch=2), None, NOW)
    assert (verdict.reason, verdict.detail) == ("epoch_pending_republish", "epoch 1 is behind the trusted 2")


# Past signers

PAST = Ed25519Signer(base64.b64encode(b"p" * 32).decode())
ROTATED = replace(TRUST, past_signers={PAST.key_id: PAST.public_key})


def test_a_past_signer_proves_a_record_to_people_and_nothing_else() -> None:
    envelope = signed(a_pointer(5), PAST)
    assert read_record(envelope, ROTATED).seq == 5
    assert not is_by_current_signer(envelope, ROTATED)
    assert is_by_current_signer(signed(a_pointer(5)), ROTATED)
    assert is_by_any_signer(envelope, ROTATED)
    assert is_by_any_signer(signed(a_pointer(5)), ROTATED)
    assert not is_by_any_signer(envelope, TRUST)
    for read in (read_pointer, read_former, read_memory):
        with pytest.raises(UnverifiedError, match="pointer_unverifiable"):
            read(envelope, ROTATED)


def test_an_older_epoch_may_be_read_as_a_record_a_former_pointer_or_a_memory() -> None:
    trust = replace(TRUST, epoch=2)
    for read in (read_record, read_former, read_memory):
        assert read(signed(a_pointer(5)), trust).epoch == 1


def test_an_epoch_ahead_is_a_memory_and_nothing_else() -> None:
    envelope = signed(a_pointer(5, epoch=2))
    assert read_memory(envelope, TRUST).epoch == 2
    for read in (read_pointer, read_record, read_former):
        with pytest.raises(UnverifiedError, match="monotonic_violation"):
            read(envelope, TRUST)
