from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.credentials import Check, Mark
from shared.core.names import timestamp
from shared.core.rotation import (
    Active,
    Holding,
    Record,
    Verified,
    adopted,
    begin,
    check_presented,
    finish,
    is_retired_accepted,
    prove,
)
from shared.errors import ConflictError, NotYetError, ProbeError
from shared.log.cleaning import clean
from tests.core.samples import NOW

OLD, NEW, OTHER = "aaaaaaaa", "bbbbbbbb", "cccccccc"
NAME = "MANUAL_SYNC_API_KEY"
QUIET = timedelta(minutes=10)
ONE, BOTH = Holding(accepted=(OLD,)), Holding(accepted=(NEW, OLD))
GOOD = Check(name="works", mark=Mark.OK)


def at(**delta: float) -> str:
    return timestamp(NOW + timedelta(**delta))


def opened() -> Active:
    return begin(NAME, ONE, None, None, token="t", now=NOW)


def verified(fingerprint: str = NEW) -> Active:
    return prove(opened(), fingerprint, [GOOD], NOW)


def refused(code: str, call: object) -> ConflictError:
    with pytest.raises(ConflictError) as caught:
        call()  # type: ignore[operator]
    assert caught.value.code == code
    return caught.value


def test_a_rotation_by_the_rules_goes_through_and_says_what_was_retired() -> None:
    assert opened() == Active(token="t", name=NAME, begun_at=at(), old=OLD)
    assert check_presented(opened(), BOTH, "") == check_presented(opened(), BOTH, NEW) == NEW
    assert verified().verified == Verified(fingerprint=NEW, at=at(), checks=(GOOD,))
    done = finish(verified(), BOTH, QUIET, NOW + QUIET)
    assert done == Record(
        name=NAME, fingerprint=NEW, since=at(), known_from="rotation", retired=OLD, retired_at=at(minutes=10)
    )


def test_where_nobody_knows_what_was_accepted_before_the_new_value_alone_is_asked_for() -> None:
    active = begin(NAME, Holding(), None, None, token="t", now=NOW)
    assert active.old == ""
    assert check_presented(active, Holding(accepted=(NEW,)), "") == NEW
    refused("ROTATION_NOT_SEEN", lambda: check_presented(active, Holding(), ""))


def test_two_are_never_rotated_at_once_be_they_the_same_or_not() -> None:
    for name in (NAME, "GITHUB_TOKEN"):
        error = refused("ROTATION_OPEN", lambda name=name: begin(name, ONE, None, opened(), token="u", now=NOW))
        assert NAME in error.message


def test_none_is_begun_while_two_values_are_accepted_or_the_one_retired_last_still_is() -> None:
    two = refused("ROTATION_TWO_ALREADY", lambda: begin(NAME, BOTH, None, None, token="t", now=NOW))
    assert f"({NEW}, {OLD})" in two.message
    record = finish(verified(), BOTH, QUIET, NOW + QUIET)
    assert (
        OLD
        in refused("ROTATION_OLD_STILL_ACCEPTED", lambda: begin(NAME, BOTH, record, None, token="t", now=NOW)).message
    )
    assert begin(NAME, Holding(accepted=(NEW,)), record, None, token="t", now=NOW).old == NEW


@pytest.mark.parametrize(
    ("accepted", "expected", "code"),
    [
        ((OLD,), "", "ROTATION_NOT_SEEN"),
        ((OLD,), NEW, "ROTATION_NOT_SEEN"),
        ((OLD,), OLD, "ROTATION_NOT_SEEN"),
        ((), NEW, "ROTATION_NOT_SEEN"),
        ((OTHER, OLD), NEW, "ROTATION_NOT_SEEN"),
        ((OLD, NEW), NEW, "ROTATION_NOT_NEWEST"),
        ((OLD, NEW), "", "ROTATION_NOT_SEEN"),
        ((NEW,), "", "ROTATION_OLD_GONE"),
        ((NEW, OTHER), NEW, "ROTATION_OLD_GONE"),
    ],
)
def test_a_new_value_must_stand_first_beside_the_old_one(accepted: tuple[str, ...], expected: str, code: str) -> None:
    refused(code, lambda: check_presented(opened(), Holding(accepted=accepted), expected))


@pytest.mark.parametrize(
    ("accepted", "expected", "message"),
    [
        ((), "", f"a new one is not accepted yet for {NAME}; what is: nothing known"),
        ((OTHER, OLD), NEW, f"{NEW} is not accepted yet for {NAME}; what is: {OTHER}, {OLD}"),
        ((OLD,), OLD, f"{OLD} is the value that {NAME} had before"),
        ((OLD, NEW), NEW, f"{OLD} stands before {NEW} in {NAME}; the new value is the first line"),
        ((NEW,), NEW, f"the old value {OLD} of {NAME} is gone too early; put it back as second line until `finish`"),
    ],
)
def test_a_refusal_says_what_is_there_and_what_is_missing(
    accepted: tuple[str, ...], expected: str, message: str
) -> None:
    with pytest.raises(ConflictError) as caught:
        check_presented(opened(), Holding(accepted=accepted), expected)
    assert caught.value.message == message
    assert clean(message) == message  # nothing in it looks like a secret to the log


def test_what_fails_a_check_is_not_verified_and_all_checks_are_told() -> None:
    bad = Check(name="reads", mark=Mark.FAIL, code="TOKEN_SCOPE", text="404")
    with pytest.raises(ProbeError) as caught:
        prove(opened(), NEW, [GOOD, bad], NOW)
    assert caught.value.code == "ROTATION_PROBE_FAILED"
    assert caught.value.checks == (GOOD, bad)
    assert "reads: 404" in caught.value.message


def test_a_warning_does_not_stop_a_rotation() -> None:
    assert prove(opened(), NEW, [Check(name="hooks", mark=Mark.WARN, code="X")], NOW).verified is not None


def test_nothing_is_finished_unverified_nor_with_another_value_than_the_verified_one() -> None:
    later = NOW + 2 * QUIET
    early = refused("ROTATION_UNVERIFIED", lambda: finish(opened(), BOTH, QUIET, later))
    assert early.message == f"the new value of {NAME} was not verified"
    swapped = Holding(accepted=(OTHER, OLD))
    other = refused("ROTATION_UNVERIFIED", lambda: finish(verified(), swapped, QUIET, later))
    assert other.message == f"{NEW} was verified, {OTHER} is the newest of {NAME} by now"
    refused("ROTATION_OLD_GONE", lambda: finish(verified(), Holding(accepted=(NEW,)), QUIET, later))


@pytest.mark.parametrize(
    ("used", "passed", "left"),
    [
        ({}, timedelta(), 600),
        ({}, QUIET - timedelta(seconds=1), 1),
        ({NEW: at(minutes=9)}, QUIET, 0),
        ({OLD: at(minutes=-5)}, QUIET, 0),
        ({OLD: at(minutes=9)}, QUIET, 540),
        ({OLD: at(minutes=9)}, timedelta(minutes=19), 0),
    ],
)
def test_each_use_of_the_old_value_begins_the_quiet_period_anew(
    used: dict[str, str], passed: timedelta, left: float
) -> None:
    holding = replace(BOTH, used=used)
    if left == 0:
        assert finish(verified(), holding, QUIET, NOW + passed).retired == OLD
        return
    with pytest.raises(NotYetError) as caught:
        finish(verified(), holding, QUIET, NOW + passed)
    assert (caught.value.code, caught.value.retry_after_seconds) == ("ROTATION_QUIET", left)
    why = f"the old value was used at {used[OLD]}" if OLD in used else f"verified at {at()}"
    assert caught.value.message == f"{why}; {left} s to go for {NAME}"


def test_a_value_that_nobody_rotated_is_taken_down_once() -> None:
    first = adopted(NAME, ONE, None, None, NOW)
    assert first == Record(name=NAME, fingerprint=OLD, since=at(), known_from="first_seen")
    assert adopted(NAME, ONE, first, None, NOW + QUIET) is first
    changed = adopted(NAME, Holding(accepted=(NEW,)), first, None, NOW + QUIET)
    assert changed == Record(name=NAME, fingerprint=NEW, since=at(minutes=10), known_from="changed")


def test_what_a_rotation_brings_is_no_surprise_and_what_nobody_holds_changes_nothing() -> None:
    first = adopted(NAME, ONE, None, None, NOW)
    assert adopted(NAME, BOTH, first, opened(), NOW + QUIET) is first
    assert adopted(NAME, Holding(), first, None, NOW + QUIET) is first
    assert adopted(NAME, Holding(), None, None, NOW) is None
    other = replace(opened(), name="GITHUB_TOKEN")
    assert adopted(NAME, Holding(accepted=(NEW,)), first, other, NOW + QUIET) != first


def test_a_value_is_no_younger_for_another_that_came_beside_it_and_went_again() -> None:
    first = adopted(NAME, ONE, None, None, NOW)
    assert adopted(NAME, BOTH, first, None, NOW + QUIET) is first
    assert adopted(NAME, ONE, first, None, NOW + 2 * QUIET) is first


def test_a_retired_value_is_told_as_long_as_it_is_let_in() -> None:
    record = finish(verified(), BOTH, QUIET, NOW + QUIET)
    assert is_retired_accepted(record, BOTH)
    assert not is_retired_accepted(record, Holding(accepted=(NEW,)))
    assert not is_retired_accepted(replace(record, retired=""), Holding(accepted=("",)))
