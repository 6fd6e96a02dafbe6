"""Calls to the functions, each bounded in time and size; what a person is shown of the answers is left to the commands.

What only asks is asked again after a fault. What changes something is asked once: after a fault nobody knows what came of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx

from shared.cli.refusals import refusal_of
from shared.core.canonical import parse_object
from shared.errors import ConfigError, InputError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.config import Settings

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
CALL_SECONDS = 60.0
"""An answer that drips in for longer is given up."""
MAX_ANSWER_BYTES = 32 * 1024 * 1024
RETRIES = 2
LONGEST_PAUSE_SECONDS = 10.0
"""What asks for a longer pause is told to the operator instead of being waited for."""
_PAUSE_SECONDS = 0.5
_OK, _ACCEPTED, _REDIRECTS, _UNAVAILABLE = 200, 202, range(300, 400), 503

Document = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status code, the body, after how many seconds one may ask again, and the sender's clock; None where not said."""

    status: int
    body: bytes
    retry_after: float | None = None
    date: datetime | None = None

    def document(self) -> Document | None:
        """Read the body; None when it is no JSON object."""
        try:
            return parse_object(self.body, what="the answer")
        except InputError:
            return None


class Client:
    """The functions, as an operator reaches them. It opens connections only as it is called.

    Args:
        settings: Their address and the key; the key may be missing where only `health` is asked.
        transport: What carries the calls; None is the network.
        pause: Waits so many seconds.

    Raises:
        ConfigError: `CONFIG_MISSING`, `CONFIG_INVALID`.
    """

    def __init__(
        self,
        settings: Settings,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        settings.need("SKILL_SYNC_URL")
        self._base = _base(str(settings.skill_sync_url))
        self._settings = settings
        self._transport = transport
        self._pause = pause
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """End the connections."""
        if self._client is not None:
            self._client.close()

    @property
    def address(self) -> str:
        """Where the functions answer, without user and password."""
        return str(self._base.copy_with(userinfo=b""))

    @property
    def has_key(self) -> bool:
        """Whether there is a key to show."""
        return bool(self._settings.api_keys)

    @property
    def settings(self) -> Settings:
        """The settings that it was made with."""
        return self._settings

    def under(self, key: str) -> Client:
        """Return another client of the same functions, which shows this key."""
        return Client(replace(self._settings, api_keys=(key,)), self._transport, self._pause)

    def at(self, name: str, url: str) -> Client:
        """Return another client, of what answers at this address.

        Args:
            name: Of the setting that the address comes from.
            url: The address.

        Raises:
            ConfigError: `CONFIG_INVALID`.
        """
        _base(url, name)
        return Client(replace(self._settings, skill_sync_url=url), self._transport, self._pause)

    def probe(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Ask once, without the key, and return what came, whatever it is.

        Args:
            method: Of HTTP.
            path: Below the address.
            headers: Beside the usual ones.
            body: What is sent.

        Raises:
            UnavailableError: `UNREACHABLE`, `ANSWER_TOO_LARGE`.
        """
        try:
            return self._exchange(method, path, headers=dict(headers or {}), content=body)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def health(self) -> Document:
        """Ask for the health, which needs no key; of an unhealthy service too, which says so with 503.

        Raises:
            SkillSyncError: as `get`.
        """
        return self._asked("/health", {}, headers={}, may_be_unhealthy=True)

    def get(self, path: str, **query: str | int | None) -> Document:
        """Ask for a document, again after a fault.

        Args:
            path: Below the address.
            query: Parameters; None leaves one out.

        Raises:
            SkillSyncError: as `refusal_of` makes it; `UNREACHABLE`, `ANSWER_INVALID`, or `ANSWER_TOO_LARGE`.
        """
        params = {name: str(value) for name, value in query.items() if value is not None}
        return self._asked(path, params, headers=self._key())

    def post(self, path: str, document: Mapping[str, object]) -> tuple[int, Document]:
        """Ask for a change, once.

        Returns:
            200 or 202, and the answer.

        Raises:
            SkillSyncError: as `get`; also `OUTCOME_UNKNOWN`, when it was sent and no answer came.
        """
        try:
            answer = self._exchange("POST", path, json=document, headers=self._key())
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unreachable(error) from None
        except httpx.HTTPError as error:
            raise UnavailableError(
                "OUTCOME_UNKNOWN",
                f"{self.address} was asked, and no answer came ({type(error).__name__}): it may have been done, "
                "or still be; look with `history`, or `rotate status`, before you ask again",
            ) from None
        return answer.status, self._understood(answer, also=_ACCEPTED)

    def _asked(
        self, path: str, params: Mapping[str, str], *, headers: Mapping[str, str], may_be_unhealthy: bool = False
    ) -> Document:
        for left in range(RETRIES, -1, -1):
            wait = _PAUSE_SECONDS * 2 ** (RETRIES - left)
            try:
                answer = self._exchange("GET", path, params=params, headers=headers)
            except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
                raise self._unreachable(error) from None  # half a minute was waited already
            except httpx.HTTPError as error:
                if not left:
                    raise self._unreachable(error) from None
            else:
                found = answer.document() or {}
                if may_be_unhealthy and answer.status == _UNAVAILABLE and "services" in found:
                    return found
                wait = wait if answer.retry_after is None else answer.retry_after
                if answer.status != _UNAVAILABLE or not left or wait > LONGEST_PAUSE_SECONDS:
                    return self._understood(answer)
            self._pause(wait)
        raise AssertionError("unreachable")  # the last round returns or raises

    def _exchange(self, method: str, path: str, **content: Any) -> Answer:  # noqa: ANN401 - as httpx takes it
        client = self._connected()
        request = client.build_request(method, path, **content)
        until = time.monotonic() + CALL_SECONDS
        answer = client.send(request, stream=True)
        try:
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise UnavailableError(
                        "ANSWER_TOO_LARGE", f"{self.address} answered more than {MAX_ANSWER_BYTES} bytes"
                    )
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("the answer drips in", request=request)
        finally:
            answer.close()
        told = answer.headers
        return Answer(status=answer.status_code, body=bytes(body), retry_after=_seconds(told), date=_date(told))

    def _understood(self, answer: Answer, also: int = _OK) -> Document:
        if answer.status in _REDIRECTS:
            raise ConfigError(
                "REDIRECTED", f"{self.address} sends callers elsewhere, where the key does not go: mend SKILL_SYNC_URL"
            )
        document = answer.document()
        if answer.status not in (_OK, also):
            raise refusal_of(answer.status, document, self.address, answer.retry_after)
        if document is None:
            raise UnavailableError("ANSWER_INVALID", f"{self.address} did not answer as the functions do: no JSON")
        return document

    def _unreachable(self, error: httpx.HTTPError) -> UnavailableError:
        return UnavailableError("UNREACHABLE", f"{self.address} does not answer ({type(error).__name__})")

    def _key(self) -> dict[str, str]:
        self._settings.need("MANUAL_SYNC_API_KEY")
        key = self._settings.api_keys[0]  # the newest, while two are current
        if not (key.isascii() and key.isprintable()):
            raise ConfigError("CONFIG_INVALID", "MANUAL_SYNC_API_KEY: expected ASCII without control characters")
        return {"x-api-key": key}

    def _connected(self) -> httpx.Client:
        if self._client is None:
            # Not compressed: what is counted is what came in.
            headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "skill-sync"}
            try:
                self._client = httpx.Client(
                    base_url=self._base,
                    headers=headers,
                    timeout=TIMEOUT,
                    follow_redirects=False,
                    transport=self._transport,
                )
            except (ValueError, OSError, ImportError, httpx.InvalidURL) as error:
                raise ConfigError(
                    "NETWORK_SETTINGS_INVALID",
                    f"the proxy or certificates that this environment names cannot be used ({type(error).__name__})",
                ) from None
        return self._client


def _base(text: str, name: str = "SKILL_SYNC_URL") -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host or url.query or url.fragment:
        raise ConfigError("CONFIG_INVALID", f"{name}: expected an address such as https://HOST/PATH")
    return url


def _seconds(headers: httpx.Headers) -> float | None:
    told = headers.get("Retry-After", "")
    return float(told[:9]) if told.isascii() and told.isdigit() else None


def _date(headers: httpx.Headers) -> datetime | None:
    try:
        told = parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, OverflowError):
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)
