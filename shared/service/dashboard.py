"""What the dashboard shows, gathered: a round of reads for pointer, summary and pullers, then the live manifest.

The history's first page stands in the summary; an older one is read by sequence number. What cannot be read leaves the rest
of the page as it is, and is named by its code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.kpis import history
from shared.core.manifest_view import ManifestView
from shared.core.shelf import Shelf, Shown, key_of, shelf
from shared.core.states import next_action
from shared.core.summary import Summary, brief
from shared.errors import NotFoundError, RejectedError, UnavailableError
from shared.service.health import health, standing
from shared.service.objects import read_object
from shared.service.status import deployments, live_pointer
from shared.service.survey import readable
from shared.service.witnesses import floors_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from shared.core.summary import Line
    from shared.model import Pointer, Trust, Withheld
    from shared.ports import Store, Together
    from shared.service.health import Glance, Watched

SKILLS_PAGE, HISTORY_PAGE = 30, 50
"""So many skills, and so many deployments, stand on one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person asked to see: the filter of the skills, and where each of the two lists begins.

    `before`: only deployments before this one; empty begins with the live one.
    """

    text: str = ""
    shown: Shown = Shown.ALL
    after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Everything that one page shows. `shelf_trouble` and `history_trouble` are codes, empty when all could be read."""

    health: Mapping[str, object]
    next_action: str
    pointer: Pointer | None
    summary: Summary
    reports: Sequence[Mapping[str, object]]
    days: Mapping[str, Sequence[tuple[str, float | None]]]
    shelf: Shelf | None = None
    shelf_trouble: str = ""
    lines: Sequence[Line] = ()
    older: str | None = None
    history_trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the reads need: where, whose signature counts, and what health is measured by."""

    store: Store
    trust: Trust
    together: Together
    watched: Watched
    trouble: str = ""


def board(desk: Desk, seen: Glance, wanted: Wanted, now: datetime) -> Board:
    """Gather the page.

    Args:
        desk: Where to read.
        seen: What the first round of reads brought.
        wanted: What is asked for.
        now: The time.
    """
    pointer = None if seen.current is None else readable(seen.current.data, desk.trust)
    skills, skills_trouble = _skills(desk.store, pointer, wanted)
    lines, older, history_trouble = _history(desk, seen.summary, pointer, wanted.before)
    return Board(
        health=health(seen, desk.trust, now, desk.watched, trouble=desk.trouble),
        next_action=_next_action(desk, seen, now),
        pointer=pointer,
        summary=seen.summary,
        reports=seen.reports,
        days=history(seen.summary, seen.reports, now),
        shelf=skills,
        shelf_trouble=skills_trouble,
        lines=lines,
        older=older,
        history_trouble=history_trouble,
    )


def dark(told: Mapping[str, object], now: datetime) -> Board:
    """Return the page of which nothing could be read but what health says.

    Args:
        told: The health.
        now: The time.
    """
    nothing = Summary()
    return Board(
        health=told, next_action="none", pointer=None, summary=nothing, reports=(), days=history(nothing, (), now)
    )


def withheld_by(store: Store, trust: Trust, keys: Sequence[str]) -> list[Withheld]:
    """Read the withheld head versions that a form names.

    Args:
        store: Where.
        trust: Whose signature counts.
        keys: As `core.shelf.key_of` makes them.

    Raises:
        NotFoundError: `NO_DEPLOYMENT`, or `NOT_WITHHELD`: one of them is not withheld any more, or another version of it is.
    """
    pointer = live_pointer(store, trust)
    head = ManifestView(read_object(store, pointer.manifest.sha256)).head()
    known = {key_of(item): item for item in head.withheld.values()}
    if not keys or not known.keys() >= set(keys):
        raise NotFoundError("NOT_WITHHELD", "expected skills that are withheld as they were shown")
    return [known[key] for key in dict.fromkeys(keys)]


def _skills(store: Store, pointer: Pointer | None, wanted: Wanted) -> tuple[Shelf | None, str]:
    if pointer is None:
        return None, ""
    try:
        view = ManifestView(read_object(store, pointer.manifest.sha256))
        return shelf(view, text=wanted.text, shown=wanted.shown, after=wanted.after, limit=SKILLS_PAGE), ""
    except (RejectedError, UnavailableError) as error:
        return None, error.code


def _history(
    desk: Desk, summary: Summary, pointer: Pointer | None, before: str
) -> tuple[Sequence[Line], str | None, str]:
    if pointer is None:
        return (), None, ""
    if not before:
        known = [dict(line) for line in reversed(summary.deployments)]
        # After a crash the summary may lack the newest; the pointer itself says the same.
        missing = [brief(pointer)] if (pointer.epoch, pointer.seq) > summary.newest else []
        lines = [*missing, *known][:HISTORY_PAGE]
        last = str(lines[-1]["id"])
        return lines, None if last == "1-1" else last, ""
    try:
        found = deployments(desk.store, desk.trust, desk.together, before=before, limit=HISTORY_PAGE)
    except (RejectedError, UnavailableError) as error:
        return (), None, error.code
    listed, older = found["deployments"], found["next"]
    lines = listed if isinstance(listed, list) else []
    return lines, None if older is None else str(older), ""


def _next_action(desk: Desk, seen: Glance, now: datetime) -> str:
    remembered = [witness.pointer.epoch for witness in floors_of(seen.reports, desk.trust)]
    state, latches = standing(seen, desk.trust, now, desk.trouble)
    return next_action(state, latches, desk.trust, remembered_epoch=max(remembered, default=0))
