"""One webhook of a repository: which events it wants, how a call to it is made, and how GitHub's log shows that call.

Sources: https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers and
https://docs.github.com/en/rest/repos/webhooks.
"""

from __future__ import annotations

import functools
import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx

from tests.github.events import API, repository_id

if TYPE_CHECKING:
    import ssl
    from datetime import datetime

    from tests.github.events import Event

    Json = dict[str, object]

# How the log shows a call that nobody answered (the REST API's own example), and one that was answered too late.
UNREACHABLE = (502, "failed to connect")
TIMED_OUT = (504, "timed out")
_LINKS = {"test": "test", "ping": "pings", "deliveries": "deliveries"}


@dataclass(slots=True, kw_only=True)
class Hook:
    """One webhook of the repository. `last` is the status code and text of its last delivery."""

    id: int
    full_name: str
    created_at: str
    url: str
    secret: str = field(repr=False)
    events: tuple[str, ...] = ("push",)
    active: bool = True
    form: bool = False
    insecure_ssl: str = "0"
    last: tuple[int | None, str] = (None, "unused")

    def wants(self, event: str) -> bool:
        """Whether the hook is sent such an event; a ping goes to every hook."""
        return self.active and (event in {"ping", *self.events} or "*" in self.events)

    def headers(self, event: Event, guid: str, content: bytes, *, form: bool) -> dict[str, str]:
        """Make the headers of a call that carries this content."""

        def signature(algorithm: str) -> str:
            return f"{algorithm}={hmac.new(self.secret.encode(), content, algorithm).hexdigest()}"

        kind = "x-www-form-urlencoded" if form else "json"
        return {
            "Accept": "*/*",
            "Content-Type": f"application/{kind}",
            "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Delivery": guid,
            "X-GitHub-Event": event.name,
            "X-GitHub-Hook-ID": str(self.id),
            "X-GitHub-Hook-Installation-Target-ID": str(repository_id(self.full_name)),
            "X-GitHub-Hook-Installation-Target-Type": "repository",
            "X-Hub-Signature": signature("sha1"),
            "X-Hub-Signature-256": signature("sha256"),
        }

    def json(self, *, form: bool) -> Json:
        """Show the hook as the REST API does."""
        url = f"{API}/repos/{self.full_name}/hooks/{self.id}"
        code, status = self.last
        kind = "form" if form or self.form else "json"
        return {
            "type": "Repository",
            "id": self.id,
            "name": "web",
            "active": self.active,
            "events": list(self.events),
            "config": {"content_type": kind, "insecure_ssl": self.insecure_ssl, "url": self.url, "secret": "********"},
            "updated_at": self.created_at,
            "created_at": self.created_at,
            "url": url,
            **{f"{part}_url": f"{url}/{path}" for part, path in _LINKS.items()},
            "last_response": {
                "code": code,
                "status": "active" if code else status,
                "message": status if code else None,
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One line of the log: what was sent, and what came back. `duration` in seconds."""

    id: int
    hook_id: int
    event: Event
    guid: str
    redelivery: bool
    delivered_at: datetime
    duration: float
    status_code: int
    status: str
    url: str
    repository_id: int
    request_headers: dict[str, str] = field(repr=False)
    response_headers: dict[str, str] = field(repr=False)
    response_payload: str | None = field(repr=False)

    def item(self) -> Json:
        """The line as the list of deliveries shows it."""
        return {
            "id": self.id,
            "guid": self.guid,
            "delivered_at": f"{self.delivered_at:%Y-%m-%dT%H:%M:%SZ}",
            "redelivery": self.redelivery,
            "duration": self.duration,
            "status": self.status,
            "status_code": self.status_code,
            "event": self.event.name,
            "action": self.event.payload.get("action"),
            "installation_id": None,
            "repository_id": self.repository_id,
            "throttled_at": None,
        }

    def whole(self) -> Json:
        """The line with request and response, as the delivery itself is shown."""
        request = {"headers": self.request_headers, "payload": self.event.payload}
        response = {"headers": self.response_headers, "payload": self.response_payload}
        return {**self.item(), "url": self.url, "request": request, "response": response}


def body(event: Event, *, form: bool) -> bytes:
    """Write an event's payload as it goes over the wire; the signature is over exactly these bytes."""
    text = json.dumps(event.payload, ensure_ascii=False, separators=(",", ":"))
    return (urlencode({"payload": text}) if form else text).encode()


def post(
    url: str, content: bytes, headers: dict[str, str], timeout: float
) -> tuple[httpx.Response | None, tuple[int, str]]:
    """Make a call, once; return the answer, if there is one, with the status code and text that the log shows."""
    try:
        answer = httpx.post(url, content=content, headers=headers, timeout=timeout, trust_env=False, verify=_tls())
    except httpx.TimeoutException:
        return None, TIMED_OUT
    except httpx.HTTPError:
        return None, UNREACHABLE
    code = answer.status_code
    return answer, (code, "OK" if answer.is_success else f"Invalid HTTP Response: {code}")


@functools.cache
def _tls() -> ssl.SSLContext:
    # Made once: to read all root certificates costs more than the call.
    return httpx.create_ssl_context(trust_env=False)
