"""What the functions read and answer without a sync: each call opens what it needs, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import wiring
from shared.core.credentials import FINGERPRINT_CHARS, shortened
from shared.errors import RejectedError, UnavailableError
from shared.held import held_by

if TYPE_CHECKING:
    from datetime import datetime

    from shared.config import Settings
    from shared.model import Trust
    from shared.service.health import Glance, Watched
    from shared.service.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one look brought, and whose signature counted in it."""

    seen: Glance
    trust: Trust
    now: datetime


def watched(found: Settings) -> Watched:
    """Return what health is measured by under these settings."""
    from shared.core.auth import puller_ids
    from shared.service.health import Watched

    return Watched(
        webhook_configured=bool(found.webhook_secrets),
        poll_seconds=found.polling_interval_seconds,
        pullers=puller_ids(found.puller_key_hashes),
        audit_configured=found.neo4j_uri is not None,
    )


def look(found: Settings) -> Looked:
    """Read side by side what health and dashboard are made of; errors are those of the store and of the trust."""
    from shared.service.health import glance

    pullers = watched(found).pullers
    store, trust, now = wiring.store(found), wiring.trust(found), wiring.now()
    seen = glance(store, trust, wiring.together(), now, pullers)
    if seen.verdict.reason and (fresh := wiring.trust(found, fresh=True)) != trust:
        # What this process knew was old: an operator has opened an epoch, or changed a signer, a moment ago.
        seen, trust = glance(store, fresh, wiring.together(), now, pullers), fresh
    return Looked(seen=seen, trust=trust, now=now)


def health(found: Settings) -> dict[str, object]:
    """Describe the health; a store that cannot be read, or holds what nobody signed, is an answer too."""
    from shared.core.health import unreadable
    from shared.service.health import health

    try:
        got = look(found)
        return health(got.seen, got.trust, got.now, watched(found), trouble=wiring.trust_trouble(found))
    except (RejectedError, UnavailableError) as error:
        return unreadable(error.code, wiring.now(), webhook_configured=bool(found.webhook_secrets))


def current_pointer(found: Settings) -> tuple[bytes, str]:
    """Return the signed pointer and its entity tag."""
    from shared.service import serving

    return serving.current(wiring.store(found))


def trust_version(found: Settings) -> int:
    """Return the number of the newest version of the trust, as far as this process knows."""
    return wiring.trust(found).version


def stored_trust(found: Settings, version: int) -> bytes:
    """Return one version of the trust, as the operator signed it."""
    from shared.service.trust import stored_trust

    return stored_trust(wiring.store(found), version)


def operational_state(found: Settings) -> dict[str, object]:
    """Say whether anything may be deployed, and why not."""
    from shared.service import recovery_status

    return recovery_status.operational_state(_survey(found))


def standing(found: Settings) -> tuple[dict[str, object], str]:
    """Say whether anything may be deployed, and what an operator has to do next, from one look."""
    from shared.service import recovery_status

    seen = _survey(found)
    told = recovery_status.dr_state(seen, wiring.trust(found), ())
    return recovery_status.operational_state(seen), str(told["next_action"])


def dr_state(found: Settings) -> dict[str, object]:
    """Say what the store stands against, and what an operator has to do next."""
    import base64

    from shared.service import recovery_status

    own = [
        {"key_id": signer.key_id, "public_key": base64.b64encode(signer.public_key).decode()}
        for signer in wiring.own_signers(found)
    ]
    return recovery_status.dr_state(_survey(found), wiring.trust(found), own)


def boot_status(found: Settings) -> dict[str, object]:
    """Go through the gates; what keeps the store from being looked at is an answer too.

    With the fingerprints of the credentials that this function holds, newest first.
    """
    from shared.core.boot import boot_status
    from shared.service import recovery_status

    held = {"credentials": {name: list(prints) for name, prints in held_by(found).items()}}
    try:
        found.need("GITHUB_WEBHOOK_SECRET", "SIGNING_KEY", "TRUST_ANCHOR", "STORE_URI")
        held["credentials"]["SIGNING_KEY"] = list(shortened(wiring.signer_ids(found)))
        wiring.own_signer(found, wiring.trust(found))
        return {**recovery_status.boot(_survey(found)), **held}
    except (RejectedError, UnavailableError) as error:
        return {**boot_status([error.code]), **held}


def _survey(found: Settings) -> Survey:
    from shared.service.survey import survey

    # Asked by a person, or by a monitor that must not be told old news: the trust is looked at now.
    believed = wiring.trust(found, fresh=True)
    return survey(
        wiring.store(found),
        believed,
        wiring.together(),
        wiring.now(),
        trouble=wiring.trust_trouble(found),
        audit=wiring.audit(found),
    )


def stored_object(found: Settings, digest: str) -> bytes:
    """Return an archive or manifest."""
    from shared.service import serving

    return serving.served_object(wiring.store(found), digest)


def stored_record(found: Settings, name: str) -> bytes:
    """Return the signed pointer of one deployment."""
    from shared.service import serving

    return serving.served_record(wiring.store(found), name)


def accept_report(found: Settings, puller: str, report: dict[str, object], key: str) -> None:
    """Keep a puller's newest report, which came in under the key of that digest.

    Who reports each minute also notices that nobody polls any more.
    """
    from shared.service import serving

    sender = serving.Sender(puller=puller, key=key[:FINGERPRINT_CHARS])
    serving.accept_report(wiring.store(found), wiring.trust(found), sender, report, wiring.now())
    watch = wiring.watch(found)
    if watch is not None:
        from shared.service.alerting import tell_of_poller

        tell_of_poller(watch)


def skills(found: Settings, *, after: str, limit: int) -> dict[str, object]:
    """List live and withheld skills, one page."""
    from shared.service import status

    return status.skills(wiring.store(found), wiring.trust(found), after=after, limit=limit)


def deployments(found: Settings, *, before: str | None, limit: int) -> dict[str, object]:
    """List deployments, newest first, one page."""
    from shared.service import status

    return status.deployments(wiring.store(found), wiring.trust(found), wiring.together(), before=before, limit=limit)


def deployment(found: Settings, name: str) -> dict[str, object]:
    """Describe one deployment and what it changed."""
    from shared.service import status

    return status.deployment(wiring.store(found), wiring.trust(found), name)


def diff(found: Settings, *, older: str | None, newer: str) -> dict[str, object]:
    """Say what lies between two deployments."""
    from shared.service import status

    return status.diff(wiring.store(found), wiring.trust(found), older=older, newer=newer)
