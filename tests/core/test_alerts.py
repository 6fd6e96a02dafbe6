from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.core.alert_kinds import WORDS, Topic
from shared.core.alerts import Evidence, causes_of, drift_cause, looked_at
from shared.core.names import timestamp
from shared.core.polling import is_poller_stale
from shared.core.states import Condition, State
from shared.core.summary import Summary, with_deployments, with_failure, with_poll
from tests.core.samples import NOW, a_pointer, commit
from tests.core.test_plain_text import HOSTILE

if TYPE_CHECKING:
    from shared.core.cause import Cause

READY = State(condition=Condition.READY)
SAFE_LINE = re.compile(r"[A-Za-z0-9 .,:;()?_-]*")
"""All that a line may consist of: nothing of it means anything to any service."""


def at(minutes: float) -> str:
    return timestamp(NOW + timedelta(minutes=minutes))


def noted(*skills: dict[str, object], more: int = 0) -> Summary:
    line = {"id": "1-7", "timestamp": at(0)}
    summary = with_poll(with_deployments(Summary(), [line | {"status": "success"}]), at(0), commit(1))
    return replace(summary, withheld={"deployment": "1-7", "more": more, "skills": list(skills)})


def a_skill(key: str = "a", reason: str = "rejected", **changes: object) -> dict[str, object]:
    return {"id": key, "tree": "0123456789ab", "reason": reason, "codes": ["FM_MISSING"], "since": "1-6"} | changes


def a_report(**changes: object) -> dict[str, object]:
    report = {"id": "edge", "last_report": at(0), "outcome": "current", "deployment": "1-7", "reasons": []}
    return report | changes


def evidence(summary: Summary | None = None, **changes: object) -> Evidence:
    found = Evidence(summary=noted() if summary is None else summary, poll_seconds=300.0, state=READY, complete=True)
    return replace(found, **changes)  # type: ignore[arg-type]


def causes(summary: Summary | None = None, *, minutes: float = 1, **changes: object) -> list[Cause]:
    return causes_of(evidence(summary, **changes), NOW + timedelta(minutes=minutes))


def lines(summary: Summary | None = None, **changes: object) -> list[tuple[str, str]]:
    return [(cause.topic.value, cause.line) for cause in causes(summary, **changes)]  # type: ignore[arg-type]


PAUSED = State(condition=Condition.PAUSED, reasons=("mismatch_detected", "clock_skew"), since=at(-9))
FAILED = {"deployment": "1-7", "manifest": "0" * 64, "skills": ["a"]}
AUDIT = {"pending": 3, "error": "AUDIT_UNAVAILABLE", "since": at(0)}


def test_where_all_is_well_there_is_nothing_to_tell() -> None:
    assert lines(pointer=a_pointer(7), reports=[a_report()]) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            evidence(noted(a_skill("a"))),
            [("withheld-by-the-rules", "a, tree 0123456789ab, since deployment 1-6: FM_MISSING")],
        ),
        (
            evidence(noted(a_skill("a", "together", codes=[]))),
            [("withheld-by-the-rules", "a, tree 0123456789ab, since deployment 1-6: together")],
        ),
        (
            evidence(noted(a_skill("a", "unhealthy", codes=[], tree=""))),
            [("taken-back", "a, tree none, since deployment 1-6: unhealthy")],
        ),
        (
            evidence(noted(a_skill("", "deletion_guard", commit="0123456789ab", count=9))),
            [("deletion-guard", "9 skills are gone at commit 0123456789ab, since deployment 1-6")],
        ),
        (evidence(noted(more=3)), [("withheld-by-the-rules", "3 more that are not listed one by one")]),
        (evidence(with_failure(noted(), at(1), "SOURCE_DENIED")), [("deployment-failed", "SOURCE_DENIED")]),
        (evidence(state=PAUSED), [("paused", "mismatch_detected")]),
        (
            evidence(state=State(condition=Condition.PAUSED, reasons=("epoch_pending_republish",))),
            [],
        ),
        (evidence(state=State(condition=Condition.DEGRADED, reasons=("clock_skew",))), []),
        (
            evidence(reports=[a_report(outcome="held", failed=FAILED, reasons=["gateway_unhealthy"])]),
            [("failed-health-check", "edge is held, deployment 1-7: gateway_unhealthy")],
        ),
        (
            evidence(reports=[a_report(outcome="unproved")]),
            [("failed-health-check", "edge is unproved, deployment 1-7: no reason given")],
        ),
        (
            evidence(reports=[a_report(outcome="current", state="PAUSED", reasons=["wrong_channel"])]),
            [("failed-health-check", "edge is paused, deployment 1-7: wrong_channel")],
        ),
        (
            evidence(reports=[a_report(last_report=at(-5))]),
            [("puller-silent", "edge, last report 2026-11-21 11:55 UTC")],
        ),
        (evidence(reports=[a_report(last_report="yesterday")]), [("puller-silent", "edge, last report never")]),
    ],
)
def test_each_cause_has_its_line(found: Evidence, expected: list[tuple[str, str]]) -> None:
    assert [(cause.topic.value, cause.line) for cause in causes_of(found, NOW + timedelta(minutes=1))] == expected


@pytest.mark.parametrize(
    ("minutes", "changes", "expected"),
    [
        (15, {}, []),
        (16, {}, [("poller-stale", "last poll that finished: 2026-11-21 12:00 UTC")]),
        (16, {"poll_seconds": 600.0}, []),
        (16, {"state": PAUSED}, [("paused", "mismatch_detected")]),
        (15, {"audit": AUDIT}, []),
        (
            16,
            {"audit": AUDIT, "summary": with_poll(noted(), at(16), commit(1))},
            [("audit-behind", "AUDIT_UNAVAILABLE, since 2026-11-21 12:00 UTC")],
        ),
        (16, {"audit": {"pending": 3}, "summary": with_poll(noted(), at(16), commit(1))}, []),
    ],
)
def test_what_is_late_is_told_after_three_polling_intervals(
    minutes: float, changes: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    assert lines(minutes=minutes, **changes) == expected


def test_a_poller_that_fails_is_not_stale_and_one_that_never_came_is() -> None:
    failing = with_failure(noted(), at(14), "SOURCE_UNAVAILABLE")
    assert [topic for topic, _ in lines(failing, minutes=20)] == ["deployment-failed"]
    never = replace(noted(), poller={})
    assert not is_poller_stale(never, 300.0, NOW + timedelta(minutes=15))
    assert lines(never, minutes=16) == [("poller-stale", "last poll that finished: never")]
    assert not is_poller_stale(Summary(), 300.0, NOW + timedelta(days=9)), "nothing was ever deployed"
    assert is_poller_stale(replace(noted(), poller={"last_check": "long ago"}), 300.0, NOW), (
        "a time that nobody can read"
    )


def test_a_pointer_is_near_its_expiry_in_the_last_third_of_its_life() -> None:
    pointer = a_pointer(7)
    fresh = with_poll(noted(), at(40), commit(1))
    assert lines(fresh, minutes=19, pointer=pointer) == []
    assert lines(fresh, minutes=21, pointer=pointer) == [
        ("pointer-expiry", "deployment 1-7 expires at 2026-11-21 12:30 UTC")
    ]
    assert lines(fresh, minutes=31, pointer=pointer) == [
        ("pointer-expiry", "deployment 1-7 expired at 2026-11-21 12:30 UTC")
    ]
    assert lines(fresh, minutes=31, pointer=pointer, state=PAUSED) == [("paused", "mismatch_detected")]


def test_a_skill_is_a_cause_by_its_tree_and_keeps_its_subject() -> None:
    one, same, other, elsewhere = (
        causes(noted(skill))[0]
        for skill in (
            a_skill(),
            a_skill(since="1-7", codes=["X"]),
            a_skill(tree="ba9876543210"),
            a_skill("b"),
        )
    )
    assert one.key == same.key
    assert one.key != other.key != elsewhere.key
    assert one.subject == other.subject != elsewhere.subject
    assert causes(noted(a_skill(reason="unhealthy")))[0].subject == one.subject


def test_a_gateway_that_is_down_is_one_cause_whatever_is_deployed_meanwhile() -> None:
    down = [causes(reports=[a_report(outcome="unproved", deployment=name)])[0] for name in ("1-7", "1-8")]
    assert down[0].key == down[1].key
    failed = [
        causes(reports=[a_report(outcome="held", failed=FAILED | {"deployment": name})])[0] for name in ("1-7", "1-8")
    ]
    assert failed[0].key != failed[1].key
    assert failed[0].subject == failed[1].subject


def test_what_was_not_looked_at_is_not_over() -> None:
    assert looked_at(evidence()) == frozenset(Topic)
    partly = looked_at(evidence(complete=False))
    assert {Topic.REJECTED, Topic.FAILED, Topic.POLLER_STALE} <= partly
    assert not partly & {Topic.PAUSED, Topic.PULLER_SILENT, Topic.POINTER_EXPIRY, Topic.AUDIT_BEHIND}
    unknown = looked_at(evidence(Summary()))
    assert not unknown & {Topic.REJECTED, Topic.UNHEALTHY, Topic.DELETION_GUARD}


@pytest.mark.parametrize("text", HOSTILE)
def test_no_line_holds_anything_that_a_service_interprets(text: str) -> None:
    found = [
        *causes(
            replace(
                noted(
                    a_skill(text, codes=[text, 7], since=text, tree=text), a_skill(text, "deletion_guard", commit=text)
                ),
                poller={"error": text, "error_at": at(0)},
            ),
            state=State(condition=Condition.PAUSED, reasons=("wrong_channel",), since=at(0)),
            reports=[
                a_report(id=text, outcome=text, state="PAUSED", deployment=text, reasons=[text, 7], last_report=text),
                a_report(id=text, state="PAUSED", failed={"deployment": text}, reasons=text),
            ],
            audit={"error": text, "since": at(-90)},
        ),
        drift_cause("events/x", {"puller": text, "at": text, "files": [{"what": text, "action": text}, text]}, NOW),
    ]
    assert len(found) >= 7
    assert not [cause.line for cause in found if not SAFE_LINE.fullmatch(cause.line)]
    assert max(len(cause.line) for cause in found) < 500


def test_drift_is_told_by_counts_and_its_event() -> None:
    files = [{"path": "a/SECRET.md", "what": "changed", "action": "repaired"}] * 2
    files += [{"path": "b", "what": "missing", "action": "reported"}]
    name = "events/2026-11-21/120000.000-drift-edge.json"
    cause = drift_cause(name, {"puller": "edge", "at": at(-1), "files": files}, NOW)
    assert cause.line == "at edge: 2 changed and repaired, 1 missing and reported; event 120000-000-drift-edge"
    assert (cause.key, cause.since, WORDS[cause.topic].once) == (name, at(-1), True)
    assert drift_cause(name, {}, NOW).line == "event 120000-000-drift-edge"


def test_every_kind_has_its_words() -> None:
    assert set(WORDS) == set(Topic)
