"""Signatures of OIDC tokens, verified by PyJWT: RS256 by a key of the issuer, and nothing else.

What the claims must be is `core.oidc`'s business.

Source: RFC 7515, RFC 7519, RFC 8725
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jwt
from jwt.exceptions import InvalidSignatureError, PyJWTError

from shared.errors import DeniedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.adapters.oidc_keys import IssuerKeys

MAX_CHARS: Final = 16 * 1024
_ALGORITHM: Final = "RS256"
_MAX_NAME_CHARS: Final = 200
_FOREIGN: Final = (PyJWTError, ValueError, TypeError, RecursionError)


class OidcTokens:
    """Proves that tokens are signed by their issuer; the port `Tokens`.

    Args:
        keys: The issuer's keys.
    """

    def __init__(self, keys: IssuerKeys) -> None:
        self._keys = keys

    def __call__(self, token: str) -> Mapping[str, object]:
        """Return what a token says, once its signature holds."""
        name = _key_name(token)
        key = self._keys.key(name)
        if key is None:
            raise DeniedError("OIDC_KEY_UNKNOWN", "the issuer has no key of the name that the token gives")
        # All but the signature is checked by our own rules, under our own clock.
        unchecked: Any = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
        try:
            claims: dict[str, object] = jwt.decode(token, key, algorithms=[_ALGORITHM], options=unchecked)
        except InvalidSignatureError:
            raise DeniedError("OIDC_SIGNATURE", "the token's signature does not hold") from None
        except _FOREIGN:
            raise _malformed() from None
        return claims


def _key_name(token: str) -> str:
    # What the header says chooses a key, and never how it is used.
    if not token.isascii() or len(token) > MAX_CHARS:
        raise _malformed()
    try:
        header = jwt.get_unverified_header(token)
    except _FOREIGN:
        raise _malformed() from None
    if header.get("alg") != _ALGORITHM:
        raise DeniedError("OIDC_ALGORITHM", f"the token must be signed by {_ALGORITHM}")
    name = header.get("kid")
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME_CHARS:
        raise DeniedError("OIDC_KEY_UNKNOWN", "the token must name the key that signed it")
    return name


def _malformed() -> DeniedError:
    return DeniedError("OIDC_TOKEN_INVALID", "expected a JSON web token of GitHub's as bearer token")
