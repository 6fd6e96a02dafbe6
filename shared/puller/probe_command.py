"""Asks a gateway by running a command, such as its own command line: bounded in time and size, and nothing of it stays.

The command is no shell's: it is started as it is, in a session of its own, without our settings and secrets. When it has
ended, or its time is over, everything that it left in that session is killed. What its output means is left to `sighting`.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

from shared.config import command_environment
from shared.puller.sighting import (
    COMMAND_FAILED,
    MAX_ANSWER_BYTES,
    NOT_JSON,
    STOPPED,
    TIMEOUT,
    TOO_LARGE,
    Sighting,
    sighting_of,
    unwell,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SECONDS = 20.0
MAX_ERROR_BYTES = 4096
_STEP_SECONDS = 0.05
_REAP_SECONDS = 2.0
_CHUNK_BYTES = 64 * 1024
_MAX_LAST_READS = 64
"""More than two pipes hold, each of 1 MiB at most (`/proc/sys/fs/pipe-max-size`)."""
_SECRET = re.compile(r"[\w-]*(?:token|password|passwd|secret|key|auth)[\w-]*", re.IGNORECASE)
_LEAST_SECRET_CHARS = 8
_BEGIN = re.compile(rb"^\{", re.MULTILINE)
_END = re.compile(rb"^\}[ \t\r]*$", re.MULTILINE)


class CommandProbe:
    """Looks at a gateway through a command that ends with status 0 and has written a JSON object.

    Args:
        arguments: The program, found on PATH, and its arguments.
        seconds: How long one look may take in all.
        stopping: Whether this process was asked to end; looks end early then.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        seconds: float = SECONDS,
        stopping: Callable[[], bool] | None = None,
    ) -> None:
        self._arguments = tuple(arguments)
        self._seconds = seconds
        self._stopping = stopping or (lambda: False)

    def look(self) -> Sighting:
        """Run the command once; as `Probe` promises."""
        until = time.monotonic() + self._seconds
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own command, and no shell
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=command_environment(),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            return unwell(COMMAND_FAILED, f"the command cannot be started: {why}")
        run = _Run(process)
        try:
            broken_off = self._follow(run, until)
        finally:
            run.end()
        return broken_off or self._verdict(run)

    def _follow(self, run: _Run, until: float) -> Sighting | None:
        while not run.has_ended():
            run.read(_STEP_SECONDS)
            if run.is_too_large:
                break
            if self._stopping():
                return unwell(STOPPED, "the look was broken off, for this process ends")
            if time.monotonic() >= until:
                return unwell(TIMEOUT, f"the command did not end within {self._seconds:g} s")
        return None

    def _verdict(self, run: _Run) -> Sighting:
        if run.is_too_large:
            return unwell(TOO_LARGE, f"expected at most {MAX_ANSWER_BYTES} bytes, the command wrote more")
        if run.status != 0:
            how = f"signal {-run.status}" if run.status < 0 else f"status {run.status}"
            return unwell(COMMAND_FAILED, f"the command ended with {how}: {self._complaint(run.errors)}")
        found = sighting_of(bytes(run.output))
        return sighting_of(_document_among_lines(bytes(run.output))) if found.code == NOT_JSON else found

    def _complaint(self, errors: bytes) -> str:
        """Return the first line of what the command wrote as errors, without what was given to it as a secret."""
        lines = errors.decode(errors="replace").splitlines()
        text = next((line.strip() for line in lines if line.strip()), "it gave no reason")
        for secret in secrets_among(self._arguments, command_environment()):
            text = text.replace(secret, "***")
        return text


class _Run:
    """A running command, and what it has written."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.output = bytearray()
        self.errors = b""
        self.status = 0
        self._process = process
        self._pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]
        self._selector = selectors.PollSelector()  # needs no descriptor of its own
        for pipe, take in zip(self._pipes, (self._take_output, self._take_errors), strict=True):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, take)

    @property
    def is_too_large(self) -> bool:
        return len(self.output) > MAX_ANSWER_BYTES

    def has_ended(self) -> bool:
        """Whether the command itself has ended; it is not reaped, so that its number, the group's too, stays taken."""
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def read(self, seconds: float) -> bool:
        """Take what was written, waiting so long for it; whether there was anything."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            chunk = os.read(key.fd, _CHUNK_BYTES)
            if chunk:
                key.data(chunk)
            else:
                self._selector.unregister(key.fileobj)
        return bool(ready)

    def end(self) -> None:
        """Kill the whole group, take what it had written, and reap the command."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # What left the group may go on writing for ever; all that the command itself wrote is in the pipe by now.
        reads = 0
        while reads < _MAX_LAST_READS and not self.is_too_large and self.read(0.0):
            reads += 1
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_SECONDS)
        self.status = -signal.SIGKILL if self._process.returncode is None else self._process.returncode

    def _take_output(self, chunk: bytes) -> None:
        self.output += chunk

    def _take_errors(self, chunk: bytes) -> None:
        # All of it is read, lest the command waits for us; what is beyond the bound is forgotten.
        self.errors = (self.errors + chunk)[:MAX_ERROR_BYTES]


def secrets_among(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return what is named as a secret is: `--token T`, `--password=P`, `OPENCLAW_TOKEN`; the longest first."""
    named = [
        *pairwise(arguments),
        *(tuple(each.split("=", 1)) for each in arguments if "=" in each),
        *((name, value) for name, value in environment.items() if len(value) >= _LEAST_SECRET_CHARS),
    ]
    return sorted({value for name, value in named if value and _SECRET.fullmatch(name)}, key=len, reverse=True)


def _document_among_lines(output: bytes) -> bytes:
    """Return the one JSON object that stands among lines of a log, which plugins of OpenClaw write in front and behind.

    It is taken only where it is beyond doubt: a single line of the output begins with a brace. Everything else is returned
    as it is. Source: https://github.com/openclaw/openclaw/issues/84293
    """
    begins = [match.start() for match in _BEGIN.finditer(output)]
    if len(begins) != 1:
        return output
    first_line = output[begins[0] :].partition(b"\n")[0].rstrip()
    if first_line.endswith(b"}"):
        return first_line
    end = _END.search(output, begins[0])
    return output if end is None else output[begins[0] : end.end()]
