"""The webhooks of a repository as an operator changes them, on GitHub's REST API.

What one must be is `core.hook_config`'s business.

Source: https://docs.github.com/en/rest/repos/webhooks
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Self

import httpx

from shared.adapters.github_body import cut_off
from shared.core.canonical import parse_object
from shared.errors import ConfigError, DeniedError, InputError, RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Hook = Mapping[str, object]

MAX_BYTES: Final = 2**20
CALL_SECONDS: Final = 15.0
RETRIES: Final = 2
"""How often a question is asked again; a change is asked for once."""
_CONNECT_SECONDS: Final = 5.0
_VERSION: Final = "2022-11-28"
_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _INVALID, _TOO_MANY = 401, 403, 404, 422, 429
_SERVER_FAULT: Final = 500


class HookEditor:
    """The webhooks of one repository. It opens connections only as it is called; to be used in a `with`.

    Args:
        api_url: GitHub's REST API.
        repo: `<owner>/<name>`.
        token: With Webhooks: read and write.
        transport: What carries the requests; None is the network.
    """

    def __init__(self, api_url: str, repo: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._where = f"{api_url.rstrip('/')}/repos/{repo}/hooks"
        self._token = token
        self._transport = transport
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()

    def listed(self) -> list[Hook]:
        """List the webhooks. All methods raise alike.

        Raises:
            DeniedError: `TOKEN_REFUSED`, `HOOKS_DENIED`.
            ConfigError: `REPOSITORY_MOVED`, `CONFIG_INVALID`.
            InputError: `HOOK_INVALID`, GitHub does not take the webhook.
            UnavailableError: `GITHUB_UNAVAILABLE`, `GITHUB_LIMITED`, and `OUTCOME_UNKNOWN` behind a change.
        """
        return self._list("?per_page=100")

    def create(self, hook: Hook) -> Hook:
        """Make a webhook, which GitHub then pings."""
        return self._object(self._ask("POST", "", {"name": "web", **hook}))

    def change(self, number: int, hook: Hook) -> Hook:
        """Set a webhook anew, as a whole."""
        return self._object(self._ask("PATCH", f"/{number}", hook))

    def ping(self, number: int) -> None:
        """Let GitHub call a webhook with a ping."""
        self._ask("POST", f"/{number}/pings", {})

    def pings(self, number: int) -> dict[int, int]:
        """Return the status codes with which a webhook's last pings ended, by the numbers of the calls; 0 for no answer."""
        found: dict[int, int] = {}
        for call in self._list(f"/{number}/deliveries?per_page=50"):
            key, status = call.get("id"), call.get("status_code") or 0
            if call.get("event") == "ping" and isinstance(key, int) and isinstance(status, int):
                found[key] = status
        return found

    def _list(self, below: str) -> list[Hook]:
        entries = _parsed(b'{"entries":' + self._ask("GET", below) + b"}").get("entries")
        if not isinstance(entries, list):
            raise _odd("a list")
        return [entry for entry in entries if isinstance(entry, dict)]

    def _object(self, body: bytes) -> Hook:
        found = _parsed(body)
        if not isinstance(found.get("id"), int):
            raise _odd("a webhook")
        return found

    def _ask(self, method: str, below: str, document: Mapping[str, object] | None = None) -> bytes:
        for left in range(RETRIES if document is None else 0, -1, -1):
            try:
                answer, body = self._once(method, below, document)
            except httpx.HTTPError as error:
                if left:
                    continue
                raise _no_answer(error, changing=document is not None) from None
            if answer.status_code < _SERVER_FAULT or not left:
                if answer.status_code not in _OK:
                    raise self._refusal(answer)
                return body
        raise AssertionError("unreachable")  # the last round returns or raises

    def _once(self, method: str, below: str, document: Mapping[str, object] | None) -> tuple[httpx.Response, bytes]:
        content = None if document is None else json.dumps(document).encode()
        client = self._connected()
        request = client.build_request(method, self._where + below, content=content)
        answer = client.send(request, stream=True)
        try:
            body = b""
            with cut_off(answer, CALL_SECONDS):
                for piece in answer.iter_raw():
                    body += piece
                    if len(body) > MAX_BYTES:
                        raise httpx.DecodingError("too many bytes", request=request)
        finally:
            answer.close()
        return answer, body

    def _refusal(self, answer: httpx.Response) -> RejectedError | UnavailableError:
        status = answer.status_code
        limited = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
        if status == _TOO_MANY or (status == _FORBIDDEN and limited):
            return UnavailableError("GITHUB_LIMITED", "GitHub limits how often this token may ask; try again later")
        if status == _UNAUTHORIZED:
            return DeniedError("TOKEN_REFUSED", "GitHub does not accept the token: it is wrong, revoked or expired")
        if status in {_FORBIDDEN, _NOT_FOUND}:
            return DeniedError(
                "HOOKS_DENIED",
                f"GitHub shows this token no webhooks at {self._where} ({status}): it needs Webhooks: read and write on "
                "that repository, which GITHUB_OWNER and GITHUB_REPO name",
            )
        if status in _REDIRECTS:
            return ConfigError("REPOSITORY_MOVED", "the repository has another name: mend GITHUB_OWNER and GITHUB_REPO")
        if status == _INVALID:
            return InputError(
                "HOOK_INVALID", "GitHub does not take this webhook: is the address reachable from outside?"
            )
        return UnavailableError("GITHUB_UNAVAILABLE", f"GitHub answered {status}")

    def _connected(self) -> httpx.Client:
        if self._client is None:
            if not (self._token.isascii() and self._token.isprintable()):
                raise ConfigError("CONFIG_INVALID", "the token: expected ASCII without control characters")
            self._client = httpx.Client(
                headers={
                    "Accept": "application/vnd.github+json",
                    "Accept-Encoding": "identity",
                    "Authorization": f"Bearer {self._token}",
                    "User-Agent": "skill-sync",
                    "X-GitHub-Api-Version": _VERSION,
                },
                timeout=httpx.Timeout(CALL_SECONDS, connect=_CONNECT_SECONDS),
                follow_redirects=False,
                transport=self._transport,
            )
        return self._client


def _parsed(body: bytes) -> dict[str, object]:
    try:
        return parse_object(body, what="GitHub's answer")
    except InputError:
        raise _odd("JSON") from None


def _no_answer(error: httpx.HTTPError, *, changing: bool) -> UnavailableError:
    if changing and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        text = f"GitHub was asked, and no answer came ({type(error).__name__}): run the command again, it mends what is there"
        return UnavailableError("OUTCOME_UNKNOWN", text)
    return UnavailableError("GITHUB_UNAVAILABLE", f"GitHub does not answer ({type(error).__name__})")


def _odd(expected: str) -> UnavailableError:
    return UnavailableError("GITHUB_UNAVAILABLE", f"GitHub's answer is no such thing as {expected}")
