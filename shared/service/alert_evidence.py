"""What alerts are made from: bounded reads of the store. What follows from them is core's business."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.alert_book import EVENT_OVERLAP, events_from
from shared.core.alerts import Evidence, drift_cause
from shared.core.canonical import parse_object
from shared.core.events import FOLDER, is_event_name, names_from, time_of
from shared.core.states import in_force, state_of
from shared.errors import InputError
from shared.service.summary_store import read_summary
from shared.service.survey import survey

if TYPE_CHECKING:
    from datetime import datetime

    from shared.core.alert_book import Book
    from shared.core.cause import Cause
    from shared.ports import Store
    from shared.service.alerting import Watch

MAX_EVENTS_LISTED = 5000
MAX_EVENTS_READ = 20
"""So many events one look reads; the next one goes on from there."""
_PAGE = 1000
_DRIFT = "drift-"
_LATE = "late-"


def everything(watch: Watch, now: datetime) -> Evidence:
    """Read the pointer, the summary, the pullers' reports and what they remember."""
    found = survey(watch.store, watch.trust, watch.together, now)
    return Evidence(
        summary=found.summary,
        poll_seconds=watch.poll_seconds,
        state=found.state,
        pointer=found.offered,
        reports=found.reports,
        audit=found.summary.audit,
        complete=True,
    )


def summary_alone(watch: Watch, now: datetime) -> Evidence:  # noqa: ARG001 - in the place of `everything`
    """Read the summary, which tells of withheld skills, of failures, and whether anybody polls."""
    summary, _ = read_summary(watch.store)
    latches = in_force(summary.latches, watch.trust)
    state = state_of((), latches, watch.trust)
    return Evidence(summary=summary, poll_seconds=watch.poll_seconds, state=state)


def fresh_drift(store: Store, book: Book, now: datetime) -> tuple[list[Cause], datetime]:
    """Find the events of drift that nobody was told of.

    Events are listed by their time, from a while before the last look on. One that was written later than that is announced
    by another one, of kind `late`; one that lies ahead, by a puller's clock, is taken when its time comes.

    Args:
        store: Where.
        book: Who was told what.
        now: The time.

    Returns:
        The causes, and up to when all was looked at.
    """
    names = _listed(store, names_from(events_from(book, now)), names_from(now + EVENT_OVERLAP))
    fresh = [name for name in names if name not in book.entries and _key(name).startswith((_DRIFT, _LATE))]
    read = fresh[:MAX_EVENTS_READ]
    causes = [_cause(store, name, now) for name in read]
    cut_short = read[-1:] if len(fresh) > len(read) else names[-1:] if len(names) >= MAX_EVENTS_LISTED else []
    until = min([now, *(time_of(name) for name in cut_short)])
    return [cause for cause in causes if cause is not None], until


def _listed(store: Store, after: str, before: str) -> list[str]:
    names: list[str] = []
    while len(names) < MAX_EVENTS_LISTED:
        page = store.list(FOLDER, after=after, limit=_PAGE)
        names += [entry.name for entry in page if entry.name < before and is_event_name(entry.name)]
        if len(page) < _PAGE:
            break
        after = page[-1].name
    return names


def _key(name: str) -> str:
    return name.rpartition("/")[2].partition("-")[2]


def _cause(store: Store, name: str, now: datetime) -> Cause | None:
    content = _event(store, name)
    if _key(name).startswith(_DRIFT):
        return drift_cause(name, content, now)
    announced = str(content.get("event"))
    # Told under the announcement's name: that is what is listed again.
    is_drift = is_event_name(announced) and _key(announced).startswith(_DRIFT)
    return replace(drift_cause(announced, _event(store, announced), now), key=name) if is_drift else None


def _event(store: Store, name: str) -> dict[str, object]:
    stored = store.get(name)
    try:
        return {} if stored is None else parse_object(stored.data, what="an event")
    except InputError:
        return {}
