"""The judgement on cold starts: by medians, each target can be met and missed."""

from __future__ import annotations

import pytest

from tests.bench.cold_start import Measured, told, verdicts


def measured(*, refused: float = 1.3, deployed: float = 2.5) -> Measured:
    hello = [100.0, 100.0, 900.0]
    return Measured(
        hello=hello,
        refused=[value * refused for value in hello],
        deployed=[value * deployed for value in hello],
        hello_cpu=[50.0] * 3,
        refused_cpu=[55.0] * 3,
        deployed_cpu=[200.0] * 3,
    )


def test_cold_starts_at_their_limits_miss_nothing() -> None:
    assert all(verdict.met for verdict in verdicts(measured()))


@pytest.mark.parametrize(
    ("found", "word"),
    [(measured(refused=1.32), "refused signature 1.32"), (measured(deployed=2.6), "first deployment 2.60")],
)
def test_every_target_of_a_cold_start_can_be_missed(found: Measured, word: str) -> None:
    [missed] = [verdict.text for verdict in verdicts(found) if not verdict.met]
    assert word in missed


def test_what_is_told_are_medians_and_the_processor_time_beside_them() -> None:
    assert "hello 100 ms (processor 50 ms)" in told(measured())
    assert (measured().cpu_ratio("refused"), measured().cpu_ratio("deployed")) == (1.1, 4.0)
