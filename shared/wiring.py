"""Builds what the functions call: settings read afresh, adapters behind their ports, heavy clients only when used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from shared import log
from shared.config import Settings, current_settings, loader_environment
from shared.core.rules import Terms
from shared.errors import ConfigError, UnverifiedError
from shared.held import held_by
from shared.wiring_graph import audit as audit
from shared.wiring_graph import graph_probe as graph_probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.adapters.github import GitHub
    from shared.adapters.signer import Ed25519Signer
    from shared.model import Trust
    from shared.ports import Alert, Clock, Hooks, Judge, Nudge, Quota, Source, Store, Together
    from shared.service.alerting import Watch
    from shared.service.context import Context, Deadline
    from shared.service.trust import TrustChain


def settings() -> Settings:
    """Read the settings as they are now."""
    return current_settings()


def terms(found: Settings) -> Terms:
    """Return the settings that rules depend on."""
    return Terms(
        validation=found.validation_policy,
        version=found.version_policy,
        max_skill_file_bytes=found.max_skill_file_bytes,
    )


def together() -> Together:
    """Return what runs independent calls side by side."""
    from shared.adapters.threads import in_threads

    return in_threads


def now() -> datetime:
    """Return the time in UTC."""
    return clock().now()


def clock() -> Clock:
    """Return the system's clock."""
    from shared.adapters.clock import SystemClock

    return SystemClock()


def context(found: Settings, seconds: float, *, fresh_trust: bool = False) -> tuple[Context, Deadline]:
    """Build what a use case is given, and start its clock.

    Args:
        found: The settings.
        seconds: How long the call may take.
        fresh_trust: Look for a newer version of the trust now.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    from shared.adapters.threads import in_threads
    from shared.service.context import Context, Deadline

    found.need("STORE_URI", "SIGNING_KEY", "TRUST_ANCHOR")
    deadline = Deadline(clock(), seconds)
    believed = trust(found, fresh=fresh_trust)
    signer = own_signer(found, believed)
    source = upstream(found, deadline.remaining)
    sync = log.begin_sync()
    built = Context(
        store=store(found),
        source=source.source,
        signer=signer,
        clock=clock(),
        together=in_threads,
        judge=judge(),
        trust=believed,
        terms=terms(found),
        root=found.skills_root,
        poll_seconds=found.polling_interval_seconds,
        quota=source.quota,
        hooks=source.hooks,
        nudge=nudge(found),
        audit=audit(found),
        alert=alert(found),
        held=held_by(found),
        # What this call deploys carries the id that all its lines carry.
        token=lambda: sync,
    )
    return built, deadline


def trust(found: Settings, *, fresh: bool = False) -> Trust:
    """Return the newest version of the trust that the functions can believe.

    Args:
        found: The settings; `TRUST_ANCHOR` is where the chain begins.
        fresh: Look for a newer version now.

    Raises:
        ConfigError: `TRUST_ANCHOR_INVALID`, or `TRUST_MISMATCH`: it is about another repository, branch or channel.
    """
    believed = _chain(found).newest(fresh=fresh)
    ours, theirs = (found.channel, found.repo, found.ref), (believed.channel, believed.repo, believed.ref)
    if ours != theirs:
        raise ConfigError("TRUST_MISMATCH", f"the settings say (channel, repo, ref) {ours}, the trust says {theirs}")
    return believed


def trust_trouble(found: Settings) -> str:
    """Return what the last walk of the trust met; empty when nothing."""
    return _chain(found).trouble


def own_signer(found: Settings, believed: Trust) -> Ed25519Signer:
    """Return the functions' own key: the newest that the trust names.

    Raises:
        ConfigError: `SIGNING_KEY_INVALID`, or `SIGNING_KEY_UNTRUSTED`: the trust names none.
    """
    for signer in own_signers(found):
        if signer.key_id in believed.signer_keys:
            return signer
    raise ConfigError(
        "SIGNING_KEY_UNTRUSTED", f"the trust (version {believed.version}) does not name the key of SIGNING_KEY"
    )


def own_signers(found: Settings) -> list[Ed25519Signer]:
    """Return the keys that the functions hold, newest first.

    Raises:
        ConfigError: `CONFIG_MISSING`, `SIGNING_KEY_INVALID`.
    """
    found.need("SIGNING_KEY")
    return [_signer(seed) for seed in found.signing_keys]


def stranger() -> Ed25519Signer:
    """Return a signer that nobody trusts, for what must be refused."""
    from shared.adapters.signer import Ed25519Signer, new_seed

    return Ed25519Signer(new_seed())


def signer_ids(found: Settings) -> tuple[str, ...]:
    """Return the names of the signing keys that this function holds, newest first."""
    return tuple(signer.key_id for signer in own_signers(found)) if found.signing_keys else ()


def _chain(found: Settings) -> TrustChain:
    found.need("STORE_URI", "TRUST_ANCHOR")
    return _chain_of(str(found.store_uri), str(found.trust_anchor))


@lru_cache(maxsize=2)
def _chain_of(store_uri: str, anchor: str) -> TrustChain:
    from shared.core.trust import first_trust
    from shared.service.trust import TrustChain

    try:
        pinned = first_trust(anchor.encode())
    except UnverifiedError as error:
        raise ConfigError("TRUST_ANCHOR_INVALID", error.message) from None
    return TrustChain(_store(store_uri), pinned, clock())


def store(found: Settings) -> Store:
    """Open the store that `STORE_URI` names; one client a process.

    Raises:
        ConfigError: `STORE_URI_UNSUPPORTED`.
    """
    found.need("STORE_URI")
    return _store(str(found.store_uri))


@cache
def _store(uri: str) -> Store:
    from shared.adapters.stores import open_store

    return open_store(uri)


@cache
def judge() -> Judge:
    """Return what judges skills; one child process a process."""
    import atexit

    from shared.adapters.judge_process import JudgeProcess

    process = JudgeProcess(loader_environment())
    atexit.register(process.close)
    return process


def nudge(found: Settings) -> Nudge | None:
    """Return what tells pullers of a deployment; None when `NUDGE_URLS` names none."""
    if not found.nudge_urls:
        return None
    from shared.adapters.http_nudge import HttpNudge

    return HttpNudge(found.nudge_urls)


def alert(found: Settings) -> Alert | None:
    """Return what tells people; None when `ALERT_URLS` names nobody."""
    return _alert(found.alert_urls) if found.alert_urls else None


@lru_cache(maxsize=2)
def _alert(urls: tuple[str, ...]) -> Alert:
    from shared.adapters.apprise_alert import AppriseAlert

    return AppriseAlert(urls)


def watch(found: Settings) -> Watch | None:
    """Return what looks after the poller where no sync runs; None when there is nobody to tell."""
    told = alert(found)
    if told is None:
        return None
    from shared.service.alerting import Watch

    return Watch(
        store=store(found),
        trust=trust(found),
        clock=clock(),
        together=together(),
        alert=told,
        poll_seconds=found.polling_interval_seconds,
    )


@cache
def _signer(seed: str) -> Ed25519Signer:
    from shared.adapters.signer import Ed25519Signer

    return Ed25519Signer(seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """The repository as one call sees it; one that has no API has neither quota nor hooks."""

    source: Source
    quota: Quota | None = None
    hooks: Hooks | None = None


def upstream(found: Settings, seconds: Callable[[], float]) -> Upstream:
    """Return the repository as one call sees it; `seconds` tells how long that call still has."""
    if found.source_url is not None:
        from shared.adapters.git_remote import open_source

        source = open_source(found.source_url, found.github_branch, token=found.github_token, seconds=seconds)
        return Upstream(source=source)
    if found.github_app_id is not None:
        found.need("GITHUB_APP_KEY")
    github = _github(
        found.github_api_url,
        found.repo,
        found.github_token,
        (found.github_app_id, found.github_app_key) if found.github_app_id and found.github_app_key else None,
    )
    return Upstream(
        source=github.source(found.github_branch, seconds=seconds),
        quota=github.quota,
        hooks=github.hooks(seconds=seconds),
    )


# Its connections, its installation token and what it knows of rate limits are worth keeping from call to call; a rotated
# token makes a new one.
@lru_cache(maxsize=2)
def _github(api_url: str, repo: str, token: str | None, app: tuple[str, str] | None) -> GitHub:
    from shared.adapters.github import App, GitHub, Repository
    from shared.adapters.github_quota import ProcessQuota
    from shared.adapters.threads import in_threads

    owner, _, name = repo.partition("/")
    now_clock = clock()
    return GitHub(
        Repository(api_url=api_url, owner=owner, name=name),
        token=token,
        app=None if app is None else App(id=app[0], key_pem=app[1]),
        quota=ProcessQuota(now_clock),
        together=in_threads,
        clock=now_clock,
    )
