"""What reports add up to: each piece of news counts once, whatever is sent again, late, or lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.canonical import canonical_bytes, parse_object
from shared.core.report import kept_report
from shared.core.rewind import Witness
from shared.core.tally import MAX_DAYS, VOLUME_BUCKETS_MS, with_tally
from tests.core.samples import a_pointer, digest

if TYPE_CHECKING:
    from collections.abc import Mapping

IN_AT = "2026-11-21T12:34:57.000Z"
ASKED_AT = "2026-11-21T12:34:50.000Z"
SINCE = "2026-11-20T00:00:00.000Z"


def kept(*, last_report: str = IN_AT, floor: Witness | None = None, **members: object) -> dict[str, object]:
    return kept_report("edge", {"outcome": "current", **members}, floor, last_report)


def proved(
    seq: int, *, last_report: str = IN_AT, asked_at: str | None = ASKED_AT, **members: object
) -> dict[str, object]:
    """A report of deployment 1-<seq> with the pointer that proves it."""
    floor = Witness(party="puller", pointer=a_pointer(seq, asked_at=asked_at), envelope=b"{}")
    return kept(last_report=last_report, floor=floor, **{"outcome": "installed", "deployment": f"1-{seq}", **members})


def tally(*reports: Mapping[str, object]) -> dict[str, object]:
    """What is kept after these reports, through the store and back each time."""
    former: dict[str, object] = {}
    for report in reports:
        former = parse_object(canonical_bytes(with_tally(report, former)), what="the report")
    return former


def counted(*reports: Mapping[str, object]) -> dict[str, int]:
    """The sums of all days."""
    days = tally(*reports)["days"]
    assert isinstance(days, dict)
    found: dict[str, int] = {}
    for day in days.values():
        for key, value in day.items():
            if isinstance(value, int) and key != "slowest_ms":
                found[key] = found.get(key, 0) + value
    return found


def histogram(*reports: Mapping[str, object]) -> list[int]:
    days = tally(*reports)["days"]
    assert isinstance(days, dict)
    return next((day["latency"] for day in days.values() if "latency" in day), [])


def failed(*numbers: int) -> dict[str, object]:
    named = [{"deployment": f"1-{number}", "manifest": digest(number)} for number in numbers]
    return {"outcome": "held", "failed": named[-1], "failed_before": named[:-1]}


# Installs


def test_an_install_counts_once_however_often_it_is_told() -> None:
    report = proved(2, install={"ago_ms": 10})
    assert counted(report, report, proved(2, outcome="current"), report) == {"installs": 1}
    assert counted(report, proved(3), proved(3)) == {"installs": 2}


def test_a_report_that_was_overtaken_counts_nothing_again() -> None:
    assert counted(proved(2), proved(3), proved(2), proved(3)) == {"installs": 2}


def test_an_install_whose_own_report_was_lost_counts_with_the_next_one() -> None:
    assert counted(proved(1), proved(2, outcome="current")) == {"installs": 2}
    assert counted(proved(1), proved(2, outcome="refused", reasons=["clock_skew"])) == {"installs": 2}


def test_a_deployment_that_no_signature_of_ours_stands_behind_counts_nothing() -> None:
    assert counted(kept(outcome="installed", deployment="1-2")) == {}
    assert counted(proved(2, deployment="1-3"), proved(2, deployment=None), proved(2, deployment="x")) == {}


def test_what_stood_there_before_anything_was_counted_was_not_installed_just_now() -> None:
    old = {"schema": "skill-sync/report/1", "outcome": "current", "deployment": "1-2"}
    assert with_tally(proved(2), old)["days"] == {"2026-11-21": {}}
    assert with_tally(proved(3), old)["days"] == {"2026-11-21": {"installs": 1}}


# Proofs


@pytest.mark.parametrize(
    ("reports", "counts"),
    [
        ([proved(2, install={"proof": "holds"})] * 2, {"installs": 1, "proved": 1}),
        ([proved(2, outcome="unproved", install={"proof": "open"})] * 2, {"installs": 1, "unproved": 1}),
        ([proved(2, outcome="unproved")], {"installs": 1, "unproved": 1}),
        ([proved(2)], {"installs": 1}),
        # It was asked to end before the proof did: the next process says how that ended.
        (
            [proved(2, outcome="failed"), proved(2, outcome="current", install={"proof": "holds"})],
            {"installs": 1, "proved": 1},
        ),
        # The first word stays.
        (
            [proved(2, outcome="unproved"), proved(2, outcome="current", install={"proof": "holds"})],
            {"installs": 1, "unproved": 1},
        ),
        ([proved(2, outcome="unproved"), proved(1, **failed(2))], {"installs": 1, "unproved": 1}),
        ([proved(2, outcome="failed"), proved(1, **failed(2))], {"installs": 1, "failed": 1}),
    ],
)
def test_each_deployment_counts_by_the_first_word_on_its_reload(
    reports: list[dict[str, object]], counts: dict[str, int]
) -> None:
    assert counted(*reports) == counts


def test_a_failure_counts_once_while_it_lasts_and_each_of_several_does() -> None:
    assert counted(proved(1), *[proved(1, **failed(2))] * 3) == {"installs": 1, "failed": 1}
    assert counted(proved(1), proved(1, **failed(2, 3))) == {"installs": 1, "failed": 2}
    assert counted(proved(1), proved(1, **failed(2)), proved(1, **failed(2, 3))) == {"installs": 1, "failed": 2}


def test_a_failure_that_is_told_late_counts_nothing_again() -> None:
    held = proved(1, **failed(2))
    assert counted(proved(1), held, proved(3), held) == {"installs": 2, "failed": 1}


# Latency


@pytest.mark.parametrize(
    ("ago", "bucket"),
    [(7000, 0), (6500, 0), (6499, 1), (6000, 1), (5000, 2), (3000, 3), (1000, 4), (999, 5), (0, 5), (10**10, 0)],
)
def test_latency_goes_from_the_call_to_the_end_of_the_install_by_the_functions_clock(ago: int, bucket: int) -> None:
    found = histogram(proved(1), proved(2, install={"ago_ms": ago}))
    assert [place for place, amount in enumerate(found) if amount] == [bucket]


def test_what_took_ten_seconds_is_told_apart_from_what_took_less() -> None:
    below = histogram(proved(1), proved(2, last_report="2026-11-21T12:34:59.999Z", install={"ago_ms": 0}))
    at = histogram(proved(1), proved(2, last_report="2026-11-21T12:35:00.000Z", install={"ago_ms": 0}))
    assert (VOLUME_BUCKETS_MS[below.index(1)], VOLUME_BUCKETS_MS[at.index(1)]) == (9999, 30_000)


def test_what_takes_longer_than_the_last_bound_is_known_by_the_slowest() -> None:
    reports = [proved(1), proved(2, last_report="2026-11-21T12:44:50.000Z", install={"ago_ms": 0})]
    assert histogram(*reports)[-1] == 1
    assert tally(*reports)["days"]["2026-11-21"]["slowest_ms"] == 600_000  # type: ignore[index]


@pytest.mark.parametrize(
    "reports",
    [
        [proved(2, install={"ago_ms": 0})],
        [proved(1), proved(2)],
        [proved(1), proved(2, install={"proof": "holds"})],
        [proved(1), proved(2, asked_at=None, install={"ago_ms": 0})],
        [proved(1), proved(2), proved(2, install={"ago_ms": 0})],
    ],
    ids=["first install", "nothing measured", "another process", "an earlier pointer", "told before"],
)
def test_where_nothing_was_pushed_for_it_or_nobody_measured_there_is_no_latency(
    reports: list[dict[str, object]],
) -> None:
    assert histogram(*reports) == []


# The gateway


def gateway(watched: int, up: int, since: str = SINCE, **members: object) -> dict[str, object]:
    return kept(gateway={"since": since, "watched_ms": watched, "up_ms": up}, **members)


def test_a_gateways_counter_adds_what_it_has_grown_by() -> None:
    assert counted(gateway(100, 100), gateway(300, 250), gateway(300, 250)) == {"watched_ms": 300, "up_ms": 250}


def test_another_process_begins_anew() -> None:
    other = "2026-11-21T00:00:00.000Z"
    found = counted(gateway(100, 100), gateway(50, 10, other), gateway(60, 20, other))
    assert found == {"watched_ms": 160, "up_ms": 120}


def test_a_report_that_was_overtaken_adds_nothing_and_takes_nothing_back() -> None:
    other = "2026-11-21T00:00:00.000Z"
    reports = [gateway(100, 90), gateway(200, 190), gateway(100, 90), gateway(50, 50, other), gateway(200, 190)]
    assert counted(*reports, gateway(60, 60, other)) == {"watched_ms": 260, "up_ms": 250}


def test_a_report_that_says_nothing_of_the_gateway_leaves_the_counter_as_it_is() -> None:
    assert counted(gateway(100, 90), kept(), gateway(200, 190)) == {"watched_ms": 200, "up_ms": 190}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12))
def test_however_reports_come_a_gateway_was_never_up_for_longer_than_it_was_watched(
    looks: list[tuple[int, int, int]],
) -> None:
    reports = [gateway(max(pair), min(pair), f"2026-11-2{number}T00:00:00.000Z") for number, *pair in looks]
    found = counted(*reports)
    assert found.get("up_ms", 0) <= found.get("watched_ms", 0)
    most = {number: max(max(pair) for each, *pair in looks if each == number) for number, *_ in looks}
    assert found.get("watched_ms", 0) == sum(most.values())


# Days


def test_each_day_counts_by_itself_and_thirty_are_kept() -> None:
    months = [(month, day) for month in (10, 11) for day in range(1, 29)]
    reports = [
        gateway(10 * number, 10 * number, last_report=f"2026-{month}-{day:02}T00:00:00.000Z")
        for number, (month, day) in enumerate(months, start=1)
    ]
    days = tally(*reports)["days"]
    assert isinstance(days, dict)
    assert len(days) == MAX_DAYS
    assert days["2026-11-28"] == {"watched_ms": 10, "up_ms": 10}


@pytest.mark.parametrize(
    "former",
    [
        {"days": 7, "told": 7, "gateways": 7},
        {"days": {"2026-11-21": 7, "x": {}}, "told": {}, "gateways": [7, {}, {"since": SINCE, "watched_ms": "x"}]},
        {
            "days": {"2026-11-21": {"installs": "x", "latency": [1]}},
            "told": {"deployment": 7, "outcomes": 7, "proof": 7},
        },
        {"days": {"2026-11-21": {"latency": ["x"] * 10}}, "told": {"deployment": "1-1", "outcomes": [7], "proof": "x"}},
        {"deployment": {}, "failed": 7, "failed_before": [7, {"deployment": [], "manifest": {}}]},
        {"failed": {"deployment": "1-2", "manifest": []}},
    ],
)
def test_whatever_the_report_before_holds_stands_in_nobodys_way(former: dict[str, object]) -> None:
    report = proved(2, install={"ago_ms": 0}, gateway={"since": SINCE, "watched_ms": 2, "up_ms": 1})
    today = with_tally(report, former)["days"]["2026-11-21"]  # type: ignore[index]
    assert (today["installs"], today["watched_ms"], today["up_ms"]) == (1, 2, 1)
