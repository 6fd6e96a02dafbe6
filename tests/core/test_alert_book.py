from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.alert_book import (
    EVENT_OVERLAP,
    LEASE,
    MAX_ENTRIES,
    MAX_EVENT_AGE,
    MAX_EVENTS,
    Batch,
    Book,
    claim,
    delivered,
    events_from,
    with_causes,
    with_watermark,
)
from shared.core.alert_kinds import Topic
from shared.core.alert_record import book_bytes, parse_book
from shared.core.cause import Cause
from shared.core.events import names_from, time_of
from shared.core.names import event_name, timestamp
from tests.core.samples import NOW

if TYPE_CHECKING:
    from datetime import datetime

ALL = frozenset(Topic)
ONE, TWO = "0000000a", "0000000b"


def a_cause(key: str = "a", topic: Topic = Topic.REJECTED, subject: str = "") -> Cause:
    return Cause(key=key, topic=topic, subject=subject or key, line=f"line {key}", since=timestamp(NOW))


class Teller:
    """Somebody who looks, claims and tells; `dead` addresses take nothing."""

    def __init__(self, *addresses: str) -> None:
        self.book = Book()
        self.now: datetime = NOW
        self.addresses = frozenset(addresses or (ONE,))
        self.dead: frozenset[str] = frozenset()
        self.told: list[tuple[str, str, bool]] = []

    def look(self, *causes: Cause, minutes: float = 0, looked_at: frozenset[Topic] = ALL) -> list[Batch]:
        """Enter and claim, without telling anybody yet."""
        self.now += timedelta(minutes=minutes)
        self.book, batches = claim(with_causes(self.book, causes, looked_at, self.now), self.addresses, self.now)
        return batches

    def tell(self, batches: list[Batch]) -> list[tuple[str, str, bool]]:
        """Deliver; returns address, key and whether it is over."""
        sent = [(batch, batch.to - self.dead) for batch in batches]
        self.book = delivered(self.book, sent, self.addresses, self.now)
        return sorted((address, key, batch.over) for batch, to in sent for address in to for key in batch.keys)

    def run(self, *causes: Cause, minutes: float = 0) -> list[tuple[str, str, bool]]:
        return self.tell(self.look(*causes, minutes=minutes))


def test_a_cause_is_told_once_as_long_as_it_lasts_and_once_when_it_is_over() -> None:
    teller = Teller()
    assert teller.run(a_cause()) == [(ONE, "a", False)]
    assert [teller.run(a_cause(), minutes=5) for _ in range(20)] == [[]] * 20
    assert teller.run(minutes=5) == [(ONE, "a", True)]
    assert teller.run(minutes=5) == []
    assert teller.book.entries == {}


def test_the_same_cause_after_its_end_is_a_new_one() -> None:
    teller = Teller()
    assert [teller.run(a_cause()), teller.run(), teller.run(a_cause())] == [
        [(ONE, "a", False)],
        [(ONE, "a", True)],
        [(ONE, "a", False)],
    ]


def test_causes_of_one_kind_are_one_message() -> None:
    batches = Teller().look(a_cause("b"), a_cause("a"), a_cause("c", Topic.FAILED))
    assert [(batch.topic, batch.keys) for batch in batches] == [
        (Topic.FAILED, ("c",)),
        (Topic.REJECTED, ("a", "b")),
    ]


def test_what_somebody_is_sending_nobody_else_sends_until_the_lease_is_over() -> None:
    teller = Teller()
    assert teller.look(a_cause())
    assert teller.look(a_cause(), minutes=0.5) == []
    assert teller.run(a_cause(), minutes=LEASE.total_seconds() / 60) == [(ONE, "a", False)]


def test_a_late_sender_does_not_end_the_claim_of_the_next_one() -> None:
    teller = Teller()
    first = teller.look(a_cause())
    second = teller.look(a_cause(), minutes=2)
    teller.dead = frozenset({ONE})
    teller.tell(first)
    assert teller.look(a_cause()) == []
    teller.dead = frozenset()
    assert teller.tell(second) == [(ONE, "a", False)]
    assert teller.run(a_cause(), minutes=5) == []


def test_what_ends_before_anybody_heard_of_it_is_never_told() -> None:
    teller = Teller()
    teller.dead = frozenset({ONE})
    assert teller.run(a_cause()) == []
    teller.dead = frozenset()
    assert teller.run(minutes=5) == []
    assert teller.book.entries == {}


def test_what_may_have_been_told_before_a_crash_is_over_for_those_who_may_have_heard_it() -> None:
    teller = Teller()
    teller.look(a_cause())  # and is never heard of again
    assert teller.run(minutes=0.5) == []
    assert teller.run(minutes=1) == [(ONE, "a", True)]
    assert teller.book.entries == {}


def test_what_ends_while_it_is_being_told_is_over_for_those_who_heard_it() -> None:
    teller = Teller(ONE, TWO)
    batches = teller.look(a_cause())
    assert teller.look() == []
    teller.dead = frozenset({TWO})
    assert teller.tell(batches) == [(ONE, "a", False)]
    teller.dead = frozenset()
    assert teller.run(minutes=5) == [(ONE, "a", True)]


def test_what_comes_back_while_its_end_is_being_told_is_told_again() -> None:
    teller = Teller()
    teller.run(a_cause())
    ending = teller.look()
    assert teller.look(a_cause()) == []
    assert teller.tell(ending) == [(ONE, "a", True)]
    assert teller.run(a_cause()) == [(ONE, "a", False)]


def test_an_address_that_fails_is_tried_again_alone() -> None:
    teller = Teller(ONE, TWO)
    teller.dead = frozenset({TWO})
    assert teller.run(a_cause()) == [(ONE, "a", False)]
    teller.dead = frozenset()
    assert teller.run(a_cause()) == [(TWO, "a", False)]
    assert teller.run(minutes=5) == [(ONE, "a", True), (TWO, "a", True)]


def test_a_dead_address_is_tried_at_once_and_then_ever_more_rarely_and_never_given_up() -> None:
    teller = Teller()
    teller.dead = frozenset({ONE})
    tried = []
    for second in range(0, 7200, 30):
        teller.now = NOW + timedelta(seconds=second)
        batches = teller.look(a_cause())
        tried += [second] if batches else []
        teller.tell(batches)
    assert tried[:7] == [0, 30, 90, 210, 510, 1110, 2010]
    assert {later - one for one, later in pairwise(tried[6:])} == {900}


def test_a_new_address_is_told_what_still_lasts_and_one_that_is_gone_is_forgotten() -> None:
    teller = Teller(ONE)
    teller.run(a_cause())
    teller.addresses = frozenset({TWO})
    assert teller.run(a_cause()) == [(TWO, "a", False)]
    assert teller.run() == [(TWO, "a", True)]
    assert teller.book.entries == {}


def test_what_is_measured_must_have_been_gone_for_a_while() -> None:
    teller, cause = Teller(), a_cause(topic=Topic.FAILED)
    assert teller.run(cause) == [(ONE, "a", False)]
    assert [teller.run(minutes=1), teller.run(minutes=1)] == [[], []], "missed just now, and not long enough"
    assert teller.run(minutes=1) == [(ONE, "a", True)]


def test_what_comes_and_goes_at_every_look_is_told_once() -> None:
    teller, cause = Teller(), a_cause(topic=Topic.PULLER_SILENT)
    told = [teller.run(*([cause] if number % 2 else []), minutes=5) for number in range(50)]
    assert list(chain(*told)) == [(ONE, "a", False)]


def test_two_faults_that_take_turns_are_told_once_each() -> None:
    teller = Teller()
    faults = [a_cause(key, Topic.FAILED, subject="failed") for key in ("x", "y")]
    told = [teller.run(faults[number % 2], minutes=5) for number in range(50)]
    assert list(chain(*told)) == [(ONE, "x", False), (ONE, "y", False)]


def test_the_end_of_a_cause_is_no_news_while_another_one_has_its_place() -> None:
    teller = Teller()
    old, new = (a_cause(key, subject="skill") for key in ("old", "new"))
    assert teller.run(old) == [(ONE, "old", False)]
    assert teller.run(new, minutes=5) == [(ONE, "new", False)]
    assert teller.run(minutes=5) == [(ONE, "new", True)]
    assert teller.book.entries == {}


def test_the_end_is_told_to_each_address_once_whichever_of_the_two_it_heard_of() -> None:
    teller = Teller(ONE, TWO)
    old, new = (a_cause(key, subject="skill") for key in ("old", "new"))
    teller.run(old)
    teller.dead = frozenset({TWO})
    assert teller.run(new, minutes=5) == [(ONE, "new", False)]
    teller.dead = frozenset()
    assert teller.run(minutes=5) == [(ONE, "new", True), (TWO, "old", True)]
    assert teller.book.entries == {}


def test_its_end_is_told_where_nobody_heard_of_the_other_one() -> None:
    teller = Teller()
    old, new = (a_cause(key, subject="skill") for key in ("old", "new"))
    teller.run(old)
    teller.dead = frozenset({ONE})
    assert teller.run(new) == []
    teller.dead = frozenset()
    assert teller.run(minutes=5) == [(ONE, "old", True)]


def test_what_was_not_looked_at_is_not_over() -> None:
    teller = Teller()
    teller.run(a_cause())
    assert teller.look(looked_at=ALL - {Topic.REJECTED}, minutes=60) == []
    assert teller.run() == [(ONE, "a", True)]


def test_the_newest_line_is_kept_with_the_first_time() -> None:
    teller = Teller()
    teller.run(a_cause())
    teller.run(replace(a_cause(), line="newer", since=timestamp(NOW + timedelta(hours=1))))
    (entry,) = teller.book.entries.values()
    assert (entry.cause.line, entry.cause.since) == ("newer", timestamp(NOW))


# What happened once


def an_event(minutes: float, who: str = "edge") -> Cause:
    return a_cause(event_name(timestamp(NOW + timedelta(minutes=minutes)), f"drift-{who}"), Topic.DRIFT)


def test_an_event_is_told_once_and_has_no_end() -> None:
    teller, event = Teller(), an_event(0)
    told = []
    for _ in range(24):
        listed = event.key > names_from(events_from(teller.book, teller.now))
        told += teller.run(*([event] if listed else []), minutes=5)
        teller.book = with_watermark(teller.book, teller.now)
    assert told == [(ONE, event.key, False)]
    assert teller.book.entries == {}, "it is forgotten once it cannot be listed any more"


def test_an_event_that_nobody_could_be_told_of_is_given_up_after_a_day() -> None:
    teller, event = Teller(), an_event(0)
    teller.dead = frozenset({ONE})
    teller.run(event)
    teller.book = with_watermark(teller.book, teller.now + timedelta(hours=1))
    teller.run(minutes=60)
    assert teller.book.entries
    teller.run(minutes=MAX_EVENT_AGE.total_seconds() / 60)
    assert teller.book.entries == {}


def test_the_book_is_bounded_and_events_do_not_crowd_out_what_lasts() -> None:
    teller = Teller()
    teller.run(*(an_event(0, f"p{number}") for number in range(500)))
    assert len(teller.book.entries) == MAX_EVENTS
    teller.run(*(a_cause(f"k{number}") for number in range(500)))
    assert len(teller.book.entries) == MAX_ENTRIES
    assert len(book_bytes(teller.book)) < 200_000


def test_the_watermark_moves_rarely_and_never_back() -> None:
    book = with_watermark(Book(), NOW)
    assert with_watermark(book, NOW + EVENT_OVERLAP / 2) == book
    assert with_watermark(book, NOW - EVENT_OVERLAP) == book
    moved = with_watermark(book, NOW + EVENT_OVERLAP)
    assert events_from(moved, NOW + timedelta(hours=1)) == NOW


def test_events_sort_by_their_time_around_a_mark() -> None:
    assert event_name(timestamp(NOW - timedelta(milliseconds=1)), "drift-x") < names_from(NOW)
    assert names_from(NOW) < event_name(timestamp(NOW), "a")
    assert time_of(event_name(timestamp(NOW), "a-b")) == NOW


# The record


def test_the_book_survives_the_way_through_the_store() -> None:
    teller = Teller(ONE, TWO)
    teller.dead = frozenset({TWO})
    teller.run(a_cause("a"), a_cause("b", Topic.FAILED), an_event(0))
    teller.look(a_cause("c"), minutes=1)
    book = replace(with_watermark(teller.book, NOW), token="t")
    assert parse_book(book_bytes(book)) == book


GOOD = json.loads(book_bytes(with_causes(Book(), [a_cause()], ALL, NOW)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        json.dumps(GOOD | {"schema": "skill-sync/alerts/2"}).encode(),
        json.dumps(GOOD | {"watermark": "yesterday"}).encode(),
        json.dumps(GOOD | {"entries": []}).encode(),
        json.dumps(GOOD | {"entries": {"a": 1}}).encode(),
        *(
            json.dumps(GOOD | {"entries": {"a": GOOD["entries"]["a"] | {key: value}}}).encode()
            for key, value in {
                "topic": "x",
                "line": 1,
                "since": "x",
                "lease": "x",
                "alerted": None,
                "count": "1",
            }.items()
        ),
    ],
)
def test_a_damaged_book_is_empty(data: bytes) -> None:
    assert parse_book(data) == Book()


@given(st.binary())
def test_no_bytes_break_the_reader(data: bytes) -> None:
    assert parse_book(data) == Book()
