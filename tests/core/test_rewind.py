"""What the store's pointer is worth against what anybody with a signature remembers: one row a branch, each verdict whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.names import timestamp
from shared.core.pointer import refreshed, sign_pointer
from shared.core.rewind import StoreVerdict, Witness, judge_store
from shared.model import Pointer
from tests.core.samples import NOW, TRUST, a_pointer, commit, digest
from tests.fakes.trusted import a_signer
from tests.fakes.world import SIGNER

EPOCH_2 = replace(TRUST, version=2, epoch=2)
MISMATCH, PENDING, VIOLATION = "mismatch_detected", "epoch_pending_republish", "monotonic_violation"


def signed(pointer: Pointer) -> bytes:
    return sign_pointer(pointer, SIGNER)


def remembered(pointer: Pointer, party: str = "puller p") -> Witness:
    return Witness(party=party, pointer=pointer, envelope=signed(pointer))


def judged(current: Pointer | bytes | None, *witnesses: Witness, trust=TRUST, minutes: float = 1) -> StoreVerdict:  # noqa: ANN001
    data = signed(current) if isinstance(current, Pointer) else current
    return judge_store(data, witnesses, trust, NOW + timedelta(minutes=minutes))


def in_epoch_2(seq: int) -> Pointer:
    return a_pointer(seq, epoch=2)


def as_store(pointer: Pointer) -> Witness:
    return Witness(party="store", pointer=pointer, envelope=signed(pointer))


FIVE = remembered(a_pointer(5))
SIX = remembered(a_pointer(6), "puller q")
AHEAD = remembered(in_epoch_2(1))
FORK = replace(a_pointer(7), history=((5, digest(77)), (6, digest(6))))
NO_SIGNATURE = "no signature by a trusted key"


def test_nothing_and_nobody_is_the_beginning() -> None:
    assert judged(None) == StoreVerdict()


def test_what_is_live_and_remembered_is_live() -> None:
    for witnesses in ((), (FIVE,), (FIVE, SIX), (remembered(a_pointer(1)),)):
        assert judged(a_pointer(6), *witnesses) == StoreVerdict(pointer=a_pointer(6))


def test_a_memory_of_an_epoch_ahead_says_that_the_trust_was_rewound_whatever_the_store_holds() -> None:
    detail = "puller p remembers epoch 2, the trust says 1"
    for current in (None, b"rubbish", a_pointer(6), in_epoch_2(1)):
        assert judged(current, FIVE, AHEAD) == StoreVerdict(reason=MISMATCH, detail=detail, against=AHEAD)


def test_a_pointer_that_is_gone_is_a_rewind_where_somebody_remembers_it() -> None:
    detail = "puller q remembers a pointer, there is none"
    assert judged(None, FIVE, SIX) == StoreVerdict(reason=MISMATCH, detail=detail, against=SIX)


def test_a_pointer_that_is_gone_in_a_new_epoch_is_gone_on_from_what_is_remembered_of_older_ones() -> None:
    expected = StoreVerdict(formers=(SIX, FIVE), reason=PENDING, detail="there is no pointer of this epoch yet")
    assert judged(None, FIVE, SIX, trust=EPOCH_2) == expected


def test_rubbish_is_put_right_from_the_newest_memory_and_accuses_nobody() -> None:
    for current in (b"rubbish", sign_pointer(a_pointer(9), a_signer(9))):
        verdict = judged(current, FIVE, SIX)
        assert (verdict.reason, verdict.restore, verdict.against) == ("pointer_unverifiable", SIX, None)
        assert verdict.detail
    assert judged(sign_pointer(a_pointer(9), a_signer(9)), FIVE).detail == NO_SIGNATURE


def test_rubbish_in_a_new_epoch_is_gone_on_from_what_is_remembered_of_older_ones() -> None:
    current = sign_pointer(a_pointer(9), a_signer(9))
    expected = StoreVerdict(formers=(SIX, FIVE), reason=PENDING, detail=NO_SIGNATURE)
    assert judged(current, FIVE, SIX, trust=EPOCH_2) == expected


def test_rubbish_that_nobody_can_put_right_stays() -> None:
    current = sign_pointer(a_pointer(9), a_signer(9))
    assert judged(current) == StoreVerdict(reason="pointer_unverifiable", detail=NO_SIGNATURE)


def test_a_pointer_of_another_line_is_told_as_such_also_where_somebody_remembers_ours() -> None:
    for witnesses in ((), (FIVE,)):
        verdict = judged(a_pointer(6, channel="staging"), *witnesses)
        assert (verdict.reason, verdict.restore, verdict.formers) == ("wrong_channel", None, ())
        assert verdict.detail.startswith("expected (channel, repo, ref)")


def test_an_epoch_that_the_service_raised_itself_is_a_violation() -> None:
    expected = StoreVerdict(reason=VIOLATION, detail="epoch 2 is ahead of the trusted 1")
    assert judged(in_epoch_2(1)) == expected


def test_a_pointer_of_an_older_epoch_is_gone_on_from_newest_first_the_store_before_others() -> None:
    expected = StoreVerdict(
        formers=(as_store(a_pointer(5)), FIVE, remembered(a_pointer(4))), reason=PENDING, detail="still epoch 1"
    )
    assert judged(a_pointer(5), remembered(a_pointer(4)), FIVE, trust=EPOCH_2) == expected
    newer = judged(a_pointer(5), SIX, trust=EPOCH_2).formers
    assert newer == (SIX, as_store(a_pointer(5)))


def test_formers_are_ordered_by_epoch_before_sequence() -> None:
    trust = replace(EPOCH_2, epoch=3)
    old, new = remembered(a_pointer(9)), remembered(in_epoch_2(1))
    assert judged(None, old, new, trust=trust).formers == (new, old)


def test_a_pointer_of_an_older_epoch_is_a_rewind_where_this_one_is_remembered() -> None:
    first, second = remembered(in_epoch_2(1)), remembered(in_epoch_2(2), "puller q")
    detail = "the pointer is of epoch 1, puller q remembers 2-2"
    expected = StoreVerdict(reason=MISMATCH, detail=detail, against=second)
    assert judged(a_pointer(6), first, second, trust=EPOCH_2) == expected


def test_a_pointer_behind_a_memory_is_a_rewind() -> None:
    expected = StoreVerdict(reason=MISMATCH, detail="1-5 is behind the remembered 1-6", against=SIX)
    assert judged(a_pointer(5), FIVE, SIX) == expected


def test_another_history_is_a_violation() -> None:
    detail = "sequence 5 was accepted here with another manifest"
    assert judged(FORK, SIX, FIVE) == StoreVerdict(reason=VIOLATION, detail=detail, against=FIVE)


def test_a_memory_older_than_the_history_accuses_nobody() -> None:
    assert judged(a_pointer(40), FIVE) == StoreVerdict(pointer=a_pointer(40))


@pytest.mark.parametrize("witnesses", [(), (FIVE,)])
def test_dates_alone_leave_the_pointer_as_it_is(witnesses: tuple[Witness, ...]) -> None:
    late = judged(a_pointer(6), *witnesses, minutes=600)
    assert (late.pointer, late.reason) == (a_pointer(6), "pointer_expired")
    assert late.detail == f"expired at {a_pointer(6).expires_at}"
    early = judged(a_pointer(6), *witnesses, minutes=-600)
    assert (early.pointer, early.reason) == (a_pointer(6), "clock_skew")


def test_what_is_dated_may_still_be_behind() -> None:
    assert judged(a_pointer(5), SIX, minutes=600).reason == MISMATCH


def test_an_older_refresh_of_what_is_remembered_is_live() -> None:
    newer = refreshed(a_pointer(5), commit=commit(9), now=NOW + timedelta(minutes=1), poll_seconds=300.0)
    assert judged(a_pointer(5), remembered(newer)) == StoreVerdict(pointer=a_pointer(5))
    assert newer.issued_at > timestamp(NOW)


# Signers who have been revoked since

PAST = a_signer(11)
ROTATED = replace(TRUST, past_signers={PAST.key_id: PAST.public_key})
ROTATED_2 = replace(ROTATED, version=2, epoch=2)
TOO_EARLY = "the signer of the pointer was revoked before it was signed anew: operator epoch bump"
BY_REVOKED = "what is known of the former epoch was signed by a signer who is revoked"


def orphan(pointer: Pointer, party: str = "record") -> Witness:
    return Witness(party=party, pointer=pointer, envelope=sign_pointer(pointer, PAST))


def test_a_pointer_by_a_revoked_signer_asks_for_a_new_epoch() -> None:
    for orphans in ((), (orphan(a_pointer(6)),)):
        verdict = judge_store(orphan(a_pointer(5)).envelope, (), ROTATED, NOW, orphans=orphans)
        assert verdict == StoreVerdict(reason="pointer_unverifiable", detail=TOO_EARLY)


def test_in_the_new_epoch_the_newest_of_what_a_revoked_signer_wrote_is_an_orphan() -> None:
    five, six = orphan(a_pointer(5), "store"), orphan(a_pointer(6))
    for current, orphans, newest in (
        (five.envelope, (six,), six),
        (five.envelope, (), five),
        (None, (six,), six),
        (b"rubbish", (six,), six),
    ):
        verdict = judge_store(current, (), ROTATED_2, NOW, orphans=orphans)
        assert verdict == StoreVerdict(orphan=newest, reason=PENDING, detail=BY_REVOKED)


def test_an_orphan_of_this_very_epoch_is_none() -> None:
    assert judge_store(None, (), ROTATED, NOW, orphans=(orphan(a_pointer(5)),)) == StoreVerdict()


def test_what_a_current_signer_wrote_goes_before_any_orphan() -> None:
    current = orphan(a_pointer(9)).envelope
    verdict = judge_store(current, (FIVE,), ROTATED_2, NOW, orphans=(orphan(a_pointer(6)),))
    assert verdict == StoreVerdict(formers=(FIVE,), reason=PENDING, detail=NO_SIGNATURE)
    assert judge_store(None, (FIVE,), ROTATED, NOW, orphans=(orphan(a_pointer(6)),)).against == FIVE


def test_a_pointer_of_another_line_is_no_orphan() -> None:
    verdict = judge_store(orphan(a_pointer(5, repo="octo/other")).envelope, (), ROTATED_2, NOW)
    assert (verdict.reason, verdict.orphan, verdict.detail) == ("pointer_unverifiable", None, NO_SIGNATURE)
