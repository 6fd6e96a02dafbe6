"""The files of the operator's keys: which of them is which, which one signs, and where a revoked one goes.

The first key lies in `operator.key`. A later one bears the beginning of its id, `operator.<id>.key`, so that it is known
without its passphrase; a revoked one is `operator.<id>.revoked`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.adapters.operator_key import keep_key, open_operator_key
from shared.cli.trust_home import KEY, settle
from shared.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from shared.adapters.operator_key import FreshKey
    from shared.adapters.signer import Ed25519Signer
    from shared.cli.trust_home import TrustHome

MAX_KEYS = 2
"""Two while one is rotated; a third would be one that nobody remembers."""
ID_CHARS = 8


def key_file(home: TrustHome, candidates: Collection[str]) -> Path:
    """Return the file of the key that signs: the newest of these that lies here under its own name, else the first key.

    Args:
        home: The folder.
        candidates: Key ids in the order in which the trust got them.
    """
    named = [path for name in candidates if (path := _named(home, name)).exists()]
    return named[-1] if named else home.path / KEY


def open_key(path: Path, passphrase: str, candidates: Collection[str]) -> Ed25519Signer:
    """Open the key that signs.

    Args:
        path: Its file.
        passphrase: Opens it.
        candidates: The key ids that may sign.

    Raises:
        ConfigError: `OPERATOR_KEY_MISSING`, or `OPERATOR_KEY_INVALID`: another passphrase, or another key than these.
    """
    key = open_operator_key(path, passphrase)
    if key.key_id not in candidates:
        names = " or ".join(name[:ID_CHARS] for name in candidates)
        raise ConfigError("OPERATOR_KEY_INVALID", f"{path} holds the key {key.key_id[:ID_CHARS]}, expected {names}")
    return key


def chosen(home: TrustHome, beginning: str) -> str:
    """Return the id of the one operator key that begins so.

    Raises:
        InputError: `OPERATOR_KEY_UNKNOWN`.
    """
    known = home.newest.operator_keys
    found = [name for name in known if beginning and name.startswith(beginning)]
    if len(found) != 1:
        raise InputError("OPERATOR_KEY_UNKNOWN", f"expected the beginning of one operator key's id: {', '.join(known)}")
    return found[0]


def keep_new_key(home: TrustHome, key: FreshKey, passphrase: str) -> Path:
    """Keep a second key beside the first, before any version of the trust names it.

    A crash behind this leaves a file that no version names: it is never used.

    Returns:
        Where it lies.

    Raises:
        ConfigError: `PASSPHRASE_WEAK`.
    """
    path = _named(home, key.signer.key_id)
    keep_key(key, path, passphrase)
    settle(home.path)
    return path


def set_aside_revoked(home: TrustHome) -> list[Path]:
    """Rename the files of keys that the newest version names no longer; what was done before a crash is not done again.

    Returns:
        Where they lie now.
    """
    current = home.newest.operator_keys
    once = {name for trust in home.chain for name in trust.operator_keys if name not in current}
    moves = [(_named(home, name), _revoked(home, name)) for name in once if _named(home, name).exists()]
    lost = [name for name in once if not _named(home, name).exists() and not _revoked(home, name).exists()]
    first = home.path / KEY
    # Which key the first file holds is not known without its passphrase: but here it can be none that is still named.
    if first.exists() and len(lost) == 1 and all(_named(home, name).exists() for name in current):
        moves.append((first, _revoked(home, lost[0])))
    for path, aside in moves:
        path.replace(aside)
    settle(home.path)
    return [aside for _, aside in moves]


def _named(home: TrustHome, name: str) -> Path:
    return home.path / f"operator.{name[:ID_CHARS]}.key"


def _revoked(home: TrustHome, name: str) -> Path:
    return home.path / f"operator.{name[:ID_CHARS]}.revoked"
