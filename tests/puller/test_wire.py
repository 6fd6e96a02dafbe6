"""What looks after requests that are under way: it is there while there are any, and no longer."""

from __future__ import annotations

import threading

from shared.puller.clock import StoppableClock
from shared.puller.wire import Wire
from tests.puller.test_main import wait_until


def watchers() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == "wire"}


def test_between_requests_no_thread_is_left_and_the_next_one_brings_another() -> None:
    wire = Wire(StoppableClock(threading.Event()))
    for _ in range(2):
        before = watchers()
        with wire.over(30.0), wire.over(30.0):
            mine = watchers() - before
            assert len(mine) == 1
        wait_until(lambda mine=mine: not any(each.is_alive() for each in mine))  # type: ignore[misc]


def test_it_says_when_the_process_was_asked_to_end() -> None:
    stop = threading.Event()
    wire = Wire(StoppableClock(stop), stop.is_set)
    assert not wire.is_ending()
    stop.set()
    assert wire.is_ending()
