"""Trying a credential from here, where its users stand: a made-up value must be refused, and the new one accepted.

Nothing that is asked here changes anything. What the functions themselves try is theirs; they are asked only when all of this
went well.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from shared.cli.screen import shown
from shared.core.credentials import Check, Mark, puller_of
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.cli.client import Answer, Client

_OK, _NOT_MODIFIED, _UNAUTHORIZED, _CONFLICT = 200, 304, 401, 409
_MADE_UP_BYTES = 32
_ELSEWHERE = "find out who answers there: the address must lead to the functions themselves"
_MEND = "mend what the code says, and verify again"
_WAITING = ("PAUSED", "BUSY")
"""Refusals that come behind the check of the key."""


def edge_checks(client: Client, name: str, value: str | None) -> list[Check]:
    """Try a credential from here.

    Args:
        client: The functions.
        name: Which credential.
        value: Its new value, None where it is not known here: then only a made-up one is tried.

    Returns:
        What was tried; nothing for a credential that nobody shows from outside.

    Raises:
        UnavailableError: nobody answers.
        ConfigError: `CONFIG_INVALID`, RELEASE_URL is no address.
        InputError: `VALUE_NOT_ASCII`, the value cannot be sent in a header.
    """
    if name == "GITHUB_WEBHOOK_SECRET":
        return _tried(lambda secret: _ping(client, secret), value, code="SIGNATURE_INVALID", what="webhook secret")
    if name == "MANUAL_SYNC_API_KEY":
        return _tried(lambda key: _dry_run(client, key), value, code="API_KEY_INVALID", what="operators' key")
    if puller_of(name):
        url = client.settings.release_url
        with closing(client.at("RELEASE_URL", url)) if url else nullcontext(client) as release:
            return _tried(lambda key: _pull(release, key), value, code="PULLER_KEY_INVALID", what="puller's key")
    return []


def _tried(attempt: Callable[[str], Answer], value: str | None, *, code: str, what: str) -> list[Check]:
    checks = [_refused(attempt(secrets.token_urlsafe(_MADE_UP_BYTES)), code, what)]
    if value is not None:
        checks.append(_accepted(attempt(value), what))
    return checks


def _ping(client: Client, secret: str) -> Answer:
    repository = {"full_name": client.settings.repo}
    ping = {"zen": "skill-sync rotation probe", "hook_id": 0, "repository": repository}
    body = json.dumps(ping).encode()
    signature = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "ping",
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    return client.probe("POST", "/webhook/github", headers=headers, body=body)


def _dry_run(client: Client, key: str) -> Answer:
    headers = {"Content-Type": "application/json", "x-api-key": _header(key)}
    return client.probe("POST", "/api/sync", headers=headers, body=b'{"dry_run": true}')


def _pull(client: Client, key: str) -> Answer:
    return client.probe("GET", "/v1/current", headers={"Authorization": f"Bearer {_header(key)}"})


def _header(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise InputError("VALUE_NOT_ASCII", "expected a value in ASCII without control characters")
    return value


def _refused(answer: Answer, code: str, what: str) -> Check:
    name, told = "made-up-value-is-refused", _code(answer)
    if (answer.status, told) == (_UNAUTHORIZED, code):
        return Check(name=name, mark=Mark.OK, text=f"a made-up {what} gets {answer.status} {code}")
    accepted = answer.status in {_OK, _NOT_MODIFIED}
    elsewhere = accepted or not told
    return Check(
        name=name,
        mark=Mark.FAIL,
        code="MADE_UP_ACCEPTED" if accepted else "EDGE_UNEXPECTED",
        text=f"a made-up {what} must get {_UNAUTHORIZED} {code}; it got {answer.status} {told}".rstrip(),
        fix=_ELSEWHERE if elsewhere else _MEND,
    )


def _accepted(answer: Answer, what: str) -> Check:
    name, told = "new-value-is-accepted", _code(answer)
    if answer.status in {_OK, _NOT_MODIFIED}:
        return Check(name=name, mark=Mark.OK, text=f"the new {what} gets {answer.status}")
    if answer.status == _CONFLICT and told in _WAITING:
        text = f"the new {what} is accepted; what it asked for was put off: {told}"
        return Check(name=name, mark=Mark.WARN, code=told, text=text, fix="`status` says why")
    if answer.status == _UNAUTHORIZED:
        return Check(
            name=name,
            mark=Mark.FAIL,
            code="NEW_VALUE_REFUSED",
            text=f"the new {what} got {answer.status} {told}".rstrip(),
            fix="put it in as the first line where the functions read it, let them read it anew, and verify again",
        )
    return Check(
        name=name,
        mark=Mark.FAIL,
        code="EDGE_UNEXPECTED",
        text=f"the new {what} should get {_OK}; it got {answer.status} {told}".rstrip(),
        fix=_MEND if told else _ELSEWHERE,
    )


def _code(answer: Answer) -> str:
    return shown((answer.document() or {}).get("code"))
