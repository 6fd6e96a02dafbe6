from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.core.decide import Decision
from shared.core.health import BEHIND_AFTER, HELD_AFTER, SILENT_AFTER, Evidence, health_of, unreadable
from shared.core.names import timestamp
from shared.core.states import Condition, State
from shared.core.summary import Summary, line_of, with_deployments, with_failure, with_poll, with_webhook
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
    assert pullers == [{**told, "state": None, "trust_version": None, "since": None}]
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


def test_an_audit_graph_that_is_behind_says_by_how_much_and_one_that_fails_is_a_fault() -> None:
    def audit(**noted: object) -> tuple[object, object, object]:
        found = health(1, a_report(), summary=replace(a_summary(), audit=noted), audit_configured=True)
        return found["status"], found["services"]["audit"]["status"], found["services"]["audit"]["pending"]

    assert audit(deployment="1-3") == ("healthy", "connected", 0)
    assert audit(deployment="1-1") == ("healthy", "behind", 2)
    assert audit(deployment="1-1", error="AUDIT_DENIED", since=at(0)) == ("degraded", "behind", 2)
    assert audit(deployment="1-3", error="AUDIT_UNAVAILABLE", since=at(0)) == ("degraded", "unreachable", 0)


@pytest.mark.parametrize(
    ("changes", "status", "overall"),
    [
        ({}, "current", "healthy"),
        ({"outcome": "installed"}, "current", "healthy"),
        ({"deployment": "1-2"}, "behind", "healthy"),
        ({"deployment": None}, "behind", "healthy"),
        ({"deployment": "x"}, "behind", "healthy"),
        ({"outcome": "refused"}, "held", "degraded"),
        ({"outcome": "failed", "deployment": "1-2"}, "held", "degraded"),
        ({"outcome": "held", "deployment": "1-2", "reasons": ["skill_lost"]}, "held", "degraded"),
        ({"outcome": "unproved", "reasons": ["gateway_down"]}, "held", "degraded"),
        ({"state": "PAUSED"}, "held", "degraded"),
        ({"last_report": at(-4.01), "outcome": "failed"}, "silent", "unhealthy"),
        ({"last_report": None}, "silent", "unhealthy"),
        ({"last_report": "zzz"}, "silent", "unhealthy"),
    ],
)
def test_a_puller_that_does_not_follow_is_told_and_only_what_may_last_is_a_fault(
    changes: dict[str, object], status: str, overall: str
) -> None:
    found = health(1, a_report(id="q"), a_report(**changes))
    assert [puller["status"] for puller in found["services"]["pullers"]] == ["current", status]
    assert found["status"] == overall


def test_a_puller_that_never_reported_is_silent_and_says_nothing_else() -> None:
    found = health(1, {"id": "new"})
    assert found["services"]["pullers"] == [
        {
            "id": "new",
            "status": "silent",
            "last_report": None,
            "deployment": None,
            "state": None,
            "trust_version": None,
            "reasons": [],
            "since": None,
        }
    ]
    assert found["status"] == "unhealthy"


@pytest.mark.parametrize(
    ("allowance", "changes"),
    [
        (SILENT_AFTER, {"last_report": at(0)}),
        (BEHIND_AFTER, {"deployment": "1-2", "last_report": at(2)}),
        (BEHIND_AFTER, {"deployment": None, "last_report": at(2)}),
        (HELD_AFTER, {"outcome": "held", "not_following_since": at(0), "last_report": at(2)}),
        (HELD_AFTER, {"outcome": "unproved", "not_following_since": at(0), "last_report": at(2)}),
        (HELD_AFTER, {"state": "PAUSED", "not_following_since": at(0), "last_report": at(2)}),
    ],
)
def test_each_allowance_ends_in_red(allowance: timedelta, changes: dict[str, object]) -> None:
    minutes = allowance.total_seconds() / 60
    assert health(minutes, a_report(**changes))["status"] != "unhealthy"
    assert health(minutes + 0.001, a_report(**changes))["status"] == "unhealthy"


def test_one_that_is_left_further_and_further_behind_is_behind_since_the_first_it_missed() -> None:
    """Each deployment would begin the allowance anew, if that were measured by the live one."""
    live = replace(POINTER, deployed_at=at(9), head_checked_at=at(9))
    lines = tuple({**line, "timestamp": at(3 * int(str(line["id"])[-1]))} for line in a_summary().deployments)
    summary = replace(a_summary(), deployments=lines)
    found = health(9.5, a_report(deployment="1-1", last_report=at(9)), pointer=live, summary=summary)
    assert (found["services"]["pullers"][0]["since"], found["status"]) == (at(6), "unhealthy")
    found = health(9.5, a_report(deployment="1-2", last_report=at(9)), pointer=live, summary=summary)
    assert (found["services"]["pullers"][0]["since"], found["status"]) == (at(9), "healthy")


def test_what_was_kept_before_anybody_noted_since_when_it_does_not_follow_is_degraded() -> None:
    for since in (None, 7):
        found = health(4, a_report(outcome="held", not_following_since=since))
        assert found["status"] == ("degraded" if since is None else "unhealthy")


def test_whatever_all_pullers_did_counts_in_the_key_figures() -> None:
    days = {at(0)[:10]: {"proved": 1, "watched_ms": 100, "up_ms": 100}}
    found = health(1, a_report(days=days), a_report(id="q", days=days))["kpis"]["indicators"]
    assert {each["name"]: each["met"] for each in found}["gateway_uptime"] is True


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
