"""`keys new`: make a value for a credential, and say where it belongs. Nothing is changed anywhere; `rotate` says when."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.adapters.signer import Ed25519Signer, new_seed
from shared.cli.keys import new_secret
from shared.core.auth import key_digest
from shared.core.credentials import FINGERPRINT_CHARS, PULLER_PREFIX, kind_of, puller_of
from shared.core.plain_text import fingerprint
from shared.errors import ConfigError, InputError

if TYPE_CHECKING:
    import argparse

    from shared.cli.output import Output

_MADE_ELSEWHERE = {
    "GITHUB_TOKEN": "GitHub makes it: Settings > Developer settings > Fine-grained tokens; Contents: read, Webhooks: read",
    "GITHUB_APP_KEY": "GitHub makes it: the App's settings > Private keys > Generate a private key",
    "OPERATOR_KEY": "it never leaves the operator's folder: operator key add makes it there",
}
_STEPS = {
    "GITHUB_WEBHOOK_SECRET": (
        "the functions' setting GITHUB_WEBHOOK_SECRET, as its first line",
        "the secret in the webhook's settings on GitHub",
    ),
    "MANUAL_SYNC_API_KEY": (
        "the functions' setting MANUAL_SYNC_API_KEY, as its first line",
        "everybody and every job that calls with it",
    ),
    "PULLER_KEY": (
        "the hash: the functions' setting PULLER_KEY_HASHES, as its first line",
        "the key: PULLER_KEY on the volume host",
    ),
    "NEO4J_PASSWORD": (
        "a second user in Neo4j: CREATE USER <user> SET PASSWORD '<value>' CHANGE NOT REQUIRED",
        "the functions' settings NEO4J_USER and NEO4J_PASSWORD, each as its first line",
    ),
    "SIGNING_KEY": (
        "the public key: operator signer add --public-key KEY, then operator trust push",
        "the seed: the functions' setting SIGNING_KEY, as its first line",
    ),
}
"""Where a value belongs, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A value that was made.

    Args:
        name: The setting that it is for.
        value: The secret itself.
        fingerprint: By which it is known.
        beside: What is no secret and is needed with it.
    """

    name: str
    value: str
    fingerprint: str
    beside: dict[str, str]


def add_keys(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its arguments."""
    parser = commands.add_parser("keys", help="make a new value for a credential")
    actions = parser.add_subparsers(dest="action", required=True)
    what = "make a value of 256 bits, and say where it belongs; nothing is changed anywhere"
    new = actions.add_parser("new", help=what, description=what)
    new.add_argument("kind", metavar="KIND", help=f"{', '.join(_STEPS)}, or PULLER_KEY.<puller id>")
    new.add_argument(
        "--puller", default="", metavar="ID", help="whose PULLER_KEY: prints its line of PULLER_KEY_HASHES"
    )
    new.add_argument(
        "--out", default="", metavar="FILE", help="write the value to this new file instead of printing it"
    )
    new.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")


def run_keys(options: argparse.Namespace, output: Output) -> int:
    """Make a value, and print it or keep it in a file.

    Returns:
        0.

    Raises:
        InputError: `ROTATION_NAME_UNKNOWN`; `KEY_MADE_ELSEWHERE`; `PULLER_UNEXPECTED`, `--puller` with another kind.
        ConfigError: `KEY_FILE_EXISTS`, `KEY_FILE_INVALID`.
    """
    name, puller = _named(options.kind, options.puller)
    made = new_key(name, puller)
    steps = _STEPS[name]
    told = [f"fingerprint: {made.fingerprint}", *(f"{key}: {text}" for key, text in made.beside.items())]
    document = {"name": f"{PULLER_PREFIX}{puller}" if puller else name, "fingerprint": made.fingerprint, **made.beside}
    if options.out:
        _write(Path(options.out), made.value)
        first = {"file": options.out}
        told.insert(0, f"{name}: written to {options.out}")
    else:
        first = {"value": made.value}
        told.insert(0, f"{name}={made.value}")
    places = [f"  {number}. {step}" for number, step in enumerate(steps, start=1)]
    output.result({**document, **first, "belongs": list(steps)}, *told, "where it belongs, in this order:", *places)
    return 0


def new_key(name: str, puller: str = "") -> NewKey:
    """Make a value of 256 bits.

    Args:
        name: `SIGNING_KEY`, or a setting that holds a text.
        puller: Whose key it is, where it is a puller's.
    """
    if name == "SIGNING_KEY":
        seed = new_seed()
        signer = Ed25519Signer(seed)
        beside = {"public_key": base64.b64encode(signer.public_key).decode(), "key_id": signer.key_id}
        return NewKey(name=name, value=seed, fingerprint=signer.key_id[:FINGERPRINT_CHARS], beside=beside)
    value = new_secret()
    beside = {"PULLER_KEY_HASHES": f"{puller}:{key_digest(value)}"} if puller else {}
    return NewKey(name=name, value=value, fingerprint=fingerprint(value), beside=beside)


def _named(kind: str, puller: str) -> tuple[str, str]:
    if kind in _MADE_ELSEWHERE:
        raise InputError("KEY_MADE_ELSEWHERE", f"{kind} is not made here; {_MADE_ELSEWHERE[kind]}")
    if kind == "PULLER_KEY" and not puller:
        return kind, ""
    if puller and kind not in {"PULLER_KEY", f"{PULLER_PREFIX}{puller}"}:
        raise InputError("PULLER_UNEXPECTED", f"--puller goes with PULLER_KEY, not with {kind}")
    full = f"{PULLER_PREFIX}{puller}" if puller else kind
    return kind_of(full).name, puller_of(full)


def _write(path: Path, value: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError("KEY_FILE_EXISTS", f"{path} exists; it is not overwritten") from None
    except OSError as error:
        raise ConfigError("KEY_FILE_INVALID", f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(value + "\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)  # half a value must not be taken for one
        raise ConfigError("KEY_FILE_INVALID", f"{path}: {error.strerror}") from None
