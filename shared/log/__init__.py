"""The log: `info`, `warning`, `error` and `unexpected` write one line each; `scope` says what all lines of a request share.

Foreign text may be given anywhere: it is capped, stripped and searched for secrets on its way (`cleaning`, `redaction`).
"""

from __future__ import annotations

from shared.log.cleaning import MAX_FIELD_CHARS, MAX_ITEMS, MAX_LINE_BYTES, clean
from shared.log.context import about, begin_sync, carried, scope
from shared.log.lines import LABELS, write
from shared.log.places import described

__all__ = [
    "LABELS",
    "MAX_FIELD_CHARS",
    "MAX_ITEMS",
    "MAX_LINE_BYTES",
    "about",
    "begin_sync",
    "carried",
    "clean",
    "error",
    "info",
    "scope",
    "unexpected",
    "warning",
]


def info(message: str, **fields: object) -> None:
    """Write what happened. `message` is fixed text that operators search for; what varies stands in `fields`."""
    write("INFO", message, fields)


def warning(message: str, **fields: object) -> None:
    """Write what a person should look at some time."""
    write("WARNING", message, fields)


def error(message: str, **fields: object) -> None:
    """Write what a person should look at now."""
    write("ERROR", message, fields)


def unexpected(error: BaseException, message: str = "Unexpected error", **fields: object) -> None:
    """Write of an error that nobody foresaw: its kind and where it came from, without its text (see `places`)."""
    write("ERROR", message, {**described(error), **fields})
