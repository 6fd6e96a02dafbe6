"""What /health is measured on is a history as the product leaves it, and its target can be met and missed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.core.summary import MAX_DAYS, MAX_DEPLOYMENTS, parse_summary
from shared.service.health import Watched, glance, health
from tests.bench.health import PULLERS, TRUST, Measured, fill, told, verdicts
from tests.fakes.memory_store import MemoryStore
from tests.fakes.world import in_order


def measured(*calls: float, status: str = "healthy") -> Measured:
    return Measured(deployments=10_000, status=status, calls=list(calls))


def test_the_history_is_whole_and_all_key_figures_but_reloads_and_latency_to_the_volume_were_measured() -> None:
    store, now = MemoryStore(), datetime.now(UTC)
    fill(store, 60)
    watched = Watched(webhook_configured=True, poll_seconds=300.0, pullers=PULLERS)
    found = health(glance(store, TRUST, in_order, now, PULLERS), TRUST, now, watched)
    assert found["status"] == "healthy"
    indicators = found["kpis"]["indicators"]  # type: ignore[index]
    assert {each["name"] for each in indicators if each["met"]} == {
        "webhook_success_rate",
        "deployment_success_rate",
        "gateway_uptime",
    }
    assert len(store.list("deployments/")) == 60


def test_the_summary_is_as_large_as_it_gets() -> None:
    store = MemoryStore()
    fill(store, 31 * 96)
    stored = store.get("summary.json")
    assert stored is not None
    summary = parse_summary(stored.data)
    assert (len(summary.deployments), len(summary.days)) == (MAX_DEPLOYMENTS, MAX_DAYS)


@pytest.mark.parametrize(
    ("found", "met"),
    [
        (measured(*[10.0] * 95, *[500.0] * 5), [True, True]),
        (measured(*[10.0] * 94, *[100.0] * 6), [False, True]),
        (measured(10.0, status="unhealthy"), [True, False]),
    ],
)
def test_the_target_can_be_met_and_missed(found: Measured, met: list[bool]) -> None:
    assert [verdict.met for verdict in verdicts(found)] == met


def test_it_is_told_in_one_line() -> None:
    assert told(measured(10.0, 20.0)) == (
        "/health, 10,000 deployments on record, 3 pullers: p50 10.0 ms, p95 20.0 ms, slowest 20.0 ms of 2 calls"
    )
