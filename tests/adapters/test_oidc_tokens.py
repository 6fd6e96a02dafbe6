"""Whose signature a token needs: RS256 by a key that the issuer lists, and nothing that a token says about itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.adapters.oidc_keys import IssuerKeys
from shared.adapters.oidc_tokens import MAX_CHARS, OidcTokens
from shared.errors import DeniedError
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import KEY_NAME, base64url, claims_of, jwk, rsa_key, signed

if TYPE_CHECKING:
    from collections.abc import Callable

ISSUER = "https://issuer.example"
HEADER = {"alg": "RS256", "typ": "JWT", "kid": KEY_NAME}
CLAIMS = claims_of("c" * 40, ISSUER)


def tokens(*keys: dict[str, object]) -> OidcTokens:
    body = json.dumps({"keys": list(keys) or [jwk(KEY_NAME, rsa_key(KEY_NAME))]}).encode()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=httpx.ByteStream(body)))
    return OidcTokens(IssuerKeys(ISSUER, FakeClock(), transport))


def refused(token: str, found: OidcTokens | None = None) -> str | None:
    try:
        (found or tokens())(token)
    except DeniedError as error:
        return error.code
    return None


def confused(digest: str) -> Callable[[], str]:
    """A token that takes the public key for a shared secret."""

    def make() -> str:
        secret = rsa_key(KEY_NAME).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({**HEADER, "alg": f"HS{digest[3:]}"}, CLAIMS))
        return f"{text}.{base64url(hmac.digest(secret, text.encode(), digest))}"

    return make


def unsigned(algorithm: str, signature: str = "") -> Callable[[], str]:
    def make() -> str:
        parts = ({**HEADER, "alg": algorithm}, CLAIMS)
        return ".".join([*(base64url(json.dumps(part).encode()) for part in parts), signature])

    return make


def changed() -> str:
    head, _, rest = signed(HEADER, CLAIMS, rsa_key(KEY_NAME)).partition(".")
    body, _, signature = rest.partition(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{base64url(json.dumps({**claims, 'sha': 'd' * 40}).encode())}.{signature}"


def test_what_the_issuer_signed_is_told() -> None:
    assert tokens()(signed(HEADER, CLAIMS, rsa_key(KEY_NAME))) == CLAIMS


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (unsigned("none"), "OIDC_ALGORITHM"),
        (unsigned("None"), "OIDC_ALGORITHM"),
        (unsigned("nOnE", "e30"), "OIDC_ALGORITHM"),
        (unsigned(""), "OIDC_ALGORITHM"),
        (confused("sha256"), "OIDC_ALGORITHM"),
        (confused("sha512"), "OIDC_ALGORITHM"),
        (lambda: signed({**HEADER, "alg": "RS512"}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_ALGORITHM"),
        (lambda: signed({**HEADER, "alg": "PS256"}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_ALGORITHM"),
        (lambda: signed({**HEADER, "alg": ["RS256"]}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_ALGORITHM"),
        (unsigned("RS256"), "OIDC_SIGNATURE"),
        (unsigned("RS256", base64url(hashlib.sha256(b"x").digest())), "OIDC_SIGNATURE"),
        (changed, "OIDC_SIGNATURE"),
        (lambda: signed(HEADER, CLAIMS, rsa_key("stranger")), "OIDC_SIGNATURE"),
        (lambda: signed({**HEADER, "kid": "key-2"}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_KEY_UNKNOWN"),
        (lambda: signed({"alg": "RS256"}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_KEY_UNKNOWN"),
        (lambda: signed({**HEADER, "kid": ""}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_KEY_UNKNOWN"),
        (lambda: signed({**HEADER, "kid": "k" * 201}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_KEY_UNKNOWN"),
        (lambda: signed({**HEADER, "kid": 1}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_TOKEN_INVALID"),
        (lambda: signed({**HEADER, "crit": ["x"]}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_TOKEN_INVALID"),
        (lambda: signed({**HEADER, "crit": ["b64"], "b64": False}, CLAIMS, rsa_key(KEY_NAME)), "OIDC_TOKEN_INVALID"),
        (lambda: "", "OIDC_TOKEN_INVALID"),
        (lambda: "a.b", "OIDC_TOKEN_INVALID"),
        (lambda: "a.b.c.d", "OIDC_TOKEN_INVALID"),
        (lambda: "é.e30.e30", "OIDC_TOKEN_INVALID"),
        (lambda: "e30.e30.e30" + "a" * MAX_CHARS, "OIDC_TOKEN_INVALID"),
        (lambda: f"{base64url(b'[' * 5000)}.e30.e30", "OIDC_TOKEN_INVALID"),
        (lambda: f"{base64url(b'[]')}.e30.e30", "OIDC_TOKEN_INVALID"),
    ],
)
def test_a_token_that_its_issuer_did_not_sign_so_is_refused(make: Callable[[], str], code: str) -> None:
    assert refused(make()) == code


def test_a_key_that_the_token_itself_brings_is_not_used() -> None:
    own = {**HEADER, "jwk": jwk(KEY_NAME, rsa_key("stranger")), "jku": "https://stranger.example/keys"}
    assert refused(signed(own, CLAIMS, rsa_key("stranger"))) == "OIDC_SIGNATURE"


def test_a_payload_that_is_no_object_is_refused() -> None:
    token = signed(HEADER, [1], rsa_key(KEY_NAME))  # type: ignore[arg-type]
    assert refused(token) == "OIDC_TOKEN_INVALID"


def test_nothing_that_was_sent_stands_in_the_refusal() -> None:
    token = signed(HEADER, CLAIMS, rsa_key("stranger"))
    with pytest.raises(DeniedError) as caught:
        tokens()(token)
    assert not [part for part in token.split(".") if part in str(caught.value)]
