"""A `python` for commands of a page: each `python -m shared.cli …` is a process of its own, forked from one that has imported
everything already, so that a command takes a few hundredths of a second. Whatever else is asked, the real one does.

The program on the PATH hands its arguments, environment, folder and standard streams to the process behind the socket, which
forks, and ends as the fork ended.
"""

from __future__ import annotations

import io
import json
import os
import runpy
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
_SOCKET = "python.socket"
_STREAMS = (0, 1, 2)
_CLIENT = """#!{python} -SEI
import json, os, socket, sys
if sys.argv[1:3] != ["-m", "shared.cli"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({socket!r})
    socket.send_fds(asked, [b"."], [0, 1, 2])
    asked.sendall(json.dumps([sys.argv[3:], dict(os.environ), os.getcwd()]).encode())
    asked.shutdown(socket.SHUT_WR)
    sys.exit(int(asked.recv(8)))
"""


@contextmanager
def quick_python(folder: Path) -> Iterator[Path]:
    """Run one; gives the folder for the PATH."""
    program, path = folder / "python", folder / _SOCKET
    program.write_text(_CLIENT.format(python=sys.executable, socket=str(path)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    process = subprocess.Popen([sys.executable, "-m", "tests.infra.quick_python", str(path)], cwd=ROOT)
    try:
        end, pause = time.monotonic() + START_SECONDS, threading.Event()
        while not path.exists():
            assert process.poll() is None
            assert time.monotonic() < end, "the process behind `python` did not start"
            pause.wait(0.02)
        yield folder
    finally:
        process.terminate()
        process.wait()


def serve(path: str) -> None:
    """Import what the commands need, and answer one call after the other."""
    for name in ("shared.cli.__main__", "shared.cli.local", "shared.adapters.sqlite_store"):
        __import__(name)
    drafted = Path(f"{path}.new")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(drafted))
        listening.listen()
        drafted.rename(path)  # whoever sees it can connect
        while True:
            asked, _ = listening.accept()
            with asked:
                _answer(asked)


def _answer(asked: socket.socket) -> None:
    _, streams, _, _ = socket.recv_fds(asked, 1, len(_STREAMS))
    with asked.makefile("rb") as stream:
        arguments, environment, folder = json.load(stream)
    child = os.fork()
    if not child:
        for number, own in zip(streams, _STREAMS, strict=True):
            os.dup2(number, own)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        os._exit(_run(arguments))
    for number in streams:
        os.close(number)
    _, status = os.waitpid(child, 0)
    asked.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _run(arguments: list[str]) -> int:
    sys.argv[1:] = arguments
    # Made anew, as at a process's start: what they knew of the streams before is not true of these.
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), encoding="utf-8", line_buffering=True)
    del sys.modules["shared.cli.__main__"]
    try:
        runpy.run_module("shared.cli", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return int(str(ended.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
