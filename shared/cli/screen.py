"""What a person or a script sees: tables and colours on a terminal, plain text elsewhere, one JSON document with `--json`.

Whatever comes from the functions is foreign text: names of withheld skills are what somebody pushed. It is cleaned as in the
log, and given to rich as text, so that it can neither act on the terminal nor be taken for markup.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from shared import log
from shared.core.names import parse_timestamp
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

GOOD, BAD, DOUBTFUL, QUIET = "green", "bold red", "yellow", "dim"
_STYLES = {
    **dict.fromkeys(("healthy", "running", "enabled", "connected", "current", "success", "deployed", "met"), GOOD),
    **dict.fromkeys(("unhealthy", "stale", "never", "silent", "PAUSED", "missed"), BAD),
    **dict.fromkeys(("degraded", "behind", "held", "unreachable", "DEGRADED", "rejected", "rolled_back"), DOUBTFUL),
}
_WIDE = 200
_SHOWN_COMMIT_CHARS = 12
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Screen:
    """Standard output for the result, standard error for everything else.

    Args:
        as_json: Print the result as one JSON document.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = _console(err=False)
        self._err = _console(err=True)

    def result(self, document: Mapping[str, object], *shown: RenderableType) -> None:
        """Print the result: the document with `--json`, else what is made of it for people."""
        if self.as_json:
            # All but ASCII stands escaped: no text in it can act on a terminal.
            sys.stdout.write(json.dumps(document, indent=2) + "\n")
            sys.stdout.flush()
            return
        for part in shown:
            self._out.print(part)

    def verbatim(self, text: str) -> None:
        """Print a file's text as it is, its line ends too."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(newline="")
        sys.stdout.write(text)
        sys.stdout.flush()

    def aside(self, *shown: RenderableType) -> None:
        """Print what is not the result."""
        for part in shown:
            self._err.print(part)

    def answer(self, question: str) -> str | None:
        """Ask a person; None where there is none to ask."""
        if not sys.stdin.isatty():
            return None
        self._err.print(Text(question), end="")
        return sys.stdin.readline().strip()

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show on a terminal that something goes on, and for how long."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self._err, transient=True, disable=not self._err.is_terminal) as progress:
            progress.add_task(what, total=None)
            yield


def shown(value: object) -> str:
    """Return foreign text as it may be shown: bounded, without secrets and without characters that act or hide."""
    return "" if value is None else str(log.clean(value))


def cell(value: object, style: str | None = None) -> Text:
    """Return a text for a table, in its own style or in that of a word that has one."""
    text = shown(value)
    return Text(text, style=_STYLES.get(text, "") if style is None else style)


def line(*parts: object, style: str = "") -> Text:
    """Return foreign texts, and those made by `cell`, as one line with blanks between."""
    made = Text(style=style)
    for number, part in enumerate(parts):
        made.append(" " if number else "")
        made.append_text(part) if isinstance(part, Text) else made.append(shown(part))
    return made


def table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> Table:
    """Return a table; each cell is cleaned unless `cell` has made it."""
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    made.show_header = any(columns)
    for column in columns:
        made.add_column(column, overflow="fold", header_style=QUIET)
    for row in rows:
        made.add_row(*(each if isinstance(each, Text) else cell(each) for each in row))
    return made


def part(document: object, key: str) -> dict[str, object]:
    """Return a member that is an object, else an empty one."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def items(document: object, key: str) -> list[object]:
    """Return a member that is a list, else an empty one."""
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, list) else []


def commit(value: object) -> str:
    """Return the beginning of a commit's id."""
    return shown(value)[:_SHOWN_COMMIT_CHARS]


def moment(value: object) -> str:
    """Return a time of ours in UTC to the second, as everything of ours is logged; what is none as it is."""
    try:
        return f"{parse_timestamp(str(value)).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except InputError:
        return "never" if value is None else shown(value)


def age(value: object, now: object) -> str:
    """Return how long before `now` (by the functions' clock) a time lies; empty where either is none."""
    try:
        seconds = (_moment(now) - _moment(value)).total_seconds()
    except InputError:
        return ""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "s"))
    return f"{max(0, int(seconds // size))} {unit} ago"


def _moment(value: object) -> datetime:
    return parse_timestamp(str(value))


def _console(*, err: bool) -> Console:
    console = Console(stderr=err, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDE  # a line that goes into a file or to grep is not broken for a window
    return console
