"""The state as one small file that is replaced whole: canonical JSON out, and back with every member checked."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from shared import log
from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.latches import latches_document, parse_latches
from shared.core.names import is_digest, parse_timestamp, timestamp
from shared.errors import InputError
from shared.model import DeploymentId, Digest, Floor, SkillId
from shared.puller.state import Edition, Failed, Proving, State

if TYPE_CHECKING:
    from datetime import datetime

    from shared.puller.files import Root

SCHEMA = "skill-sync/puller-state/2"
STATE = "state.json"
_DRAFT = "state.new"


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
            "installed_at": state.installed_at,
            "installed": edition_document(state.installed),
            "unfinished": [edition_document(edition) for edition in state.unfinished],
            "removed_at": state.removed_at,
            "displaced": list(state.displaced),
            "latches": latches_document(state.latches),
            "failures": [failed_document(failed) for failed in state.failures],
            "proving": _proving_document(state.proving),
            "kept": state.kept,
            "repairing": list(state.repairing),
        }
    )


def failed_document(failed: Failed) -> dict[str, object]:
    """Write what failed, as the state and the reports have it."""
    named = {"deployment": failed.deployment, "manifest": failed.manifest}
    return {**named, "reasons": list(failed.reasons), "skills": list(failed.skills)}


def edition_document(edition: Edition | None) -> dict[str, object] | None:
    """Write an edition, as the state and the notes on backups have it."""
    if edition is None:
        return None
    return {
        "manifest": edition.manifest,
        "size": edition.size,
        "skills": edition.skills,
        "layouts": list(edition.layouts),
    }


def _proving_document(proving: Proving | None) -> dict[str, object] | None:
    if proving is None:
        return None
    return {
        "deployment": proving.deployment,
        "former": edition_document(proving.former),
        "former_deployment": proving.former_deployment,
        "listed": None if proving.listed is None else list(proving.listed),
        "was_healthy": proving.was_healthy,
    }


def _parse(data: bytes) -> State:
    what = "the puller's state"
    document = parse_object(data, what=what)
    if document.get("schema") != SCHEMA:
        raise InputError("STATE_INVALID", f"expected schema {SCHEMA!r}")
    floor = document.get("floor")
    try:
        envelope = base64.b64decode(member(document, "envelope", str, what=what), validate=True)
    except binascii.Error:
        raise InputError("STATE_INVALID", "the envelope is not base64") from None
    return State(
        line=_list(document, "line"),
        floor=None if floor is None else _floor(floor),
        envelope=envelope,
        deployment=_deployment(document, "deployment"),
        installed_at=_optional(document, "installed_at"),
        installed=parse_edition(document.get("installed")),
        unfinished=tuple(filter(None, map(parse_edition, member(document, "unfinished", list, what=what)))),
        removed_at={name: timestamp(parse_timestamp(at)) for name, at in _texts(document, "removed_at").items()},
        displaced=_list(document, "displaced"),
        latches=parse_latches(document.get("latches")),
        failures=tuple(map(_failed, member(document, "failures", list, what=what) if "failures" in document else [])),
        proving=_proving(document.get("proving")),
        kept={SkillId(key): _digest(text) for key, text in _texts(document, "kept").items()},
        repairing=tuple(map(SkillId, _list(document, "repairing"))),
    )


def parse_edition(value: object) -> Edition | None:
    """Read an edition.

    Raises:
        InputError: a member is missing or not what it must be.
    """
    what = "an edition"
    if value is None:
        return None
    size, skills = (member(value, key, int, what=what) for key in ("size", "skills"))
    manifest = _digest(member(value, "manifest", str, what=what))
    return Edition(manifest=manifest, size=size, skills=skills, layouts=_list(value, "layouts"))


def _failed(value: object) -> Failed:
    what = "what failed"
    return Failed(
        deployment=DeploymentId(member(value, "deployment", str, what=what)),
        manifest=_digest(member(value, "manifest", str, what=what)),
        reasons=_list(value, "reasons"),
        skills=tuple(map(SkillId, _list(value, "skills"))),
    )


def _proving(value: object) -> Proving | None:
    what = "the outstanding proof"
    if not isinstance(value, dict):
        return None
    return Proving(
        deployment=DeploymentId(member(value, "deployment", str, what=what)),
        former=parse_edition(value.get("former")),
        former_deployment=_deployment(value, "former_deployment"),
        listed=None if value.get("listed") is None else tuple(map(SkillId, _list(value, "listed"))),
        was_healthy=member(value, "was_healthy", bool, what=what),
    )


def _floor(value: object) -> Floor:
    what = "the remembered floor"
    return Floor(
        epoch=member(value, "epoch", int, what=what),
        seq=member(value, "seq", int, what=what),
        digest=Digest(member(value, "digest", str, what=what)),
        issued_at=member(value, "issued_at", str, what=what),
    )


def _digest(text: str) -> Digest:
    if not is_digest(text):
        raise InputError("STATE_INVALID", "a manifest or archive is named by its digest")
    return Digest(text)


def _deployment(document: dict[str, object], key: str) -> DeploymentId | None:
    text = _optional(document, key)
    return None if text is None else DeploymentId(text)


def _texts(document: dict[str, object], key: str) -> dict[str, str]:
    # Absent in what earlier pullers wrote; that is no damage.
    value = member(document, key, dict, what="the puller's state") if key in document else {}
    return {str(name): str(text) for name, text in value.items()}


def _list(document: object, key: str) -> tuple[str, ...]:
    there = isinstance(document, dict) and key in document
    value = member(document, key, list, what="the puller's state") if there else []
    return tuple(str(item) for item in value)


def _optional(document: dict[str, object], key: str) -> str | None:
    return None if document.get(key) is None else member(document, key, str, what="the puller's state")
