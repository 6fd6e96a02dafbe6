"""The `Probe` port for GITHUB_TOKEN: the newest token alone, its end and its rights; a made-up one; and the other one."""

from __future__ import annotations

import re
import secrets
import string
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from shared.adapters.github_expiry import expiry
from shared.adapters.github_faults import OK, UNAUTHORIZED
from shared.adapters.github_reach import ask, reads, sees_repository, untried
from shared.core.credentials import Check, Mark, weakness
from shared.errors import SkillSyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from shared.adapters.github_reach import TriedAlone

NEAR: Final = timedelta(days=14)
_KIND = re.compile(r"github_pat_|gh[a-z]_")
_LETTERS: Final = string.ascii_letters + string.digits
_MAKE_ONE: Final = "make a fine-grained token for this repository alone, with Contents: read and Webhooks: read"


class TokenProbe:
    """Tries the personal token.

    Args:
        alone: What is needed to ask with one token.
        branch: The branch that is followed; None is the repository's default branch.
        tokens: As they are set, newest first; empty for none.
    """

    def __init__(self, alone: TriedAlone, branch: str | None, tokens: Sequence[str]) -> None:
        self._alone = alone
        self._branch = branch
        self._tokens = tokens

    def __call__(self, seconds: float) -> list[Check]:
        """Try it; as the port promises.

        Args:
            seconds: How long all of it may take.
        """
        blocked = self._alone.stay_away()
        if blocked is not None:
            return [blocked]
        left = self._alone.until(seconds)
        if not self._tokens:
            return [self._without(left)]
        newest, *older = self._tokens
        return [
            weakness(newest)
            or Check(name="value-has-its-form", mark=Mark.OK, text="the value has the form of a token"),
            *self._newest(newest, left),
            self._made_up(newest, left),
            *(self._older(token, left) for token in older),
        ]

    def _newest(self, token: str, left: Callable[[], float]) -> list[Check]:
        api = self._alone.by_token(token, left)
        seen, headers = sees_repository(api)
        if headers is None:
            return [seen]
        more = reads(api, self._branch, self._alone.together)
        return [seen, *more, _end(headers, self._alone.clock.now()), _width(headers)]

    def _without(self, left: Callable[[], float]) -> Check:
        name = "no-token"
        try:
            answer = ask(self._alone.by_token(None, left))
        except SkillSyncError as error:
            return untried(name, error)
        if answer.status == OK:
            return Check(name=name, mark=Mark.OK, text="no token is set, and none is needed: the repository is public")
        text = f"no token is set, and the repository is not shown without one ({answer.status})"
        return Check(name=name, mark=Mark.FAIL, code="TOKEN_MISSING", text=text, fix=_MAKE_ONE)

    def _made_up(self, like: str, left: Callable[[], float]) -> Check:
        name = "made-up-token-is-refused"
        try:
            answer = ask(self._alone.by_token(made_up(like), left))
        except SkillSyncError as error:
            return untried(name, error)
        if answer.status == UNAUTHORIZED:
            return Check(name=name, mark=Mark.OK, text="a made-up token is refused")
        return Check(
            name=name,
            mark=Mark.FAIL,
            code="MADE_UP_TOKEN_ACCEPTED",
            text=f"a made-up token was answered {answer.status} in place of 401: something answers that is not GitHub",
            fix="look at GITHUB_API_URL and at every proxy on the way; until then nothing is proved about the token",
        )

    def _older(self, token: str, left: Callable[[], float]) -> Check:
        name = "old-token-still-works"
        try:
            status = ask(self._alone.by_token(token, left)).status
        except SkillSyncError as error:
            return untried(name, error, Mark.WARN)
        if status == OK:
            return Check(
                name=name, mark=Mark.OK, text="the old token still works, until it is taken out of the setting"
            )
        return Check(
            name=name,
            mark=Mark.WARN,
            code="OLD_TOKEN_REFUSED",
            text=f"the old token does not work any more ({status}): it was revoked before the rotation was finished",
            fix="see that the newest token is in every place that holds one; there is no way back to the old one",
        )


def made_up(like: str) -> str:
    """Make a token up that has the form of another: its kind, its length, its underscores, and nothing else of it."""
    kind = _KIND.match(like)
    prefix = kind[0] if kind else ""
    rest = like[len(prefix) :]
    return prefix + "".join("_" if char == "_" else secrets.choice(_LETTERS) for char in rest)


def _end(headers: Mapping[str, str], now: datetime) -> Check:
    """Judge when the token ends."""
    name, ends = "token-expires", expiry(headers)
    if ends is None:
        text = "GitHub tells no end of the token: one that never expires is found by whoever finds it"
        fix = "make a token that expires in 90 days at most"
        return Check(name=name, mark=Mark.WARN, code="TOKEN_WITHOUT_EXPIRY", text=text, fix=fix)
    day = f"{ends:%Y-%m-%d %H:%M:%S} UTC"
    fix = "make a new token, and rotate GITHUB_TOKEN"
    if ends <= now:
        return Check(name=name, mark=Mark.FAIL, code="TOKEN_EXPIRED", text=f"the token expired on {day}", fix=fix)
    if ends - now <= NEAR:
        text = f"the token expires on {day}, in {(ends - now).days} days"
        return Check(name=name, mark=Mark.WARN, code="TOKEN_EXPIRES_SOON", text=text, fix=fix)
    return Check(name=name, mark=Mark.OK, text=f"the token expires on {day}, in {(ends - now).days} days")


def _width(headers: Mapping[str, str]) -> Check:
    """Judge whether the token may do more than is needed: only a classic one has scopes, each for all repositories.

    Source:
        https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
    """
    name = "token-is-narrow"
    if not headers.get("x-oauth-scopes", "").strip():
        return Check(name=name, mark=Mark.OK, text="the token has no scopes that are valid for all repositories")
    text = "the token is a classic one: its scopes are valid for every repository of its owner"
    return Check(name=name, mark=Mark.WARN, code="TOKEN_TOO_WIDE", text=text, fix=_MAKE_ONE)
