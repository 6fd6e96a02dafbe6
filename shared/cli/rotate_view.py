"""Credentials and their rotation, made readable: names, fingerprints and times, never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from shared.cli import check_view
from shared.cli.screen import BAD, DOUBTFUL, GOOD, QUIET, cell, items, line, moment, part, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

_STYLES = {"ok": GOOD, "due": DOUBTFUL, "overdue": BAD, "unknown": QUIET, "rotating": DOUBTFUL}
_KNOWN_FROM = {
    "rotation": "it was rotated then",
    "first_seen": "it was first seen then; it may be older",
    "changed": "it was changed then, without a rotation",
    "header": "GitHub says when it expires",
    "trust": "the trust says so",
}
_STEPS = {
    "begun": "the rotation is begun",
    "verified": "the new value holds",
    "finished": "the rotation is finished",
    "aborted": "the rotation is given up; the old value stays",
}


def overview(document: Mapping[str, object]) -> Iterator[RenderableType]:
    """Yield all credentials, and the rotation that is open."""
    rows = [each for each in items(document, "credentials") if isinstance(each, dict)]
    columns = ("credential", "state", "fingerprints", "since", "due", "days left", "note")
    yield table(columns, map(_row, rows))
    yield Text()
    yield from _open(document)


def credential(document: Mapping[str, object], row: Mapping[str, object]) -> Iterator[RenderableType]:
    """Yield all that is known of one credential.

    Args:
        document: With the rotation that is open.
        row: The credential.
    """
    yield line(cell(row.get("name"), "bold"), _state(row))
    known = _KNOWN_FROM.get(str(row.get("known_from")))
    facts = [
        ("replaced every", f"{row.get('cadence_days')} days"),
        ("since", f"{_day(row.get('since'))}{f' ({known})' if known else ''}"),
        ("due", f"{_day(row.get('due_at'))}{_left(row)}"),
        ("kept in", row.get("kept")),
        ("two at once", row.get("overlap")),
        ("if it lapses", row.get("symptom")),
    ]
    yield table(("", ""), facts)
    yield Text()
    yield table(("fingerprint", "which", "last used"), _uses(row))
    if row.get("retired"):
        yield line(_retired(row), style=DOUBTFUL)
    active = part(document, "active")
    if active.get("name") == row.get("name"):
        yield Text()
        yield from _open(document)
        yield from check_view.checks(items(part(active, "verified"), "checks"))


def outcome(document: Mapping[str, object], name: object) -> Iterator[RenderableType]:
    """Yield what came of a step: the checks, and what to do now."""
    result = document.get("result")
    yield line(cell(name, "bold"), cell(result, GOOD), f"- {_STEPS[str(result)]}" if str(result) in _STEPS else "")
    yield from check_view.checks(items(document, "checks"))
    if document.get("next"):
        yield line("next:", document["next"], style=DOUBTFUL)


def _open(document: Mapping[str, object]) -> Iterator[RenderableType]:
    active = part(document, "active")
    if not active:
        yield line("No rotation is open.", style=QUIET)
        return
    yield line("open:", cell(active.get("name"), "bold"), "since", moment(active.get("begun_at")), style=DOUBTFUL)
    verified = part(active, "verified")
    if not verified:
        yield line("The new value is not verified yet: rotate verify", active.get("name"))
        return
    told = (verified.get("fingerprint"), "was verified", moment(verified.get("at")))
    yield line(
        "The new value", *told, f"- the old one must rest for {document.get('quiet_seconds')} s before `finish`."
    )


def _row(row: Mapping[str, object]) -> tuple[object, ...]:
    prints = " ".join(str(each) for each in items(row, "fingerprints")) or "none"
    days = row.get("days_left")
    note = _retired(row) if row.get("retired") else ""
    left = "-" if days is None else cell(days, _style(row))
    return row.get("name"), _state(row), prints, _day(row.get("since")), _day(row.get("due_at")), left, note


def _uses(row: Mapping[str, object]) -> Iterator[tuple[object, ...]]:
    used = part(row, "used")
    current = [str(each) for each in items(row, "fingerprints")]
    for number, each in enumerate(current):
        yield each, "newest" if number == 0 else "old", moment(used.get(each))
    for each in sorted(used.keys() - set(current)):
        yield each, cell("gone", QUIET), moment(used[each])


def _retired(row: Mapping[str, object]) -> str:
    return f"the old value {row.get('retired')} is still accepted: remove its line"


def _state(row: Mapping[str, object]) -> Text:
    return cell(row.get("state"), _style(row))


def _style(row: Mapping[str, object]) -> str:
    return _STYLES.get(str(row.get("state")), BAD)


def _left(row: Mapping[str, object]) -> str:
    days = row.get("days_left")
    if not isinstance(days, int):
        return ""
    if days > 0:
        return f" (in {days} days)"
    return f" ({-days} days ago)" if days else " (since today)"


def _day(value: object) -> str:
    return "not known" if value is None else moment(value)[:10]
