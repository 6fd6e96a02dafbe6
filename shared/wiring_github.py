"""The part of `wiring` that builds the way to the repository, and what tries the credentials for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.core.credentials import Check, Mark
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.adapters.github import GitHub
    from shared.adapters.github_app import App
    from shared.adapters.value_choice import ValueChoice
    from shared.config import Settings
    from shared.core.credentials import TokenNote
    from shared.ports import Hooks, Probe, Quota, Source, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The repository as one call sees it; one that has no API has no quota, no hooks and no notes of its token."""

    source: Source
    quota: Quota | None = None
    hooks: Hooks | None = None
    token_note: Callable[[], TokenNote | None] | None = None


def upstream(found: Settings, seconds: Callable[[], float]) -> Upstream:
    """Return the repository as one call sees it; `seconds` tells how long that call still has."""
    if found.source_url is not None:
        from shared.adapters.git_remote import open_source

        tokens = _git_tokens(found.github_tokens)
        return Upstream(source=open_source(found.source_url, found.github_branch, tokens=tokens, seconds=seconds))
    github = _github_of(found)
    return Upstream(
        source=github.source(found.github_branch, seconds=seconds),
        quota=github.quota,
        hooks=github.hooks(seconds=seconds),
        token_note=github.token_note,
    )


def github_probe(found: Settings) -> Probe | None:
    """Return what tries the newest token, or the App's newest key; None when `SOURCE_URL` takes GitHub's place."""
    return _probe_of(found, lambda github: github.token_probe(found.github_branch))


def hook_probe(found: Settings) -> Probe | None:
    """Return what looks at the repository's webhook; None when `SOURCE_URL` takes GitHub's place."""
    return _probe_of(found, lambda github: github.hook_probe())


def tokens(found: Settings) -> Tokens:
    """Return what proves that GitHub signed a workflow's token."""
    return _tokens(found.oidc_issuer)


# The issuer's keys are worth keeping from call to call.
@lru_cache(maxsize=2)
def _tokens(issuer: str) -> Tokens:
    from shared.adapters.clock import SystemClock
    from shared.adapters.oidc_keys import IssuerKeys
    from shared.adapters.oidc_tokens import OidcTokens

    return OidcTokens(IssuerKeys(issuer, SystemClock()))


def _probe_of(found: Settings, build: Callable[[GitHub], Probe]) -> Probe | None:
    if found.source_url is not None:
        return None
    try:
        return build(_github_of(found))
    except ConfigError as error:
        fault = Check(
            name="settings-are-right", mark=Mark.FAIL, code=error.code, text=error.message, fix="mend the setting"
        )
        return lambda _seconds: [fault]


def _github_of(found: Settings) -> GitHub:
    if found.github_app_id is not None:
        found.need("GITHUB_APP_KEY")
    app = (found.github_app_id, found.github_app_keys) if found.github_app_id and found.github_app_keys else None
    return _github(found.github_api_url, found.repo, found.github_tokens, app)


# What it knows of refused tokens is worth keeping from call to call.
@lru_cache(maxsize=2)
def _git_tokens(tokens: tuple[str, ...]) -> ValueChoice:
    from shared.adapters.clock import SystemClock
    from shared.adapters.value_choice import ValueChoice

    return ValueChoice(tokens, SystemClock(), "GITHUB_TOKEN")


# Its connections, its installation token and what it knows of rate limits are worth keeping from call to call; a rotated
# token makes a new one.
@lru_cache(maxsize=2)
def _github(api_url: str, repo: str, tokens: tuple[str, ...], app: tuple[str, tuple[str, ...]] | None) -> GitHub:
    from shared.adapters.clock import SystemClock
    from shared.adapters.github import GitHub, Repository
    from shared.adapters.github_quota import ProcessQuota
    from shared.adapters.threads import in_threads

    owner, _, name = repo.partition("/")
    clock = SystemClock()
    return GitHub(
        Repository(api_url=api_url, owner=owner, name=name),
        tokens=tokens,
        app=None if app is None else _app(*app),
        quota=ProcessQuota(clock),
        together=in_threads,
        clock=clock,
    )


def _app(number: str, key_pems: tuple[str, ...]) -> App:
    from shared.adapters.github_app import App

    return App(id=number, key_pems=key_pems)
