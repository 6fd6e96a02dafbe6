"""The chain of trust of a local installation: made on first use, with the operator's key in a folder of its own."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from shared.adapters.signer import Ed25519Signer
from shared.adapters.stores import open_store
from shared.cli import trust_home
from shared.config import google_cloud
from shared.core.names import trust_name

if TYPE_CHECKING:
    from pathlib import Path

    from shared.cli.trust_home import Line

HOME = "operator"
PASSPHRASE = "passphrase"  # noqa: S105 - a file's name


def local_anchor(data: Path, keys: dict[str, str], line: Line) -> str:
    """Return the pinned trust; on the first run the chain is begun and uploaded.

    No process of the installation is told where the operator's key lies; in production it is not even on that machine.

    Args:
        data: The installation's folder.
        keys: Its keys; the functions' signing key is the one that the trust names.
        line: What the chain is about.
    """
    path = data / HOME
    if (path / trust_name(1)).exists():
        home = trust_home.open_home(path)
    else:
        signer = Ed25519Signer(keys["SIGNING_KEY"])
        (path / trust_home.KEY).unlink(missing_ok=True)  # a first run that was cut short: nothing was signed with it
        home = trust_home.begin(path, _passphrase(path), line, signer.public_key, signer.key_id)
    trust_home.push(home, open_store(f"sqlite://{data / 'store.db'}", google_cloud()))
    return home.anchor


def _passphrase(path: Path) -> str:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = secrets.token_urlsafe(24)
    target = path / PASSPHRASE
    target.unlink(missing_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(made + "\n")
    return made
