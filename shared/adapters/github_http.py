"""Requests to GitHub over one shared `httpx.Client`, within limits of time and bytes. What an answer means is left to others.

Source: https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from shared.adapters.github_body import Budget, cut_off, gunzip
from shared.adapters.lean_httpx import httpx
from shared.adapters.tls import tls_context
from shared.errors import RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shared.ports import Clock

T = TypeVar("T")

CONNECT_SECONDS: Final = 3.0
WAIT_SECONDS: Final = 10.0
PAUSES_SECONDS: Final = (0.2, 0.8)
"""Between the tries of one request; there is one try more than pauses."""
ERROR_BYTES: Final = 64 * 1024
"""How much of a refusal's body is read, to see what kind of refusal it is."""
_CONNECTIONS: Final = 16
_IDLE_SECONDS: Final = 30.0
_PASSING: Final = frozenset({500, 502, 503, 504})
_SUCCESS: Final = range(200, 300)
_FOREIGN: Final = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. Addresses and headers may hold secrets, so nobody prints them.

    Args:
        url: Where to.
        headers: What is sent beside the client's own headers.
        budget: What a successful answer's body may take.
        method: GET or POST.
        body: What is sent.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    budget: Budget = field(repr=False)
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """One answer: `content` is what was made of a successful one's body, `error` the beginning of any other's."""

    status: int
    headers: httpx.Headers = field(repr=False)
    content: T | None = field(default=None, repr=False)
    error: bytes = field(default=b"", repr=False)


class Wire:
    """Sends requests for all threads of the process; opened at the first request, closed when nobody needs it any more.

    Args:
        where: How messages name the other side.
        clock: Waits between tries.
        transport: What carries the requests; None is the network.
    """

    def __init__(self, where: str, clock: Clock, transport: httpx.BaseTransport | None) -> None:
        self._where = where
        self._clock = clock
        self._transport = transport
        self._lock = threading.Lock()
        self._opened: httpx.Client | None = None

    def send(self, ask: Ask, read: Callable[[Iterator[bytes]], T], seconds: Callable[[], float]) -> Answer[T]:
        """Send a request, again after faults that pass, and read the answer; redirects are answers like any other.

        Args:
            ask: The request; sending it twice must do no harm.
            read: Makes something of a successful answer's body, given in slices; called anew for each try.
            seconds: Tells how many seconds the running sync still has.

        Raises:
            UnavailableError: `SOURCE_UNAVAILABLE`, `SOURCE_TOO_SLOW`, `SOURCE_CORRUPT`.
            RejectedError: `SOURCE_TOO_LARGE`.
        """
        for pause in PAUSES_SECONDS:
            try:
                answer = self._try(ask, read, seconds)
            except _FOREIGN:
                pass
            else:
                if answer.status not in _PASSING:
                    return answer
            if seconds() <= pause:
                raise self._too_slow()
            self._clock.sleep(pause)
        try:
            return self._try(ask, read, seconds)
        except _FOREIGN as error:
            # Foreign texts and causes stay behind: nobody knows what they quote.
            message = f"{self._where} cannot be reached ({type(error).__name__})"
            raise UnavailableError("SOURCE_UNAVAILABLE", message) from None

    def _try(self, ask: Ask, read: Callable[[Iterator[bytes]], T], seconds: Callable[[], float]) -> Answer[T]:
        left = self._time_left(seconds)
        timeout = httpx.Timeout(min(WAIT_SECONDS, left), connect=min(CONNECT_SECONDS, left))
        response: httpx.Response | None = None
        try:
            client = self._client()
            request = client.build_request(
                ask.method, ask.url, headers=dict(ask.headers), content=ask.body, timeout=timeout
            )
            response = client.send(request, stream=True)
            with cut_off(response, self._time_left(seconds)):
                return self._answer(response, ask.budget, read, seconds)
        except _FOREIGN:
            self._time_left(seconds)
            raise
        finally:
            if response is not None:
                response.close()

    def _answer(
        self,
        response: httpx.Response,
        budget: Budget,
        read: Callable[[Iterator[bytes]], T],
        seconds: Callable[[], float],
    ) -> Answer[T]:
        status, headers = response.status_code, response.headers
        if status in _SUCCESS:
            budget.check(_announced(headers))
            return Answer(status=status, headers=headers, content=read(self._pieces(response, budget, seconds)))
        return Answer(status=status, headers=headers, error=self._beginning(response, seconds))

    def _pieces(self, response: httpx.Response, budget: Budget, seconds: Callable[[], float]) -> Iterator[bytes]:
        """Yield the body, unpacked; its packed bytes, which may unpack to nothing, must fit into the same limit."""
        encoding = response.headers.get("content-encoding", "identity")
        if encoding == "identity":
            yield from self._raw(response, budget, seconds)
        elif encoding == response.request.headers["accept-encoding"]:
            for piece in gunzip(self._raw(response, budget.anew(), seconds), self._where):
                budget.take(len(piece))
                yield piece
        else:
            raise UnavailableError("SOURCE_CORRUPT", f"{self._where}: the answer is encoded, which was not asked for")

    def _raw(self, response: httpx.Response, budget: Budget, seconds: Callable[[], float]) -> Iterator[bytes]:
        for piece in response.iter_raw():
            self._time_left(seconds)
            budget.take(len(piece))
            yield piece

    def _beginning(self, response: httpx.Response, seconds: Callable[[], float]) -> bytes:
        body = b""
        try:
            for piece in self._pieces(response, Budget(2 * ERROR_BYTES, self._where), seconds):
                body += piece
                if len(body) > ERROR_BYTES:
                    break
        except (RejectedError, UnavailableError):
            self._time_left(seconds)  # whatever else is wrong with a refusal's body, it stays that refusal
        return body[:ERROR_BYTES]

    def _time_left(self, seconds: Callable[[], float]) -> float:
        left = seconds()
        if left <= 0:
            raise self._too_slow()
        return left

    def _too_slow(self) -> UnavailableError:
        return UnavailableError("SOURCE_TOO_SLOW", f"{self._where} did not answer in time")

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._opened is None:
                self._opened = _open(self._transport)
                weakref.finalize(self, self._opened.close)
            return self._opened


def _open(transport: httpx.BaseTransport | None) -> httpx.Client:
    return httpx.Client(
        headers={"User-Agent": "skill-sync", "Accept-Encoding": "gzip"},
        # No host is ever sent what another, or itself, has set.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        limits=httpx.Limits(
            max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=_IDLE_SECONDS
        ),
        follow_redirects=False,
        verify=tls_context(),
        transport=transport,
    )


def _announced(headers: httpx.Headers) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1" * 20) else 0
