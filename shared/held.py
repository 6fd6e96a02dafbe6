"""Which credentials a function holds, by their fingerprints alone; what becomes of that is left to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.auth import puller_keys
from shared.core.credentials import PULLER_PREFIX, shortened
from shared.core.plain_text import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.config import Settings
    from shared.core.credential_notes import Use


def held_by(found: Settings) -> dict[str, tuple[str, ...]]:
    """Return the fingerprints of what the settings hold, by credential, newest first; only of what is set.

    The signing key is not among them: which one counts, the trust says.

    Args:
        found: The settings.
    """
    plain = {
        "GITHUB_WEBHOOK_SECRET": found.webhook_secrets,
        "GITHUB_TOKEN": () if found.github_app_id else found.github_tokens,
        "GITHUB_APP_KEY": found.github_app_keys if found.github_app_id else (),
        "MANUAL_SYNC_API_KEY": found.api_keys,
        "NEO4J_PASSWORD": found.neo4j_passwords if found.neo4j_uri else (),
    }
    held = {name: tuple(fingerprint(value) for value in values) for name, values in plain.items() if values}
    for puller, digests in puller_keys(found.puller_key_hashes).items():
        held[PULLER_PREFIX + puller] = shortened(digests)
    return held


def webhook_use(found: Settings, secret: str) -> Use:
    """Describe that a webhook call came in under this secret."""
    return _use("GITHUB_WEBHOOK_SECRET", secret, found.webhook_secrets)


def api_key_use(found: Settings, given: str | None) -> tuple[Use, ...]:
    """Describe that a call came in under this API key; nothing where none was sent, since none was needed."""
    return (_use("MANUAL_SYNC_API_KEY", given, found.api_keys),) if given else ()


def _use(name: str, value: str, values: Iterable[str]) -> Use:
    # A call that was refused before this does not pay for it.
    from shared.core.credential_notes import Use  # noqa: PLC0415

    return Use(name=name, fingerprint=fingerprint(value), accepted=tuple(fingerprint(each) for each in values))
