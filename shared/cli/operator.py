"""`operator`: what only a person with the operator's key may do. All of it works offline but the upload and `dr status`."""

from __future__ import annotations

import getpass
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from shared.adapters.stores import open_store
from shared.cli import trust_home
from shared.cli.trust_home import Line, TrustHome
from shared.config import current_settings
from shared.core.envelope import key_id
from shared.core.trust import public_key
from shared.errors import InputError, UnavailableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from shared.model import Trust

MAX_SIGNERS = 2
"""Two while one is rotated; a third would be one that nobody remembers."""
TIMEOUT_SECONDS = 15.0
_OK = 200


def add_operator(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the operator's commands and their arguments."""
    parser = commands.add_parser("operator", help="trust, epochs and signers: what needs the operator's key")
    groups = parser.add_subparsers(dest="group", required=True)
    init = _leaf(groups, "init", "make the operator's key and the first version of the trust", key=True)
    init.add_argument("--channel", default="prod", help="as CHANNEL (default: %(default)s)")
    init.add_argument("--repo", required=True, help="owner/name")
    init.add_argument(
        "--ref", default="HEAD", help="refs/heads/BRANCH where GITHUB_BRANCH is set (default: %(default)s)"
    )
    init.add_argument("--signer", required=True, help="the functions' public key, base64")
    bump = _leaf(groups, "epoch bump", "open a new epoch: after a restore, this is the reset", key=True)
    bump.add_argument("--reason", required=True)
    bump.add_argument("--incident", default="", help="also acknowledges a violation of the epoch that ends")
    ack = _leaf(groups, "pause ack", "acknowledge a violation of an epoch that has ended", key=True)
    ack.add_argument("--incident", required=True)
    ack.add_argument("--reason", default="")
    add = _leaf(groups, "signer add", "let a second key sign pointers, to rotate SIGNING_KEY", key=True)
    add.add_argument("--public-key", required=True, help="base64")
    add.add_argument("--reason", default="a signer is rotated")
    revoke = _leaf(groups, "signer revoke", "let a key sign no longer", key=True)
    revoke.add_argument("--key-id", required=True, help="the id or its beginning, as `operator dr status` shows it")
    revoke.add_argument("--reason", default="a signer is revoked")
    for name, what in (
        ("push", "upload the versions that the store lacks"),
        ("pull", "fetch what another operator signed"),
    ):
        leaf = _leaf(groups, f"trust {name}", what)
        leaf.add_argument("--store", default="", help="default: STORE_URI")
        if name == "push":
            leaf.add_argument(
                "--force", action="store_true", help="also revoke the signer of the live pointer (a leaked key)"
            )
    _leaf(groups, "trust show", "list the versions of the chain")
    _leaf(groups, "dr status", "what the functions say; needs SKILL_SYNC_URL and MANUAL_SYNC_API_KEY", home=False)


def _leaf(
    groups: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    *,
    key: bool = False,
    home: bool = True,
) -> argparse.ArgumentParser:
    group, _, action = name.partition(" ")
    parent = groups
    if action:
        known = groups.choices.get(group)
        if known is None:
            known = groups.add_parser(group)
            known.set_defaults(actions=known.add_subparsers(dest="action", required=True))
        parent = known.get_default("actions")
    leaf = parent.add_parser(action or group, help=what, description=what)
    leaf.set_defaults(operation=name)
    if home:
        leaf.add_argument("--home", type=Path, default=Path("operator"), help="key and chain (default: ./%(default)s)")
    if key:
        leaf.add_argument("--passphrase-file", default="", help="else the passphrase is asked for")
        leaf.add_argument("--yes", action="store_true", help="sign without being asked")
    return leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How the operator is asked: for the passphrase, and whether to sign what was shown."""

    passphrase: Callable[[], str]
    consents: Callable[[], bool]


def run_operator(options: argparse.Namespace) -> int:
    """Run one of the operator's commands.

    Returns:
        0 done, 1 not confirmed.
    """
    ask = Ask(passphrase=lambda: _passphrase(options), consents=lambda: _consents(options))
    actions: dict[str, Callable[[], int]] = {
        "init": lambda: _init(options, ask),
        "epoch bump": lambda: _bump(options, ask),
        "pause ack": lambda: _acknowledge(options, ask),
        "signer add": lambda: _add(options, ask),
        "signer revoke": lambda: _revoke(options, ask),
        "trust push": lambda: _push(options),
        "trust pull": lambda: _pull(options),
        "trust show": lambda: _show(options),
        "dr status": _status,
    }
    return actions[options.operation]()


def _init(options: argparse.Namespace, ask: Ask) -> int:
    key = _public_key(options.signer)
    line = Line(channel=options.channel, repo=options.repo, ref=options.ref)
    home = trust_home.begin(options.home, ask.passphrase(), line, key, key_id(key))
    print(f"A chain for {line.repo} ({line.ref}), channel {line.channel}, begins in {home.path}.")
    print("Keep that folder offline, with a copy. Pin this on both sides:\n")
    print(f"TRUST_ANCHOR={home.anchor}")
    return 0


def _bump(options: argparse.Namespace, ask: Ask) -> int:
    home = trust_home.open_home(options.home)
    changes: dict[str, object] = {"epoch": home.newest.epoch + 1, "reason": options.reason}
    if options.incident:
        changes |= {"ack": home.newest.epoch, "incident": options.incident}
    return _sign(home, trust_home.draft(home, **changes), ask)


def _acknowledge(options: argparse.Namespace, ask: Ask) -> int:
    home = trust_home.open_home(options.home)
    ended = home.newest.epoch - 1
    if ended < 1:
        raise InputError("NOTHING_TO_ACK", "a violation is acknowledged after its epoch has ended: operator epoch bump")
    reason = options.reason or f"acknowledges {options.incident}"
    return _sign(home, trust_home.draft(home, ack=ended, incident=options.incident, reason=reason), ask)


def _add(options: argparse.Namespace, ask: Ask) -> int:
    home = trust_home.open_home(options.home)
    key = _public_key(options.public_key)
    known = home.newest.signer_keys
    if key_id(key) in known or len(known) >= MAX_SIGNERS:
        raise InputError(
            "SIGNER_REFUSED", f"the trust names this key already, or {MAX_SIGNERS} others: revoke one first"
        )
    return _sign(home, trust_home.draft(home, signer_keys={**known, key_id(key): key}, reason=options.reason), ask)


def _revoke(options: argparse.Namespace, ask: Ask) -> int:
    home = trust_home.open_home(options.home)
    known = home.newest.signer_keys
    found = [name for name in known if name.startswith(options.key_id)]
    if len(found) != 1 or len(known) == 1:
        raise InputError("SIGNER_REFUSED", f"--key-id must name one of {', '.join(known)}, and not the only one")
    left = {name: key for name, key in known.items() if name != found[0]}
    return _sign(home, trust_home.draft(home, signer_keys=left, reason=options.reason), ask)


def _push(options: argparse.Namespace) -> int:
    home = trust_home.open_home(options.home)
    uploaded = trust_home.push(home, open_store(_store_uri(options)), force=options.force)
    print(f"uploaded versions {uploaded}" if uploaded else "the store has every version already")
    return 0


def _pull(options: argparse.Namespace) -> int:
    home = trust_home.open_home(options.home)
    newest = trust_home.pull(home, open_store(_store_uri(options))).newest
    print(f"version {newest.version}, epoch {newest.epoch}")
    return 0


def _show(options: argparse.Namespace) -> int:
    home = trust_home.open_home(options.home)
    for trust in home.chain:
        print(f"version {trust.version}, epoch {trust.epoch}, {trust.issued_at}: {trust.reason}")
    print(f"\nTRUST_ANCHOR={home.anchor}")
    return 0


def _status() -> int:
    settings = current_settings()
    settings.need("SKILL_SYNC_URL", "MANUAL_SYNC_API_KEY")
    url = str(settings.skill_sync_url).rstrip("/")
    try:
        answer = httpx.get(f"{url}/api/dr-state", headers={"x-api-key": settings.api_keys[0]}, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        raise UnavailableError("FUNCTIONS_UNREACHABLE", f"{url}: {type(error).__name__}") from None
    if answer.status_code != _OK:
        raise UnavailableError("FUNCTIONS_REFUSED", f"{url} answered {answer.status_code}")
    document = answer.json()
    print(json.dumps(document, indent=2))
    print(f"\nnext: {document.get('next_action')}")
    return 0


def _sign(home: TrustHome, following: Trust, ask: Ask) -> int:
    print("What is about to be signed:")
    for line in trust_home.differences(home.newest, following):
        print(f"  {line}")
    if not ask.consents():
        print("Nothing was signed.")
        return 1
    signed = trust_home.sign(home, following, trust_home.operator_of(home, ask.passphrase()))
    print(f"Signed version {signed.newest.version}. It counts once it is uploaded: operator trust push")
    return 0


def _public_key(text: str) -> bytes:
    key = public_key(text)
    if not key:
        raise InputError(
            "PUBLIC_KEY_INVALID", "a public key is 32 bytes as base64; /api/dr-state shows the functions' own"
        )
    return key


def _passphrase(options: argparse.Namespace) -> str:
    if options.passphrase_file:
        return Path(options.passphrase_file).read_text(encoding="utf-8").rstrip("\r\n")
    return getpass.getpass("Passphrase of the operator key: ")


def _consents(options: argparse.Namespace) -> bool:
    return bool(options.yes) or (sys.stdin.isatty() and input('Type "sign" to sign this: ') == "sign")


def _store_uri(options: argparse.Namespace) -> str:
    if options.store:
        return str(options.store)
    settings = current_settings()
    settings.need("STORE_URI")
    return str(settings.store_uri)
