"""The online signing key behind the `Signer` port, from a secret's seed; a key in a hardware module would be another file."""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.envelope import key_id
from shared.errors import ConfigError

SEED_BYTES = 32


class Ed25519Signer:
    """Signs with an Ed25519 key.

    Args:
        seed: The private key's 32 bytes as standard base64, as `new_seed` makes it.

    Raises:
        ConfigError: `SIGNING_KEY_INVALID`.
    """

    def __init__(self, seed: str) -> None:
        try:
            raw = base64.b64decode(seed, validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) != SEED_BYTES:
            raise ConfigError("SIGNING_KEY_INVALID", f"SIGNING_KEY is {SEED_BYTES} bytes as base64")
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self._public = self._key.public_key().public_bytes_raw()
        self._id = key_id(self._public)

    @property
    def key_id(self) -> str:
        """Return the key's name."""
        return self._id

    @property
    def public_key(self) -> bytes:
        """Return the raw public key, 32 bytes."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Sign a message; 64 bytes."""
        return self._key.sign(message)


def new_seed() -> str:
    """Make a new private key's seed, to be kept as `SIGNING_KEY`."""
    return base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode()
