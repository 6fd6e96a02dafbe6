"""READY, DEGRADED, PAUSED: what follows from what was found and what is remembered, and what resets it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.boot import NAMES, boot_status
from shared.core.states import LATCHING, PAUSING, Condition, in_force, next_action, state_of, with_latch
from shared.model import Latch
from tests.fakes.world import TRUST

AT = "2026-11-21T12:00:00.000Z"
LATER = "2026-11-21T13:00:00.000Z"
EPOCH_2 = replace(TRUST, version=2, epoch=2)
ACKNOWLEDGED = replace(EPOCH_2, version=3, ack=1, incident="INC-1")


def latch(reason: str = "mismatch_detected", epoch: int = 1, since: str = AT) -> Latch:
    return Latch(reason=reason, epoch=epoch, since=since)


def test_without_a_reason_it_is_ready() -> None:
    state = state_of((), (), TRUST)
    assert (state.condition, state.reasons, state.since, state.deploys_allowed) == (Condition.READY, (), None, True)


@pytest.mark.parametrize("reason", sorted(PAUSING))
def test_a_pausing_reason_pauses_whatever_else_is_wrong(reason: str) -> None:
    state = state_of(("clock_skew", reason, "a_new_one"), (), TRUST)
    assert (state.condition, state.reasons[0], state.deploys_allowed) == (Condition.PAUSED, reason, False)
    assert set(state.reasons) == {"clock_skew", reason, "a_new_one"}


@pytest.mark.parametrize(
    "reason",
    ["trust_invalid", "trust_expired", "pointer_unverifiable", "pointer_expired", "clock_skew", "held", "OS_28"],
)
def test_every_other_reason_degrades_and_still_deploys(reason: str) -> None:
    state = state_of((reason,), (), TRUST)
    assert (state.condition, state.reasons, state.deploys_allowed) == (Condition.DEGRADED, (reason,), True)


def test_only_what_is_signed_evidence_latches() -> None:
    assert {"mismatch_detected", "monotonic_violation"} == LATCHING
    for reason in PAUSING - LATCHING | {"clock_skew", "pointer_unverifiable"}:
        assert with_latch((), reason, TRUST, AT) == ()


def test_a_latch_carries_the_epoch_in_which_it_was_raised_and_keeps_its_first_time() -> None:
    once = with_latch((), "mismatch_detected", TRUST, AT)
    assert once == (latch(),)
    assert with_latch(once, "mismatch_detected", TRUST, LATER) == once
    assert with_latch(once, "mismatch_detected", EPOCH_2, LATER) == (latch(), latch(epoch=2, since=LATER))
    assert with_latch(once, "monotonic_violation", TRUST, LATER) == (latch(), latch("monotonic_violation", 1, LATER))


def test_a_latch_outlives_its_cause() -> None:
    state = state_of((), (latch(), latch("monotonic_violation", 1, LATER)), TRUST)
    assert (state.condition, state.since) == (Condition.PAUSED, AT)
    assert state.reasons == ("mismatch_detected", "monotonic_violation")


RESETS = [
    ("mismatch_detected", TRUST, True),
    ("mismatch_detected", EPOCH_2, False),
    ("mismatch_detected", ACKNOWLEDGED, False),
    ("monotonic_violation", TRUST, True),
    ("monotonic_violation", EPOCH_2, True),
    ("monotonic_violation", ACKNOWLEDGED, False),
    ("monotonic_violation", replace(TRUST, ack=1), True),
    ("mismatch_detected", replace(TRUST, epoch=0), False),
    ("monotonic_violation", replace(TRUST, epoch=0), False),
]


@pytest.mark.parametrize(("reason", "trust", "holds"), RESETS)
def test_a_new_epoch_resets_a_violation_only_with_its_acknowledgement(reason: str, trust, holds: bool) -> None:  # noqa: ANN001, FBT001
    assert bool(in_force((latch(reason),), trust)) is holds


def test_an_acknowledgement_of_an_older_epoch_does_not_reset_a_newer_violation() -> None:
    trust = replace(TRUST, epoch=3, ack=1)
    assert in_force((latch("monotonic_violation", 2), latch("monotonic_violation", 1)), trust) == (
        latch("monotonic_violation", 2),
    )


ACTIONS = [
    ((), (), TRUST, 1, "none"),
    (("history_unproven",), (), TRUST, 1, "none"),
    (("wrong_channel",), (), TRUST, 1, "CHANNEL"),
    (("epoch_pending_republish",), (), EPOCH_2, 1, "the next sync"),
    (("bundle_rejected",), (), TRUST, 1, "manifest"),
    (("trust_invalid",), (), TRUST, 1, "trust/"),
    (("trust_expired",), (), TRUST, 1, "new version"),
    (("pointer_unverifiable",), (), TRUST, 1, "current.json"),
    (("pointer_expired",), (), TRUST, 1, "polls"),
    (("clock_skew",), (), TRUST, 1, "clock"),
    (("mismatch_detected",), (), TRUST, 1, "epoch bump, operator trust push"),
    ((), (latch(),), TRUST, 1, "epoch bump, operator trust push"),
    ((), (latch("monotonic_violation"),), TRUST, 1, "epoch bump --incident"),
    ((), (latch("monotonic_violation"),), EPOCH_2, 1, "pause ack --incident"),
    ((), (latch(),), TRUST, 2, "rewound too: operator trust push"),
]


@pytest.mark.parametrize(("troubles", "latches", "trust", "remembered", "expected"), ACTIONS)
def test_the_next_action_is_told(troubles, latches, trust, remembered: int, expected: str) -> None:  # noqa: ANN001
    state = state_of(troubles, latches, trust)
    assert expected in next_action(state, latches, trust, remembered_epoch=remembered)


@given(st.lists(st.sampled_from(sorted(PAUSING | {"held", "x"})), max_size=4), st.integers(1, 4), st.integers(0, 3))
def test_the_state_depends_on_what_is_in_force_and_on_nothing_else(reasons: list[str], epoch: int, ack: int) -> None:
    trust = replace(TRUST, epoch=epoch, ack=ack)
    latches = tuple(latch(reason, number + 1) for number, reason in enumerate(reasons) if reason in LATCHING)
    assert state_of(reasons, latches, trust) == state_of(reversed(reasons), in_force(latches, trust), trust)


# The gates

GATES = [
    ("CONFIG_MISSING", 0, "fail"),
    ("SIGNING_KEY_UNTRUSTED", 0, "fail"),
    ("STORE_URI_UNSUPPORTED", 0, "fail"),
    ("TRUST_ANCHOR_INVALID", 0, "fail"),
    ("trust_invalid", 1, "warn"),
    ("trust_expired", 1, "warn"),
    ("STORE_UNAVAILABLE", 2, "fail"),
    ("RELEASE_UNREACHABLE", 2, "fail"),
    ("PULLER_KEY_REFUSED", 2, "fail"),
    ("NO_DEPLOYMENT", 3, "warn"),
    ("pointer_unverifiable", 3, "fail"),
    ("wrong_channel", 3, "fail"),
    ("pointer_expired", 4, "fail"),
    ("clock_skew", 4, "fail"),
    ("epoch_pending_republish", 5, "fail"),
    ("mismatch_detected", 6, "fail"),
    ("monotonic_violation", 6, "fail"),
    ("history_unproven", 6, "fail"),
    ("held", 7, "warn"),
    ("bundle_mismatch", 7, "fail"),
    ("bundle_rejected", 7, "fail"),
    ("OS_28", 7, "fail"),
]


@pytest.mark.parametrize(("reason", "number", "status"), GATES)
def test_each_reason_stands_at_its_gate(reason: str, number: int, status: str) -> None:
    found = boot_status([reason])
    statuses = [gate["status"] for gate in found["gates"]]
    before, after = ["pass"] * number, ["skipped" if status == "fail" else "pass"] * (len(NAMES) - number - 1)
    assert statuses == [*before, status, *after]
    assert found["gates"][number]["reasons"] == [reason]
    assert (found["ready"], found["first_failed"]) == ((False, number) if status == "fail" else (True, None))


def test_the_gates_are_numbered_and_all_passed_when_nothing_is_wrong() -> None:
    found = boot_status([])
    assert [(gate["gate"], gate["name"], gate["status"]) for gate in found["gates"]] == [
        (number, name, "pass") for number, name in enumerate(NAMES)
    ]
    assert (found["ready"], found["first_failed"]) == (True, None)


def test_the_first_gate_that_fails_is_told_and_later_ones_are_skipped_with_their_reasons() -> None:
    found = boot_status(["mismatch_detected", "clock_skew", "trust_expired"])
    assert found["first_failed"] == 4
    assert [gate["status"] for gate in found["gates"]] == ["pass", "warn", "pass", "pass", "fail", *["skipped"] * 4]
    assert found["gates"][6]["reasons"] == ["mismatch_detected"]
