"""How the book of alerts looks as bytes. What it means is `alert_book`'s business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.alert_book import Book, Entry
from shared.core.alert_kinds import Topic
from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.cause import Cause
from shared.core.names import parse_timestamp
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "skill-sync/alerts/1"
_WHAT = "an alert on record"


def book_bytes(book: Book) -> bytes:
    """Write the book canonically."""
    entries = {key: _document(entry) for key, entry in book.entries.items()}
    return canonical_bytes({"schema": SCHEMA, "token": book.token, "watermark": book.watermark, "entries": entries})


def parse_book(data: bytes) -> Book:
    """Read the book. One that is damaged counts as empty: what still lasts is then told once more.

    Args:
        data: The object's content.
    """
    try:
        document = parse_object(data, what="the book of alerts")
        if document.get("schema") != SCHEMA:
            return Book()
        watermark = member(document, "watermark", str, what=_WHAT)
        found = member(document, "entries", dict, what=_WHAT)
        entries = {str(key): _entry(str(key), value) for key, value in found.items()}
        token = member(document, "token", str, what=_WHAT)
        return Book(token=token, watermark=watermark and _time(watermark), entries=entries)
    except InputError:
        return Book()


def _document(entry: Entry) -> dict[str, object]:
    cause = entry.cause
    return {
        "topic": cause.topic.value,
        "subject": cause.subject,
        "line": cause.line,
        "since": cause.since,
        "count": cause.count,
        "seen_at": entry.seen_at,
        "gone_at": entry.gone_at,
        "alerted": sorted(entry.alerted),
        "trying": sorted(entry.trying),
        "recovered": sorted(entry.recovered),
        "ending": sorted(entry.ending),
        "lease": entry.lease,
        "retry_at": entry.retry_at,
        "attempts": entry.attempts,
    }


def _entry(key: str, value: Mapping[str, object]) -> Entry:
    try:
        topic = Topic(member(value, "topic", str, what=_WHAT))
    except ValueError:
        raise InputError("MEMBER_INVALID", f"{_WHAT} is of a kind that nobody knows") from None
    cause = Cause(
        key=key,
        topic=topic,
        subject=member(value, "subject", str, what=_WHAT),
        line=member(value, "line", str, what=_WHAT),
        since=_time(member(value, "since", str, what=_WHAT)),
        count=member(value, "count", int, what=_WHAT),
    )
    return Entry(
        cause=cause,
        seen_at=_time(member(value, "seen_at", str, what=_WHAT)),
        gone_at=_time_or_none(value, "gone_at"),
        alerted=_addresses(value, "alerted"),
        trying=_addresses(value, "trying"),
        recovered=_addresses(value, "recovered"),
        ending=_addresses(value, "ending"),
        lease=_time_or_none(value, "lease"),
        retry_at=_time_or_none(value, "retry_at"),
        attempts=max(0, member(value, "attempts", int, what=_WHAT)),
    )


def _time(text: str) -> str:
    parse_timestamp(text)
    return text


def _time_or_none(value: Mapping[str, object], key: str) -> str | None:
    return None if value.get(key) is None else _time(member(value, key, str, what=_WHAT))


def _addresses(value: Mapping[str, object], key: str) -> frozenset[str]:
    return frozenset(str(item) for item in member(value, key, list, what=_WHAT))
