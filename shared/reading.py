"""What the functions read and answer without a sync: each call opens what it needs, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import wiring
from shared.errors import RejectedError, UnavailableError

if TYPE_CHECKING:
    from shared.config import Settings


def health(found: Settings) -> dict[str, object]:
    """Describe the health; a store that cannot be read, or holds what nobody signed, is an answer too."""
    from shared.core.health import unreadable
    from shared.service import status

    configured = bool(found.webhook_secrets)
    try:
        return status.health(
            wiring.store(found),
            wiring.own_trust(found),
            wiring.together(),
            wiring.now(),
            webhook_configured=configured,
            poll_seconds=found.polling_interval_seconds,
        )
    except (RejectedError, UnavailableError) as error:
        return unreadable(error.code, wiring.now(), webhook_configured=configured)


def current_pointer(found: Settings) -> tuple[bytes, str]:
    """Return the signed pointer and its entity tag."""
    from shared.service import serving

    return serving.current(wiring.store(found))


def stored_object(found: Settings, digest: str) -> bytes:
    """Return an archive or manifest."""
    from shared.service import serving

    return serving.served_object(wiring.store(found), digest)


def stored_record(found: Settings, name: str) -> bytes:
    """Return the signed pointer of one deployment."""
    from shared.service import serving

    return serving.served_record(wiring.store(found), name)


def accept_report(found: Settings, puller: str, report: dict[str, object]) -> None:
    """Keep a puller's newest report."""
    from shared.service import serving

    serving.accept_report(wiring.store(found), wiring.own_trust(found), puller, report, wiring.now())


def skills(found: Settings, *, after: str, limit: int) -> dict[str, object]:
    """List live and withheld skills, one page."""
    from shared.service import status

    return status.skills(wiring.store(found), wiring.own_trust(found), after=after, limit=limit)


def deployments(found: Settings, *, before: str | None, limit: int) -> dict[str, object]:
    """List deployments, newest first, one page."""
    from shared.service import status

    return status.deployments(
        wiring.store(found), wiring.own_trust(found), wiring.together(), before=before, limit=limit
    )


def deployment(found: Settings, name: str) -> dict[str, object]:
    """Describe one deployment and what it changed."""
    from shared.service import status

    return status.deployment(wiring.store(found), wiring.own_trust(found), name)
