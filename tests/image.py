"""The functions' image as the buildpack makes it, without a container: the zip's content alone, compiled, under the bare
`functions-framework` of an environment that holds requirements.txt and nothing else, started from some other folder.
"""

from __future__ import annotations

import compileall
import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.stage import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CLOUD = ROOT / ".venv" / "cloud"
MISSING = "the environment of requirements.txt alone is not there; `make test` makes it (make .venv/.cloud)"
_PATIENCE_SECONDS = 60.0
_HELLO = 'def hello(request):\n    return "hello"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The first answer of a process, how long after its start it was there, and the processor time of its whole life."""

    status: int
    body: bytes
    wall_ms: float
    cpu_ms: float


class Image:
    """Both images: ours, and one with a function that does nothing, to compare with.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._elsewhere = folder / "elsewhere"
        self._logs = folder
        self._sources = {"hello": folder / "bare" / "main.py"}
        for made in (self._elsewhere, folder / "bare"):
            made.mkdir(parents=True)
        self._sources["hello"].write_text(_HELLO)
        packed = folder / "functions.zip"
        subprocess.run([sys.executable, ROOT / "infra" / "package.py", packed], check=True, capture_output=True)
        shutil.unpack_archive(packed, folder / "workspace")
        self._ours = folder / "workspace" / "functions" / "main.py"
        for compiled in (folder / "bare", folder / "workspace"):
            compileall.compile_dir(str(compiled), quiet=2)

    def first_answer(self, target: str, asked: Asked, settings: Mapping[str, str]) -> Answered:
        """Start a function, ask it as soon as it listens, and end it.

        Args:
            target: One of `functions/main.py`, or `hello`.
            asked: What it is asked.
            settings: Its environment, beside PATH and HOME.

        Raises:
            TimeoutError: it never listened; its output is in the message.
        """
        port, log = free_port(), self._logs / f"{target}.log"
        source = self._sources.get(target, self._ours)
        command = [CLOUD / "bin" / "functions-framework", "--source", source, "--target", target]
        kept = {"PATH": os.environ["PATH"], "HOME": str(self._elsewhere)}
        with log.open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(port)],
                cwd=self._elsewhere,
                env={**kept, **settings},
                stdout=output,
                stderr=output,
            )
            try:
                status, body = _ask(port, asked, log)
                wall = time.perf_counter() - started
            finally:
                process.terminate()
                _, ended, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(ended)
        return Answered(status=status, body=body, wall_ms=1000 * wall, cpu_ms=1000 * (used.ru_utime + used.ru_stime))

    def names(self) -> set[str]:
        """What stands at the top of our image."""
        return {path.name for path in self._ours.parents[1].iterdir()}


def cloud_environment_is_there() -> bool:
    """Whether the environment is made and has the requirements of now."""
    stamp = CLOUD / "requirements.txt"
    return stamp.exists() and stamp.read_bytes() == (ROOT / "requirements.txt").read_bytes()


def _ask(port: int, asked: Asked, log: Path) -> tuple[int, bytes]:
    until = time.monotonic() + _PATIENCE_SECONDS
    pause = threading.Event()
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request(asked.method, asked.path, asked.body, dict(asked.headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise TimeoutError(f"the function did not come up: {log.read_text()[-2000:]}") from None
            pause.wait(0.002)
        finally:
            connection.close()
