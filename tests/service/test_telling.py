"""Events are found by whoever reads on from where it was, whenever they are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.core.canonical import parse_object
from shared.core.events import FOLDER, LATE, OVERLAP, event, names_from, time_of
from shared.core.names import timestamp
from shared.errors import InputError, UnavailableError
from shared.service.telling import tell
from tests.fakes.breaking_store import BreakingStore
from tests.fakes.memory_store import MemoryStore

NOW = datetime(2026, 11, 21, 0, 5, tzinfo=UTC)


def told(store: MemoryStore | BreakingStore, moment: datetime) -> list[str]:
    """The events that a reader finds which was at `moment` before, announced ones in the place of their announcement."""
    names = [entry.name for entry in store.list(FOLDER, after=names_from(moment - OVERLAP))]
    found = []
    for name in names:
        stored = store.get(name)
        assert stored is not None
        document = parse_object(stored.data, what=name)
        found.append(str(document["event"]) if document["kind"] == "late" else name)
    return found


@pytest.mark.parametrize(
    "age", [timedelta(0), LATE, LATE + timedelta(seconds=1), timedelta(hours=2), timedelta(days=9)]
)
def test_a_reader_that_goes_on_from_where_it_was_finds_every_event(age: timedelta) -> None:
    store = MemoryStore()
    name, data = event(timestamp(NOW - age), "drift-edge", "drift", {})
    assert tell(store, name, data, NOW)
    assert name in told(store, NOW)


def test_an_event_that_is_told_again_is_one_event_with_one_announcement() -> None:
    store = MemoryStore()
    name, data = event(timestamp(NOW - timedelta(hours=1)), "drift-edge", "drift", {})
    assert tell(store, name, data, NOW)
    assert not tell(store, name, data, NOW + timedelta(minutes=1))
    assert told(store, NOW) == [name]


def test_an_event_of_this_moment_costs_one_request() -> None:
    store = BreakingStore(MemoryStore())
    name, data = event(timestamp(NOW), "drift-edge", "drift", {})
    tell(store, name, data, NOW)
    assert store.calls == [f"put {name}"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("broken", [1, 2, 3])
def test_a_crash_at_any_call_loses_neither_announcement_nor_event(broken: int, *, after: bool) -> None:
    inside = MemoryStore()
    name, data = event(timestamp(NOW - timedelta(hours=1)), "drift-edge", "drift", {})
    with pytest.raises(UnavailableError):
        tell(BreakingStore(inside, at=broken, after=after), name, data, NOW)
    tell(inside, name, data, NOW + timedelta(minutes=20))
    assert inside.get(name) is not None
    assert name in told(inside, NOW)


@pytest.mark.parametrize(
    "name", ["", "events/", "events/2026-11-21/x.json", "events/2026-13-21/120000.000-x.json", "current.json"]
)
def test_what_is_no_events_name_tells_no_time(name: str) -> None:
    with pytest.raises(InputError):
        time_of(name)


def test_a_names_time_is_the_events() -> None:
    name, _ = event(timestamp(NOW), "1-2-rejected", "rejected", {})
    assert time_of(name) == NOW
    assert names_from(NOW) < name < names_from(NOW + timedelta(milliseconds=1))
