"""A gateway as far as the entrypoint can tell: it says that it is up, tells of a SIGTERM, and ends when the test says so.

    stand_in_gateway.py FOLDER [--deaf] [--orphan]

It ends with the status that stands in FOLDER/end. `--deaf`: it ignores SIGTERM. `--orphan`: it leaves a process behind that
has lost its parent, and that ends when FOLDER/orphan-may-end is there.
"""

# ruff: noqa: T201 - a gateway writes to its output
from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

TERMINATED = 7
_PAUSE = threading.Event()


def main() -> None:
    """Run until told to end."""
    folder, ways = Path(sys.argv[1]), set(sys.argv[2:])
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "--deaf" in ways else _terminated)
    if "--orphan" in ways:
        _leave_an_orphan(folder)
    _tell_pid(folder / "gateway.pid")
    print("the gateway is up", flush=True)
    print("the gateway can complain", file=sys.stderr, flush=True)
    _wait_for(folder / "end")
    sys.exit(int((folder / "end").read_text()))


def _terminated(_signal: int, _frame: object) -> None:
    print("the gateway was asked to end", flush=True)
    os._exit(TERMINATED)


def _leave_an_orphan(folder: Path) -> None:
    if (between := os.fork()) == 0:
        if os.fork() == 0:
            _tell_pid(folder / "orphan.pid")
            _wait_for(folder / "orphan-may-end")
        os._exit(0)
    os.waitpid(between, 0)
    _wait_for(folder / "orphan.pid")


def _tell_pid(file: Path) -> None:
    part = file.with_suffix(".part")
    part.write_text(f"{os.getpid()}\n")
    part.rename(file)


def _wait_for(file: Path) -> None:
    while not file.exists():
        _PAUSE.wait(0.02)


if __name__ == "__main__":
    main()
