"""`operator`: what only a person with the operator's key may do. All of it works offline but the upload and `dr status`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from shared.adapters.stores import open_store
from shared.cli import operator_signing, trust_home
from shared.cli.client import Client
from shared.cli.operator_ask import ask_by
from shared.config import current_settings, google_cloud

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import httpx

    from shared.cli.operator_ask import Ask
    from shared.cli.output import Output

STATUS = "dr status"


def add_operator(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the operator's commands and their arguments."""
    parser = commands.add_parser("operator", help="trust, epochs, keys and signers: what needs the operator's key")
    groups = parser.add_subparsers(dest="group", required=True)
    init = _leaf(groups, "init", "make the operator's key and the first version of the trust")
    _signs(init)
    init.add_argument("--channel", default="prod", help="as CHANNEL (default: %(default)s)")
    init.add_argument("--repo", required=True, help="owner/name")
    init.add_argument(
        "--ref", default="HEAD", help="refs/heads/BRANCH where GITHUB_BRANCH is set (default: %(default)s)"
    )
    init.add_argument("--signer", required=True, help="the functions' public key, base64")
    _add_signing(groups)
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
    _leaf(groups, STATUS, "what the functions say; needs SKILL_SYNC_URL and MANUAL_SYNC_API_KEY", home=False)


def _add_signing(groups: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    bump = _leaf(groups, "epoch bump", "open a new epoch: after a restore, this is the reset")
    _signs(bump, "--key-id", "--sign-with")
    bump.add_argument("--reason", required=True)
    bump.add_argument("--incident", default="", help="also acknowledges a violation of the epoch that ends")
    ack = _leaf(groups, "pause ack", "acknowledge a violation of an epoch that has ended")
    _signs(ack, "--key-id", "--sign-with")
    ack.add_argument("--incident", required=True)
    ack.add_argument("--reason", default="")
    add = _leaf(groups, "signer add", "let a second key sign pointers, to rotate SIGNING_KEY")
    _signs(add, "--key-id", "--sign-with")
    add.add_argument("--public-key", required=True, help="base64")
    add.add_argument("--reason", default="a signer is rotated")
    revoke = _leaf(groups, "signer revoke", "let a key sign no longer")
    _signs(revoke, "--sign-with")
    revoke.add_argument("--key-id", required=True, help="the id or its beginning, as `operator dr status` shows it")
    revoke.add_argument("--reason", default="a signer is revoked")
    renew = _leaf(
        groups, "trust renew", "sign the same again with new dates: proves a new operator key, moves the expiry"
    )
    _signs(renew, "--key-id", "--sign-with")
    renew.add_argument("--reason", default="renewed")
    second = _leaf(groups, "key add", "make a second operator key, to rotate it")
    _signs(second)
    second.add_argument("--new-passphrase-file", default="", help="for the new key; else it is asked for")
    second.add_argument("--reason", default="an operator key is rotated")
    ended = _leaf(groups, "key revoke", "let an operator key sign no longer; one that stays signs this")
    _signs(ended)
    ended.add_argument("--key-id", required=True, help="the id or its beginning, as `operator trust show` shows it")
    ended.add_argument("--reason", default="an operator key is revoked")


def _leaf(
    groups: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, *, home: bool = True
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
    leaf.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    if home:
        leaf.add_argument("--home", type=Path, default=Path("operator"), help="keys and chain (default: ./%(default)s)")
    return leaf


def _signs(leaf: argparse.ArgumentParser, *choice: str) -> None:
    """Let it sign; with two operator keys the newest does, or the one that an option of these names chooses."""
    leaf.add_argument("--passphrase-file", default="", help="of the key that signs; else the passphrase is asked for")
    leaf.add_argument("--yes", action="store_true", help="sign without being asked")
    if choice:
        leaf.add_argument(
            *choice,
            dest="sign_with",
            default="",
            metavar="KEY_ID",
            help="the operator key that signs (default: newest)",
        )


def run_operator(options: argparse.Namespace, output: Output, transport: httpx.BaseTransport | None = None) -> int:
    """Run one of the operator's commands.

    Args:
        options: The parsed arguments.
        output: Where it prints.
        transport: What carries calls to the functions; None is the network.

    Returns:
        0 done, 1 not confirmed.
    """
    if options.operation == STATUS:
        return _status(output, transport)
    return _ACTIONS[options.operation](options, ask_by(options, output))


def _push(options: argparse.Namespace, ask: Ask) -> int:
    home = trust_home.open_home(options.home)
    uploaded = trust_home.push(home, open_store(_store_uri(options), google_cloud()), force=options.force)
    told = f"uploaded versions {uploaded}" if uploaded else "the store has every version already"
    ask.output.result({"uploaded": uploaded}, told)
    return 0


def _pull(options: argparse.Namespace, ask: Ask) -> int:
    home = trust_home.open_home(options.home)
    newest = trust_home.pull(home, open_store(_store_uri(options), google_cloud())).newest
    document = {"version": newest.version, "epoch": newest.epoch}
    ask.output.result(document, f"version {newest.version}, epoch {newest.epoch}")
    return 0


def _show(options: argparse.Namespace, ask: Ask) -> int:
    home = trust_home.open_home(options.home)
    newest = home.newest
    keys = {"operator_keys": list(newest.operator_keys), "signer_keys": list(newest.signer_keys)}
    versions = [
        {name: getattr(trust, name) for name in ("version", "epoch", "issued_at", "expires_at", "reason")}
        for trust in home.chain
    ]
    ask.output.result(
        {"versions": versions, **keys, "expires_at": newest.expires_at, "anchor": home.anchor},
        *(f"version {trust.version}, epoch {trust.epoch}, {trust.issued_at}: {trust.reason}" for trust in home.chain),
        *(f"{name}: {', '.join(ids)}" for name, ids in keys.items()),
        f"\nTRUST_ANCHOR={home.anchor}",
    )
    return 0


def _status(output: Output, transport: httpx.BaseTransport | None) -> int:
    with closing(Client(current_settings(), transport)) as client:
        document = client.get("/api/dr-state")
    # All but ASCII stands escaped: no text in it can act on a terminal.
    output.result(document, json.dumps(document, indent=2), f"\nnext: {ascii(document.get('next_action'))[1:-1]}")
    return 0


def _store_uri(options: argparse.Namespace) -> str:
    if options.store:
        return str(options.store)
    settings = current_settings()
    settings.need("STORE_URI")
    return str(settings.store_uri)


_ACTIONS: dict[str, Callable[[argparse.Namespace, Ask], int]] = {
    "init": operator_signing.init,
    "epoch bump": operator_signing.bump,
    "pause ack": operator_signing.acknowledge,
    "signer add": operator_signing.add_signer,
    "signer revoke": operator_signing.revoke_signer,
    "key add": operator_signing.add_key,
    "key revoke": operator_signing.revoke_key,
    "trust renew": operator_signing.renew,
    "trust push": _push,
    "trust pull": _pull,
    "trust show": _show,
}
