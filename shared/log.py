"""One JSON object a line on standard output, as Cloud Logging reads it. Foreign text is capped and stripped here.

Source of the field names: https://cloud.google.com/logging/docs/structured-logging
"""

from __future__ import annotations

import json
import math
import re
import sys
import threading

MAX_FIELD_CHARS = 500
MAX_ITEMS = 50
_CONTROL_OR_BIDI = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
_lock = threading.Lock()


def info(message: str, **fields: object) -> None:
    """Write what happened. `message` is fixed text that operators search for; what varies stands in `fields`."""
    _write("INFO", message, fields)


def warning(message: str, **fields: object) -> None:
    """Write what a person should look at some time."""
    _write("WARNING", message, fields)


def error(message: str, **fields: object) -> None:
    """Write what a person should look at now."""
    _write("ERROR", message, fields)


def clean(value: object) -> object:
    """Make a value fit to be logged: bounded, and without characters that act on a terminal or hide text."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        more = [f"and {len(value) - MAX_ITEMS} more"] if len(value) > MAX_ITEMS else []
        return [*(clean(item) for item in value[:MAX_ITEMS]), *more]
    if isinstance(value, dict):
        return {str(clean(str(key))): clean(item) for key, item in list(value.items())[:MAX_ITEMS]}
    return _CONTROL_OR_BIDI.sub("\N{REPLACEMENT CHARACTER}", str(value)[:MAX_FIELD_CHARS])


def _write(severity: str, message: str, fields: dict[str, object]) -> None:
    line = json.dumps({"severity": severity, "message": message, **{key: clean(item) for key, item in fields.items()}})
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
