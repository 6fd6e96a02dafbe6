"""Requests to Google Cloud Storage over one shared `httpx.Client`: with proof of who asks, and again while that may help.

What is asked is left to `gcs_objects`. Google's own client would do all of this, but takes as long to load as a whole function
that does nothing, and nearly every push meets one that has just been started.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import closing
from dataclasses import dataclass, field
from random import uniform
from typing import TYPE_CHECKING, Final, TypeVar

from shared.adapters.gcs_border import FOREIGN, RefusalError, may_pass
from shared.adapters.google_answers import UNAUTHORIZED, TooLargeError, within
from shared.adapters.lean_httpx import httpx
from shared.adapters.tls import tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.adapters.google_tokens import Bearer
    from shared.ports import Clock

T = TypeVar("T")

CONNECTIONS: Final = 64
ERROR_BYTES: Final = 64 * 1024
"""How much of a refusal is read, to see what kind of refusal it is."""
_LONGEST_PAUSE_SECONDS: Final = 4.0
_IDLE_SECONDS: Final = 30.0
# The service then hands out packed objects as they are stored (https://cloud.google.com/storage/docs/transcoding).
_HEADERS: Final = {"User-Agent": "skill-sync", "Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long things may take, and how large they may be.

    Attributes:
        connect_seconds: To connect.
        silence_seconds: Between two bytes, and for a connection to be free.
        retry_seconds: No new try begins after this time. Trying again is safe: each write names the generation that it
            replaces.
        first_pause_seconds: The longest pause before the second try; it doubles from try to try, up to four seconds.
        max_object_bytes: Larger objects are not read.
    """

    connect_seconds: float = 3.0
    silence_seconds: float = 10.0
    retry_seconds: float = 20.0
    first_pause_seconds: float = 0.2
    max_object_bytes: int = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request; `path` is quoted already."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


class GcsHttp:
    """Sends requests for all threads of the process; opened at the first one, closed when nobody needs it any more.

    Args:
        base: Where the service answers, without a slash at its end.
        bearer: Proves who asks; None where nobody wants to know.
        clock: Waits between tries.
        limits: How long a request may take.
        open_transport: Makes what carries the requests; None is the network.
    """

    def __init__(
        self,
        base: str,
        *,
        bearer: Bearer | None,
        clock: Clock,
        limits: Limits,
        open_transport: Callable[[], httpx.BaseTransport] | None = None,
    ) -> None:
        self._base = base
        self._bearer = bearer
        self._clock = clock
        self._limits = limits
        self._open_transport = open_transport
        self._lock = threading.Lock()
        self._opened: httpx.Client | None = None

    def send(self, ask: Ask, take: Callable[[httpx.Response], T]) -> T:
        """Send a request, again after faults that pass.

        Args:
            ask: The request; sending it twice must do no harm.
            take: Makes something of a successful answer, whose body is still to be read; called anew for each try.

        Raises:
            SkillSyncError: what `Bearer.token` raises.
            Exception: one of `gcs_border.FOREIGN`.
        """
        until = self._clock.monotonic() + self._limits.retry_seconds
        longest = self._limits.first_pause_seconds
        while True:
            try:
                return self._proved(ask, take)
            except FOREIGN as error:
                pause = uniform(0.0, longest)  # noqa: S311 - it only keeps callers from coming back all at once
                if not may_pass(error) or self._clock.monotonic() + pause > until:
                    raise
            self._clock.sleep(pause)
            longest = min(2.0 * longest, _LONGEST_PAUSE_SECONDS)

    def _proved(self, ask: Ask, take: Callable[[httpx.Response], T]) -> T:
        if self._bearer is None:
            return self._try(ask, take, {})
        token = self._bearer.token()
        try:
            return self._try(ask, take, {"Authorization": f"Bearer {token}"})
        except RefusalError as refusal:
            if refusal.status != UNAUTHORIZED:
                raise
        # It may have been withdrawn before its end: one other is asked for.
        token = self._bearer.token(refused=token)
        return self._try(ask, take, {"Authorization": f"Bearer {token}"})

    def _try(self, ask: Ask, take: Callable[[httpx.Response], T], proof: Mapping[str, str]) -> T:
        client = self._client()
        request = client.build_request(
            ask.method,
            self._base + ask.path,
            params=dict(ask.query),
            headers={**ask.headers, **proof},
            content=ask.body or None,
        )
        with closing(client.send(request, stream=True)) as response:
            if not response.is_success:
                raise RefusalError(response.status_code, _beginning(response))
            return take(response)

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
                weakref.finalize(self, self._opened.close)
            return self._opened

    def _open(self) -> httpx.Client:
        return httpx.Client(
            headers=_HEADERS,
            timeout=httpx.Timeout(self._limits.silence_seconds, connect=self._limits.connect_seconds),
            limits=httpx.Limits(
                max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=_IDLE_SECONDS
            ),
            follow_redirects=False,
            verify=tls_context(),
            transport=self._open_transport() if self._open_transport else None,
        )


def _beginning(response: httpx.Response) -> bytes:
    try:
        return within(ERROR_BYTES, response.iter_bytes())
    except (TooLargeError, httpx.HTTPError):
        return b""  # whatever else is wrong with a refusal, it stays that refusal
