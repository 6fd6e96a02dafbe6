"""What all lines of one request share: one sync id, the trace, labels; in every thread that works for it, and in no other."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import log
from shared.adapters.threads import in_threads
from shared.log.trace import trace_fields

if TYPE_CHECKING:
    from collections.abc import Callable

TRACE = "logging.googleapis.com/trace"
SPAN = "logging.googleapis.com/spanId"
SAMPLED = "logging.googleapis.com/trace_sampled"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_line_of_a_scope_says_what_the_scope_says_and_none_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    with log.scope({TRACE: "t", log.LABELS: {"function": "poll"}}):
        log.info("one", n=1)
        with log.scope({"puller": "edge"}):
            log.warning("two")
        log.error("three")
    log.info("four")
    common = {TRACE: "t", log.LABELS: {"function": "poll"}}
    assert lines(capsys) == [
        {"severity": "INFO", "message": "one", "n": 1, **common},
        {"severity": "WARNING", "message": "two", **common, "puller": "edge"},
        {"severity": "ERROR", "message": "three", **common},
        {"severity": "INFO", "message": "four"},
    ]


def test_a_scope_ends_with_an_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="x"), log.scope({"a": 1}):
        raise ValueError("x")
    log.info("behind")
    assert lines(capsys) == [{"severity": "INFO", "message": "behind"}]


def test_a_call_has_one_sync_which_every_line_says_from_then_on(capsys: pytest.CaptureFixture[str]) -> None:
    with log.scope():
        log.info("before")
        with log.scope():
            sync = log.begin_sync()
        assert log.begin_sync() == sync
        log.info("behind")
    with log.scope():
        other = log.begin_sync()
    assert [line.get("sync") for line in lines(capsys)] == [None, sync]
    assert len(sync) == len(other) == 32
    assert not set(sync) - set("0123456789abcdef")
    assert sync != other


def test_without_a_scope_each_sync_is_another_and_no_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert log.begin_sync() != log.begin_sync()
    log.info("x")
    assert lines(capsys) == [{"severity": "INFO", "message": "x"}]


def test_a_line_about_an_earlier_deployment_names_that_one_and_whose_call_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with log.scope({"a": 1}):
        own = log.begin_sync()
        with log.about("f" * 32):
            log.info("projected")
        with log.about(own):
            log.info("projected its own")
        log.info("done")
    with log.about("e" * 32):
        log.info("by a puller")
    assert [(line.get("a"), line["sync"], line.get("during_sync")) for line in lines(capsys)] == [
        (1, "f" * 32, own),
        (1, own, None),
        (1, own, None),
        (None, "e" * 32, None),
    ]


def test_threads_that_work_for_a_call_say_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    together = threading.Barrier(3, timeout=10)

    def work(number: int) -> str:
        together.wait()
        log.info("worked", number=number)
        return log.begin_sync()

    with log.scope({"a": 1}):
        syncs = in_threads([partial(work, number) for number in range(3)])
        assert set(syncs) == {log.begin_sync()}
        in_threads([lambda: log.info("alone")])
        log.info("behind")
    told = lines(capsys)
    assert [line["a"] for line in told] == [1] * 5
    assert {line["sync"] for line in told[3:]} == set(syncs)


def test_calls_at_once_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    together = threading.Barrier(4, timeout=10)

    def call(number: int) -> tuple[int, str]:
        with log.scope({"call": number}):
            together.wait()
            sync = log.begin_sync()
            for _ in range(20):
                in_threads([partial(log.info, "x", part=part) for part in range(3)])
        return number, sync

    with ThreadPoolExecutor(4) as pool:
        syncs = dict(pool.map(call, range(4)))
    told = lines(capsys)
    assert len(told) == 4 * 20 * 3
    assert len(set(syncs.values())) == 4
    assert {(line["call"], line["sync"]) for line in told} == set(syncs.items())


def test_no_field_of_a_line_takes_the_place_of_what_ties_lines_together(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("severity", "time", "timestamp", "httpRequest", "sync", "during_sync", TRACE, log.LABELS, "call")
    forged = dict.fromkeys(names, "forged")
    with log.scope({"call": 1}):
        sync = log.begin_sync()
        log.info("x", **forged)
    (line,) = lines(capsys)
    assert (line.pop("severity"), line.pop("message"), line.pop("sync"), line.pop("call")) == ("INFO", "x", sync, 1)
    assert line == {f"{name}_": "forged" for name in forged}


# Traces

A, B = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def of(traceparent: str | None = None, google: str | None = None, project: str | None = None) -> dict[str, object]:
    return trace_fields(traceparent=traceparent, google=google, project=project)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (of(f"00-{A}-{B}-01"), {TRACE: A, SPAN: B, SAMPLED: True}),
        (of(f"00-{A}-{B}-00"), {TRACE: A, SPAN: B, SAMPLED: False}),
        (of(f"00-{A}-{B}-03", project="p-1"), {TRACE: f"projects/p-1/traces/{A}", SPAN: B, SAMPLED: True}),
        (of(f"01-{A}-{B}-01-what-comes-later"), {TRACE: A, SPAN: B, SAMPLED: True}),
        (of(google=f"{A}/74;o=1"), {TRACE: A, SPAN: "000000000000004a", SAMPLED: True}),
        (of(google=f"{A.upper()}/{2**64 - 1};o=0"), {TRACE: A, SPAN: "f" * 16, SAMPLED: False}),
        (of(google=f"{A}/0"), {TRACE: A}),
        (of(google=A, project="p-1"), {TRACE: f"projects/p-1/traces/{A}"}),
        (of(f"00-{A}-{B}-01", f"{'c' * 32}/1;o=0"), {TRACE: A, SPAN: B, SAMPLED: True}),
        (of("no trace", f"{A}/74;o=1"), {TRACE: A, SPAN: "000000000000004a", SAMPLED: True}),
        (of(), {}),
    ],
)
def test_a_trace_is_written_as_cloud_logging_reads_it(fields: dict[str, object], expected: dict[str, object]) -> None:
    assert fields == expected


MALFORMED: tuple[Callable[[], dict[str, object]], ...] = (
    *(
        partial(of, text)
        for text in (
            "",
            f"00-{A}-{B}",
            f"00-{A}-{B}-1",
            f"00-{A}-{B}-01-more",
            f"00-{A}-{B}-01 ",
            f"00-{A}-{B}-01\n",
            f"00-{A.upper()}-{B}-01",
            f"00-{'0' * 32}-{B}-01",
            f"00-{A}-{'0' * 16}-01",
            f"ff-{A}-{B}-01",
            f"00-{A[:-1]}-{B}-01",
            f"00-{A}g-{B}-01",
            f"01-{A}-{B}-01-{'x' * 5000}",
            '00-"},{"severity":"ERROR"}-1-01',
            f"00-{A[:-1]}\u0663-{B}-01",
        )
    ),
    *(
        partial(of, google=text)
        for text in (
            "",
            f"{A}/",
            f"{A}/74;o=9",
            f"{A}/74;o=1\n",
            f"{A}/{2**64};o=1",
            f"{A}/{'9' * 5000}",
            f"{'0' * 32}/1;o=1",
            f"{A[:-1]}/1;o=1",
            f"{A}/\u0663;o=1",
            f"{A}/-1",
        )
    ),
)


@pytest.mark.parametrize("fields", MALFORMED, ids=[str(each) for each in range(len(MALFORMED))])
def test_a_malformed_trace_is_none(fields: Callable[[], dict[str, object]]) -> None:
    assert fields() == {}


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_header_gets_into_a_line_unchecked(traceparent: str, google: str) -> None:
    for value in of(traceparent, google).values():
        assert isinstance(value, bool) or not set(str(value)) - set("0123456789abcdef")
