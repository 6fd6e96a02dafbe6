from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.decide import Decision
from shared.core.names import parse_timestamp
from shared.core.summary import (
    LATENCY_BUCKETS_MS,
    MAX_DAYS,
    MAX_DEPLOYMENTS,
    MAX_NAMES,
    Summary,
    count,
    line_of,
    missing_from,
    parse_summary,
    summary_bytes,
    with_deployments,
    with_failure,
    with_latency,
    with_poll,
    with_webhook,
)
from shared.model import Status
from tests.core.samples import a_live_skill, a_manifest, a_pointer, a_withheld, commit

if TYPE_CHECKING:
    from shared.core.summary import Line
    from shared.model import Pointer

AT = "2026-11-21T12:00:00.000Z"
DAY = AT[:10]


def at(seq: int, **changes: object) -> Pointer:
    return replace(a_pointer(1), seq=seq, **changes)


def line(seq: int, **changes: object) -> Line:
    return line_of(at(seq, **changes), Decision(manifest=a_manifest(a_live_skill())))


def lines(first: int, last: int) -> Summary:
    return with_deployments(Summary(), [line(seq) for seq in range(first, last + 1)])


def full() -> Summary:
    summary = with_failure(with_poll(with_webhook(lines(1, 3), AT), AT, commit(3)), AT, "SOURCE_UNAVAILABLE")
    return with_latency(summary, DAY, 300.0)


# Lines


def test_a_line_says_what_a_deployment_did() -> None:
    manifest = a_manifest(a_live_skill("a"), withheld=(a_withheld("b"), a_withheld("c")))
    decision = Decision(manifest=manifest, published=("a",), removed=("z",), withheld=(a_withheld("b"),))
    pointer = a_pointer(3)
    assert line_of(pointer, decision) == {
        "id": "1-3",
        "timestamp": pointer.deployed_at,
        "asked_at": None,
        "commit_sha": commit(3),
        "status": "success",
        "trigger": "webhook",
        "action": "deploy",
        "history_rewritten": False,
        "skills": 3,
        "rolled_back_to": None,
        "withheld": 2,
        "published": ["a"],
        "removed": ["z"],
        "held": ["b"],
    }


def test_a_line_names_only_so_many_skills() -> None:
    many = tuple(f"s{number:03}" for number in range(MAX_NAMES + 5))
    decision = Decision(
        manifest=a_manifest(), published=many, removed=many, withheld=tuple(a_withheld(key) for key in many)
    )
    described = line_of(a_pointer(), decision)
    assert [len(described[key]) for key in ("published", "removed", "held")] == [MAX_NAMES] * 3


def test_a_deployment_is_added_and_counted_once_however_often_it_is_told() -> None:
    summary = lines(1, 2)
    again = with_deployments(with_deployments(summary, [line(2)]), [line(1), line(2)])
    assert again == summary
    assert [each["id"] for each in summary.deployments] == ["1-1", "1-2"]
    assert summary.days[DAY] == {"deployments": 2}


def test_a_deployment_counts_on_its_own_day_also_when_it_is_told_later() -> None:
    late = [line(1, deployed_at="2026-11-19T23:59:59.999Z"), line(2, deployed_at="2026-11-20T00:00:00.000Z")]
    assert with_deployments(Summary(), late).days == {
        "2026-11-19": {"deployments": 1},
        "2026-11-20": {"deployments": 1},
    }


def test_deployments_that_only_withhold_are_counted_apart() -> None:
    summary = with_deployments(
        Summary(), [line(1), line(2, status=Status.REJECTED), line(3, status=Status.ROLLED_BACK)]
    )
    assert summary.days[DAY] == {"deployments": 2, "rejected": 1}


def test_lines_stand_in_the_order_of_deployments_by_number_and_epoch() -> None:
    summary = with_deployments(Summary(), [line(10), line(9), line(1, epoch=2), line(100)])
    assert [each["id"] for each in summary.deployments] == ["1-9", "1-10", "1-100", "2-1"]
    assert summary.newest == (2, 1)


def test_only_the_last_fifty_deployments_are_kept() -> None:
    summary = lines(1, MAX_DEPLOYMENTS + 10)
    assert len(summary.deployments) == MAX_DEPLOYMENTS
    assert (summary.deployments[0]["id"], summary.newest) == ("1-11", (1, 60))


# What is missing


@pytest.mark.parametrize(
    ("known", "seq", "missing"),
    [
        (0, 1, ["1-1"]),
        (0, 3, ["1-1", "1-2", "1-3"]),
        (3, 3, []),
        (2, 3, ["1-3"]),
        (1, 4, ["1-2", "1-3", "1-4"]),
        (5, 3, []),
    ],
)
def test_missing_are_the_deployments_between_the_newest_line_and_the_pointer(
    known: int, seq: int, missing: list[str]
) -> None:
    assert missing_from(lines(1, known), a_pointer(seq)) == missing


def test_of_a_long_history_only_as_much_is_missing_as_the_summary_can_hold() -> None:
    missing = missing_from(Summary(), at(1000))
    assert (len(missing), missing[0], missing[-1]) == (MAX_DEPLOYMENTS, "1-951", "1-1000")


def test_in_a_new_epoch_only_its_own_deployments_are_missing() -> None:
    assert missing_from(lines(1, 40), at(2, epoch=2)) == ["2-1", "2-2"]


def test_without_a_pointer_nothing_is_missing() -> None:
    assert missing_from(Summary(), None) == []


# Counters and times


def test_polls_and_webhooks_leave_their_time_and_count() -> None:
    summary = with_webhook(with_webhook(with_poll(Summary(), AT, commit(1)), AT), "2026-11-22T00:00:00.000Z")
    assert summary.poller == {"last_check": AT, "last_head": commit(1)}
    assert summary.webhook == {"last_received": "2026-11-22T00:00:00.000Z"}
    assert summary.days == {DAY: {"polls": 1, "webhooks": 1}, "2026-11-22": {"webhooks": 1}}


def test_a_slow_clock_does_not_take_the_last_times_back() -> None:
    earlier = "2026-11-21T11:00:00.000Z"
    assert with_poll(with_poll(Summary(), AT, commit(1)), earlier, commit(2)).poller["last_check"] == AT
    assert with_webhook(with_webhook(Summary(), AT), earlier).webhook["last_received"] == AT


def test_a_failure_stays_noted_until_a_poll_succeeds() -> None:
    failed = with_failure(with_poll(Summary(), AT, commit(1)), AT, "SOURCE_UNAVAILABLE")
    assert failed.poller == {"last_check": AT, "last_head": commit(1), "error": "SOURCE_UNAVAILABLE", "error_at": AT}
    assert with_webhook(failed, AT).poller == failed.poller
    assert with_poll(failed, AT, commit(2)).poller == {"last_check": AT, "last_head": commit(2)}
    assert failed.days[DAY] == {"polls": 1, "failed": 1}


@pytest.mark.parametrize(
    ("milliseconds", "bucket"), [(0, 0), (250, 0), (250.1, 1), (8000, 5), (25_000, 6), (25_001, 7), (10**9, 7)]
)
def test_a_latency_counts_in_the_first_bucket_that_holds_it(milliseconds: float, bucket: int) -> None:
    histogram = with_latency(Summary(), DAY, milliseconds).days[DAY]["latency"]
    assert histogram == [int(number == bucket) for number in range(len(LATENCY_BUCKETS_MS) + 1)]


def test_latencies_of_one_day_add_up_and_a_damaged_histogram_begins_anew() -> None:
    assert LATENCY_BUCKETS_MS == (250, 500, 1000, 2000, 4000, 8000, 25_000)
    summary = with_latency(with_latency(with_latency(Summary(), DAY, 1.0), DAY, 1.0), DAY, 9000.0)
    assert summary.days[DAY]["latency"] == [2, 0, 0, 0, 0, 0, 1, 0]
    for damaged in ([1, 2], ["x"] * 8, [0] * 9, "x", None, {}):
        again = with_latency(Summary(days={DAY: {"latency": damaged}}), DAY, 1.0)
        assert again.days[DAY]["latency"] == [1, 0, 0, 0, 0, 0, 0, 0]


def test_counters_of_thirty_days_are_kept() -> None:
    summary = Summary()
    for number in range(MAX_DAYS + 5):
        summary = with_latency(count(summary, f"2026-{number:04}", "polls"), f"2026-{number:04}", 1.0)
    assert sorted(summary.days) == [f"2026-{number:04}" for number in range(5, MAX_DAYS + 5)]


def test_the_summary_stays_small_however_much_happens() -> None:
    many = tuple(f"a-skill-with-quite-a-long-name-{number:03}" for number in range(1000))
    decision = Decision(manifest=a_manifest(), published=many, removed=many, withheld=tuple(map(a_withheld, many)))
    summary = Summary()
    for seq in range(1, 200):
        summary = with_deployments(summary, [line_of(at(seq), decision)])
        summary = with_latency(with_poll(summary, AT, commit(seq)), f"2026-{seq:04}", 1.0)
    assert len(summary_bytes(summary)) < 200_000


def test_a_change_does_not_touch_the_summary_that_it_is_given() -> None:
    summary = full()
    before = copy.deepcopy(summary)
    for change in (
        lambda it: with_poll(it, AT, "c"),
        lambda it: with_webhook(it, AT),
        lambda it: with_failure(it, AT, "X"),
        lambda it: with_latency(it, DAY, 1.0),
        lambda it: with_deployments(it, [line(9)]),
        lambda it: count(it, DAY, "polls"),
    ):
        assert change(summary) != summary
    assert summary == before


# Bytes


def test_a_summary_reads_back_as_itself() -> None:
    assert parse_summary(summary_bytes(full())) == full()
    assert parse_summary(summary_bytes(Summary())) == Summary()


def changed(**members: object) -> bytes:
    return json.dumps(json.loads(summary_bytes(full())) | members).encode()


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\xff", b"[]", b"{}", b"null", b"[" * 100_000, b'{"schema":NaN}', summary_bytes(full())[:-20]),
        changed(schema="skill-sync/summary/2"),
        changed(deployments=[{}]),
        changed(deployments=[{"id": "x"}]),
        changed(deployments=[{"id": None}]),
        changed(deployments=[{"id": ["1-1"]}]),
        changed(poller={"x": "\ud800"}),
    ],
)
def test_a_damaged_summary_counts_as_empty(data: bytes) -> None:
    assert parse_summary(data) == Summary()


def test_a_time_that_is_none_is_forgotten() -> None:
    data = changed(poller={"last_check": "zzz", "last_head": "c", "error_at": 7}, webhook={"last_received": None})
    assert parse_summary(data).poller == {"last_head": "c"}
    assert parse_summary(data).webhook == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=5,
)


@given(st.data(), JSON)
def test_whatever_stands_in_a_summary_the_next_sync_can_still_write_it(data: st.DataObject, value: object) -> None:
    document = below = json.loads(summary_bytes(full()))
    while True:
        key = data.draw(st.sampled_from(sorted(below) if isinstance(below, dict) else range(len(below))))
        if not below[key] or not isinstance(below[key], dict | list) or data.draw(st.booleans()):
            below[key] = value
            break
        below = below[key]
    summary = parse_summary(json.dumps(document).encode())
    summary = with_failure(with_latency(with_deployments(summary, [line(9)]), DAY, 1.0), AT, "X")
    summary = with_poll(with_webhook(summary, AT), AT, commit(9))
    assert parse_summary(summary_bytes(summary)) == summary
    assert parse_timestamp(str(summary.poller["last_check"])) >= parse_timestamp(AT)
    assert missing_from(summary, a_pointer(9)) == []
