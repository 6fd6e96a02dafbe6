"""What the benchmark says of the puller follows from what it measured: ratios, verdicts, and dashes where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.bench.puller import measure
from tests.bench.puller_measures import (
    Change,
    Idle,
    Install,
    Measured,
    apart_from_fetching,
    in_copies,
    poll_cpu_ms,
    sweep_share,
    told,
    verdicts,
)

if TYPE_CHECKING:
    from pathlib import Path

GOOD_INSTALL = Install(seconds=7.0, fetching_ms=3000.0, copy_seconds=2.0, synced_copy_seconds=4.0)
GOOD_CHANGE = Change(took_ms=60.0, fetching_ms=20.0)
GOOD_IDLE = Idle(seconds=20.0, looks=40, requests=41, not_modified=40, reports=1, cpu_seconds=0.14, sweep_seconds=0.1)
GOOD = Measured(
    skills=10_000, installs=[GOOD_INSTALL] * 3, changes=[GOOD_CHANGE] * 20, idle=GOOD_IDLE, peak_memory_mb=55.0
)


def missed(**changed: object) -> list[str]:
    return [verdict.text for verdict in verdicts(replace(GOOD, **changed)) if not verdict.met]  # type: ignore[arg-type]


def test_all_targets_can_be_met() -> None:
    assert missed() == []


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"installs": [replace(GOOD_INSTALL, seconds=7.2)] * 3}, "2.1 x cp -r"),
        ({"installs": [GOOD_INSTALL, replace(GOOD_INSTALL, fetching_ms=None)]}, "- x cp -r"),
        ({"changes": [GOOD_CHANGE] * 18 + [Change(took_ms=70.0, fetching_ms=20.0)] * 2}, "p50 40 p95 50 ms"),
        ({"changes": [GOOD_CHANGE, Change(took_ms=40.0, fetching_ms=None)]}, "p50 - p95 - ms"),
        ({"changes": []}, "p50 - p95 - ms"),
        ({"idle": replace(GOOD_IDLE, requests=42)}, "one request"),
        ({"idle": replace(GOOD_IDLE, looks=20)}, "one request"),
        ({"idle": replace(GOOD_IDLE, cpu_seconds=0.22)}, "CPU of an idle look 3.00 ms"),
        ({"idle": replace(GOOD_IDLE, cpu_seconds=0.3, sweep_seconds=0.2)}, "sweep takes 1.00 %"),
        ({"idle": replace(GOOD_IDLE, sweep_seconds=None, cpu_seconds=0.1)}, "sweep takes - %"),
        ({"peak_memory_mb": 60.0}, "peak memory 60 MB"),
    ],
)
def test_every_target_can_be_missed_and_what_is_not_known_meets_none(changed: dict[str, object], word: str) -> None:
    found = missed(**changed)
    assert len(found) == 1
    assert word in found[0]


def test_a_puller_that_never_looks_meets_no_target_of_the_idle_while() -> None:
    dead = Idle(seconds=20.0, looks=0, requests=0, not_modified=0, reports=0, cpu_seconds=0.0, sweep_seconds=0.0)
    assert len(missed(idle=dead)) == 2


def test_an_install_is_told_in_copies_by_the_medians_of_both() -> None:
    installs = [
        Install(seconds=6.0, fetching_ms=1000.0, copy_seconds=1.0, synced_copy_seconds=2.0),
        Install(seconds=8.0, fetching_ms=5000.0, copy_seconds=2.0, synced_copy_seconds=4.0),
        Install(seconds=99.0, fetching_ms=1000.0, copy_seconds=50.0, synced_copy_seconds=60.0),
    ]
    assert in_copies(installs, apart=False, synced=False) == 4.0
    assert in_copies(installs, apart=True, synced=False) == 2.5
    assert in_copies(installs, apart=False, synced=True) == 2.0
    assert in_copies(installs, apart=True, synced=True) == 1.25


def test_what_was_spent_on_fetching_and_sweeping_is_taken_off() -> None:
    assert apart_from_fetching([GOOD_CHANGE, Change(took_ms=5.5, fetching_ms=0.5)]) == [40.0, 5.0]
    assert poll_cpu_ms(GOOD_IDLE) == pytest.approx(1.0)
    assert sweep_share(GOOD_IDLE) == pytest.approx(0.005)
    assert poll_cpu_ms(replace(GOOD_IDLE, sweep_seconds=None)) == pytest.approx(3.5)


def test_what_the_puller_does_not_tell_is_a_dash() -> None:
    assert "7.00 s, 3.00 s of it fetching" in told(GOOD)
    silent = replace(
        GOOD,
        installs=[replace(GOOD_INSTALL, fetching_ms=None)],
        changes=[Change(took_ms=None, fetching_ms=None)],
        idle=replace(GOOD_IDLE, sweep_seconds=None),
    )
    text = told(silent)
    assert "7.00 s, - s of it fetching" in text
    assert "3.5 x cp -r, 1.8 x cp -r with sync -f" in text
    assert "- x cp -r, - x cp -r with sync -f" in text
    assert "p50 - p95 - ms" in text
    assert "sweep - %" in text


def test_a_small_volume_can_be_measured(tmp_path: Path) -> None:
    found = measure(tmp_path, skills=3, installs=1, changes=1, round_seconds=0.0, idle_seconds=1.1)
    assert (found.skills, len(found.installs), len(found.changes)) == (3, 1, 1)
    assert found.installs[0].seconds > 0
    assert found.installs[0].synced_copy_seconds >= found.installs[0].copy_seconds > 0
    assert found.idle.looks > 0
    assert found.idle.not_modified == found.idle.requests - found.idle.reports
    assert 0 < poll_cpu_ms(found.idle) < 1000
    assert 5 < found.peak_memory_mb < 500
