"""The public keys of an OIDC issuer, over HTTP: kept for an hour, and read at most once a minute for a key that is unknown.

Source: RFC 7517, and https://docs.github.com/en/actions/reference/security/oidc
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Final

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from shared.adapters.github_body import cut_off
from shared.adapters.tls import tls_context
from shared.errors import UnavailableError

if TYPE_CHECKING:
    from shared.ports import Clock

FRESH_SECONDS: Final = 3600.0
"""A key that its issuer has withdrawn is believed for so long at most."""
UNKNOWN_SECONDS: Final = 60.0
"""So long a key that the issuer did not have is not asked for again, whoever sends tokens that name it."""
FAILED_SECONDS: Final = 5.0
MAX_BYTES: Final = 64 * 1024
MAX_KEYS: Final = 32
LEAST_BITS: Final = 2048
TOTAL_SECONDS: Final = 5.0
"""What one try may take."""
_CONNECT_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.2
_TRIES: Final = 2
_OK: Final = 200
_PATH: Final = "/.well-known/jwks"


class IssuerKeys:
    """The keys of one issuer, for all threads of the process. It asks only as it is called.

    Args:
        issuer: Its address.
        clock: Tells how old the keys are, and waits between two tries.
        transport: What carries the requests; None is the network.
    """

    def __init__(self, issuer: str, clock: Clock, transport: httpx.BaseTransport | None = None) -> None:
        self._url = f"{issuer}{_PATH}"
        self._clock = clock
        self._transport = transport
        self._lock = threading.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._read_at: float | None = None
        self._failed_at: float | None = None

    def key(self, name: str) -> PyJWK | None:
        """Return the key of this name (`kid`); None when the issuer has none.

        Raises:
            UnavailableError: `OIDC_KEYS_UNAVAILABLE`, the issuer does not tell its keys.
        """
        with self._lock:  # of many callers at once one asks, and the others read what it found
            age = None if self._read_at is None else self._clock.monotonic() - self._read_at
            known = self._keys.get(name) if age is not None and age < FRESH_SECONDS else None
            if known is None and (age is None or age >= UNKNOWN_SECONDS):
                self._read()
                known = self._keys.get(name)
            return known

    def _read(self) -> None:
        if self._failed_at is not None and self._clock.monotonic() - self._failed_at < FAILED_SECONDS:
            raise self._unavailable("it failed just now")
        try:
            self._keys = _keys(self._body())
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, ValueError, RecursionError) as error:
            self._failed_at = self._clock.monotonic()
            # Foreign texts stay behind: nobody knows what they quote.
            raise self._unavailable(type(error).__name__) from None
        self._read_at, self._failed_at = self._clock.monotonic(), None

    def _body(self) -> bytes:
        timeout = httpx.Timeout(TOTAL_SECONDS, connect=_CONNECT_SECONDS)
        headers = {"User-Agent": "skill-sync", "Accept": "application/json", "Accept-Encoding": "identity"}
        with httpx.Client(
            transport=self._transport, timeout=timeout, headers=headers, follow_redirects=False, verify=tls_context()
        ) as client:
            for _ in range(_TRIES - 1):
                try:
                    return self._once(client)
                except (httpx.HTTPError, OSError):
                    self._clock.sleep(_PAUSE_SECONDS)
            return self._once(client)

    def _once(self, client: httpx.Client) -> bytes:
        with client.stream("GET", self._url) as answer, cut_off(answer, TOTAL_SECONDS):
            if answer.status_code != _OK:
                raise httpx.HTTPStatusError("no keys", request=answer.request, response=answer)
            body = b""
            for piece in answer.iter_raw():
                body += piece
                if len(body) > MAX_BYTES:
                    raise ValueError("too many bytes")
            return body

    def _unavailable(self, why: str) -> UnavailableError:
        return UnavailableError("OIDC_KEYS_UNAVAILABLE", f"{self._url} does not tell the issuer's keys ({why})")


def _keys(body: bytes) -> dict[str, PyJWK]:
    document = json.loads(body)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError("no list of keys")
    found = {str(each["kid"]): key for each in listed if (key := _key(each)) is not None}
    if not found:
        raise ValueError("no key that could be used")
    return found


def _key(described: object) -> PyJWK | None:
    # An issuer may list keys of other kinds; they are none of ours, and no reason to do without the others.
    if not isinstance(described, dict) or not isinstance(described.get("kid"), str):
        return None
    if (
        described.get("kty") != "RSA"
        or described.get("use", "sig") != "sig"
        or described.get("alg", "RS256") != "RS256"
    ):
        return None
    try:
        key = PyJWK(described, algorithm="RS256")
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    public = isinstance(key.key, RSAPublicKey) and key.key.key_size >= LEAST_BITS
    return key if public else None
