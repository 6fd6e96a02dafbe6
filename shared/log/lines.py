"""One JSON object a line, as Cloud Logging reads it from standard output.

Source of the field names: https://cloud.google.com/logging/docs/structured-logging
There is no field `time`: Cloud Logging and every other collector stamp a line as it comes.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from typing import TYPE_CHECKING, Literal, TextIO

from shared.log import context
from shared.log.cleaning import Cleaner

if TYPE_CHECKING:
    from collections.abc import Mapping

Severity = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]
Stream = Literal["stdout", "stderr"]

LABELS = "logging.googleapis.com/labels"
_GOOGLES = "logging.googleapis.com/"
# What Cloud Logging, or we ourselves, take for more than a field: a line's own words get another name.
_RESERVED = frozenset({"severity", "message", "time", "timestamp", "timestampSeconds", "timestampNanos", "httpRequest"})
_OURS = frozenset({context.SYNC, context.DURING})
_lock = threading.Lock()


def write(severity: Severity, message: str, fields: Mapping[str, object], stream: Stream = "stdout") -> None:
    """Write a line; where nobody reads any more, it is lost, and nothing else is."""
    line = line_of(severity, message, fields)
    with _lock, contextlib.suppress(OSError, ValueError):
        target = _bare(sys.stdout if stream == "stdout" else sys.stderr)
        target.write(f"{line}\n")
        target.flush()


def line_of(severity: Severity, message: str, fields: Mapping[str, object]) -> str:
    """Return a line: ASCII, without a line break, at most `MAX_LINE_BYTES` long, whatever is in it."""
    cleaner = Cleaner()
    # The message and what ties lines together come first: they are there even if the rest must be cut.
    text = cleaner.clean(message)
    common = cleaner.clean(context.fields())
    own = cleaner.clean(dict(fields))
    assert isinstance(common, dict)  # noqa: S101 - a dict stays one
    assert isinstance(own, dict)  # noqa: S101 - a dict stays one
    own = {_own_name(name, common): value for name, value in own.items()}
    return json.dumps({"severity": severity, "message": text, **own, **common})


def _own_name(name: str, common: Mapping[str, object]) -> str:
    taken = name in _RESERVED or name in _OURS or name in common or name.startswith(_GOOGLES)
    return f"{name}_" if taken else name


def _bare(stream: TextIO) -> TextIO:
    # With LOG_EXECUTION_ID, which Google sets, functions-framework puts a writer before the stream that copies a header
    # into each line unchecked, and the span with a number that Cloud Logging cannot read. Both are ours to write.
    while type(stream).__module__.startswith("functions_framework"):
        stream = getattr(stream, "stream", None) or getattr(stream, "stderr", None) or sys.__stdout__ or stream
    return stream
