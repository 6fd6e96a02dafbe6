"""The operator's folder: every version of the trust beside the encrypted keys, so that all but the upload works offline."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.adapters.operator_key import make_operator_key
from shared.core.names import CURRENT, timestamp, trust_name
from shared.core.trust import first_trust, next_trust, sign_trust
from shared.core.verify import UnverifiedPointer, is_by_any_signer, is_by_current_signer
from shared.errors import ConfigError, ConflictError, UnverifiedError
from shared.model import Trust

if TYPE_CHECKING:
    from pathlib import Path

    from shared.adapters.signer import Ed25519Signer
    from shared.ports import Store

KEY = "operator.key"
LIFETIME = timedelta(days=365)
"""Expiry warns and never blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a chain is about: channel, repository (`owner/name`) and ref (`refs/heads/…`, or `HEAD`)."""

    channel: str
    repo: str
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustHome:
    """A folder with a key and a chain."""

    path: Path
    chain: tuple[Trust, ...] = field(default=())

    @property
    def newest(self) -> Trust:
        """The newest version."""
        return self.chain[-1]

    @property
    def anchor(self) -> str:
        """The first version as one line, to be pinned as `TRUST_ANCHOR`."""
        return self.envelope(1).decode()

    def envelope(self, version: int) -> bytes:
        """Return one version as it was signed."""
        return (self.path / trust_name(version)).read_bytes()


def open_home(path: Path) -> TrustHome:
    """Read a folder and prove its chain.

    Raises:
        ConfigError: `TRUST_HOME_MISSING`, or `TRUST_HOME_INVALID`: a version does not follow its predecessor.
    """
    if not (path / trust_name(1)).exists():
        raise ConfigError("TRUST_HOME_MISSING", f"{path} holds no chain; `operator init` begins one")
    home = TrustHome(path=path)
    try:
        chain = [first_trust(home.envelope(1))]
        while (path / trust_name(len(chain) + 1)).exists():
            chain.append(next_trust(chain[-1], home.envelope(len(chain) + 1)))
    except UnverifiedError as error:
        raise ConfigError("TRUST_HOME_INVALID", f"{path}: {error.message}") from None
    return replace(home, chain=tuple(chain))


def begin(path: Path, passphrase: str, line: Line, signer_key: bytes, signer_id: str) -> TrustHome:
    """Make the operator's key and sign version 1.

    Args:
        path: The folder; made with mode 700.
        passphrase: Encrypts the key.
        line: What the chain is about.
        signer_key: The functions' raw public key.
        signer_id: Its name.

    Raises:
        ConfigError: `PASSPHRASE_WEAK`, or `OPERATOR_KEY_EXISTS`: a key, or a chain, is there already.
    """
    if not (path / KEY).exists() and (path / trust_name(1)).exists():
        raise ConfigError("OPERATOR_KEY_EXISTS", f"{path} holds a chain with later keys; it is not overwritten")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    operator = make_operator_key(path / KEY, passphrase)
    trust = Trust(
        version=1,
        channel=line.channel,
        repo=line.repo,
        ref=line.ref,
        epoch=1,
        signer_keys={signer_id: signer_key},
        operator_keys={operator.key_id: operator.public_key},
        reason="the first version",
    )
    _write(path, 1, sign_trust(_dated(trust), operator))
    return open_home(path)


def draft(home: TrustHome, **changes: object) -> Trust:
    """Return the next version with these changes, not signed yet."""
    former = home.newest
    return _dated(replace(former, version=former.version + 1, past_signers={}, **changes))  # type: ignore[arg-type]


def sign(home: TrustHome, following: Trust, *operators: Ed25519Signer) -> TrustHome:
    """Sign the next version and keep it.

    Args:
        home: Where.
        following: The next version.
        operators: The keys that sign it; one of them must be known to the newest version, one to the next.

    Raises:
        ConfigError: `OPERATOR_KEY_INVALID`, this key may not sign.
        UnverifiedError: `trust_invalid`, what is to be signed does not follow.
    """
    if not any(operator.key_id in home.newest.operator_keys for operator in operators):
        raise ConfigError("OPERATOR_KEY_INVALID", "the newest version of the trust does not name this operator key")
    envelope = sign_trust(following, *operators)
    next_trust(home.newest, envelope)
    _write(home.path, following.version, envelope)
    return open_home(home.path)


def push(home: TrustHome, store: Store, *, force: bool = False) -> list[int]:
    """Upload every version that the store lacks, each create-only.

    Args:
        home: What to upload.
        store: Where.
        force: Also revoke the signer of the live pointer: pullers then wait until it is signed anew, or, where no other signer
            can prove it, until a new epoch.

    Returns:
        The versions that were uploaded.

    Raises:
        ConflictError: `TRUST_FORKED`, the store holds another version of the same number; `TRUST_AHEAD`, or a later one;
            `SIGNER_STILL_LIVE`, without `force`.
    """
    last = home.newest.version
    current = store.get(CURRENT)
    if not force and current is not None and _revokes(home.newest, UnverifiedPointer(current.data)):
        raise ConflictError(
            "SIGNER_STILL_LIVE", "this revokes the signer of the live pointer: let the other one sign first, by a poll"
        )
    if store.get(trust_name(last + 1)) is not None:
        raise ConflictError(
            "TRUST_AHEAD", f"the store holds version {last + 1}, which is not here: operator trust pull"
        )
    uploaded: list[int] = []
    for number in range(1, last + 1):
        envelope = home.envelope(number)
        try:
            store.put(trust_name(number), envelope, if_generation=0)
        except ConflictError:
            held = store.get(trust_name(number))
            if held is None or held.data != envelope:
                raise ConflictError(
                    "TRUST_FORKED", f"the store holds another version {number}; nothing was overwritten"
                ) from None
        else:
            uploaded.append(number)
    return uploaded


def pull(home: TrustHome, store: Store) -> TrustHome:
    """Fetch the versions that another operator signed, each proved before it is kept.

    Raises:
        UnverifiedError: `trust_invalid`.
    """
    while (stored := store.get(trust_name(home.newest.version + 1))) is not None:
        following = next_trust(home.newest, stored.data)
        _write(home.path, following.version, stored.data)
        home = open_home(home.path)
    return home


def differences(former: Trust, following: Trust) -> list[str]:
    """List what a new version changes, a line each."""
    found = [
        f"{name}: {getattr(former, name)!r} -> {getattr(following, name)!r}"
        for name in ("version", "epoch", "ack", "reason", "incident", "expires_at")
        if getattr(former, name) != getattr(following, name)
    ]
    for name in ("operator_keys", "signer_keys"):
        old, new = getattr(former, name), getattr(following, name)
        found += [f"{name}: + {key}" for key in new if key not in old]
        found += [f"{name}: - {key}" for key in old if key not in new]
    return found


def _revokes(trust: Trust, envelope: UnverifiedPointer) -> bool:
    return is_by_any_signer(envelope, trust) and not is_by_current_signer(envelope, trust)


def _dated(trust: Trust) -> Trust:
    now = datetime.now(UTC)
    return replace(trust, issued_at=timestamp(now), expires_at=timestamp(now + LIFETIME))


def _write(path: Path, version: int, envelope: bytes) -> None:
    target = path / trust_name(version)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    created = target.with_suffix(".new")
    with created.open("wb") as stream:
        stream.write(envelope)
        stream.flush()
        os.fsync(stream.fileno())
    created.replace(target)
    settle(target.parent)


def settle(path: Path) -> None:
    """Make sure that what was made or renamed in a folder survives a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
