"""The operator's commands that sign a version of the trust: each drafts it, shows what it changes, asks, and signs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.adapters.operator_key import fresh_key
from shared.cli import operator_keys, trust_home
from shared.cli.operator_keys import ID_CHARS
from shared.cli.trust_home import Line
from shared.core.envelope import key_id
from shared.core.trust import public_key
from shared.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from shared.adapters.signer import Ed25519Signer
    from shared.cli.operator_ask import Ask
    from shared.cli.trust_home import TrustHome
    from shared.model import Trust

MAX_SIGNERS = 2
"""Two while one is rotated; a third would be one that nobody remembers."""


def init(options: argparse.Namespace, ask: Ask) -> int:
    """Make the operator's key and begin the chain."""
    key = _public_key(options.signer)
    line = Line(channel=options.channel, repo=options.repo, ref=options.ref)
    passphrase = ask.passphrase("") if ask.passphrase_file else ask.new_passphrase()
    home = trust_home.begin(options.home, passphrase, line, key, key_id(key))
    document = {"home": str(home.path), "version": 1, "operator_keys": list(home.newest.operator_keys)}
    ask.output.result(
        {**document, "signer_keys": list(home.newest.signer_keys), "anchor": home.anchor},
        f"A chain for {line.repo} ({line.ref}), channel {line.channel}, begins in {home.path}.",
        "Keep that folder offline, with a copy. Pin this on both sides:\n",
        f"TRUST_ANCHOR={home.anchor}",
    )
    return 0


def bump(options: argparse.Namespace, ask: Ask) -> int:
    """Open the next epoch."""
    home = trust_home.open_home(options.home)
    changes: dict[str, object] = {"epoch": home.newest.epoch + 1, "reason": options.reason}
    if options.incident:
        changes |= {"ack": home.newest.epoch, "incident": options.incident}
    return _sign(home, trust_home.draft(home, **changes), ask, options.sign_with)


def acknowledge(options: argparse.Namespace, ask: Ask) -> int:
    """Acknowledge a violation of the epoch that ended last."""
    home = trust_home.open_home(options.home)
    ended = home.newest.epoch - 1
    if ended < 1:
        raise InputError("NOTHING_TO_ACK", "a violation is acknowledged after its epoch has ended: operator epoch bump")
    reason = options.reason or f"acknowledges {options.incident}"
    following = trust_home.draft(home, ack=ended, incident=options.incident, reason=reason)
    return _sign(home, following, ask, options.sign_with)


def renew(options: argparse.Namespace, ask: Ask) -> int:
    """Sign the same again, with new dates: what proves a new operator key, and moves the expiry."""
    home = trust_home.open_home(options.home)
    return _sign(home, trust_home.draft(home, reason=options.reason), ask, options.sign_with)


def add_signer(options: argparse.Namespace, ask: Ask) -> int:
    """Let a second key sign pointers."""
    home = trust_home.open_home(options.home)
    key = _public_key(options.public_key)
    known = home.newest.signer_keys
    if key_id(key) in known or len(known) >= MAX_SIGNERS:
        raise InputError(
            "SIGNER_REFUSED", f"the trust names this key already, or {MAX_SIGNERS} others: revoke one first"
        )
    following = trust_home.draft(home, signer_keys={**known, key_id(key): key}, reason=options.reason)
    return _sign(home, following, ask, options.sign_with)


def revoke_signer(options: argparse.Namespace, ask: Ask) -> int:
    """Let a key sign pointers no longer."""
    home = trust_home.open_home(options.home)
    known = home.newest.signer_keys
    found = [name for name in known if name.startswith(options.key_id)]
    if len(found) != 1 or len(known) == 1:
        raise InputError("SIGNER_REFUSED", f"--key-id must name one of {', '.join(known)}, and not the only one")
    left = {name: key for name, key in known.items() if name != found[0]}
    return _sign(home, trust_home.draft(home, signer_keys=left, reason=options.reason), ask, options.sign_with)


def add_key(options: argparse.Namespace, ask: Ask) -> int:
    """Make a second operator key; the version that names both is signed by the old one and the new one."""
    home = trust_home.open_home(options.home)
    known = home.newest.operator_keys
    if len(known) >= operator_keys.MAX_KEYS:
        raise InputError("OPERATOR_KEY_REFUSED", f"the trust names {len(known)} operator keys: revoke one first")
    operator_keys.set_aside_revoked(home)
    key = fresh_key()
    name = key.signer.key_id
    following = trust_home.draft(home, operator_keys={**known, name: key.signer.public_key}, reason=options.reason)

    def signers() -> list[Ed25519Signer]:
        # The old key first: with a wrong passphrase nothing is made.
        old = _opened(home, list(known), ask)
        path = operator_keys.keep_new_key(home, key, ask.new_passphrase())
        ask.output.say(f"The new key {name[:ID_CHARS]} is kept in {path}.")
        return [old, key.signer]

    return _finish(home, following, ask, signers)


def revoke_key(options: argparse.Namespace, ask: Ask) -> int:
    """Let an operator key sign no longer; a key that stays says so."""
    home = trust_home.open_home(options.home)
    known = home.newest.operator_keys
    gone = operator_keys.chosen(home, options.key_id)
    left = {name: key for name, key in known.items() if name != gone}
    if not left:
        raise InputError("OPERATOR_KEY_REFUSED", "this is the only operator key: operator key add makes another first")
    following = trust_home.draft(home, operator_keys=left, reason=options.reason)
    ended = _finish(home, following, ask, lambda: [_opened(home, list(left), ask)])
    for aside in operator_keys.set_aside_revoked(trust_home.open_home(options.home)):
        ask.output.say(f"The revoked key lies in {aside}.")
    return ended


def _sign(home: TrustHome, following: Trust, ask: Ask, sign_with: str) -> int:
    candidates = [operator_keys.chosen(home, sign_with)] if sign_with else list(home.newest.operator_keys)
    return _finish(home, following, ask, lambda: [_opened(home, candidates, ask)])


def _opened(home: TrustHome, candidates: list[str], ask: Ask) -> Ed25519Signer:
    path = operator_keys.key_file(home, candidates)
    return operator_keys.open_key(path, ask.passphrase(str(path)), candidates)


def _finish(home: TrustHome, following: Trust, ask: Ask, signers: Callable[[], Sequence[Ed25519Signer]]) -> int:
    changes = trust_home.differences(home.newest, following)
    ask.output.say("What is about to be signed:", *(f"  {line}" for line in changes))
    if not ask.consents():
        ask.output.result({"signed": None, "changes": changes}, "Nothing was signed.")
        return 1
    keys = signers()
    newest = trust_home.sign(home, following, *keys).newest
    names = [key.key_id for key in keys]
    ask.output.result(
        {"signed": newest.version, "epoch": newest.epoch, "changes": changes, "signed_by": names},
        f"Signed version {newest.version} with {' and '.join(name[:ID_CHARS] for name in names)}. "
        "It counts once it is uploaded: operator trust push",
    )
    return 0


def _public_key(text: str) -> bytes:
    key = public_key(text)
    if not key:
        raise InputError(
            "PUBLIC_KEY_INVALID", "a public key is 32 bytes as base64; /api/dr-state shows the functions' own"
        )
    return key
