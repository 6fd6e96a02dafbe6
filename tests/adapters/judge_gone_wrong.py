"""A judging process whose checks come to a bad end when a skill asks for it; everything else is as in the real one."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from yaml import CSafeLoader

from shared.adapters.judge_child import serve
from shared.core.judge import judge_case

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.core.case import Case, Verdict


def _spin() -> None:
    while True:
        pass


def _spin_in_c() -> None:
    # One call that never comes back to the interpreter, as a regular expression or a parser may.
    pow(3, 7**9_000_000, 10**9_000_000)


def _eat() -> None:
    kept = []
    while True:
        kept.append(bytearray(64 * 2**20))


def _crash() -> None:
    # The crash that the caps of the reader keep away from libyaml.
    CSafeLoader("[" * 32_000 + "]" * 32_000).get_single_node()


def _lie() -> None:
    # What a file that took this process over would send: a pickle that starts a program.
    body = b"cos\nsystem\n(S'echo taken over >&2'\ntR."
    with socket.socket(fileno=os.dup(0)) as parent:
        parent.sendall(len(body).to_bytes(8, "big") + body)


DOINGS: dict[str, Callable[[], object]] = {
    "crash": _crash,
    "segfault": lambda: ctypes.string_at(0),
    "spin": _spin,
    "spin-in-c": _spin_in_c,
    "eat": _eat,
    "raise": lambda: int("the text of a secret"),
    "exit": lambda: sys.exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "lie": _lie,
    "half": lambda: (os.write(0, b"\0" * 7), os._exit(0)),
    "too-much": lambda: (os.write(0, b"\xff" * 8), time.sleep(0.1)),
    "sleep": lambda: time.sleep(60),
}


def _judge(case: Case) -> Verdict:
    DOINGS.get(case.skill.id, lambda: None)()
    return judge_case(case)


if __name__ == "__main__":
    with socket.socket(fileno=0) as connection:
        serve(_judge, connection)
