"""What the puller remembers on the volume, in one file that is replaced whole: the floor, and which files are its own.

`installing` is written before the first live file changes and cleared after the last. After a kill the next start therefore
still knows every file that is or may be its own, and completes the install from what stands on the disk.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared import log
from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.latches import latches_document, parse_latches
from shared.core.names import parse_timestamp, timestamp
from shared.errors import InputError
from shared.model import BlobId, DeploymentId, Digest, Floor, Latch
from shared.puller.layout import is_layout_path

if TYPE_CHECKING:
    from datetime import datetime

    from shared.puller.files import Root

SCHEMA = "skill-sync/puller-state/1"
STATE = "state.json"
_DRAFT = "state.new"

Owned = dict[str, BlobId]
"""Path below the skills folder to the content that we put there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is remembered.

    Args:
        line: Channel, repository and ref that the floor belongs to.
        installing: None while no install is under way.
        removed_at: Names directly below the skills folder, and when we took them away.
        displaced: Foreign paths that were put aside for `deployment`, or for the one being installed.
        latches: Pauses that only an operator ends.
    """

    line: tuple[str, ...] = ()
    floor: Floor | None = None
    envelope: bytes = field(default=b"", repr=False)
    deployment: DeploymentId | None = None
    manifest: Digest | None = None
    installed_at: str | None = None
    installed: Owned = field(default_factory=dict)
    installing: Owned | None = None
    removed_at: dict[str, str] = field(default_factory=dict)
    displaced: tuple[str, ...] = ()
    latches: tuple[Latch, ...] = ()


def known_contents(state: State) -> dict[str, frozenset[BlobId]]:
    """Return every path that is or may be ours, with the contents that would prove it: what else stands there is foreign."""
    installing = state.installing or {}
    return {
        path: frozenset(owned[path] for owned in (state.installed, installing) if path in owned)
        for path in {**state.installed, **installing}
    }


def load_state(root: Root, now: datetime) -> State:
    """Read the state; a damaged one is kept aside and nothing is remembered: files on the disk are then adopted or foreign.

    Args:
        root: The state folder.
        now: Names the copy that is kept aside.
    """
    if root.stat(STATE) is None:
        return State()
    try:
        return _parse(b"".join(root.chunks(STATE)))
    except (InputError, ValueError) as error:
        # A disk that cannot be read is another matter: its error goes up, and nothing is forgotten.
        aside = f"state.damaged-{timestamp(now).replace(':', '')}.json"
        log.error("The state cannot be read and is kept aside", kept=aside, kind=type(error).__name__)
        root.move(STATE, root, aside)
        return State()


def read_state(root: Root) -> State:
    """Read the state and change nothing.

    Raises:
        OSError: there is none, or the disk refuses.
        InputError: it is damaged; ValueError too.
    """
    return _parse(b"".join(root.chunks(STATE)))


def save_state(root: Root, state: State) -> None:
    """Replace the state. A crash leaves the old one or the new one; a draft that it leaves is thrown away by the next save."""
    root.clear(_DRAFT)
    root.create(_DRAFT, [_bytes(state)], 0o600)
    root.move(_DRAFT, root, STATE)


def _bytes(state: State) -> bytes:
    floor = state.floor
    return canonical_bytes(
        {
            "schema": SCHEMA,
            "line": list(state.line),
            "floor": None
            if floor is None
            else {"epoch": floor.epoch, "seq": floor.seq, "digest": floor.digest, "issued_at": floor.issued_at},
            "envelope": base64.b64encode(state.envelope).decode(),
            "deployment": state.deployment,
            "manifest": state.manifest,
            "installed_at": state.installed_at,
            "installed": state.installed,
            "installing": state.installing,
            "removed_at": state.removed_at,
            "displaced": list(state.displaced),
            "latches": latches_document(state.latches),
        }
    )


def _parse(data: bytes) -> State:
    what = "the puller's state"
    document = parse_object(data, what=what)
    if document.get("schema") != SCHEMA:
        raise InputError("STATE_INVALID", f"expected schema {SCHEMA!r}")
    floor = document.get("floor")
    deployment, manifest, installed_at = (
        _optional(document, key) for key in ("deployment", "manifest", "installed_at")
    )
    try:
        envelope = base64.b64decode(member(document, "envelope", str, what=what), validate=True)
    except binascii.Error:
        raise InputError("STATE_INVALID", "the envelope is not base64") from None
    return State(
        line=_list(document, "line"),
        floor=None if floor is None else _floor(floor),
        envelope=envelope,
        deployment=None if deployment is None else DeploymentId(deployment),
        manifest=None if manifest is None else Digest(manifest),
        installed_at=installed_at,
        installed=_owned(document, "installed"),
        installing=None if document.get("installing") is None else _owned(document, "installing"),
        removed_at={name: timestamp(parse_timestamp(at)) for name, at in _texts(document, "removed_at").items()},
        displaced=_list(document, "displaced"),
        latches=parse_latches(document.get("latches")),
    )


def _floor(value: object) -> Floor:
    what = "the remembered floor"
    return Floor(
        epoch=member(value, "epoch", int, what=what),
        seq=member(value, "seq", int, what=what),
        digest=Digest(member(value, "digest", str, what=what)),
        issued_at=member(value, "issued_at", str, what=what),
    )


def _owned(document: dict[str, object], key: str) -> Owned:
    # A path that no manifest could have put there is not ours, whatever the file says.
    return {path: BlobId(blob) for path, blob in _texts(document, key).items() if is_layout_path(path)}


def _texts(document: dict[str, object], key: str) -> dict[str, str]:
    value = member(document, key, dict, what="the puller's state")
    return {str(name): str(text) for name, text in value.items()}


def _list(document: dict[str, object], key: str) -> tuple[str, ...]:
    # Absent in what earlier pullers wrote; that is no damage.
    value = member(document, key, list, what="the puller's state") if key in document else []
    return tuple(str(item) for item in value)


def _optional(document: dict[str, object], key: str) -> str | None:
    return None if document.get(key) is None else member(document, key, str, what="the puller's state")
