"""What is remembered of the backups: which edition the copy is of that is held ready, and what each of them takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.names import parse_timestamp, timestamp
from shared.errors import InputError
from shared.model import Digest, SkillId
from shared.puller.state_file import edition_document, parse_edition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.puller.files import Root
    from shared.puller.state import Edition

SCHEMA = "skill-sync/snapshots/2"
NOTES = "snapshots.json"
_DRAFT = "snapshots.new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a backup takes in bytes: all its files, and those that no backup before it has."""

    whole: int = 0
    fresh: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What is remembered: of which edition `NEXT` is the copy, and which folder before it holds which.

    `ready_kept` are the skills that an operator kept by hand when the copy was made, `handed` says when each backup began to
    stand for its deployment, `sizes` what it takes.
    """

    ready: Edition | None = None
    ready_kept: Mapping[SkillId, Digest] = field(default_factory=dict)
    next_size: Size = field(default_factory=Size)
    base: str | None = None
    base_edition: Edition | None = None
    handed: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)


def load_notes(own: Root) -> Notes:
    """Read the notes; damaged ones are as good as none: everything in them can be found out again, at the cost of a copy.

    Args:
        own: The puller's own folder.
    """
    if own.stat(NOTES) is None:
        return Notes()
    what = "the notes on backups"
    try:
        document = parse_object(b"".join(own.chunks(NOTES)), what=what)
        base = document.get("base")
        return Notes(
            ready=parse_edition(document.get("ready")),
            ready_kept={SkillId(key): Digest(text) for key, text in _texts(document.get("ready_kept")).items()},
            base=None if base is None else member(document, "base", str, what=what),
            base_edition=parse_edition(document.get("base_edition")),
            handed={name: timestamp(parse_timestamp(at)) for name, at in _texts(document.get("handed")).items()},
            next_size=_size(document.get("next_size")),
            sizes={name: _size(size) for name, size in member(document, "sizes", dict, what=what).items()},
        )
    except InputError:
        return Notes()


def save_notes(own: Root, notes: Notes) -> None:
    """Replace the notes; a crash leaves the old ones or the new ones."""
    data = canonical_bytes(
        {
            "schema": SCHEMA,
            "ready": edition_document(notes.ready),
            "ready_kept": dict(notes.ready_kept),
            "base": notes.base,
            "base_edition": edition_document(notes.base_edition),
            "handed": notes.handed,
            "next_size": [notes.next_size.whole, notes.next_size.fresh],
            "sizes": {name: [size.whole, size.fresh] for name, size in notes.sizes.items()},
        }
    )
    own.clear(_DRAFT)
    own.create(_DRAFT, [data], 0o600)
    own.move(_DRAFT, own, NOTES)


def _size(value: object) -> Size:
    match value:
        case [int(whole), int(fresh)]:
            return Size(whole=whole, fresh=fresh)
    raise InputError("MEMBER_INVALID", "a size is a pair of numbers")


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise InputError("MEMBER_INVALID", "expected an object of texts")
    return {str(name): str(text) for name, text in value.items()}
