"""What others say through Python's `logging`, as warnings, or by an error that nobody caught: lines like our own.

Below WARNING libraries stay silent: httpx tells each address, and those of archives are signed. What they say is foreign text
and stands in `detail`; an exception's own text is left out, as in every line of ours.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

from shared.log.lines import Severity, Stream, write
from shared.log.places import described

if TYPE_CHECKING:
    from types import TracebackType

MESSAGE = "A library says"
# gunicorn gives this logger its own handler after our code is loaded, and lets nothing through to the root.
_LOGGERS_WITH_OWN_HANDLERS = ("gunicorn.error",)


class LineHandler(logging.Handler):
    """Writes each record as a line."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; nothing is raised."""
        error = record.exc_info[1] if record.exc_info else None
        told = {} if error is None else described(error)
        fields = {"logger": record.name, "detail": _text(record), **told}
        write(_severity(record.levelno), MESSAGE, fields, self._stream)


class _Diversion(logging.Filter):
    """Takes what a logger is given before that logger's own handlers see it."""

    def __init__(self, handler: LineHandler) -> None:
        super().__init__()
        self._handler = handler

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= self._handler.level:
            self._handler.emit(record)
        return False


def catch_loggers(stream: Stream = "stdout") -> None:
    """Write from now on what libraries log, and Python's warnings. The last call counts.

    Args:
        stream: Where to; a command that prints its result keeps standard output for that.
    """
    handler = LineHandler(stream)
    root = logging.getLogger()
    for old in list(root.handlers):
        # functions-framework may have put handlers there that print bare text; a handler of another kind has its reason.
        if type(old) is logging.StreamHandler or isinstance(old, LineHandler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _LOGGERS_WITH_OWN_HANDLERS:
        logger = logging.getLogger(name)
        for former in [each for each in logger.filters if isinstance(each, _Diversion)]:
            logger.removeFilter(former)
        logger.addFilter(_Diversion(handler))
    logging.captureWarnings(capture=True)


def catch_uncaught() -> None:
    """Write from now on of what ends a thread or the process. Who has set a hook of his own keeps it."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _end_of_process
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _end_of_thread


def _end_of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, Exception):
        write("CRITICAL", "Unexpected error: the process ends", described(error))
    else:
        sys.__excepthook__(kind, error, trace)


def _end_of_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and not issubclass(told.exc_type, SystemExit):
        name = "" if told.thread is None else told.thread.name
        write("ERROR", "Unexpected error: a thread ends", {**described(told.exc_value), "thread": name})


def _severity(level: int) -> Severity:
    return "CRITICAL" if level >= logging.CRITICAL else "ERROR" if level >= logging.ERROR else "WARNING"


def _text(record: logging.LogRecord) -> object:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a library's own mistake in what it logs
        return record.msg
