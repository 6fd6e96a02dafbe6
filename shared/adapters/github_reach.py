"""What one token reaches by itself, as checks: the repository, the branch's head, the webhooks. Which token is not said here.

Nothing of this touches what the process remembers of rate limits and refused tokens: a made-up token's refusals count
against nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.adapters.github_access import PersonalAccess
from shared.adapters.github_api import Api
from shared.adapters.github_faults import FORBIDDEN, NOT_FOUND, OK, UNAUTHORIZED
from shared.adapters.github_hooks import GitHubHooks
from shared.adapters.github_quota import ProcessQuota, RateLimits
from shared.adapters.github_source import RestSource
from shared.adapters.github_walk import TreeCache
from shared.core.credentials import Check, Mark
from shared.errors import SkillSyncError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.adapters.github_access import Access
    from shared.adapters.github_http import Answer, Wire
    from shared.adapters.github_repository import Repository
    from shared.ports import Clock, Quota, Together

REFUSALS: Final = frozenset({UNAUTHORIZED, FORBIDDEN, NOT_FOUND})
LATER: Final = "try again later"


@dataclass(frozen=True, slots=True)
class TriedAlone:
    """What is needed to ask with one proof and no other.

    Args:
        repository: What is asked about.
        wire: Sends.
        together: As the source needs it.
        clock: The time.
        quota: The process's; obeyed, and told nothing.
    """

    repository: Repository
    wire: Wire
    together: Together
    clock: Clock
    quota: Quota

    def until(self, seconds: float) -> Callable[[], float]:
        """Return what tells how many of so many seconds, counted from now, are left."""
        end = self.clock.monotonic() + seconds
        return lambda: end - self.clock.monotonic()

    def api(self, access: Access, seconds: Callable[[], float]) -> Api:
        """Return the API as this proof sees it."""
        limits = RateLimits(ProcessQuota(self.clock), self.clock, self.repository.rest_url)
        return Api(repository=self.repository, wire=self.wire, access=access, limits=limits, seconds=seconds)

    def by_token(self, token: str | None, seconds: Callable[[], float]) -> Api:
        """Return the API as one token sees it; None is nobody's view."""
        return self.api(PersonalAccess(() if token is None else (token,), self.clock), seconds)

    def stay_away(self) -> Check | None:
        """Return the check that failed because GitHub has told this process to stay away; None when it has not."""
        until = self.quota.blocked_until()
        if until is None:
            return None
        text = f"GitHub limits our rate until {until:%Y-%m-%d %H:%M:%S} UTC; nothing was tried"
        return Check(name="github-may-be-asked", mark=Mark.FAIL, code="SOURCE_RATE_LIMITED", text=text, fix=LATER)


def ask(api: Api) -> Answer[bytes]:
    """Ask for the repository; refusals are answers. Raises as `Api.get` for everything else."""
    return api.get("", also=REFUSALS)


def untried(name: str, error: SkillSyncError, mark: Mark = Mark.FAIL) -> Check:
    """Return the check that could not be made, with the code of the fault."""
    fix = LATER if isinstance(error, UnavailableError) else "mend what the text says"
    return Check(name=name, mark=mark, code=error.code, text=error.message, fix=fix)


def sees_repository(api: Api) -> tuple[Check, Mapping[str, str] | None]:
    """Try whether the repository is shown at all.

    Args:
        api: As the proof sees it.

    Returns:
        The check, and the answer's headers; None when the repository was not shown.
    """
    name = "sees-the-repository"
    try:
        answer = ask(api)
    except SkillSyncError as error:
        return untried(name, error), None
    if answer.status == OK:
        return Check(name=name, mark=Mark.OK, text="the repository is shown"), answer.headers
    if answer.status == UNAUTHORIZED:
        text, fix = (
            "GitHub refuses the token (401)",
            "make a new token, and paste it whole; was it revoked, has it expired?",
        )
        return Check(name=name, mark=Mark.FAIL, code="TOKEN_REFUSED", text=text, fix=fix), None
    return _out_of_scope(name, f"GitHub knows the token and does not show it the repository ({answer.status})"), None


def reads(api: Api, branch: str | None, together: Together) -> list[Check]:
    """Try what a sync reads with a proof that sees the repository.

    Args:
        api: As the proof sees it.
        branch: The branch that is followed; None is the repository's default branch.
        together: As the source needs it.
    """
    return [_reads_head(api, branch, together), _reads_hooks(api)]


def _reads_head(api: Api, branch: str | None, together: Together) -> Check:
    name = "reads-the-head"
    try:
        RestSource(api, branch, together=together, cache=TreeCache()).head(None)
    except SkillSyncError as error:
        if error.code in {"SOURCE_DENIED", "SOURCE_NOT_FOUND"}:
            return _out_of_scope(name, "the token may not read the branch's head")
        return untried(name, error)
    return Check(name=name, mark=Mark.OK, text="the branch's head is shown")


def _reads_hooks(api: Api) -> Check:
    name = "reads-the-webhooks"
    try:
        listed = GitHubHooks(api).listed()
    except SkillSyncError as error:
        return untried(name, error, Mark.WARN)
    if listed is None:
        return hooks_not_readable(name)
    return Check(name=name, mark=Mark.OK, text="the repository's webhooks are shown")


def hooks_not_readable(name: str) -> Check:
    """Return the check that says so; without that right, all but the sight of lost webhooks goes on."""
    return Check(
        name=name,
        mark=Mark.WARN,
        code="HOOKS_NOT_READABLE",
        text="the token may not read the repository's webhooks: lost ones are not seen, and the webhook is not checked",
        fix="give the token Webhooks: read",
    )


def _out_of_scope(name: str, text: str) -> Check:
    fix = "give the token access to this repository with Contents: read; an organization may have to approve it first"
    return Check(name=name, mark=Mark.FAIL, code="TOKEN_SCOPE", text=text, fix=fix)
