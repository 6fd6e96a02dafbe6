"""Builds what the functions call: settings read afresh, adapters behind their ports, heavy clients only when used."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from shared.config import Settings, current_settings
from shared.core.auth import authenticate_puller, check_api_key
from shared.core.rules import Terms
from shared.errors import ConfigError, RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.adapters.signer import Ed25519Signer
    from shared.model import DeploymentId, Push, SkillId, Trigger, Trust
    from shared.ports import Source, Store, Together
    from shared.service.context import Context, Deadline
    from shared.service.sync import Outcome

WEBHOOK_SECONDS = 8.0
"""GitHub waits 10 s for an answer."""
OPERATOR_SECONDS = 25.0

_SQLITE = "sqlite://"


def settings() -> Settings:
    """Read the settings as they are now."""
    return current_settings()


def require_operator(api_key: str | None) -> Settings:
    """Let operators in.

    Args:
        api_key: The value of the header `x-api-key`.

    Raises:
        DeniedError: the key is missing or wrong.
    """
    found = settings()
    found.need("MANUAL_SYNC_API_KEY")
    check_api_key(api_key, found.api_keys)
    return found


def require_puller(authorization: str | None) -> tuple[Settings, str]:
    """Let pullers in, and say which one it is.

    Args:
        authorization: The header's value.

    Raises:
        DeniedError: the key is missing or wrong.
    """
    found = settings()
    found.need("PULLER_KEY_HASHES")
    return found, authenticate_puller(authorization, found.puller_key_hashes)


def require_scheduler(api_key: str | None) -> Settings:
    """Let the scheduler in: by the API key, or, where Cloud IAM guards the function (`POLL_AUTH=iam`), without.

    Args:
        api_key: The value of the header `x-api-key`.

    Raises:
        DeniedError: the key is missing or wrong.
    """
    found = settings()
    return found if found.poll_auth == "iam" else require_operator(api_key)


def synchronise(
    found: Settings, seconds: float, trigger: Trigger, *, push: Push | None = None, release: tuple[SkillId, ...] = ()
) -> Outcome:
    """Run a sync under these settings, within so many seconds; errors are those of the use case."""
    from shared.service.sync import Command, synchronise

    built, deadline = context(found, seconds)
    return synchronise(built, Command(trigger=trigger, push=push, release=release), deadline)


def roll_back(found: Settings, seconds: float, to: DeploymentId) -> Outcome:
    """Run a rollback under these settings, within so many seconds; errors are those of the use case."""
    from shared.service.rollback import roll_back

    built, deadline = context(found, seconds)
    return roll_back(built, to, deadline)


def health(found: Settings) -> dict[str, object]:
    """Describe the health; a store that cannot be read, or holds what nobody signed, is an answer too."""
    from shared.core.health import unreadable
    from shared.service import status

    configured = bool(found.webhook_secrets)
    try:
        return status.health(
            store(found),
            own_trust(found),
            together(),
            now(),
            webhook_configured=configured,
            poll_seconds=found.polling_interval_seconds,
        )
    except (RejectedError, UnavailableError) as error:
        return unreadable(error.code, now(), webhook_configured=configured)


def current_pointer(found: Settings) -> tuple[bytes, str]:
    """Return the signed pointer and its entity tag."""
    from shared.service import serving

    return serving.current(store(found))


def stored_object(found: Settings, digest: str) -> bytes:
    """Return an archive or manifest."""
    from shared.service import serving

    return serving.served_object(store(found), digest)


def stored_record(found: Settings, name: str) -> bytes:
    """Return the signed pointer of one deployment."""
    from shared.service import serving

    return serving.served_record(store(found), name)


def accept_report(found: Settings, puller: str, report: dict[str, object]) -> None:
    """Keep a puller's newest report."""
    from shared.service import serving

    serving.accept_report(store(found), own_trust(found), puller, report, now())


def skills(found: Settings, *, after: str, limit: int) -> dict[str, object]:
    """List live and withheld skills, one page."""
    from shared.service import status

    return status.skills(store(found), own_trust(found), after=after, limit=limit)


def deployments(found: Settings, *, before: str | None, limit: int) -> dict[str, object]:
    """List deployments, newest first, one page."""
    from shared.service import status

    return status.deployments(store(found), own_trust(found), together(), before=before, limit=limit)


def deployment(found: Settings, name: str) -> dict[str, object]:
    """Describe one deployment and what it changed."""
    from shared.service import status

    return status.deployment(store(found), own_trust(found), name)


def together() -> Together:
    """Return what runs independent calls side by side."""
    from shared.adapters.threads import in_threads

    return in_threads


def now() -> datetime:
    """Return the time in UTC."""
    from shared.adapters.clock import SystemClock

    return SystemClock().now()


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
    from shared.adapters.clock import SystemClock
    from shared.adapters.threads import in_threads
    from shared.service.context import Context, Deadline

    found.need("STORE_URI", "SIGNING_KEY")
    clock = SystemClock()
    deadline = Deadline(clock, seconds)
    signer = _signer(str(found.signing_key))
    built = Context(
        store=store(found),
        source=_source(found, deadline.remaining),
        signer=signer,
        clock=clock,
        together=in_threads,
        trust=trust(found, signer),
        terms=Terms(
            validation=found.validation_policy,
            version=found.version_policy,
            max_skill_file_bytes=found.max_skill_file_bytes,
        ),
        root=found.skills_root,
        poll_seconds=found.polling_interval_seconds,
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
    raise ConfigError("STORE_URI_UNSUPPORTED", "STORE_URI must be sqlite:///path/to/file")


@cache
def _signer(seed: str) -> Ed25519Signer:
    from shared.adapters.signer import Ed25519Signer

    return Ed25519Signer(seed)


def _source(found: Settings, seconds: Callable[[], float]) -> Source:
    from shared.adapters.git_remote import open_source

    return open_source(found.remote, found.github_branch, token=found.github_token, seconds=seconds)
