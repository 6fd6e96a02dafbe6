"""Builds what the functions call: settings read afresh, adapters behind their ports, heavy clients only when used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from shared.config import Settings, current_settings, loader_environment
from shared.core.rules import Terms
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.adapters.github import GitHub
    from shared.adapters.signer import Ed25519Signer
    from shared.core.upload import Tree
    from shared.core.validation_report import Report
    from shared.model import DeploymentId, Push, SkillId, Trigger, Trust
    from shared.ports import Clock, Hooks, Judge, Quota, Source, Store, Together
    from shared.service.context import Context, Deadline
    from shared.service.sync import Outcome

WEBHOOK_SECONDS = 8.0
"""GitHub waits 10 s for an answer."""
OPERATOR_SECONDS = 25.0

_SHA_CHARS = 40
_SQLITE = "sqlite://"
_GCS = "gs://"


def settings() -> Settings:
    """Read the settings as they are now."""
    return current_settings()


def synchronise(
    found: Settings,
    seconds: float,
    trigger: Trigger,
    *,
    push: Push | None = None,
    hook: int | None = None,
    release: tuple[SkillId, ...] = (),
) -> Outcome:
    """Run a sync under these settings, within so many seconds; errors are those of the use case."""
    from shared.service.sync import Command, synchronise

    built, deadline = context(found, seconds)
    return synchronise(built, Command(trigger=trigger, push=push, hook=hook, release=release), deadline)


def roll_back(found: Settings, seconds: float, to: DeploymentId) -> Outcome:
    """Run a rollback under these settings, within so many seconds; errors are those of the use case."""
    from shared.service.rollback import roll_back

    built, deadline = context(found, seconds)
    return roll_back(built, to, deadline)


def validate_ref(found: Settings, seconds: float, ref: str) -> Report:
    """Validate a branch or a commit of the configured repository; errors are those of the source."""
    from shared.model import CommitSha
    from shared.service.context import Deadline
    from shared.service.validate import validate_commit

    deadline = Deadline(_clock(), seconds)
    judge = _judge()
    judge.prepare()
    is_commit = len(ref) == _SHA_CHARS and not set(ref) - set("0123456789abcdef")
    branch = found.github_branch if is_commit else ref
    upstream = _upstream(replace(found, github_branch=branch), deadline.remaining)
    commit = CommitSha(ref) if is_commit else None
    return validate_commit(
        upstream.source, commit, lambda case: judge([case], deadline.remaining())[0], terms(found), found.skills_root
    )


def validate_tree(found: Settings, seconds: float, tree: Tree, root: str) -> Report:
    """Validate an uploaded tree; UnavailableError when it cannot be judged in so many seconds."""
    from shared.service.context import Deadline
    from shared.service.validate import validate

    deadline = Deadline(_clock(), seconds)
    judge = _judge()
    return validate(
        tree.listing,
        lambda _entries: tree.contents,
        lambda case: judge([case], deadline.remaining())[0],
        terms(found),
        root,
    )


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
    return _clock().now()


def _clock() -> Clock:
    from shared.adapters.clock import SystemClock

    return SystemClock()


def own_trust(found: Settings) -> Trust:
    """Return the trust that the functions act under."""
    found.need("SIGNING_KEY")
    return trust(found, _signer(str(found.signing_key)))


def context(found: Settings, seconds: float) -> tuple[Context, Deadline]:
    """Build what a use case is given, and start its clock.

    Args:
        found: The settings.
        seconds: How long the call may take.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    from shared.adapters.threads import in_threads
    from shared.service.context import Context, Deadline

    found.need("STORE_URI", "SIGNING_KEY")
    clock = _clock()
    deadline = Deadline(clock, seconds)
    signer = _signer(str(found.signing_key))
    upstream = _upstream(found, deadline.remaining)
    built = Context(
        store=store(found),
        source=upstream.source,
        signer=signer,
        clock=clock,
        together=in_threads,
        judge=_judge(),
        trust=trust(found, signer),
        terms=terms(found),
        root=found.skills_root,
        poll_seconds=found.polling_interval_seconds,
        quota=upstream.quota,
        hooks=upstream.hooks,
    )
    return built, deadline


def trust(found: Settings, signer: Ed25519Signer) -> Trust:
    """Say under which trust the functions act; the operator-signed chain in the store will be read here."""
    from shared.model import Trust

    return Trust(
        version=1,
        channel=found.channel,
        repo=found.repo,
        ref=found.ref,
        epoch=1,
        signer_keys={signer.key_id: signer.public_key},
    )


def store(found: Settings) -> Store:
    """Open the store that `STORE_URI` names; one client a process.

    Raises:
        ConfigError: `STORE_URI_UNSUPPORTED`.
    """
    found.need("STORE_URI")
    return _store(str(found.store_uri))


@cache
def _store(uri: str) -> Store:
    if uri.startswith(_SQLITE) and len(uri) > len(_SQLITE) + 1:
        from pathlib import Path

        from shared.adapters.sqlite_store import SqliteStore

        return SqliteStore(Path(uri.removeprefix(_SQLITE)))
    if uri.startswith(_GCS):
        from shared.adapters.gcs_store import open_gcs

        return open_gcs(uri)
    raise ConfigError("STORE_URI_UNSUPPORTED", "STORE_URI must be gs://bucket/prefix or sqlite:///path/to/file")


@cache
def _judge() -> Judge:
    import atexit

    from shared.adapters.judge_process import JudgeProcess

    judge = JudgeProcess(loader_environment())
    atexit.register(judge.close)
    return judge


@cache
def _signer(seed: str) -> Ed25519Signer:
    from shared.adapters.signer import Ed25519Signer

    return Ed25519Signer(seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Upstream:
    """The repository as one call sees it; one that has no API has neither quota nor hooks."""

    source: Source
    quota: Quota | None = None
    hooks: Hooks | None = None


def _upstream(found: Settings, seconds: Callable[[], float]) -> _Upstream:
    if found.source_url is not None:
        from shared.adapters.git_remote import open_source

        source = open_source(found.source_url, found.github_branch, token=found.github_token, seconds=seconds)
        return _Upstream(source=source)
    if found.github_app_id is not None:
        found.need("GITHUB_APP_KEY")
    github = _github(
        found.github_api_url,
        found.repo,
        found.github_token,
        (found.github_app_id, found.github_app_key) if found.github_app_id and found.github_app_key else None,
    )
    return _Upstream(
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
    clock = _clock()
    return GitHub(
        Repository(api_url=api_url, owner=owner, name=name),
        token=token,
        app=None if app is None else App(id=app[0], key_pem=app[1]),
        quota=ProcessQuota(clock),
        together=in_threads,
        clock=clock,
    )
