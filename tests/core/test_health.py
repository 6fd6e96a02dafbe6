from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.core.decide import Decision
from shared.core.health import Evidence, health_of, kpis, unreadable
from shared.core.names import timestamp
from shared.core.states import Condition, State
from shared.core.summary import (
    Summary,
    count,
    line_of,
    with_deployments,
    with_failure,
    with_latency,
    with_poll,
    with_webhook,
)
from tests.core.samples import NOW, a_live_skill, a_manifest, a_pointer, a_withheld, commit

if TYPE_CHECKING:
    from collections.abc import Mapping

POINTER = a_pointer(3)


def at(minutes: float) -> str:
    return timestamp(NOW + timedelta(minutes=minutes))


def a_summary() -> Summary:
    decision = Decision(manifest=a_manifest(a_live_skill("a"), withheld=(a_withheld("b"),)), published=("a",))
    lines = [line_of(a_pointer(seq), decision if seq == 2 else replace(decision, published=())) for seq in (1, 2, 3)]
    return with_webhook(with_poll(with_deployments(Summary(), lines), at(0), commit(3)), at(0))


def a_report(**changes: object) -> Mapping[str, object]:
    return {"id": "p", "last_report": at(0), "outcome": "current", "deployment": "1-3", "reasons": []} | changes


def health(minutes: float = 1, *reports: Mapping[str, object], **changes: object) -> dict:
    evidence = Evidence(
        pointer=POINTER,
        summary=a_summary(),
        pullers=reports,
        webhook_configured=True,
        poll_seconds=300.0,
        state=State(condition=Condition.READY),
    )
    return health_of(replace(evidence, **changes), NOW + timedelta(minutes=minutes))


def test_health_has_the_shape_that_monitors_read() -> None:
    found = health(1, a_report())
    assert (found["status"], found["timestamp"]) == ("healthy", at(1))
    poller, webhook, audit, pullers = (found["services"][key] for key in ("poller", "webhook", "audit", "pullers"))
    assert (poller["status"], poller["last_check"], poller["last_deployed_sha"]) == (
        "running",
        POINTER.head_checked_at,
        commit(3),
    )
    assert webhook == {"status": "enabled", "configured": True, "last_received": at(0), "last_lost": None}
    assert audit == {"status": "disabled", "pending": 0}
    told = {"id": "p", "status": "current", "last_report": at(0), "deployment": "1-3", "reasons": []}
    assert pullers == [{**told, "state": None, "trust_version": None}]
    assert found["skills"] == {"count": 3, "withheld": 1, "last_updated": ["a"]}
    assert found["last_deployment"] == {
        "id": "1-3",
        "timestamp": POINTER.deployed_at,
        "commit_sha": commit(3),
        "status": "success",
        "trigger": "webhook",
    }
    assert found["recent_deployments"] == ["1-3", "1-2", "1-1"]


def test_before_anything_was_deployed_it_is_unhealthy() -> None:
    found = health(pointer=None, summary=Summary())
    assert (found["status"], found["services"]["poller"]["status"]) == ("unhealthy", "never")
    assert (found["last_deployment"], found["recent_deployments"]) == (None, [])


def test_it_is_unhealthy_once_no_head_was_read_for_three_intervals() -> None:
    assert health(15)["status"] == "healthy"
    late = health(15.01)
    assert (late["status"], late["services"]["poller"]["status"]) == ("unhealthy", "stale")


def test_a_refresh_of_the_pointer_proves_that_the_head_was_read() -> None:
    assert health(20, pointer=replace(POINTER, head_checked_at=at(19)))["status"] == "healthy"


def test_a_failure_degrades_it_until_a_poll_succeeds() -> None:
    failed = with_failure(a_summary(), at(0.5), "SOURCE_UNAVAILABLE")
    found = health(summary=failed)
    assert found["status"] == "degraded"
    assert (found["services"]["poller"]["error"], found["services"]["poller"]["error_at"]) == (
        "SOURCE_UNAVAILABLE",
        at(0.5),
    )
    assert health(summary=with_poll(failed, at(1), commit(3)))["status"] == "healthy"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "current"),
        ({"outcome": "installed"}, "current"),
        ({"deployment": "1-2"}, "behind"),
        ({"deployment": None}, "behind"),
        ({"outcome": "refused"}, "held"),
        ({"outcome": "failed", "deployment": "1-2"}, "held"),
        ({"outcome": "held", "deployment": "1-2", "reasons": ["skill_lost"]}, "held"),
        ({"outcome": "unproved", "reasons": ["gateway_down"]}, "held"),
        ({"last_report": at(-4.01), "outcome": "failed"}, "silent"),
        ({"last_report": None}, "silent"),
        ({"last_report": "zzz"}, "silent"),
    ],
)
def test_a_puller_that_does_not_follow_degrades_it(changes: dict[str, object], status: str) -> None:
    found = health(1, a_report(id="q"), a_report(**changes))
    assert [puller["status"] for puller in found["services"]["pullers"]] == ["current", status]
    assert found["status"] == ("healthy" if status == "current" else "degraded")


def test_what_is_withheld_is_its_authors_business_and_no_fault() -> None:
    assert health()["status"] == "healthy"
    assert health()["skills"]["withheld"] == 1


def test_a_webhook_that_is_not_set_up_is_told_and_no_fault() -> None:
    found = health(webhook_configured=False)
    assert found["services"]["webhook"]["status"] == "disabled"
    assert found["status"] == "healthy"


def test_a_store_that_cannot_be_read_is_unhealthy_with_the_reason() -> None:
    found = unreadable("STORE_UNAVAILABLE", NOW, webhook_configured=True)
    assert (found["status"], found["error"]) == ("unhealthy", "STORE_UNAVAILABLE")
    assert found.keys() >= health().keys()


def test_the_success_rate_counts_rejections_as_work_done() -> None:
    summary = Summary()
    for what, times in {"deployments": 6, "rejected": 2, "failed": 2, "polls": 30, "webhooks": 5}.items():
        for number in range(times):
            summary = count(summary, f"2026-11-{1 + number % 3:02}", what)
    found = kpis(summary)
    assert (found["deployments"], found["rejected"], found["failed"], found["polls"], found["webhooks"]) == (
        6,
        2,
        2,
        30,
        5,
    )
    assert found["deployment_success_rate"] == 0.8


def test_percentiles_are_the_upper_bounds_of_their_buckets() -> None:
    summary = Summary()
    for number in range(20):
        summary = with_latency(summary, f"2026-11-{1 + number % 3:02}", 300.0 if number < 18 else 9000.0)
    assert (kpis(summary)["latency_p50_ms"], kpis(summary)["latency_p95_ms"]) == (500, 25_000)


def test_without_anything_measured_there_are_no_rates() -> None:
    found = kpis(Summary())
    assert (found["deployment_success_rate"], found["latency_p50_ms"], found["latency_p95_ms"]) == (None, None, None)


def test_what_took_longer_than_the_last_bound_has_no_upper_bound() -> None:
    assert kpis(with_latency(Summary(), "2026-11-21", 10**6))["latency_p95_ms"] is None


def test_counters_that_are_damaged_count_as_nothing() -> None:
    days = {
        "2026-11-20": {"deployments": "x", "latency": [1, 2]},
        "2026-11-21": {"deployments": 1, "latency": ["x"] * 8},
    }
    assert kpis(Summary(days=days))["deployments"] == 1
    assert kpis(Summary(days=days))["latency_p50_ms"] is None
