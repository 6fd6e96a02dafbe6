"""Builds what the functions call: settings read afresh, adapters behind their ports, heavy clients only when used."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from shared import log, wiring_github, wiring_graph
from shared.config import Settings, google_cloud, loader_environment, recent_settings
from shared.core.rules import Terms
from shared.errors import ConfigError, UnverifiedError
from shared.held import held_by

if TYPE_CHECKING:
    from datetime import datetime

    from shared.adapters.signer import Ed25519Signer
    from shared.config import GoogleCloud
    from shared.model import Trust
    from shared.ports import Alert, Clock, Deferral, Judge, Nudge, Store, Together
    from shared.service.alerting import Watch
    from shared.service.context import Context, Deadline
    from shared.service.trust import TrustChain

upstream = wiring_github.upstream
github_probe = wiring_github.github_probe
hook_probe = wiring_github.hook_probe
tokens = wiring_github.tokens
audit = wiring_graph.audit
graph_probe = wiring_graph.graph_probe


def settings() -> Settings:
    """Read the settings as they are now."""
    return recent_settings()


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
        token_note=source.token_note,
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

    return open_store(uri, google_cloud())


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


def deferral(found: Settings) -> Deferral | None:
    """Return what asks for a poll at once; None when `DEFERRED_QUEUE` names no queue.

    Raises:
        ConfigError: `CONFIG_MISSING`, what belongs to the queue is not given.
    """
    if found.deferred_queue is None:
        return None
    found.need("DEFERRED_POLL_URL", "DEFERRED_CALLER")
    caller, poll_url = str(found.deferred_caller), str(found.deferred_poll_url)
    return _deferral(found.deferred_queue, poll_url, caller, found.lock_ttl_seconds, google_cloud())


@lru_cache(maxsize=2)
def _deferral(queue: str, poll_url: str, caller: str, seconds: float, cloud: GoogleCloud) -> Deferral:
    from shared.adapters.cloud_tasks import PollTask, open_cloud_tasks

    task = PollTask(queue=queue, url=poll_url, caller=caller, seconds=seconds)
    return open_cloud_tasks(task, cloud, clock())


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
