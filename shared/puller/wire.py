"""An HTTP client whose requests end on time: what drips, hangs or outlives the process is cut off at its sockets.

A timeout of a read begins anew with every byte, and a signal does not end a read. Hence one thread looks after the requests
that are under way, and shuts the sockets when one of them has had its time, or when the process was asked to end.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shared.ports import Clock

LOOK_SECONDS = 0.25
_OPENED = ("connect_tcp.complete", "start_tls.complete")


class Wire:
    """Looks after the requests of one client.

    Args:
        clock: Says how long a request has taken.
        stopping: Whether the process was asked to end: no request then goes on.
    """

    def __init__(self, clock: Clock, stopping: Callable[[], bool] = bool) -> None:
        self._clock = clock
        self._stopping = stopping
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._until: dict[int, float] = {}
        self._thread: threading.Thread | None = None

    @property
    def extensions(self) -> dict[str, object]:
        """What a request must carry so that its socket is known (httpx request extension `trace`)."""
        return {"trace": self._trace}

    def is_ending(self) -> bool:
        """Whether the process was asked to end."""
        return self._stopping()

    @contextmanager
    def over(self, seconds: float) -> Iterator[None]:
        """Cut everything off when what is done inside takes longer than this: who is cut off for another's sake tries again."""
        key = threading.get_ident()
        with self._lock:
            self._until[key] = self._clock.monotonic() + seconds
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="wire", daemon=True)
                thread.start()
                self._thread = thread
        try:
            yield
        finally:
            with self._lock:
                self._until.pop(key, None)

    def _trace(self, event: str, info: Mapping[str, object]) -> None:
        stream = info.get("return_value")
        if event.endswith(_OPENED) and hasattr(stream, "get_extra_info"):
            opened = stream.get_extra_info("socket")
            with self._lock:
                # One that is closed has no number any more.
                self._sockets = {each for each in self._sockets if each.fileno() >= 0}
                if isinstance(opened, socket.socket):
                    self._sockets.add(opened)

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            with self._lock:
                if not self._until:
                    self._thread = None  # the next request brings another one
                    return
                late = any(until <= self._clock.monotonic() for until in self._until.values())
                if late or self._stopping():
                    self._cut()

    def _cut(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
