"""Proof to GitHub of who asks: a personal access token, or the hourly tokens of a GitHub App's installation.

    an App's key signs a JWT (9 minutes)  ->  the installation on our repository  ->  a token that reads it (1 hour)

Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.adapters.github_faults import CREATED, NOT_FOUND, OK, UNAUTHORIZED, UNPROCESSABLE, corrupt, fault
from shared.core.canonical import canonical_bytes, member, parse_object
from shared.errors import ConfigError, InputError, RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.adapters.github_http import Answer
    from shared.adapters.github_repository import Repository
    from shared.ports import Clock

EARLY: Final = timedelta(minutes=5)
"""So long before its end a token is replaced."""
_ISSUED_SECONDS, _EXPIRES_SECONDS = -60, 540
_LONGEST_SECONDS: Final = 3600.0
_HOOKS: Final = "repository_hooks"
_APP_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")


class Send(Protocol):
    """Sends one small request of the API with the given proof; rate limits and lost connections are dealt with already."""

    def __call__(self, url: str, authorization: str | None, *, body: bytes | None = None) -> Answer[bytes]:
        """Send a GET, or a POST when there is a body."""
        ...


class Access(Protocol):
    """Where tokens come from; safe for many threads."""

    def token(self, send: Send, seconds: Callable[[], float]) -> str | None:
        """Return the token to send now, None for none."""
        ...

    def renewed(self, refused: str | None, send: Send, seconds: Callable[[], float]) -> str | None:
        """Return another token after one was refused, None when there is no other."""
        ...

    def known(self) -> str | None:
        """Return a token that works as far as we know, without asking anybody."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A GitHub App that is installed on the repository.

    Args:
        id: The App's id, or its client id.
        key_pem: Its private key, RSA in PEM.

    Raises:
        ConfigError: `GITHUB_APP_INVALID`.
    """

    id: str
    key_pem: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _APP_ID.fullmatch(self.id):
            raise ConfigError("GITHUB_APP_INVALID", "GITHUB_APP_ID: expected the number or client id of a GitHub App")
        _key(self.key_pem)

    def jwt(self, now: datetime) -> str:
        """Sign who we are (RS256), valid for nine minutes; dated a minute back, as clocks differ.

        Source:
            https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
        """
        second = int(now.timestamp())
        claims = {"iat": second + _ISSUED_SECONDS, "exp": second + _EXPIRES_SECONDS, "iss": self.id}
        signed = b".".join(_base64url(canonical_bytes(part)) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
        signature = _key(self.key_pem).sign(signed, PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _base64url(signature)).decode()


class PersonalAccess:
    """A token that somebody has made, or none at all.

    Args:
        token: The token; None or empty for none.

    Raises:
        ConfigError: `GITHUB_TOKEN_INVALID`, it cannot stand in a header.
    """

    def __init__(self, token: str | None) -> None:
        if token and not _TOKEN.fullmatch(token):
            raise ConfigError("GITHUB_TOKEN_INVALID", "GITHUB_TOKEN: expected one line of visible ASCII characters")
        self._token = token or None

    def token(self, send: Send, seconds: Callable[[], float]) -> str | None:  # noqa: ARG002 - nobody need be asked
        """Return the token."""
        return self._token

    def renewed(self, refused: str | None, send: Send, seconds: Callable[[], float]) -> str | None:  # noqa: ARG002
        """Return None: there is no other."""
        return None

    def known(self) -> str | None:
        """Return the token."""
        return self._token


class AppAccess:
    """Tokens of an App's installation, each used until five minutes before its end.

    Args:
        app: The App.
        repository: What the tokens may read, and nothing else.
        clock: For dates.
    """

    def __init__(self, app: App, repository: Repository, clock: Clock) -> None:
        self._app = app
        self._repository = repository
        self._clock = clock
        self._lock = threading.Lock()
        self._held: tuple[str, datetime] | None = None

    def token(self, send: Send, seconds: Callable[[], float]) -> str | None:
        """Return the held token, or ask for a new one; the others wait meanwhile.

        Raises:
            UnavailableError: `SOURCE_TOO_SLOW` after waiting for another thread, or as `send` does.
            RejectedError: `SOURCE_DENIED`, `SOURCE_NOT_FOUND`: the App's id, its key or its installation is wrong.
        """
        return self.renewed(None, send, seconds)

    def renewed(self, refused: str | None, send: Send, seconds: Callable[[], float]) -> str | None:
        """Return a token that is not the refused one; raises as `token` does."""
        if not self._lock.acquire(timeout=min(max(seconds(), 0.0), _LONGEST_SECONDS)):
            raise UnavailableError("SOURCE_TOO_SLOW", f"{self._repository.rest_url} did not give a token in time")
        try:
            held = self.known()
            if held is None or held == refused:
                self._held = self._fetch(send)
            return self._held[0] if self._held else None
        finally:
            self._lock.release()

    def known(self) -> str | None:
        """Return the held token while it is good."""
        held = self._held
        return held[0] if held is not None and self._clock.now() < held[1] - EARLY else None

    def _fetch(self, send: Send) -> tuple[str, datetime]:
        repository, proof = self._repository, f"Bearer {self._app.jwt(self._clock.now())}"
        answer = send(f"{repository.rest_url}/installation", proof)
        if answer.status != OK or answer.content is None:
            self._refuse(answer.status)
        try:
            installation = parse_object(answer.content, what="the installation")
            number = member(installation, "id", int, what="the installation")
        except InputError:
            raise corrupt(repository.rest_url, "expected the App's installation, got something else") from None
        wish = {"repositories": [repository.name], "permissions": _permissions(installation)}
        url = f"{repository.api_url.rstrip('/')}/app/installations/{number}/access_tokens"
        answer = send(url, proof, body=json.dumps(wish).encode())
        if answer.status != CREATED or answer.content is None:
            self._refuse(answer.status)
        return self._parsed(answer.content)

    def _parsed(self, body: bytes) -> tuple[str, datetime]:
        try:
            document = parse_object(body, what="the token")
            token = member(document, "token", str, what="the token")
            expires = datetime.fromisoformat(member(document, "expires_at", str, what="the token"))
            if not _TOKEN.fullmatch(token) or expires.tzinfo is None:
                raise ValueError
        except (InputError, ValueError):
            raise corrupt(self._repository.rest_url, "expected an installation token, got something else") from None
        return token, expires

    def _refuse(self, status: int) -> NoReturn:
        where = self._repository.rest_url
        if status in {UNAUTHORIZED, UNPROCESSABLE}:
            message = (
                f"GitHub refuses the App for {where} ({status}): do GITHUB_APP_ID and GITHUB_APP_KEY belong together?"
            )
            raise RejectedError("SOURCE_DENIED", message)
        if status == NOT_FOUND:
            raise RejectedError("SOURCE_NOT_FOUND", f"the GitHub App is not installed on {where}, or it does not exist")
        raise fault(status, where)


def _permissions(installation: dict[str, object]) -> dict[str, str]:
    """Wish for as little as the work needs; GitHub refuses a wish for more than the installation was granted."""
    granted = installation.get("permissions")
    sees_hooks = isinstance(granted, dict) and str(granted.get(_HOOKS)) in {"read", "write"}
    return {"contents": "read", "metadata": "read", **({_HOOKS: "read"} if sees_hooks else {})}


def _key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError("GITHUB_APP_INVALID", "GITHUB_APP_KEY: expected an RSA private key in PEM, without password")
    return key


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
