"""Judges skills in a child process with hard limits, so that no file can take the functions down; see `judge_child`.

The child is kept from call to call and started anew when it ended: a start costs 0.2 s, which pass while the source answers.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared import log
from shared.adapters.judge_frames import FrameError, read_frame, write_frame
from shared.core.case import Candidate, Verdict, uncheckable
from shared.errors import UnavailableError
from shared.model import FileEntry, Finding, LiveSkill, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.core.case import Case

CHILD = "shared.adapters.judge_child"
_TRIES = 2
_END_SECONDS = 1.0
_ANSWERS: dict[tuple[str, str], type] = {
    (kind.__module__, kind.__name__): kind for kind in (Verdict, Candidate, LiveSkill, FileEntry, Finding, Severity)
}


class JudgeProcess:
    """A `Judge` whose work is done by one child process; safe for many threads, which take turns from case to case.

    Args:
        environment: All that the child gets of this process's environment; no secret belongs there.
        module: The child's program.
    """

    def __init__(self, environment: Mapping[str, str], *, module: str = CHILD) -> None:
        self._environment = environment
        self._module = module
        self._turn = threading.Lock()
        self._child: _Child | None = None

    def prepare(self) -> None:
        """Start the child, unless it is running or somebody else is at it."""
        if self._turn.acquire(blocking=False):
            try:
                with suppress(UnavailableError):  # judging will try again, and say so
                    self._running()
            finally:
                self._turn.release()

    def __call__(self, cases: Sequence[Case], seconds: float) -> list[Verdict]:
        """Judge these cases; as `Judge` promises."""
        until = time.monotonic() + seconds
        return [self._judged(case, until) for case in cases]

    def close(self) -> None:
        """End the child."""
        with self._turn:
            self._end()

    def _judged(self, case: Case, until: float) -> Verdict:
        if not self._turn.acquire(timeout=max(0.0, until - time.monotonic())):
            raise _too_slow()
        try:
            return self._tried(case, until)
        finally:
            self._turn.release()

    def _tried(self, case: Case, until: float) -> Verdict:
        how = ""
        for _ in range(_TRIES):
            answer = self._asked(case, until)
            if isinstance(answer, Verdict):
                return answer
            how = answer.how
            log.warning("The checks of a skill came to a bad end", skill=case.skill.id, how=how)
            if answer.surely:
                break
            # A child may be killed for somebody else's hunger for memory; only a second end in a row is the skill's doing.
        return uncheckable(case, how)

    def _asked(self, case: Case, until: float) -> Verdict | _BadEnd:
        child = self._running()
        data = pickle.dumps(case, protocol=pickle.HIGHEST_PROTOCOL)
        try:
            if not child.ready:
                self._await_ready(child, until)
            child.connection.settimeout(_left(until))
            write_frame(child.connection, data)
            child.connection.settimeout(_left(until))
            answer = read_frame(child.connection)
        except TimeoutError:
            child.process.kill()
            self._end()
            raise _too_slow() from None
        except (FrameError, ConnectionError):
            answer = None
        if answer is None:
            return _BadEnd(f"ended with {self._end()}", surely=False)
        return self._read(answer)

    def _read(self, answer: bytes) -> Verdict | _BadEnd:
        try:
            said = read_answer(answer)
        except Exception:  # noqa: BLE001 - whatever a child that went astray may have sent
            said = None
        if isinstance(said, Verdict):
            return said
        self._end()
        return _BadEnd(str(said)[:200] if isinstance(said, str) else "gave no answer", surely=isinstance(said, str))

    def _running(self) -> _Child:
        child = self._child
        # A process that was forked off this one must not talk on the same connection.
        if child is None or child.owner != os.getpid() or child.process.poll() is not None:
            self._end()
            child = self._child = self._started()
        return child

    def _started(self) -> _Child:
        ours, theirs = socket.socketpair()
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - as the import system reads it
        command = [sys.executable, "-m", self._module]
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 - our own module
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env={**self._environment, "PYTHONPATH": path},
                )
            except OSError as error:
                ours.close()
                raise UnavailableError("JUDGE_UNAVAILABLE", f"cannot start a process: {error.strerror}") from error
        return _Child(process=process, connection=ours, owner=os.getpid())

    def _await_ready(self, child: _Child, until: float) -> None:
        child.connection.settimeout(_left(until))
        try:
            greeting = read_frame(child.connection)
        except (FrameError, ConnectionError):
            greeting = None
        if greeting is None:
            raise UnavailableError("JUDGE_UNAVAILABLE", f"the process that judges skills ended with {self._end()}")
        child.ready = True

    def _end(self) -> str:
        """End the child, if there is one of ours, and say how it ended."""
        child, self._child = self._child, None
        if child is None or child.owner != os.getpid():
            return "nothing"
        child.connection.close()
        try:
            status = child.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            child.process.kill()
            status = child.process.wait()
        return f"signal {-status}" if status < 0 else f"status {status}"


@dataclass(slots=True, kw_only=True)
class _Child:
    """A running child and the process that started it."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    owner: int
    ready: bool = False


@dataclass(frozen=True, slots=True)
class _BadEnd:
    """How the checks ended on a case; `surely` when it was the case's doing."""

    how: str
    surely: bool = True


def read_answer(answer: bytes) -> object:
    """Read what a child wrote.

    Raises:
        Exception: it is something else than a verdict or a plain value; anything may be raised.
    """
    return _Answers(io.BytesIO(answer)).load()


class _Answers(pickle.Unpickler):
    """Makes nothing but verdicts: a child that a hostile file took over must not take over its parent."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as pickle declares it
        try:
            return _ANSWERS[module, name]
        except KeyError:
            raise pickle.UnpicklingError from None


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _too_slow() -> UnavailableError:
    return UnavailableError("JUDGE_TOO_SLOW", "the skills were not judged in the time that was left")
