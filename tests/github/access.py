"""Who may ask the stand-in: a personal token, or the tokens that it gives to an installed GitHub App.

Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTALLATION = 4711
_LONGEST_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Issued:
    """A token of the App's installation."""

    token: str
    expires_at: datetime


class Access:
    """Tokens.

    Attributes:
        token: The personal token; None, with no App, makes everything public.
        others: Further personal tokens that may read.
        blind: Tokens that GitHub knows and that were made for other repositories.
        expiration: When personal tokens end, as the header says it; empty where they never do.
        scopes: Those of a classic token; None for a token that has none, as a fine-grained one.
        believes_all: Whatever is sent is accepted, as something between us and GitHub might do.
        lifetime_seconds: How long the tokens of the App live.
    """

    def __init__(self) -> None:
        self.token: str | None = None
        self.others: set[str] = set()
        self.blind: set[str] = set()
        self.expiration = ""
        self.scopes: str | None = None
        self.believes_all = False
        self.lifetime_seconds = 3600.0
        self._app: tuple[str, list[rsa.RSAPublicKey]] | None = None
        self._issued: list[Issued] = []

    def install_app(self, app_id: str, *public_keys_pem: bytes) -> None:
        """Install a GitHub App that has these keys, and no other."""
        keys = []
        for pem in public_keys_pem:
            key = serialization.load_pem_public_key(pem)
            assert isinstance(key, rsa.RSAPublicKey)
            keys.append(key)
        self._app = (app_id, keys)

    def revoke(self) -> None:
        """Make every token of the App invalid."""
        self._issued.clear()

    @property
    def is_open(self) -> bool:
        """Whether anybody may read."""
        return self.token is None and self._app is None

    def holds(self, token: str) -> bool:
        """Whether this token is one that may read now."""
        live = {issued.token for issued in self._issued if issued.expires_at > datetime.now(UTC)}
        return self.believes_all or token in live or self._is_personal(token)

    def told(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of every answer to a personal token that tell about that token."""
        if not self._is_personal(bearer(headers) or ""):
            return {}
        expires = {"github-authentication-token-expiration": self.expiration} if self.expiration else {}
        return expires if self.scopes is None else {**expires, "x-oauth-scopes": self.scopes}

    def _is_personal(self, token: str) -> bool:
        if token in self.others or token in self.blind:
            return True
        return self.token is not None and secrets.compare_digest(token, self.token)

    def issue(self) -> Issued:
        """Make a token for the App's installation."""
        issued = Issued("ghs_" + secrets.token_hex(18), datetime.now(UTC) + timedelta(seconds=self.lifetime_seconds))
        self._issued.append(issued)
        return issued

    def is_app(self, headers: Mapping[str, str]) -> bool:
        """Whether a request carries a JSON web token that the App signed, for ten minutes at most."""
        if self._app is None or self.believes_all:
            return self.believes_all
        app_id, keys = self._app
        return any(_is_signed(headers, app_id, key) for key in keys)


def _is_signed(headers: Mapping[str, str], app_id: str, key: rsa.RSAPublicKey) -> bool:
    token = bearer(headers) or ""
    signed, _, signature = token.rpartition(".")
    try:
        key.verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        head, claims = (json.loads(_decoded(part)) for part in signed.split("."))
    except (InvalidSignature, ValueError):
        return False
    now = time.time()
    fresh = (
        claims["iat"] <= now < claims["exp"] <= claims["iat"] + _LONGEST_SECONDS + 60
        and claims["exp"] <= now + _LONGEST_SECONDS
    )
    return head.get("alg") == "RS256" and str(claims["iss"]) == app_id and bool(fresh)


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token of the header `Authorization`, as the API or as git sends it; None when there is none."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() in {"bearer", "token"}:
        return value
    if kind.lower() == "basic":
        return _decoded(value, plain=True).decode(errors="replace").partition(":")[2]
    return None


def _decoded(text: str, *, plain: bool = False) -> bytes:
    padded = text + "=" * (-len(text) % 4)
    return base64.b64decode(padded) if plain else base64.urlsafe_b64decode(padded)
