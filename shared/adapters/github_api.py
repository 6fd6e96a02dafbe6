"""Calls of GitHub's REST API for one repository: proof, rate limits and refusals are dealt with, contents are not.

Source: https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from shared.adapters.github_body import Budget
from shared.adapters.github_faults import (
    ABSENT,
    FORBIDDEN,
    FOUND,
    GONE,
    NOT_FOUND,
    OK,
    UNAUTHORIZED,
    ForbiddenError,
    corrupt,
    fault,
)
from shared.adapters.github_http import Answer, Ask
from shared.adapters.github_repository import origin_of
from shared.core.canonical import parse_object
from shared.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from shared.adapters.github_access import Access
    from shared.adapters.github_http import Wire
    from shared.adapters.github_quota import RateLimits
    from shared.adapters.github_repository import Repository

T = TypeVar("T")

JSON: Final = "application/vnd.github+json"
SMALL_BYTES: Final = 2**20
_VERSION: Final = "2022-11-28"
_EXPIRED: Final = frozenset({UNAUTHORIZED, FORBIDDEN, NOT_FOUND, GONE})
_HIDDEN: Final = frozenset({FORBIDDEN, NOT_FOUND})
_REDIRECTS: Final = range(300, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One sync's view of the API; what it holds is shared with all others of the process. Safe for many threads.

    Args:
        repository: What is asked about.
        wire: Sends.
        access: Gives tokens. They are sent to the API only.
        limits: Knows when not to ask.
        seconds: Tells how many seconds the running sync still has.
    """

    repository: Repository
    wire: Wire
    access: Access
    limits: RateLimits
    seconds: Callable[[], float]

    @property
    def where(self) -> str:
        """How messages name the repository."""
        return self.repository.rest_url

    def get(
        self,
        path: str,
        *,
        budget: Budget | None = None,
        accept: str = JSON,
        headers: Mapping[str, str] | None = None,
        also: AbstractSet[int] = frozenset(),
    ) -> Answer[bytes]:
        """Get something of the repository.

        Args:
            path: Below the repository's own address, begins with `/`; escaped already.
            budget: What the answer may take; None is for small ones.
            accept: The media type to ask for.
            headers: Further headers.
            also: Which statuses, beside 200, the caller understands.

        Raises:
            UnavailableError: `SOURCE_RATE_LIMITED`, `SOURCE_UNAVAILABLE`, `SOURCE_TOO_SLOW`, `SOURCE_CORRUPT`.
            RejectedError: as `fault` says, and `SOURCE_TOO_LARGE`.
        """
        url, more = self.where + path, {"Accept": accept, **(headers or {})}
        token = self.access.token(self._send_small, self.seconds)
        answer = self._send(url, token and f"Bearer {token}", more, budget=budget)
        self.access.learn(token, answer.status, answer.headers)
        other = self._another(token, answer.status, also)
        if other is not None:
            answer = self._send(url, f"Bearer {other}", more, budget=budget)
            self.access.learn(other, answer.status, answer.headers)
            if answer.status == OK or (answer.status in also and answer.status != UNAUTHORIZED):
                self.access.took_over(other)
        if answer.status != OK and answer.status not in also:
            raise fault(answer.status, self.where)
        return answer

    def get_object(
        self, path: str, *, budget: Budget | None = None, also: AbstractSet[int] = frozenset()
    ) -> dict[str, object] | None:
        """Get one JSON object; None when the status is one of `also`. Raises as `get`."""
        answer = self.get(path, budget=budget, also=also)
        return None if answer.content is None else self.parsed(answer.content)

    def parsed(self, body: bytes) -> dict[str, object]:
        """Read an answer as one JSON object.

        Raises:
            UnavailableError: `SOURCE_CORRUPT`.
        """
        try:
            return parse_object(body, what="the answer")
        except InputError:
            raise corrupt(self.where, "expected a JSON object, got something else") from None

    def download(self, path: str, read: Callable[[Iterator[bytes]], T], budget: Budget) -> T:
        """Get what the API only has a link to: one redirect to a host of the same GitHub, which is sent no token.

        Args:
            path: As for `get`.
            read: Makes something of the body.
            budget: What the body may take.

        Raises:
            UnavailableError, RejectedError: as `get`; `SOURCE_CORRUPT` too when the link leads elsewhere.

        Source:
            https://docs.github.com/en/rest/repos/contents#download-a-repository-archive-tar
        """
        answer = self._follow(path, read, budget)
        if answer.status in _EXPIRED:
            # Links live for five minutes.
            answer = self._follow(path, read, budget)
        if answer.content is not None and answer.status == OK:
            return answer.content
        if answer.status in _EXPIRED:
            raise ForbiddenError("SOURCE_DENIED", f"{self.where} gives a link that is refused ({answer.status})")
        if answer.status in _REDIRECTS:
            raise self._elsewhere()
        message = f"{self.where} gives a link that is answered with status {answer.status}"
        raise UnavailableError("SOURCE_UNAVAILABLE", message)

    def _follow(self, path: str, read: Callable[[Iterator[bytes]], T], budget: Budget) -> Answer[T]:
        answer = self.get(path, also=ABSENT | {FOUND})
        if answer.status in ABSENT:
            raise corrupt(self.where, f"it does not have what it should have ({answer.status})")
        link = answer.headers.get("location", "")
        if origin_of(link) not in self.repository.download_origins:
            raise self._elsewhere()
        # Not the API, so neither its limit nor its token: and what comes is packed already.
        ask = Ask(url=link, headers={"Accept-Encoding": "identity"}, budget=budget)
        return self._noted(self.wire.send(ask, read, self.seconds))

    def _elsewhere(self) -> UnavailableError:
        return corrupt(self.where, "the link to its content refers to another address")

    def _another(self, token: str | None, status: int, also: AbstractSet[int]) -> str | None:
        """Return the token to try after the first one, None when there is no reason to or no other."""
        if status == UNAUTHORIZED:
            return self.access.renewed(token, self._send_small, self.seconds)
        # To a token that was made for another repository, ours does not exist.
        return self.access.instead(token) if status in _HIDDEN and status not in also else None

    def _send_small(self, url: str, authorization: str | None, *, body: bytes | None = None) -> Answer[bytes]:
        return self._send(url, authorization, {}, body=body)

    def _send(
        self,
        url: str,
        authorization: str | None,
        headers: Mapping[str, str],
        *,
        budget: Budget | None = None,
        body: bytes | None = None,
    ) -> Answer[bytes]:
        self.limits.check()
        proof = {} if authorization is None else {"Authorization": authorization}
        ask = Ask(
            url=url,
            method="GET" if body is None else "POST",
            headers={"X-GitHub-Api-Version": _VERSION, "Accept": JSON, **headers, **proof},
            budget=budget or Budget(SMALL_BYTES, self.where),
            body=body,
        )
        return self._noted(self.wire.send(ask, b"".join, self.seconds))

    def _noted(self, answer: Answer[T]) -> Answer[T]:
        self.limits.note(answer.status, answer.headers, answer.error)
        return answer
