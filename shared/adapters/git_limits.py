"""What a git server may cost one call: the seconds that every wait ends by, and the bytes that are taken in.

How a request is sent and what its answer means is the business of git_http.py.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final, cast

import urllib3
from dulwich.client import default_user_agent_string
from urllib3.connection import HTTPConnection, HTTPSConnection

from shared.errors import RejectedError, UnavailableError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from _typeshed import ReadableBuffer, WriteableBuffer

CONNECT_SECONDS: Final = 3.0
WAIT_SECONDS: Final = 10.0
RETRIES: Final = 2

# Every request of a fetch only reads, POST as well, so all may be sent again. A `Retry-After` is not slept off here: the
# caller is told and decides. A redirect is an answer like any other, never followed with our credentials.
_RETRY = urllib3.Retry(
    total=RETRIES,
    redirect=False,
    other=0,
    allowed_methods=None,
    status_forcelist=(502, 503, 504),
    backoff_factor=0.1,
    raise_on_status=False,
    respect_retry_after_header=False,
)


class Deadline:
    """The time that is left to talk with one server.

    Args:
        where: How messages name the server.
        seconds: Tells how many seconds the running sync still has; not positive when its time is over.
    """

    def __init__(self, where: str, seconds: Callable[[], float]) -> None:
        self._where = where
        self._seconds = seconds

    def wait(self, at_most: float = WAIT_SECONDS) -> float:
        """Return for how many seconds the next wait may last, at most `at_most`.

        Raises:
            UnavailableError: `SOURCE_TOO_SLOW`, the time is over.
        """
        left = self._seconds()
        if left <= 0:
            raise self.missed()
        return min(at_most, left)

    def missed(self) -> UnavailableError:
        """The error that says so: `SOURCE_TOO_SLOW`."""
        return UnavailableError("SOURCE_TOO_SLOW", f"{self._where} did not answer in time")


class Allowance:
    """How many bytes one call may still take in.

    Args:
        where: How messages name the server.
        limit: In bytes.
    """

    def __init__(self, where: str, limit: int) -> None:
        self._where = where
        self._limit = limit
        self._left = limit

    def renew(self) -> None:
        """Begin a new call."""
        self._left = self._limit

    def take(self, count: int) -> None:
        """Take in `count` bytes more.

        Raises:
            RejectedError: `SOURCE_TOO_LARGE`.
        """
        self._left -= count
        if self._left < 0:
            raise RejectedError("SOURCE_TOO_LARGE", f"{self._where} sends more than {self._limit} bytes in one answer")


class TimedPools(urllib3.PoolManager):
    """Connections on which no wait is longer than the deadline allows, however slowly the bytes drip.

    urllib3's own timeouts begin anew with every byte that arrives, so the deadline is asked at every single read.
    """

    def __init__(self, deadline: Deadline) -> None:
        super().__init__(
            num_pools=1,
            headers={"User-Agent": default_user_agent_string()},
            retries=_RETRY,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=WAIT_SECONDS),
        )
        self.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
        self._deadline = deadline

    def _new_pool(
        self, scheme: str, host: str, port: int, request_context: dict[str, Any] | None = None
    ) -> urllib3.HTTPConnectionPool:
        # urllib3 documents this method as the one to override in order to change how connections are made.
        pool = super()._new_pool(scheme, host, port, request_context)
        pool.conn_kw["deadline"] = self._deadline
        return pool


class _PlainConnection(HTTPConnection):
    def __init__(self, *args: Any, deadline: Deadline, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's arguments
        super().__init__(*args, **kwargs)
        self._deadline = deadline

    def connect(self) -> None:
        self.timeout = self._deadline.wait(CONNECT_SECONDS)
        super().connect()
        self.sock = _timed(self.sock, self._deadline)


class _TlsConnection(HTTPSConnection):
    def __init__(self, *args: Any, deadline: Deadline, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's arguments
        super().__init__(*args, **kwargs)
        self._deadline = deadline

    def connect(self) -> None:
        self.timeout = self._deadline.wait(CONNECT_SECONDS)
        super().connect()
        self.sock = _timed(self.sock, self._deadline)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _timed(sock: socket.socket, deadline: Deadline) -> socket.socket:
    return cast("socket.socket", _TimedSocket(sock, deadline))


class _TimedSocket:
    """A connected socket, plain or TLS, whose reads and writes ask the deadline first."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else urllib3 asks of a socket
        return getattr(self._sock, name)

    def sendall(self, data: ReadableBuffer) -> None:
        self._sock.settimeout(self._deadline.wait())
        try:
            self._sock.sendall(data)
        except TimeoutError:
            raise self._deadline.missed() from None

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._deadline))


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        # The socket stays open until this file of it is closed, also when the connection lets go of it first.
        self._file = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        self._sock.settimeout(self._deadline.wait())
        try:
            return self._file.readinto(buffer)
        except TimeoutError:
            raise self._deadline.missed() from None

    def close(self) -> None:
        self._file.close()
        super().close()
