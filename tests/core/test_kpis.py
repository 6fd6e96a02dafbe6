"""The key figures: each by its formula, over thirty days, against its target."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.core.kpis import WINDOW_DAYS, history, kpis
from shared.core.summary import LATENCY_BUCKETS_MS, Summary, count, with_latency
from shared.core.tally import VOLUME_BUCKETS_MS
from tests.core.samples import NOW

DAY = "2026-11-20"
NAMES = [
    "webhook_success_rate",
    "deployment_success_rate",
    "latency_to_volume_p50",
    "latency_to_volume_p95",
    "hot_reload_success",
    "gateway_uptime",
]


def of(summary: Summary | None = None, *days: dict[str, object]) -> dict:
    reports = [{"days": {DAY: day}} for day in days]
    return kpis(summary or Summary(), reports, NOW)


def indicator(name: str, found: dict) -> tuple[object, object]:
    (one,) = [each for each in found["indicators"] if each["name"] == name]
    return one["value"], one["met"]


def a_summary(**counts: int) -> Summary:
    return Summary(days={DAY: dict(counts)})


def latencies(*amounts: int) -> dict[str, object]:
    return {"latency": [*amounts, *[0] * (len(VOLUME_BUCKETS_MS) + 1 - len(amounts))]}


def test_the_success_rate_counts_rejections_as_work_done() -> None:
    summary = Summary()
    for what, times in {"deployments": 6, "rejected": 2, "failed": 2, "polls": 30, "webhooks": 5}.items():
        for number in range(times):
            summary = count(summary, f"2026-11-{1 + number % 3:02}", what)
    found = of(summary)
    counts = [found[key] for key in ("deployments", "rejected", "failed", "polls", "webhooks")]
    assert counts == [6, 2, 2, 30, 5]
    assert found["deployment_success_rate"] == 0.8
    assert indicator("deployment_success_rate", found) == (0.8, False)


def test_percentiles_are_the_upper_bounds_of_their_buckets() -> None:
    summary = Summary()
    for number in range(20):
        summary = with_latency(summary, f"2026-11-{1 + number % 3:02}", 300.0 if number < 18 else 9000.0)
    assert (of(summary)["latency_p50_ms"], of(summary)["latency_p95_ms"]) == (500, 25_000)


def test_without_anything_measured_there_are_no_values_and_no_target_is_missed() -> None:
    found = of()
    assert (found["deployment_success_rate"], found["latency_p50_ms"], found["latency_p95_ms"]) == (None, None, None)
    assert [(each["name"], each["value"], each["met"]) for each in found["indicators"]] == [
        (name, None, None) for name in NAMES
    ]
    assert indicator("gateway_uptime", of(None, {"watched_ms": 0})) == (None, None)


def test_what_took_longer_than_the_last_bound_has_no_upper_bound() -> None:
    assert of(with_latency(Summary(), DAY, 10**6))["latency_p95_ms"] is None


def test_counters_that_are_damaged_count_as_nothing() -> None:
    days: dict[str, dict[str, object]] = {
        DAY: {"deployments": "x", "latency": [1, 2]},
        "2026-11-21": {"deployments": 1, "latency": ["x"] * (len(LATENCY_BUCKETS_MS) + 1)},
    }
    found = kpis(Summary(days=days), [{}, {"days": 7}, {"days": {DAY: 7}}, {"days": {DAY: {"proved": "x"}}}], NOW)
    assert (found["deployments"], found["latency_p50_ms"]) == (1, None)
    assert indicator("hot_reload_success", found) == (None, None)


def test_each_indicator_is_told_with_its_target_unit_and_window() -> None:
    found = of(a_summary(webhooks=3))["indicators"]
    assert [each["name"] for each in found] == NAMES
    assert found[0] == {
        "name": "webhook_success_rate",
        "value": 1.0,
        "target": "> 0.99",
        "met": True,
        "unit": "ratio",
        "window_days": 30,
    }
    assert [each["target"] for each in found[1:]] == [">= 0.99", "< 10000", "< 10000", ">= 1", "> 0.999"]


@pytest.mark.parametrize(
    ("name", "found", "value", "met"),
    [
        ("webhook_success_rate", of(a_summary(webhooks=995, webhooks_lost=5)), 0.995, True),
        ("webhook_success_rate", of(a_summary(webhooks=99, webhooks_lost=1)), 0.99, False),
        ("webhook_success_rate", of(a_summary(webhooks_lost=1)), 0.0, False),
        ("deployment_success_rate", of(a_summary(deployments=90, rejected=9, failed=1)), 0.99, True),
        ("deployment_success_rate", of(a_summary(deployments=97, failed=1)), 0.9898, False),
        ("latency_to_volume_p50", of(None, latencies(5, 5)), 500, True),
        ("latency_to_volume_p95", of(None, latencies(94, 0, 0, 0, 0, 0, 2, 4)), 9999, True),
        ("latency_to_volume_p95", of(None, latencies(94, 0, 0, 0, 0, 0, 0, 6)), 30_000, False),
        ("latency_to_volume_p95", of(None, latencies(94), latencies(0, 6)), 1000, True),
        ("latency_to_volume_p95", of(None, latencies(*[0] * 9, 1) | {"slowest_ms": 90_000}), 90_000, False),
        ("hot_reload_success", of(None, {"proved": 7}, {"proved": 3}), 1.0, True),
        ("hot_reload_success", of(None, {"proved": 8, "unproved": 1}, {"failed": 1}), 0.8, False),
        (
            "gateway_uptime",
            of(None, {"watched_ms": 60_000, "up_ms": 60_000}, {"watched_ms": 40_000, "up_ms": 39_950}),
            0.9995,
            True,
        ),
        ("gateway_uptime", of(None, {"watched_ms": 1000, "up_ms": 999}), 0.999, False),
    ],
)
def test_each_formula_and_each_target(name: str, found: dict, value: float, *, met: bool) -> None:
    got, is_met = indicator(name, found)
    assert got == pytest.approx(value, abs=1e-4)
    assert is_met is met


def test_a_rounded_value_never_meets_what_the_exact_one_misses() -> None:
    assert indicator("hot_reload_success", of(None, {"proved": 10**6, "failed": 1})) == (1.0, False)


def test_only_the_last_thirty_days_count_though_older_ones_are_on_record() -> None:
    days = {f"2026-10-{day:02}": {"webhooks": 1, "failed": 1} for day in range(1, 32)}
    summary = Summary(days={**days, "2026-11-21": {"webhooks": 1}})
    reports = [{"days": {"2026-10-22": {"failed": 5}, "2026-10-23": {"proved": 1}}}]
    found = kpis(summary, reports, NOW)
    assert (found["webhooks"], found["failed"]) == (10, 9)
    assert indicator("hot_reload_success", found) == (1.0, True)
    later = kpis(summary, reports, NOW + timedelta(days=30))
    assert (later["webhooks"], indicator("hot_reload_success", later)) == (0, (None, None))


def test_the_history_tells_each_day_of_the_window_by_itself_oldest_first() -> None:
    summary = count(count(count(Summary(), DAY, "webhooks"), DAY, "webhooks_lost"), "2020-01-01", "webhooks")
    report = {"days": {DAY: {"proved": 3, "unproved": 1}, "2020-01-01": {"proved": 9}}}
    found = history(summary, [report, {"days": "damaged"}, {}], NOW)
    assert found["webhook_success_rate"][-2] == (DAY, 0.5)
    assert found["hot_reload_success"][-2] == (DAY, 0.75)
    assert {(len(days), days[0][0] < days[-1][0]) for days in found.values()} == {(WINDOW_DAYS, True)}
    assert {value for days in found.values() for day, value in days if day != DAY} == {None}


def test_the_history_knows_the_same_indicators_as_the_sum() -> None:
    told = kpis(Summary(), [], NOW)["indicators"]
    assert [each["name"] for each in told] == list(history(Summary(), [], NOW))  # type: ignore[attr-defined]
