from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.canonical import canonical_bytes
from shared.core.envelope import open_envelope
from shared.core.names import parse_timestamp, timestamp
from shared.core.pointer import (
    HISTORY_LENGTH,
    PAYLOAD_TYPE,
    lineage,
    next_pointer,
    parse_pointer,
    refreshed,
    sign_pointer,
)
from shared.core.verify import UnverifiedPointer, read_pointer
from shared.errors import InputError
from shared.model import Action, DeploymentId, Pointer, Status, Trigger
from tests.core.samples import NOW, TRUST, a_move, a_pointer, commit, digest
from tests.fakes.world import SIGNER

REFRESHABLE = {"commit", "issued_at", "expires_at", "head_checked_at"}


def following(former: Pointer | None, number: int = 1, *, minutes: float = 0, poll_seconds: float = 300.0) -> Pointer:
    now = NOW + timedelta(minutes=minutes)
    return next_pointer(former, a_move(number), trust=TRUST, now=now, poll_seconds=poll_seconds)


def refresh(pointer: Pointer, *, minutes: float = 1, poll_seconds: float = 300.0) -> Pointer:
    now = NOW + timedelta(minutes=minutes)
    return refreshed(pointer, commit=commit(99), now=now, poll_seconds=poll_seconds)


def payload_of(pointer: Pointer) -> bytes:
    return open_envelope(sign_pointer(pointer, SIGNER), PAYLOAD_TYPE, TRUST.signer_keys)


def document(**changes: object) -> bytes:
    return canonical_bytes(json.loads(payload_of(a_pointer(3))) | changes)


def test_the_first_pointer_has_sequence_one_and_no_past() -> None:
    pointer = following(None)
    assert (pointer.deployment, pointer.history, pointer.previous_commit) == ("1-1", (), None)


def test_a_new_manifest_raises_the_sequence_by_one() -> None:
    assert [a_pointer(seq).seq for seq in (1, 2, 30)] == [1, 2, 30]
    assert a_pointer(2).previous_commit == a_pointer(1).commit


def test_a_new_epoch_starts_again_at_one_without_history() -> None:
    pointer = next_pointer(a_pointer(9), a_move(), trust=replace(TRUST, epoch=2), now=NOW, poll_seconds=300.0)
    assert (pointer.deployment, pointer.history) == ("2-1", ())
    assert pointer.previous_commit == a_pointer(9).commit


def test_a_pointer_says_what_trust_and_move_say() -> None:
    move = a_move(
        7, action=Action.ROLLBACK, status=Status.ROLLED_BACK, trigger=Trigger.ROLLBACK, history_rewritten=True
    )
    pointer = next_pointer(a_pointer(6), move, trust=TRUST, now=NOW, poll_seconds=300.0)
    assert (pointer.channel, pointer.repo, pointer.ref, pointer.epoch) == ("prod", TRUST.repo, TRUST.ref, 1)
    assert (pointer.action, pointer.status, pointer.trigger) == (move.action, move.status, move.trigger)
    assert (pointer.commit, pointer.manifest, pointer.token) == (move.commit, move.manifest, move.token)
    assert pointer.history_rewritten
    assert pointer.deployed_at == pointer.issued_at == pointer.head_checked_at


def test_the_history_holds_the_last_sixteen_deployments_without_this_one() -> None:
    assert a_pointer(17).history == tuple((seq, digest(seq)) for seq in range(1, 17))
    assert a_pointer(40).history == tuple((seq, digest(seq)) for seq in range(24, 40))
    assert len(a_pointer(40).history) == HISTORY_LENGTH
    assert lineage(a_pointer(3)) == ((1, digest(1)), (2, digest(2)), (3, digest(3)))


def test_a_refresh_changes_the_four_fields_and_no_other() -> None:
    pointer = a_pointer(5)
    before, after = asdict(pointer), asdict(refresh(pointer))
    assert {key for key in before if before[key] != after[key]} == REFRESHABLE
    assert after["commit"] == commit(99)


def test_a_refresh_is_still_the_same_deployment() -> None:
    pointer = refresh(refresh(a_pointer(5)))
    assert pointer.deployment == "1-5"
    assert pointer.deployed_at == a_pointer(5).deployed_at
    assert following(pointer).seq == 6


def test_a_pointer_lives_thirty_minutes_or_three_polls_whichever_is_longer() -> None:
    for poll_seconds, minutes in ((1.0, 30), (300.0, 30), (600.0, 30), (900.0, 45), (3600.0, 180)):
        for pointer in (
            following(None, poll_seconds=poll_seconds),
            refresh(a_pointer(), minutes=0, poll_seconds=poll_seconds),
        ):
            lifetime = parse_timestamp(pointer.expires_at) - parse_timestamp(pointer.issued_at)
            assert lifetime == timedelta(minutes=minutes)


@pytest.mark.parametrize("minutes", [-600, -0.001, 0])
def test_the_time_of_issue_rises_by_a_millisecond_even_when_the_clock_went_back(minutes: float) -> None:
    pointer = a_pointer(1)
    expected = timestamp(NOW + timedelta(milliseconds=1))
    assert following(pointer, 2, minutes=minutes).issued_at == expected
    assert refresh(pointer, minutes=minutes).issued_at == expected


@given(st.lists(st.tuples(st.booleans(), st.integers(-(10**9), 10**9)), min_size=1, max_size=12))
def test_whatever_the_clocks_say_times_of_issue_always_rise(steps: list[tuple[bool, int]]) -> None:
    pointer, former = a_pointer(1), ""
    for is_refresh, microseconds in steps:
        assert pointer.issued_at > former
        former, now = pointer.issued_at, NOW + timedelta(microseconds=microseconds)
        if is_refresh:
            pointer = refreshed(pointer, commit=commit(2), now=now, poll_seconds=300.0)
        else:
            pointer = next_pointer(pointer, a_move(2), trust=TRUST, now=now, poll_seconds=300.0)
    assert pointer.issued_at > former


@given(
    st.builds(
        a_pointer,
        st.integers(1, 20),
        commit=st.text(),
        token=st.text(),
        action=st.sampled_from(Action),
        status=st.sampled_from(Status),
        trigger=st.sampled_from(Trigger),
        history_rewritten=st.booleans(),
        previous_commit=st.none() | st.text(),
        asked_at=st.none() | st.just("2026-11-21T12:00:00.000Z"),
        rolled_back_to=st.none() | st.just(DeploymentId("1-7")),
    )
)
def test_a_signed_pointer_reads_back_as_itself(pointer: Pointer) -> None:
    assert read_pointer(UnverifiedPointer(sign_pointer(pointer, SIGNER)), TRUST) == pointer


def test_the_largest_pointer_fits_into_an_envelope_with_room_to_spare() -> None:
    assert len(sign_pointer(a_pointer(30), SIGNER)) < 4096


BROKEN: dict[str, bytes] = {
    "no JSON": b"{",
    "another schema": document(schema="skill-sync/pointer/2"),
    "nested deep": document(token=[[[[[]]]]]),
    "sequence zero": document(seq=0),
    "a sequence that is a truth value": document(seq=True),
    "a sequence that is a text": document(seq="3"),
    "an epoch below zero": document(epoch=-1),
    "a history that is none": document(history={}),
    "a history of texts": document(history=["x"]),
    "a history of longer tuples": document(history=[[1, digest(1), 1]]),
    "a history with sequence zero": document(history=[[0, digest(1)]]),
    "a history with a truth value": document(history=[[True, digest(1)]]),
    "a history with a short digest": document(history=[[1, "abc"]]),
    "no manifest": document(manifest=None),
    "a manifest's digest in capitals": document(manifest={"sha256": digest(1).upper(), "size": 1, "skills": 1}),
    "a manifest without size": document(manifest={"sha256": digest(1), "skills": 1}),
    "an action that nobody knows": document(action="delete"),
    "a status that nobody knows": document(status="fine"),
    "a trigger that nobody knows": document(trigger="moon"),
    "a time without its zone": document(issued_at="2026-11-21T12:00:00.000"),
    "a time that does not exist": document(expires_at="2026-02-30T12:00:00.000Z"),
    "a time in other digits": document(expires_at="\u0662026-11-21T12:00:00.000Z"),
    "a previous commit that is a number": document(previous_commit=1),
    "a flag that is a number": document(history_rewritten=0),
    "a time of the call that is none": document(asked_at="now"),
    "a rollback to what is no deployment": document(rolled_back_to="7"),
    "no token": canonical_bytes({k: v for k, v in json.loads(document()).items() if k != "token"}),
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_a_payload_that_is_no_pointer_is_refused(payload: bytes) -> None:
    with pytest.raises(InputError):
        parse_pointer(payload)


@given(st.sampled_from(sorted(json.loads(document()))), st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_no_value_of_any_member_raises_anything_but_an_input_error(key: str, value: object) -> None:
    with contextlib.suppress(InputError):
        parse_pointer(document(**{key: value}))
