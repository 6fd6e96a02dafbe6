"""Asks a gateway by a GET on its health address: bounded in time whatever part of the answer is slow, and in size.

What its answer means is left to `sighting`.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx

from shared.puller.sighting import (
    MAX_ANSWER_BYTES,
    NOT_JSON,
    STATUS,
    STOPPED,
    TIMEOUT,
    TOO_LARGE,
    UNREACHABLE,
    Sighting,
    sighting_of,
    unwell,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

SECONDS = 5.0
_STEP_SECONDS = 0.05
_END_SECONDS = 0.2
_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


class UrlProbe:
    """Looks at a gateway over HTTP, without proxy, redirect or cookie. For one thread.

    Args:
        url: An http or https URL. Nothing of it is ever told, for it may hold a password or a token.
        seconds: How long one look may take in all.
        stopping: Whether this process was asked to end; looks end early then.
    """

    def __init__(self, url: str, *, seconds: float = SECONDS, stopping: Callable[[], bool] | None = None) -> None:
        self._url = httpx.URL(url)
        self._seconds = seconds
        self._stopping = stopping or (lambda: False)
        self._asking: _Asking | None = None
        transport = httpx.HTTPTransport(
            # Loading the certificate authorities takes 30 ms; plain http needs none.
            verify=self._url.scheme == "https" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            # A connection that was opened earlier would not prove that the gateway takes new ones.
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        # With a transport of its own: the gateway stands beside us, a proxy of the environment has no business between.
        self._http = httpx.Client(
            transport=transport,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=seconds,
            follow_redirects=False,
            trust_env=False,
        )

    def look(self) -> Sighting:
        """Ask once; as `Probe` promises."""
        if self._asking is not None and self._asking.is_alive():
            return unwell(TIMEOUT, "an earlier look has not come to its end yet")
        self._http.cookies.clear()
        self._asking = asking = _Asking(self._http, self._url)
        asking.start()
        until = time.monotonic() + self._seconds
        while not asking.done.wait(_STEP_SECONDS):
            if self._stopping():
                asking.end()
                return unwell(STOPPED, "the look was broken off, for this process ends")
            if time.monotonic() >= until:
                asking.end()
                return unwell(TIMEOUT, f"there was no whole answer within {self._seconds:g} s")
        return asking.found


class _Asking(threading.Thread):
    """One request in a thread of its own: neither looking a name up nor reading headers can be bounded from within."""

    def __init__(self, http: httpx.Client, url: httpx.URL) -> None:
        super().__init__(name="probe", daemon=True)
        self.found = unwell(UNREACHABLE, "the look came to a bad end")
        self.done = threading.Event()
        self._http = http
        self._url = url
        self._over = False
        self._socket: socket.socket | None = None

    def run(self) -> None:
        try:
            self.found = self._ask()
        except httpx.TimeoutException as error:
            self.found = unwell(TIMEOUT, _why(error))
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
            self.found = unwell(UNREACHABLE, _why(error))
        finally:
            self.done.set()

    def end(self) -> None:
        """Break the request off, whatever it waits for; only a name's lookup goes on in vain until it ends by itself."""
        self._over = True
        if self._socket is not None:
            with suppress(OSError):
                # The plain one: a TLS socket's own would change what the other thread is reading from.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self.join(_END_SECONDS)

    def _ask(self) -> Sighting:
        with self._http.stream("GET", self._url, extensions={"trace": self._trace}) as response:
            if not response.is_success:
                return unwell(STATUS, f"it answered {response.status_code}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                return unwell(NOT_JSON, "the answer is encoded, which was not asked for")
            data = bytearray()
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > MAX_ANSWER_BYTES:
                    return unwell(TOO_LARGE, f"expected at most {MAX_ANSWER_BYTES} bytes, got more")
        return sighting_of(bytes(data))

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event in _CONNECTED:
            self._socket = info["return_value"].get_extra_info("socket")
            if self._over and self._socket is not None:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _why(error: BaseException) -> str:
    """Name a fault without its own text, which may repeat the address or what the gateway sent."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {cause.strerror}" if isinstance(cause, OSError) else type(error).__name__
