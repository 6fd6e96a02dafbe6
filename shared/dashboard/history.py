"""The deployments as a list and as a timeline: outcome and latency of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dashboard import words
from shared.dashboard.charts import BAR_WIDTH, TIMELINE_HEIGHT, Bar, bars
from shared.dashboard.links import Links, address
from shared.dashboard.members import items
from shared.dashboard.times import Moment, duration, milliseconds_between, moment
from shared.dashboard.visible import short

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.dashboard.words import Word
    from shared.service.dashboard import Board, Wanted

_NAMED = 3
_NAME_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One deployment. `what` says in a few words what it changed, empty where the list does not tell."""

    id: str
    word: Word
    at: Moment | None
    trigger: str
    commit: str
    commit_link: str
    latency: str
    what: str
    link: str
    rollback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One page of deployments, newest first, and the bars of the timeline beside their rows, oldest first."""

    rows: tuple[Row, ...]
    bars: tuple[tuple[Bar, Row], ...]
    width: int
    height: int
    summary: str
    trouble: str
    newer: str
    older: str


def timeline(board: Board, wanted: Wanted, links: Links, now: datetime) -> History:
    """Describe one page of deployments.

    Args:
        board: What was gathered.
        wanted: What was asked for.
        links: Where things are to be found.
        now: The time.
    """
    live = None if board.pointer is None else board.pointer.deployment
    rows = tuple(_row(line, str(live), links, now) for line in board.lines)
    took = [milliseconds_between(line.get("asked_at"), line.get("timestamp")) for line in board.lines]
    oldest_first = list(zip(bars(took[::-1]), rows[::-1], strict=True))
    filters = {"q": wanted.text, "state": "" if wanted.shown == "all" else wanted.shown}
    older = address("/", "deployments", before=board.older, **filters) if board.older else ""
    return History(
        rows=rows,
        bars=tuple(oldest_first),
        width=max(1, len(rows)) * BAR_WIDTH,
        height=TIMELINE_HEIGHT,
        summary=_summary(board, [value for value in took if value is not None]),
        trouble=board.history_trouble,
        newer=address("/", "deployments", **filters) if wanted.before else "",
        older=older,
    )


def _row(line: Mapping[str, object], live: str, links: Links, now: datetime) -> Row:
    id_, commit = str(line.get("id")), str(line.get("commit_sha"))
    return Row(
        id=id_,
        word=words.OUTCOMES.get(str(line.get("status")), words.UNKNOWN),
        at=moment(line.get("timestamp"), now),
        trigger=str(line.get("trigger")),
        commit=commit[:12],
        commit_link=links.commit(commit),
        latency=duration(milliseconds_between(line.get("asked_at"), line.get("timestamp"))),
        what="; ".join(_what(line)),
        link=address(f"/deployments/{id_}"),
        rollback="" if id_ == live else address("/rollback", to=id_),
    )


def _what(line: Mapping[str, object]) -> list[str]:
    found = [f"back to {line['rolled_back_to']}"] if line.get("rolled_back_to") else []
    for key, word in (("published", "published"), ("removed", "removed"), ("held", "withheld")):
        names = [short(str(name), _NAME_CHARS) for name in items(line, key)]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            found.append(f"{word} {', '.join(names[:_NAMED])}{more}")
    return found


def _summary(board: Board, took: list[int]) -> str:
    counts = {key: sum(line.get("status") == key for line in board.lines) for key in words.OUTCOMES}
    told = [f"{count} {words.OUTCOMES[key].text}" for key, count in counts.items() if count]
    slowest = f"; the slowest took {duration(max(took))}" if took else ""
    return f"{len(board.lines)} deployments, oldest on the left: {', '.join(told)}{slowest}." if told else "None yet."
