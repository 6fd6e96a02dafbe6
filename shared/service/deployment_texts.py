"""One deployment with the texts that it changed: each SKILL.md beside its former one, a few skills at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.archive import unpack
from shared.core.change_set import ChangeSet, between
from shared.core.discover import SKILL_FILE
from shared.core.manifest_view import ManifestView
from shared.errors import NotFoundError, RejectedError, UnavailableError
from shared.model import Action
from shared.service.objects import read_object
from shared.service.status import known_pointer, live_pointer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.model import LiveSkill, Pointer, SkillId, Trust
    from shared.ports import Store, Together

TEXTS = 5
"""So many skills' texts stand on one page: each costs two reads."""
LISTED = 100
"""So many changes are named on a page; of the others it is told how many there are."""
MAX_UNPACKED_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One skill that came or changed. `old` and `new` are its SKILL.md; `trouble` says why they are not there."""

    skill: LiveSkill
    former: LiveSkill | None
    old: bytes = b""
    new: bytes = b""
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One deployment. `changes` is None where the manifests were collected: of what is not known nothing is told.

    `former` holds what the first `LISTED` published skills were before, and those of the texts; `following` is where the next
    page of texts begins.
    """

    pointer: Pointer
    is_live: bool
    changes: ChangeSet | None = None
    former: Mapping[SkillId, LiveSkill]
    texts: tuple[Text, ...] = ()
    following: SkillId | None = None


def told(store: Store, trust: Trust, together: Together, name: str, after: str) -> Told:
    """Read one deployment, and one page of the texts that it changed.

    Args:
        store: Where.
        trust: Whose signature counts.
        together: Runs the reads side by side.
        name: The deployment.
        after: Only texts of skills behind this id, in order.

    Raises:
        InputError: `DEPLOYMENT_ID_INVALID`.
        NotFoundError: `NO_DEPLOYMENT`, `DEPLOYMENT_UNKNOWN`.
    """
    live = live_pointer(store, trust)
    pointer = known_pointer(store, trust, live, name)
    is_live = pointer.deployment == live.deployment
    try:
        new = ManifestView(read_object(store, pointer.manifest.sha256))
        old = ManifestView(read_object(store, pointer.history[-1][1])) if pointer.history else None
    except NotFoundError:
        return Told(pointer=pointer, is_live=is_live, former={})
    if pointer.action is Action.RECOVER:
        old = new  # an epoch opens with what was live
    changes = between(old, new)
    listed = sorted((skill for skill in changes.published if skill.id > after), key=lambda skill: skill.id)
    page = listed[:TEXTS]
    shown = {skill.id: None if old is None else old.find(skill.id) for skill in (*changes.published[:LISTED], *page)}
    former = {key: skill for key, skill in shown.items() if skill is not None}
    texts = together([lambda skill=skill: _text(store, skill, former.get(skill.id)) for skill in page])  # type: ignore[misc]
    return Told(
        pointer=pointer,
        is_live=is_live,
        changes=changes,
        former=former,
        texts=tuple(texts),
        following=page[-1].id if len(listed) > TEXTS else None,
    )


def _text(store: Store, skill: LiveSkill, former: LiveSkill | None) -> Text:
    try:
        return Text(
            skill=skill,
            former=former,
            old=b"" if former is None else _skill_file(store, former),
            new=_skill_file(store, skill),
        )
    except (RejectedError, UnavailableError) as error:
        return Text(skill=skill, former=former, trouble=error.code)


def _skill_file(store: Store, skill: LiveSkill) -> bytes:
    if sum(file.size for file in skill.files) > MAX_UNPACKED_BYTES:
        raise NotFoundError("SKILL_LARGE", f"{skill.id} has more than {MAX_UNPACKED_BYTES} bytes")
    files = unpack(read_object(store, skill.archive))
    return next((file.data for file in files if file.path == SKILL_FILE), b"")
