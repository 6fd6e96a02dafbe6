"""GitHub as a source of skills: builds what is shared by all syncs of a process, and what is made anew for each.

source   the REST API (github_source.py), with the git protocol (git_remote.py) behind it (fallback.py)
hooks    which webhook calls never arrived (github_hooks.py)
probes   whether the newest token or key, and the webhook, are as they must be (github_*_probe.py)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.adapters.fallback import FallbackSource
from shared.adapters.github_access import AppAccess, PersonalAccess
from shared.adapters.github_api import Api
from shared.adapters.github_hooks import GitHubHooks
from shared.adapters.github_http import Wire
from shared.adapters.github_quota import RateLimits
from shared.adapters.github_repository import Repository
from shared.adapters.github_source import RestSource
from shared.adapters.github_walk import TreeCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from shared.adapters.github_access import Access
    from shared.adapters.github_app import App
    from shared.core.credentials import TokenNote
    from shared.ports import Clock, Hooks, Probe, Quota, Source, Together

__all__ = ["GitHub", "Repository"]


class GitHub:
    """One process's way to one repository: connections, token, rate limit and known folders. Safe for many threads.

    Args:
        repository: Which one.
        tokens: A personal access token; two, newest first, while it is rotated; empty for none.
        app: A GitHub App, whose tokens then take the place of `tokens`.
        quota: Remembers the rate limit.
        together: Runs requests side by side, at most eight.
        clock: For dates and pauses.
        transport: What carries the REST requests; None is the network.

    Raises:
        ConfigError: `GITHUB_TOKEN_INVALID`.
    """

    def __init__(  # noqa: PLR0913 - each is another outside thing, and all but the first have names
        self,
        repository: Repository,
        *,
        tokens: Sequence[str] = (),
        app: App | None = None,
        quota: Quota,
        together: Together,
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        where = repository.rest_url
        self.quota = quota
        self._repository = repository
        self._together = together
        self._clock = clock
        self._tokens = tuple(tokens)
        self._app = app
        self._access: Access = PersonalAccess(tokens, clock) if app is None else AppAccess(app, repository, clock)
        self._wire = Wire(where, clock, transport)
        self._limits = RateLimits(quota, clock, where)
        self._cache = TreeCache()

    def source(self, branch: str | None, *, seconds: Callable[[], float]) -> Source:
        """Build the source for one sync; nothing is asked yet.

        Args:
            branch: The branch to follow; None follows the repository's default branch.
            seconds: Tells how many seconds the running sync still has.
        """
        rest = RestSource(self._api(seconds), branch, together=self._together, cache=self._cache)
        return FallbackSource(rest, lambda: self._git(branch, seconds), seconds=seconds)

    def hooks(self, *, seconds: Callable[[], float]) -> Hooks:
        """Build what looks for lost webhook calls; nothing is asked yet."""
        return GitHubHooks(self._api(seconds))

    def token_probe(self, branch: str | None) -> Probe:
        """Build what tries the newest token alone, or the App's newest key; nothing is asked yet.

        Args:
            branch: The branch that is followed; None is the repository's default branch.
        """
        from shared.adapters.github_app_probe import AppProbe  # noqa: PLC0415 - rarely needed, as all of the probes
        from shared.adapters.github_reach import TriedAlone  # noqa: PLC0415
        from shared.adapters.github_token_probe import TokenProbe  # noqa: PLC0415

        alone = TriedAlone(self._repository, self._wire, self._together, self._clock, self.quota)
        return TokenProbe(alone, branch, self._tokens) if self._app is None else AppProbe(alone, branch, self._app)

    def hook_probe(self) -> Probe:
        """Build what looks at the repository's webhook; nothing is asked yet."""
        from shared.adapters.github_hook_probe import HookProbe  # noqa: PLC0415

        return HookProbe(self._api, self._clock)

    def token_note(self) -> TokenNote | None:
        """Return what GitHub told of the personal token that it has last accepted; None for an App, or before any answer."""
        return self._access.note()

    def _git(self, branch: str | None, seconds: Callable[[], float]) -> Source:
        from shared.adapters.git_remote import open_source  # noqa: PLC0415 - dulwich costs 0.1 s, and is rarely needed

        # Without a token that works, a public repository can still be read.
        return open_source(self._repository.git_url, branch, tokens=self._access.known(), seconds=seconds)

    def _api(self, seconds: Callable[[], float]) -> Api:
        return Api(
            repository=self._repository, wire=self._wire, access=self._access, limits=self._limits, seconds=seconds
        )
