"""The operator's key: kept offline in one encrypted file (PKCS #8), opened only while something is signed."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from shared.adapters.signer import Ed25519Signer
from shared.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MIN_PASSPHRASE_CHARS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshKey:
    """A new key that nobody has kept yet."""

    signer: Ed25519Signer
    private: Ed25519PrivateKey = field(repr=False)


def fresh_key() -> FreshKey:
    """Make a new key, in memory only."""
    private = Ed25519PrivateKey.generate()
    return FreshKey(signer=_signer(private), private=private)


def keep_key(key: FreshKey, path: Path, passphrase: str) -> None:
    """Keep a new key, and read it back; an existing file is never overwritten.

    Args:
        key: Which.
        path: Where; mode 600.
        passphrase: Encrypts it.

    Raises:
        ConfigError: `PASSPHRASE_WEAK`, or `OPERATOR_KEY_EXISTS`.
    """
    if len(passphrase) < MIN_PASSPHRASE_CHARS:
        raise ConfigError("PASSPHRASE_WEAK", f"a passphrase has at least {MIN_PASSPHRASE_CHARS} characters")
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError("OPERATOR_KEY_EXISTS", f"{path} exists; it is not overwritten") from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(pem)
        stream.flush()
        os.fsync(stream.fileno())
    open_operator_key(path, passphrase)


def make_operator_key(path: Path, passphrase: str) -> Ed25519Signer:
    """Make a new key and keep it, as `keep_key` does."""
    key = fresh_key()
    keep_key(key, path, passphrase)
    return key.signer


def open_operator_key(path: Path, passphrase: str) -> Ed25519Signer:
    """Open a kept key.

    Raises:
        ConfigError: `OPERATOR_KEY_MISSING`, `OPERATOR_KEY_INVALID`: damaged, no Ed25519 key, or another passphrase.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase.encode())
    except FileNotFoundError:
        raise ConfigError("OPERATOR_KEY_MISSING", f"there is no key at {path}; `operator init` makes one") from None
    except (ValueError, TypeError):
        raise ConfigError("OPERATOR_KEY_INVALID", f"{path} cannot be opened with this passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("OPERATOR_KEY_INVALID", f"{path} holds no Ed25519 key")
    return _signer(key)


def _signer(key: Ed25519PrivateKey) -> Ed25519Signer:
    return Ed25519Signer(base64.b64encode(key.private_bytes_raw()).decode())
