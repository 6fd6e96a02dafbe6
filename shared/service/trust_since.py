"""Since when the trust names a key: its versions are read backwards, as far as they name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.credentials import FINGERPRINT_CHARS
from shared.core.names import trust_name
from shared.core.trust import MAX_WALK, first_trust
from shared.errors import UnverifiedError

if TYPE_CHECKING:
    from shared.model import Trust
    from shared.ports import Store


def named_since(store: Store, trust: Trust, member: str, fingerprint: str) -> str:
    """Return when the oldest version was issued from which on the key is named; empty where that cannot be told.

    At most 32 versions are read: a key that is older than that is as old as the last of them at least.

    Args:
        store: Where.
        trust: The newest version, which is believed.
        member: `signer_keys` or `operator_keys`.
        fingerprint: The key's.
    """
    since = ""
    version: Trust | None = trust
    for _ in range(MAX_WALK):
        if version is None or fingerprint not in {name[:FINGERPRINT_CHARS] for name in getattr(version, member)}:
            break
        since = version.issued_at
        version = _version(store, version.version - 1)
    return since


def _version(store: Store, number: int) -> Trust | None:
    stored = store.get(trust_name(number)) if number >= 1 else None
    try:
        # The newest one was reached over all of these: what is read of them here is a date.
        return None if stored is None else first_trust(stored.data)
    except UnverifiedError:
        return None
