from __future__ import annotations

import pytest

from shared.core.latches import latches_document, parse_latches
from shared.errors import InputError
from shared.model import Latch

AT = "2026-11-21T12:00:00.000Z"
LATCHES = (
    Latch(reason="mismatch_detected", epoch=1, since=AT),
    Latch(reason="monotonic_violation", epoch=2, since=AT),
)


def test_latches_make_the_round_trip() -> None:
    assert parse_latches(latches_document(LATCHES)) == LATCHES
    assert latches_document(LATCHES[:1]) == [{"reason": "mismatch_detected", "epoch": 1, "since": AT}]


def test_what_was_written_before_there_were_any_holds_none() -> None:
    assert parse_latches(None) == ()
    assert parse_latches([]) == ()


GOOD = {"reason": "x", "epoch": 1, "since": AT}
BROKEN = [
    ({}, "latches are a list"),
    ("", "latches are a list"),
    ([7], "a latch: 'reason' must be str, got NoneType"),
    ([{**GOOD, "reason": 1}], "a latch: 'reason' must be str, got int"),
    ([{**GOOD, "epoch": "1"}], "a latch: 'epoch' must be int, got str"),
    ([{**GOOD, "since": None}], "a latch: 'since' must be str, got NoneType"),
    ([{**GOOD, "since": "now"}], "a time is YYYY-MM-DDTHH:MM:SS.mmmZ, got 'now'"),
]


@pytest.mark.parametrize(("value", "message"), BROKEN)
def test_what_is_no_latch_is_refused(value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_latches(value)
    assert caught.value.message == message
    assert caught.value.code in {"MEMBER_INVALID", "TIME_INVALID"}
