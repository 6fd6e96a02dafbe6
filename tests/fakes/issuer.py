"""GitHub's issuer of OIDC tokens on this machine: it signs what a test says, tells its keys, and answers runners."""

from __future__ import annotations

import base64
import json
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from collections.abc import Mapping

AUDIENCE = "https://sync.example"
KEY_NAME = "key-1"
RUNNER_TOKEN = "runner-" + "t" * 40


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The private key of a name; made once a process, as that takes time."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(name: str, key: rsa.RSAPrivateKey, **changes: object) -> dict[str, object]:
    """A public key as an issuer lists it."""
    numbers = key.public_key().public_numbers()
    parts = {"n": base64url(_octets(numbers.n)), "e": base64url(_octets(numbers.e))}
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, **parts, **changes}


def signed(header: Mapping[str, object], claims: Mapping[str, object], key: rsa.RSAPrivateKey) -> str:
    """A token with any header, signed by RS256 whatever that says."""
    text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{base64url(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(commit: str, issuer: str, *, now: float | None = None, **changes: object) -> dict[str, object]:
    """What the token of a push to the branch `main` of `octo/skills` says; a change to None takes a claim out."""
    moment = int(time.time() if now is None else now)
    claims: dict[str, object] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": "repo:octo/skills:ref:refs/heads/main",
        "iat": moment,
        "nbf": moment,
        "exp": moment + 300,
        "jti": "f0e1",
        "run_id": "22259804324",
        "repository": "octo/skills",
        "repository_id": "4711",
        "repository_owner": "octo",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "sha": commit,
        "event_name": "push",
        "workflow_ref": "octo/skills/.github/workflows/skills.yml@refs/heads/main",
        "job_workflow_ref": "octo/skills/.github/workflows/skill-sync.yml@refs/heads/main",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


class Issuer:
    """Serves `/.well-known/jwks`, and `/token` to a runner.

    Attributes:
        keys: What it lists.
        asked: How often its keys were asked for.
        claims: What the tokens that a runner gets say, but for the audience.
        status: What it answers to who asks for keys.
    """

    def __init__(self) -> None:
        self.keys = [jwk(KEY_NAME, rsa_key(KEY_NAME))]
        self.asked = 0
        self.claims: dict[str, object] = {}
        self.status = 200
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.issuer = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def token(self, commit: str, **changes: object) -> str:
        """A token of the newest key."""
        return signed(
            {"alg": "RS256", "typ": "JWT", "kid": KEY_NAME}, claims_of(commit, self.url, **changes), rsa_key(KEY_NAME)
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    issuer: Issuer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        issuer, asked = self.server.issuer, urlsplit(self.path)
        if asked.path == "/.well-known/jwks":
            issuer.asked += 1
            self._reply(issuer.status, {"keys": issuer.keys})
        elif self.headers.get("Authorization", "").lower() != f"bearer {RUNNER_TOKEN}":
            self._reply(401, {})
        else:
            claims = {**issuer.claims, "aud": parse_qs(asked.query)["audience"][0]}
            self._reply(200, {"value": issuer.token(str(claims.pop("sha", "")), **claims)})

    def _reply(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
