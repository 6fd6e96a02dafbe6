"""A container without an engine: the entrypoint as the process that inherits orphans, with a PATH and a volume of its own."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]
RAILWAY = ROOT / "infra" / "railway"
GATEWAY = Path(__file__).with_name("stand_in_gateway.py")
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
PATIENCE_SECONDS = 30.0
_PROGRAMS = ("sh", "sleep", "date", "dirname")
_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class Container:
    """The entrypoint beside whatever puller it is given; a context manager that leaves no process behind.

    Args:
        folder: An empty folder.
        puller: The text of a Python program in the puller's place; None leaves what lies there.
        place: Where the entrypoint lies; it is copied there where it is missing.
    """

    def __init__(self, folder: Path, puller: str | None = None, place: Path | None = None) -> None:
        self.folder = folder
        self.place = place or folder / "opt"
        self.volume = folder / "volume"
        self.programs = folder / "bin"
        for made in (self.place, self.volume, self.programs, folder / "told"):
            made.mkdir(exist_ok=True)
        for name in _PROGRAMS:
            (self.programs / name).symlink_to(str(shutil.which(name)))
        self.program("python3", f'exec {PYTHON} "$@"')
        if not (self.place / "entrypoint.sh").exists():
            shutil.copy(RAILWAY / "entrypoint.sh", self.place)
        if puller is not None:
            (self.place / "skill-sync-puller.pyz").write_text(puller)
        self.environment = {"PATH": str(self.programs), "SKILLS_DIR": str(self.volume / "skills")}
        self._process: subprocess.Popen[bytes] | None = None

    def program(self, name: str, script: str) -> None:
        """Put a shell script in a program's place."""
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def start(self, *ways: str, command: list[str] | None = None, shell: tuple[str, ...] = (), **settings: str) -> None:
        """Start the entrypoint with the stand-in for a gateway, or with another command."""
        gateway = [str(PYTHON), "-I", "-S", str(GATEWAY), str(self.folder / "told"), *ways]
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self._process = subprocess.Popen(
                [
                    *(str(shutil.which(word) or word) for word in shell),
                    str(self.place / "entrypoint.sh"),
                    *(gateway if command is None else command),
                ],
                cwd="/",
                env={**self.environment, **settings},
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=_as_process_1,  # noqa: PLW1509 - a few system calls
            )
        if command is None:
            self.wait_until((self.folder / "told" / "gateway.pid").exists)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(PATIENCE_SECONDS)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def gateway(self) -> int:
        """The gateway's process id."""
        return int((self.folder / "told" / "gateway.pid").read_text())

    def tell(self, name: str, text: str = "") -> None:
        """Write a file that the stand-in waits for."""
        part = self.folder / "part"
        part.write_text(text)
        part.rename(self.folder / "told" / name)

    def ended(self) -> int:
        """The status with which everything ended; nothing is left but a nap of a second, which goes with a real container."""
        assert self._process is not None
        status = self._process.wait(PATIENCE_SECONDS)
        self.wait_until(lambda: not [pid for pid in self.processes() if "sleep" not in (arguments_of(pid) or "sleep")])
        return status

    def signal(self, number: int) -> None:
        """Send a signal to the entrypoint alone, as the container's engine does."""
        os.kill(self.pid, number)

    def processes(self) -> dict[int, str]:
        """Every process of this container, with its state, its ancestors' first."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (stat := _stat(int(entry.name))) and int(stat[3]) == self.pid:
                found[int(entry.name)] = stat[0]
        return dict(sorted(found.items()))

    def out(self) -> str:
        return (self.folder / "out").read_text()

    def err(self) -> str:
        return (self.folder / "err").read_text()

    def lines(self, message: str) -> list[dict[str, Any]]:
        """The entrypoint's own lines with this message so far."""
        found = [
            json.loads(line) for line in self.err().splitlines(keepends=True) if line[0] == "{" and line[-1] == "\n"
        ]
        return [line for line in found if line["message"].startswith(message)]

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Wait for a condition."""
        until, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
        while not holds():
            assert time.monotonic() < until, f"it never came to that\n{self.out()}\n{self.err()}"
            pause.wait(0.02)


def environment_of(pid: int) -> Mapping[str, str]:
    """The environment that a process was started with."""
    parts = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(part.split("=", 1) for part in parts if part)


def arguments_of(pid: int) -> str:
    """What the list of processes shows of one; nothing of a zombie, or of one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _stat(pid: int) -> list[str]:
    """State, parent, group, session ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _as_process_1() -> None:
    """Inherit orphans, and ignore no signal: whoever runs the tests may ignore some, and a shell cannot undo that."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
