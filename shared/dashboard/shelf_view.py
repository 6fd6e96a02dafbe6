"""The skills as a table with filter and pages, and what is withheld of them with findings and links to their lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.shelf import key_of
from shared.dashboard import words
from shared.dashboard.links import Links, address
from shared.dashboard.members import items
from shared.dashboard.times import Moment, moment, size
from shared.dashboard.visible import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from shared.core.shelf import Place
    from shared.dashboard.words import Word
    from shared.model import Finding, Withheld
    from shared.service.dashboard import Board, Wanted

MANY = 10
"""Beyond so many withheld skills on a page each shows few findings; alone it shows more."""
_FEW_FINDINGS, _MOST_FINDINGS = 3, 40
_ID_CHARS, _TEXT_CHARS, _FILTER_CHARS = 120, 300, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One finding with the address of its line, empty where there is none."""

    code: str
    is_error: bool
    where: str
    link: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One withheld skill. `key` stands for it in a form."""

    key: str
    id: str
    reason: str
    meaning: str
    commit: str
    commit_link: str
    findings: tuple[Found, ...]
    more: int
    alone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One skill. `age` tells since when this version is live; where no deployment on record brought it, `at_least` does."""

    id: str
    word: Word
    version: str
    derived: bool
    size: str
    files: int
    since: Moment | None
    at_least: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfView:
    """One page of skills, and what is withheld: of these skills where a filter or a page was asked for, else the first."""

    skills: tuple[Skill, ...]
    held: tuple[Held, ...]
    is_part: bool
    matching: int
    text: str
    shown: str
    trouble: str
    first: str
    following: str


def shelf_view(board: Board, wanted: Wanted, links: Links, now: datetime) -> ShelfView:
    """Describe one page of skills.

    Args:
        board: What was gathered.
        wanted: The filter.
        links: Where things are to be found.
        now: The time.
    """
    found = board.shelf
    places = () if found is None else found.places
    published, oldest = _published(board.lines if not wanted.before else board.summary.deployments[::-1])
    query = {"q": wanted.text, "state": "" if wanted.shown == "all" else wanted.shown}
    more = found is not None and found.following is not None
    listed = [place.withheld for place in places if place.withheld is not None]
    if found is not None and not (wanted.text or wanted.after or wanted.shown == "withheld"):
        listed = list(found.held)
    return ShelfView(
        skills=tuple(_skill(place, published, oldest, board, links, now) for place in places),
        held=held(listed, links),
        is_part=found is not None and len(listed) < found.withheld,
        matching=0 if found is None else found.matching,
        text=wanted.text,
        shown=wanted.shown,
        trouble=board.shelf_trouble,
        first=address("/", "skills", **query) if wanted.after else "",
        following=address("/", "skills", after=found.following, **query) if found is not None and more else "",
    )


def held(listed: Sequence[Withheld], links: Links) -> tuple[Held, ...]:
    """Describe withheld skills with their findings.

    Args:
        listed: Which; many of them show few findings each.
        links: Where their lines are to be found.
    """
    most = _FEW_FINDINGS if len(listed) > 1 else _MOST_FINDINGS
    return tuple(_held(item, links, most if len(listed) <= MANY else 1) for item in listed)


def _published(lines: Sequence[Mapping[str, object]]) -> tuple[dict[str, str], str]:
    """Return when each skill was last published, as far as the lines tell, and the time of the oldest line."""
    found: dict[str, str] = {}
    for line in lines:
        for name in items(line, "published"):
            found.setdefault(str(name), str(line.get("timestamp")))
    return found, str(lines[-1].get("timestamp")) if lines else ""


def _skill(place: Place, published: Mapping[str, str], oldest: str, board: Board, links: Links, now: datetime) -> Skill:
    live = place.live
    commit = None if board.pointer is None else board.pointer.commit
    state = "absent" if live is None else "newer" if place.withheld is not None else "live"
    since = None if live is None else moment(published.get(place.id), now)
    horizon = moment(oldest, now)
    at_least = "" if live is None or since or horizon is None else f"more than {horizon.age.removesuffix(' ago')}"
    return Skill(
        id=short(place.id, _ID_CHARS),
        word=words.SKILLS[state],
        version="" if live is None else short(live.version, 60),
        derived=live is not None and live.version_source == "derived",
        size="" if live is None else size(sum(file.size for file in live.files)),
        files=0 if live is None else len(live.files),
        since=since,
        at_least=at_least,
        link="" if live is None else links.line(commit, live.path),
    )


def _held(item: Withheld, links: Links, most: int) -> Held:
    return Held(
        key=key_of(item),
        id=short(item.id, _ID_CHARS),
        reason=item.reason.value,
        meaning=words.REASONS.get(item.reason.value, ""),
        commit=item.commit[:12],
        commit_link=links.commit(item.commit),
        findings=tuple(_finding(item, each, links) for each in item.findings[:most]),
        more=max(0, len(item.findings) - most),
        alone=address("/", "withheld", q=item.id[:_FILTER_CHARS], state="withheld"),
    )


def _finding(item: Withheld, found: Finding, links: Links) -> Found:
    place = f"{found.path}:{found.line}" if found.line else found.path
    return Found(
        code=short(found.code, 60),
        is_error=found.severity.value == "error",
        where=short(place, _ID_CHARS),
        link=links.line(item.commit, found.path, found.line),
        hint=short(found.hint, _TEXT_CHARS),
    )
