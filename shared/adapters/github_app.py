"""A GitHub App and the keys that it signs with: who we are, as a JSON web token.

Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.core.canonical import canonical_bytes
from shared.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

_ISSUED_SECONDS, _EXPIRES_SECONDS = -60, 540
_APP_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A GitHub App that is installed on the repository.

    Args:
        id: The App's id, or its client id.
        key_pems: Its private key, RSA in PEM; two, newest first, while it is rotated.

    Raises:
        ConfigError: `GITHUB_APP_INVALID`.
    """

    id: str
    key_pems: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not _APP_ID.fullmatch(self.id):
            raise ConfigError("GITHUB_APP_INVALID", "GITHUB_APP_ID: expected the number or client id of a GitHub App")
        if not self.key_pems:
            raise _not_a_key()
        for pem in self.key_pems:
            _key(pem)

    def jwt(self, now: datetime, key_pem: str) -> str:
        """Sign who we are (RS256), valid for nine minutes; dated a minute back, as clocks differ.

        Args:
            now: The time.
            key_pem: Which of the keys signs.

        Source:
            https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
        """
        second = int(now.timestamp())
        claims = {"iat": second + _ISSUED_SECONDS, "exp": second + _EXPIRES_SECONDS, "iss": self.id}
        signed = b".".join(_base64url(canonical_bytes(part)) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
        signature = _key(key_pem).sign(signed, PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _base64url(signature)).decode()


def _key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise _not_a_key()
    return key


def _not_a_key() -> ConfigError:
    message = "GITHUB_APP_KEY: expected an RSA private key in PEM, without password"
    return ConfigError("GITHUB_APP_INVALID", message)


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
