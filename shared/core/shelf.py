"""The skills of a manifest as a list to look through: live and withheld ones in one order, filtered, a page at a time.

Only the skills of the page are read from the manifest's bytes. What a skill's entry means is left to `manifest`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from shared.model import SkillId

if TYPE_CHECKING:
    from shared.core.manifest_view import ManifestView
    from shared.model import LiveSkill, Withheld

_KEY_CHARS = 32
MAX_HELD = 10
"""So many withheld skills are told whatever is asked for: a person should not have to look for them."""


class Shown(StrEnum):
    """Which skills are asked for."""

    ALL = "all"
    LIVE = "live"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One skill: what is live of it, and what is withheld; one of the two may be None."""

    id: SkillId
    live: LiveSkill | None
    withheld: Withheld | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """One page. `matching` counts what the filter lets through, on all pages; `following` begins the next page.

    `held` is what is withheld first in the order of ids, whatever the filter.
    """

    places: tuple[Place, ...]
    matching: int
    live: int
    withheld: int
    held: tuple[Withheld, ...] = ()
    following: SkillId | None = None


def key_of(item: Withheld) -> str:
    """Return what stands for one withheld head version in a form: its id may be any text, and its tree may change."""
    named = f"{item.tree or ''}\n{item.id}"
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_CHARS]


def shelf(view: ManifestView, *, text: str, shown: Shown, after: str, limit: int) -> Shelf:
    """Return one page of a manifest's skills.

    Args:
        view: The manifest.
        text: What the id must contain, in any case; empty lets all through.
        shown: Which of them.
        after: Only ids behind this one, in order.
        limit: How many.

    Raises:
        InputError: as for `parse_manifest`.
    """
    starts = {SkillId((view.key(at) or b"").decode()): at for at in view.starts()}
    withheld = view.head().withheld
    known = {Shown.ALL: starts.keys() | withheld.keys(), Shown.LIVE: starts.keys(), Shown.WITHHELD: withheld.keys()}
    wanted = text.casefold()
    ids = sorted(key for key in known[shown] if wanted in key.casefold())
    page = list(islice((key for key in ids if key > after), limit + 1))
    places = tuple(
        Place(id=key, live=view.skill(starts[key]) if key in starts else None, withheld=withheld.get(key))
        for key in page[:limit]
    )
    return Shelf(
        places=places,
        matching=len(ids),
        live=len(starts),
        withheld=len(withheld),
        held=tuple(withheld[key] for key in sorted(withheld)[:MAX_HELD]),
        following=page[limit - 1] if len(page) > limit else None,
    )
