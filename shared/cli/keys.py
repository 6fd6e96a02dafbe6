"""The keys of a local installation: made on first use, kept in one file that only its owner can read."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from shared.adapters.signer import new_seed
from shared.core.auth import key_digest
from shared.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

PULLER = "local"
_SECRET_BYTES = 32
_NAMES = (
    "GITHUB_WEBHOOK_SECRET",
    "MANUAL_SYNC_API_KEY",
    "SIGNING_KEY",
    "PULLER_ID",
    "PULLER_KEY",
    "PULLER_KEY_HASHES",
)


def load_keys(path: Path) -> dict[str, str]:
    """Read the keys, making the file on the first run.

    Args:
        path: `keys.env`; created with mode 600.

    Returns:
        Environment name to value.

    Raises:
        ConfigError: `KEYS_INVALID`, the file lacks a key.
    """
    if not path.exists():
        _make(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    missing = [name for name in _NAMES if not found.get(name)]
    if missing:
        raise ConfigError("KEYS_INVALID", f"{path} lacks {', '.join(missing)}; mend or remove it")
    return {name: found[name] for name in _NAMES}


def new_secret() -> str:
    """Make a secret of 256 bits: 64 hex digits, which no shell, URL or command line takes for anything else."""
    return secrets.token_hex(_SECRET_BYTES)


def _make(path: Path) -> None:
    puller_key = new_secret()
    values = (
        new_secret(),
        new_secret(),
        new_seed(),
        PULLER,
        puller_key,
        f"{PULLER}:{key_digest(puller_key)}",
    )
    text = "# Keys of this local installation. Keep them to yourself.\n"
    text += "".join(f"{name}={value}\n" for name, value in zip(_NAMES, values, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written whole under another name first: a file cut short by a crash would look like lost keys.
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
