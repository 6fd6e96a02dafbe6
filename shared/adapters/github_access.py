"""Proof to GitHub of who asks: a personal access token, or the hourly tokens of a GitHub App's installation.

    an App's key signs a JWT (9 minutes)  ->  the installation on our repository  ->  a token that reads it (1 hour)

Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import json
import re
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from shared.adapters.github_expiry import NoteBook
from shared.adapters.github_faults import CREATED, NOT_FOUND, OK, UNAUTHORIZED, UNPROCESSABLE, corrupt, fault
from shared.adapters.value_choice import ValueChoice
from shared.core.canonical import member, parse_object
from shared.errors import ConfigError, InputError, RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.adapters.github_app import App
    from shared.adapters.github_http import Answer
    from shared.adapters.github_repository import Repository
    from shared.core.credentials import TokenNote
    from shared.ports import Clock

EARLY: Final = timedelta(minutes=5)
"""So long before its end a token is replaced."""
_LONGEST_SECONDS: Final = 3600.0
_HOOKS: Final = "repository_hooks"
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

    def instead(self, hidden: str | None) -> str | None:
        """Return another token after the repository was hidden from one (403, 404), None when there is no other."""
        ...

    def took_over(self, token: str) -> None:
        """Remember that this token was accepted where the other one was refused."""
        ...

    def known(self) -> ValueChoice:
        """Return the tokens that work as far as we know, without asking anybody."""
        ...

    def learn(self, token: str | None, status: int, headers: Mapping[str, str]) -> None:
        """Take note of what an answer to a request with that token tells of the token."""
        ...

    def note(self) -> TokenNote | None:
        """Return what was told last; None when nothing, or when tokens are none of a person's business."""
        ...


class PersonalAccess:
    """A token that somebody has made, two while it is rotated, or none at all.

    Args:
        tokens: The tokens, newest first; empty for none.
        clock: Tells how long ago one was refused.

    Raises:
        ConfigError: `GITHUB_TOKEN_INVALID`, it cannot stand in a header.
    """

    def __init__(self, tokens: Sequence[str], clock: Clock) -> None:
        if not all(_TOKEN.fullmatch(token) for token in tokens):
            message = "GITHUB_TOKEN: expected visible ASCII characters, one token a line"
            raise ConfigError("GITHUB_TOKEN_INVALID", message)
        self._tokens = ValueChoice(tokens, clock, "GITHUB_TOKEN")
        self._book = NoteBook()

    def token(self, send: Send, seconds: Callable[[], float]) -> str | None:  # noqa: ARG002 - nobody need be asked
        """Return the newest token that was not refused of late."""
        return self._tokens.current()

    def renewed(self, refused: str | None, send: Send, seconds: Callable[[], float]) -> str | None:  # noqa: ARG002
        """Return the other token, if there are two."""
        return self._tokens.other(refused)

    def instead(self, hidden: str | None) -> str | None:
        """Return the other token, if there are two: a new one may have been made for another repository."""
        return self._tokens.other(hidden)

    def took_over(self, token: str) -> None:
        """Use this token from now on, until the other one is tried again."""
        self._tokens.took_over(token)

    def known(self) -> ValueChoice:
        """Return the tokens."""
        return self._tokens

    def learn(self, token: str | None, status: int, headers: Mapping[str, str]) -> None:
        """Take note of when the token ends."""
        if token is not None:
            self._book.learn(token, status, headers)

    def note(self) -> TokenNote | None:
        """Return what was told of the token that was accepted last."""
        return self._book.note


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
        self._keys = ValueChoice(app.key_pems, clock, "GITHUB_APP_KEY")
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
            held = self._good()
            if held is None or held == refused:
                self._held = self._fetch(send)
            return self._held[0] if self._held else None
        finally:
            self._lock.release()

    def instead(self, hidden: str | None) -> str | None:  # noqa: ARG002 - all are for the same repository
        """Return None: another token would be told the same."""
        return None

    def took_over(self, token: str) -> None:
        """Remember nothing: the token that was renewed is held already."""

    def known(self) -> ValueChoice:
        """Return the held token while it is good."""
        held = self._good()
        return ValueChoice(() if held is None else (held,), self._clock, "the App's token")

    def learn(self, token: str | None, status: int, headers: Mapping[str, str]) -> None:
        """Learn nothing: when these tokens end was told with them."""

    def note(self) -> TokenNote | None:
        """Return None: nobody has to replace these tokens."""
        return None

    def _good(self) -> str | None:
        held = self._held
        return held[0] if held is not None and self._clock.now() < held[1] - EARLY else None

    def _fetch(self, send: Send) -> tuple[str, datetime]:
        """Ask for a token by the newest key, and by the other one when GitHub does not know that."""
        key = self._keys.current() or ""
        try:
            return self._fetch_by(key, send)
        except _KeyRefusedError:
            other = self._keys.other(key)
            if other is None:
                raise
        token = self._fetch_by(other, send)
        self._keys.took_over(other)
        return token

    def _fetch_by(self, key_pem: str, send: Send) -> tuple[str, datetime]:
        repository, proof = self._repository, f"Bearer {self._app.jwt(self._clock.now(), key_pem)}"
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
            error = _KeyRefusedError if status == UNAUTHORIZED else RejectedError
            raise error("SOURCE_DENIED", message)
        if status == NOT_FOUND:
            raise RejectedError("SOURCE_NOT_FOUND", f"the GitHub App is not installed on {where}, or it does not exist")
        raise fault(status, where)


class _KeyRefusedError(RejectedError):
    """`SOURCE_DENIED`: what the key has signed is not believed."""


def _permissions(installation: dict[str, object]) -> dict[str, str]:
    """Wish for as little as the work needs; GitHub refuses a wish for more than the installation was granted."""
    granted = installation.get("permissions")
    sees_hooks = isinstance(granted, dict) and str(granted.get(_HOOKS)) in {"read", "write"}
    return {"contents": "read", "metadata": "read", **({_HOOKS: "read"} if sees_hooks else {})}
