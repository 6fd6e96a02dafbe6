"""The seconds and bytes that a git server may cost."""

from __future__ import annotations

import pytest

from shared.adapters.git_limits import Allowance, Deadline
from shared.errors import RejectedError, UnavailableError


@pytest.mark.parametrize(("left", "expected"), [(300.0, 10.0), (10.0, 10.0), (2.5, 2.5), (0.01, 0.01)])
def test_a_wait_lasts_ten_seconds_or_what_is_left(left: float, expected: float) -> None:
    assert Deadline("https://example.com/r", lambda: left).wait() == expected
    assert Deadline("https://example.com/r", lambda: left).wait(3) == min(3, expected)


@pytest.mark.parametrize("left", [0.0, -5.0])
def test_no_wait_begins_when_the_time_is_over(left: float) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
        Deadline("https://example.com/r", lambda: left).wait()


def test_an_allowance_is_spent_to_the_last_byte_and_renewed_by_each_call() -> None:
    allowance = Allowance("https://example.com/r", 10)
    for _ in range(2):
        allowance.renew()
        allowance.take(4)
        allowance.take(6)
        with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
            allowance.take(1)
