"""Tokens that prove to a service of Google's who asks: on Cloud Run from the metadata server, elsewhere by Google's library.

Sources: https://cloud.google.com/run/docs/container-contract#metadata-server,
https://cloud.google.com/compute/docs/access/authenticate-workloads
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from shared.adapters.google_answers import BROKEN, within
from shared.adapters.lean_httpx import httpx
from shared.adapters.tls import tls_context
from shared.core.canonical import member, parse_object
from shared.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.core.google_cloud import GoogleCloud
    from shared.errors import RejectedError
    from shared.ports import Clock

EARLY: Final = timedelta(minutes=3, seconds=45)
"""So long before its end a token is replaced, as by Google's own library; the metadata server has the next one by then."""
PAUSES_SECONDS: Final = (0.1, 0.4)
"""Between the tries of one request to the metadata server; there is one try more than pauses."""
_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/token"
_TIMEOUT: Final = httpx.Timeout(3.0, connect=1.0)
_LIBRARY_SECONDS: Final = 10.0
_ANSWER_BYTES: Final = 64 * 1024
_LONGEST_SECONDS: Final = 24 * 3600
_UNKNOWN: Final = timedelta(hours=1)
_OK, _REFUSED = 200, frozenset({401, 403, 404})
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What tokens are for, and what it means there when none is to be had.

    Attributes:
        scope: What they allow at most; what they really allow are the account's own rights.
        denied: Makes the error for missing credentials, or such that are not accepted.
        unavailable: The code where whoever hands out tokens does not answer.
    """

    scope: str
    denied: Callable[[], RejectedError]
    unavailable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What stands behind `Bearer` in a header, and when it ends."""

    text: str = field(repr=False)
    ends: datetime


class Bearer:
    """Keeps a token until shortly before its end; however many threads want one, it is fetched once.

    Args:
        fetch: Fetches one.
        clock: Tells the time.
    """

    def __init__(self, fetch: Callable[[], Token], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Token | None = None

    def token(self, *, refused: str | None = None) -> str:
        """Return the token to send now.

        Args:
            refused: The one that the service did not accept; another is fetched unless somebody has done so already.

        Raises:
            RejectedError: as `Purpose.denied` makes it: there are no credentials, or they are not accepted.
            UnavailableError: `Purpose.unavailable`, whoever hands out tokens does not answer.
        """
        with self._lock:
            held = None if self._held is None or self._held.text == refused else self._held
            if held is None or self._clock.now() >= held.ends - EARLY:
                self._held = held = self._newer(held)
            return held.text

    def _newer(self, held: Token | None) -> Token:
        try:
            return self._fetch()
        except UnavailableError:
            # It is asked for early: until the one at hand ends, nobody need fail.
            if held is None or self._clock.now() >= held.ends:
                raise
            return held


class MetadataServer:
    """Fetches tokens of the service account that the process runs as.

    Args:
        host: Where it answers.
        purpose: What the tokens are for.
        clock: Waits between tries, and tells when a token ends.
        open_transport: Makes what carries the requests; None is the network, without the proxies that may be set for it.
    """

    def __init__(
        self, host: str, purpose: Purpose, clock: Clock, open_transport: Callable[[], httpx.BaseTransport] | None = None
    ) -> None:
        self._url = f"http://{host}{_PATH}"
        self._purpose = purpose
        self._clock = clock
        self._open_transport = open_transport

    def __call__(self) -> Token:
        """Fetch a token; raises as `Bearer.token` says."""
        for pause in (*PAUSES_SECONDS, None):
            try:
                return self._try()
            except BROKEN as error:
                kind = type(error).__name__  # the text of an error may quote anything
            if pause is not None:
                self._clock.sleep(pause)
        raise UnavailableError(self._purpose.unavailable, f"the metadata server does not hand out a token ({kind})")

    def _try(self) -> Token:
        transport = self._open_transport() if self._open_transport else None
        with (
            httpx.Client(timeout=_TIMEOUT, trust_env=False, verify=tls_context(), transport=transport) as client,
            client.stream(
                "GET", self._url, params={"scopes": self._purpose.scope}, headers={"Metadata-Flavor": "Google"}
            ) as response,
        ):
            # Only the metadata server itself says so: nobody else on that address is believed.
            if response.headers.get("metadata-flavor") != "Google":
                raise ValueError("not the metadata server")
            if response.status_code in _REFUSED:
                raise self._purpose.denied()
            if response.status_code != _OK:
                raise ValueError("no success")
            return self._read(within(_ANSWER_BYTES, response.iter_bytes()))

    def _read(self, answer: bytes) -> Token:
        document = parse_object(answer, what="a token")
        seconds = member(document, "expires_in", int, what="a token")
        ends = self._clock.now() + timedelta(seconds=max(0, min(_LONGEST_SECONDS, seconds)))
        return _token(member(document, "access_token", str, what="a token"), ends)


class DefaultCredentials:
    """Fetches tokens with whatever credentials Google's library finds, as on a developer's machine; it is loaded only then.

    Args:
        purpose: What the tokens are for.
        clock: Tells when a token ends whose end nobody knows.
    """

    def __init__(self, purpose: Purpose, clock: Clock) -> None:
        self._purpose = purpose
        self._clock = clock
        self._found: Any = None

    def __call__(self) -> Token:
        """Fetch a token; raises as `Bearer.token` says."""
        import google.auth  # noqa: PLC0415 - takes as long as all of httpx
        from google.auth.exceptions import (  # noqa: PLC0415 - the same
            DefaultCredentialsError,
            GoogleAuthError,
            RefreshError,
            TransportError,
        )
        from google.auth.transport.requests import Request  # noqa: PLC0415 - the same

        try:
            if self._found is None:
                self._found, _ = google.auth.default(scopes=[self._purpose.scope])
            self._found.refresh(partial(Request(), timeout=_LIBRARY_SECONDS))
            ends = self._found.expiry
            return _token(self._found.token, ends.replace(tzinfo=UTC) if ends else self._clock.now() + _UNKNOWN)
        except DefaultCredentialsError:
            raise self._purpose.denied() from None
        except (GoogleAuthError, ValueError, TypeError) as error:
            lost = isinstance(error.__cause__, TransportError)  # so the library words a metadata server's silence
            if isinstance(error, RefreshError) and not error.retryable and not lost:
                raise self._purpose.denied() from None
            raise UnavailableError(
                self._purpose.unavailable,
                f"whoever hands out tokens does not answer as it should ({type(error).__name__})",
            ) from None


def open_bearer(
    cloud: GoogleCloud,
    purpose: Purpose,
    clock: Clock,
    open_transport: Callable[[], httpx.BaseTransport] | None = None,
) -> Bearer:
    """Build what proves who this process is; nothing is asked yet.

    Args:
        cloud: Where the credentials are.
        purpose: What the tokens are for.
        clock: Tells the time.
        open_transport: As for `MetadataServer`.
    """
    if cloud.metadata_host is None:
        return Bearer(DefaultCredentials(purpose, clock), clock)
    return Bearer(MetadataServer(cloud.metadata_host, purpose, clock, open_transport), clock)


def _token(text: str, ends: datetime) -> Token:
    if _TOKEN.fullmatch(text) is None:
        raise ValueError("a token that cannot stand in a header")
    return Token(text=text, ends=ends)
