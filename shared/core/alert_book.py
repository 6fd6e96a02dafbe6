"""Who was told what: the book of causes, each told once, to every address, and once more when it is over. Pure.

A cause is claimed before it is sent, and the claim has a lease: two that look at once send one message, and what a crash cut
off is sent again when the lease is over. What arrived at some addresses is tried again at the others alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.alert_kinds import WORDS
from shared.core.events import names_from
from shared.core.names import later, parse_timestamp, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from shared.core.alert_kinds import Topic
    from shared.core.cause import Cause

LEASE = timedelta(seconds=60)
"""So long a claim holds; every sender gives up long before."""
MAX_ENTRIES = 300
MAX_EVENTS = 100
EVENT_OVERLAP = timedelta(minutes=15)
"""So far behind what was looked at already an event may still appear: written late, or by another clock."""
MAX_EVENT_AGE = timedelta(days=1)
"""What happened is not told any more after that, however long nobody could be reached."""
_PAUSES_SECONDS = (0, 60, 120, 300, 600, 900)
"""How long after each failed delivery the next one waits; the last of these for all that follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One cause on record. Addresses stand here by their fingerprints.

    `alerted` know of it, `recovered` also of its end. `trying` may know of it, and `ending` of its end: it is being sent to
    them, or a crash has cut that off; rather they hear of either twice than never. `gone_at` is when it was first missed.
    `lease` is until when somebody is sending it, `retry_at` before when nobody tries again, `attempts` how often in a row it
    did not arrive everywhere.
    """

    cause: Cause
    seen_at: str
    gone_at: str | None = None
    alerted: frozenset[str] = frozenset()
    trying: frozenset[str] = frozenset()
    recovered: frozenset[str] = frozenset()
    ending: frozenset[str] = frozenset()
    lease: str | None = None
    retry_at: str | None = None
    attempts: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the cause lasted when somebody last looked."""
        return self.gone_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All entries by key. `watermark` is up to when events were looked at.

    `token` is new with every write: two that find the same at the same moment must not take each other's write for their own.
    """

    token: str = ""
    watermark: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Entries of one kind that go out as one message, to the same addresses; claimed until `lease`.

    `over`: it is their end that is told.
    """

    topic: Topic
    over: bool
    to: frozenset[str]
    lease: str
    entries: tuple[Entry, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The causes' keys."""
        return tuple(entry.cause.key for entry in self.entries)


def with_causes(book: Book, causes: Iterable[Cause], looked_at: AbstractSet[Topic], now: datetime) -> Book:
    """Enter what was found, and note what is gone.

    Args:
        book: As it is.
        causes: What lasts.
        looked_at: The kinds of which nothing else lasts.
        now: The time.
    """
    at = timestamp(now)
    found = {cause.key: cause for cause in causes}
    entries = {key: _seen(entry, found.get(key), looked_at, at) for key, entry in book.entries.items()}
    for key, cause in found.items():
        # Beyond the bound, the book would be a way to fill the store; what happened must not crowd out what lasts.
        if key not in entries and len(entries) < (MAX_EVENTS if WORDS[cause.topic].once else MAX_ENTRIES):
            entries[key] = Entry(cause=cause, seen_at=at)
    return replace(book, entries=entries)


def claim(book: Book, addresses: AbstractSet[str], now: datetime) -> tuple[Book, list[Batch]]:
    """Take everything that is due, so that nobody else sends it; and forget what is done with.

    Args:
        book: As it is.
        addresses: Who is to be told, as the settings have it now.
        now: The time.

    Returns:
        The book with the claims, and what to send.
    """
    book = _pruned(book, addresses, now)
    groups: dict[tuple[Topic, bool, frozenset[str]], list[Entry]] = defaultdict(list)
    for entry in book.entries.values():
        to = _due(book, entry, addresses, now)
        if to:
            groups[entry.cause.topic, not entry.is_open, to].append(entry)
    lease = timestamp(now + LEASE)
    taken = {
        entry.cause.key: replace(entry, lease=lease, ending=to) if over else replace(entry, lease=lease, trying=to)
        for (_, over, to), group in groups.items()
        for entry in group
    }
    batches = [
        Batch(topic=topic, over=over, to=to, lease=lease, entries=tuple(sorted(group, key=lambda each: each.cause.key)))
        for (topic, over, to), group in groups.items()
    ]
    ordered = sorted(batches, key=lambda batch: (batch.over, batch.topic, sorted(batch.to)))
    return replace(book, entries={**book.entries, **taken}), ordered


def delivered(
    book: Book, sent: Iterable[tuple[Batch, frozenset[str]]], addresses: AbstractSet[str], now: datetime
) -> Book:
    """Note who was reached, and forget what is done with.

    Args:
        book: As it is; others may have changed it since the claim.
        sent: Each message with the addresses that took it.
        addresses: As for `claim`.
        now: The time.
    """
    entries = dict(book.entries)
    for batch, reached in sent:
        for key in batch.keys:
            if key in entries:
                entries[key] = _told(entries[key], batch, reached, now)
    return _pruned(replace(book, entries=entries), addresses, now)


def with_watermark(book: Book, until: datetime) -> Book:
    """Note up to when events were looked at, if the note is old: it need not be newer than the overlap."""
    if book.watermark and parse_timestamp(book.watermark) + EVENT_OVERLAP > until:
        return book
    return replace(book, watermark=timestamp(until))


def events_from(book: Book, now: datetime) -> datetime:
    """Return from when on events have to be looked at."""
    seen = parse_timestamp(book.watermark) if book.watermark else now
    return min(seen, now) - EVENT_OVERLAP


def _seen(entry: Entry, cause: Cause | None, looked_at: AbstractSet[Topic], at: str) -> Entry:
    if cause is not None:
        # Who was told of its end, or may have been, is told anew; who was not hears nothing of the gap.
        told = entry.recovered | entry.ending
        return replace(
            entry,
            cause=replace(cause, since=entry.cause.since),
            gone_at=None,
            alerted=entry.alerted - told,
            trying=entry.trying - told,
            recovered=frozenset(),
            ending=frozenset(),
        )
    lasts = WORDS[entry.cause.topic].once or entry.cause.topic not in looked_at
    return entry if lasts or not entry.is_open else replace(entry, gone_at=at, attempts=0, retry_at=None)


def _due(book: Book, entry: Entry, addresses: AbstractSet[str], now: datetime) -> frozenset[str]:
    if _is_ahead(entry.lease, now) or _is_ahead(entry.retry_at, now):
        return frozenset()
    if entry.is_open:
        return frozenset(addresses - entry.alerted)
    if not _is_settled(entry, now):
        return frozenset()
    return frozenset() if _heirs(book, entry) else _unaware(entry, addresses)


def _pruned(book: Book, addresses: AbstractSet[str], now: datetime) -> Book:
    entries = {key: _handed_on(book, entry, now) for key, entry in book.entries.items()}
    left = {key: entry for key, entry in entries.items() if not _is_done(book, entry, addresses, now)}
    return replace(book, entries=left)


def _handed_on(book: Book, entry: Entry, now: datetime) -> Entry:
    # Who has heard of the cause that took this one's place will hear of that one's end.
    if entry.is_open or not _is_settled(entry, now):
        return entry
    aware = frozenset[str]().union(*(heir.alerted for heir in _heirs(book, entry)))
    return replace(entry, alerted=entry.alerted - aware, trying=entry.trying - aware)


def _unaware(entry: Entry, addresses: AbstractSet[str]) -> frozenset[str]:
    """Return who knows of a cause, or may know, and not of its end."""
    return frozenset(((entry.alerted | entry.trying) & addresses) - entry.recovered)


def _is_done(book: Book, entry: Entry, addresses: AbstractSet[str], now: datetime) -> bool:
    if _is_ahead(entry.lease, now):
        return False
    if WORDS[entry.cause.topic].once:
        # As long as its event may be listed, it must be known that it was told.
        listed = entry.cause.key > names_from(events_from(book, now))
        expired = parse_timestamp(entry.seen_at) + MAX_EVENT_AGE < now
        return not listed and (expired or not addresses - entry.alerted)
    if entry.is_open or not _is_settled(entry, now):
        return False
    return not _unaware(entry, addresses)


def _heirs(book: Book, entry: Entry) -> list[Entry]:
    """List the causes that have taken this one's place: while there is one, nothing is well again."""
    subject = entry.cause.subject
    return [other for other in book.entries.values() if other.is_open and other.cause.subject == subject]


def _told(entry: Entry, batch: Batch, reached: frozenset[str], now: datetime) -> Entry:
    if batch.over and entry.is_open:
        # It came back while its end was being told: who was not reached knows only that it is there.
        entry = replace(entry, alerted=(entry.alerted | batch.to) - reached)
    elif batch.over:
        entry = replace(entry, recovered=entry.recovered | reached)
    else:
        entry = replace(entry, alerted=entry.alerted | reached)
    if entry.lease == batch.lease:  # else somebody else is at it by now
        entry = replace(entry, lease=None, trying=frozenset() if not batch.over else entry.trying, ending=frozenset())
    if reached >= batch.to:
        return replace(entry, attempts=0, retry_at=None)
    pause = _PAUSES_SECONDS[min(entry.attempts, len(_PAUSES_SECONDS) - 1)]
    return replace(entry, attempts=entry.attempts + 1, retry_at=later(timestamp(now), seconds=pause))


def _is_settled(entry: Entry, now: datetime) -> bool:
    return entry.gone_at is not None and parse_timestamp(entry.gone_at) + WORDS[entry.cause.topic].settle <= now


def _is_ahead(at: str | None, now: datetime) -> bool:
    return at is not None and parse_timestamp(at) > now
