"""What an answer's body may cost: the bytes that are taken in, packed or unpacked, and the time until its last one."""

from __future__ import annotations

import socket
import threading
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from shared.errors import RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import httpx

SLICE_BYTES: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_LONGEST_SECONDS: Final = 3600.0


class Budget:
    """How many bytes may still be taken in, by all threads that share it.

    Args:
        limit: In bytes.
        where: How messages name the repository.
    """

    def __init__(self, limit: int, where: str) -> None:
        self._limit = limit
        self._where = where
        self._lock = threading.Lock()
        self._left = limit

    def take(self, count: int) -> None:
        """Take in `count` bytes more.

        Raises:
            RejectedError: `SOURCE_TOO_LARGE`.
        """
        with self._lock:
            self._left -= count
        self.check(0)

    def anew(self) -> Budget:
        """Return a budget with the same limit of which nothing is taken yet."""
        return Budget(self._limit, self._where)

    def check(self, count: int) -> None:
        """Make sure that `count` bytes more would fit, without taking them.

        Raises:
            RejectedError: `SOURCE_TOO_LARGE`.
        """
        if count > self._left:
            raise RejectedError("SOURCE_TOO_LARGE", f"{self._where} gives more than {self._limit} bytes at once")


def gunzip(pieces: Iterable[bytes], where: str) -> Iterator[bytes]:
    """Unpack gzip, never more than a slice at a time, so that the reader can stop a bomb.

    Args:
        pieces: The packed bytes.
        where: How messages name the other side.

    Raises:
        UnavailableError: `SOURCE_CORRUPT`, this is no gzip, or not the whole of it, or something follows it.
    """
    stream = zlib.decompressobj(wbits=_GZIP)
    try:
        for piece in pieces:
            given = piece
            while given:
                unpacked = stream.decompress(given, SLICE_BYTES)
                given = stream.unconsumed_tail
                if unpacked:
                    yield unpacked
            if stream.unused_data:
                break
    except zlib.error:
        raise UnavailableError("SOURCE_CORRUPT", f"{where}: the answer is no gzip") from None
    if not stream.eof or stream.unused_data:
        raise UnavailableError("SOURCE_CORRUPT", f"{where}: the answer's gzip does not end where it should")


@contextmanager
def cut_off(response: httpx.Response, seconds: float) -> Iterator[None]:
    """Let every read of a body fail once its time is over; a read's own timeout begins anew with every byte that drips in.

    Args:
        response: Its headers have come, its body is read within.
        seconds: How long that may take.

    Source:
        https://www.python-httpx.org/advanced/extensions/#network_stream
    """
    stream = response.extensions.get("network_stream")
    open_socket = None if stream is None else stream.get_extra_info("socket")
    if open_socket is None:  # an answer that comes from no network
        yield
        return
    timer = threading.Timer(min(seconds, _LONGEST_SECONDS), _shut, [open_socket])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(open_socket: socket.socket) -> None:
    try:
        # The plain socket's own: that of a TLS socket would take the session away under the reader's feet.
        socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
    except OSError:
        return  # it was closed just now
