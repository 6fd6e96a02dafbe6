"""The process in which skills are judged: it has no secret in its environment, and hard limits on memory and time.

Run as `python -m shared.adapters.judge_child`; standard input is a socket to the parent, `judge_process`. The caps of the rules
stop every hostile file that is known; these limits stand behind them, for the one that is not, and for a crash in libyaml.
"""

from __future__ import annotations

import copyreg
import faulthandler
import math
import pickle
import resource
import socket
import traceback
from typing import TYPE_CHECKING

from shared.adapters.judge_frames import read_frame, write_frame
from shared.core.judge import judge_case
from shared.model import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.core.case import Case, Verdict

MAX_MEMORY_BYTES = 512 * 2**20
"""Of address space. The interpreter with the rules takes 60 MB, the worst known hostile skill 16 MB more."""
MAX_CASE_SECONDS = 3
"""Of processor time, for one skill. The largest skill that the rules allow takes half a second."""
READY = b"ready"


def _reduced(severity: Severity) -> tuple[type[Severity], tuple[str]]:
    # Python 3.11.2, which Debian bookworm has, writes a member as a call of `getattr`: the parent makes no such call.
    return Severity, (severity.value,)


copyreg.pickle(Severity, _reduced)


def serve(judge: Callable[[Case], Verdict], connection: socket.socket) -> None:
    """Judge case after case until the parent goes away, or a case cannot be judged.

    Args:
        judge: Applies the rules.
        connection: To the parent.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, MAX_MEMORY_BYTES)
    write_frame(connection, READY)
    while (data := read_frame(connection)) is not None:
        _allow_seconds(MAX_CASE_SECONDS)
        try:
            verdict = judge(pickle.loads(data))  # noqa: S301 - the parent made it
        except Exception as error:  # noqa: BLE001 - the edge of this process: the parent is told, and logs it
            write_frame(connection, pickle.dumps(_place(error)))
            return  # after a failure nothing in here is trusted
        write_frame(connection, written(verdict))


def written(verdict: Verdict) -> bytes:
    """Write a verdict as the parent reads it."""
    return pickle.dumps(verdict, protocol=pickle.HIGHEST_PROTOCOL)


def _place(error: Exception) -> str:
    # The kind and the place only: an error's message may quote the file.
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" at {frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in last)
    return f"{type(error).__name__}{where}"


def _allow_seconds(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Past the soft limit the system ends the process, wherever it is; a signal handler would wait for C code to return.
    _limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime) + seconds)


def _limit(what: int, soft: int) -> None:
    _, hard = resource.getrlimit(what)
    try:
        resource.setrlimit(what, (soft, hard))
    except (ValueError, OSError):  # pragma: no cover - macOS has no limit on address space
        return


if __name__ == "__main__":
    faulthandler.enable()  # a crash in C then says on standard error which check it was in
    with socket.socket(fileno=0) as parent:
        serve(judge_case, parent)
