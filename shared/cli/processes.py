"""Child processes of a local run: started together, watched, their JSON logs kept and told in short, and ended together."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

STOP_SECONDS = 10.0
_NAMES_SHOWN = 5
_SHOWN = ("deployment", "trigger", "skills", "published", "removed", "withheld", "code", "detail")


class Child:
    """One process whose output goes to a log file, and in short to the screen.

    Args:
        name: How the screen calls it.
        command: What to start.
        environment: Its whole environment.
        log: The file that its output is appended to.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        # A session of its own: Ctrl-C reaches only the parent, which then ends its children in order.
        self._process = subprocess.Popen(
            command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, name=f"log of {name}", daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.exit_code is None:
            self._process.terminate()

    def wait(self) -> None:
        """Wait for its end; kill it when it takes too long."""
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_SECONDS)

    def _read(self) -> None:
        with self.log.open("ab") as log:
            for line in self._process.stdout or ():
                log.write(line)
                log.flush()
                told = in_short(line)
                if told:
                    print(f"  {self.name:<9} {told}", flush=True)


def in_short(line: bytes) -> str:
    """Return what a JSON log line says, for a person; empty for any other line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(entry, dict) or "message" not in entry:
        return ""
    details = [f"{key}={_words(entry[key])}" for key in _SHOWN if entry.get(key)]
    return " ".join([str(entry["message"]), *details])


def _words(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    shown = ",".join(str(item) for item in value[:_NAMES_SHOWN])
    return shown if len(value) <= _NAMES_SHOWN else f"{shown},…"
