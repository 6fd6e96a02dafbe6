"""The first page's view model: the gathered facts in the words and the order in which a person needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dashboard import words
from shared.dashboard.credentials import Credential, due_dates
from shared.dashboard.figures import Figure, figures
from shared.dashboard.history import History, timeline
from shared.dashboard.links import Links, address
from shared.dashboard.pullers import Puller, pullers
from shared.dashboard.shelf_view import ShelfView, shelf_view
from shared.dashboard.standing import Service, Trouble, services, troubles
from shared.dashboard.times import Moment, moment

if TYPE_CHECKING:
    from datetime import datetime

    from shared.dashboard.words import Word
    from shared.service.dashboard import Board, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What is live."""

    deployment: str
    commit: str
    commit_link: str
    at: Moment | None
    trigger: str
    skills: int
    withheld: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Everything on the first page."""

    repo: str
    channel: str
    now: Moment | None
    health: Word
    condition: Word
    meaning: str
    can_deploy: bool
    live: Live | None
    troubles: tuple[Trouble, ...]
    services: tuple[Service, ...]
    pullers: tuple[Puller, ...]
    figures: tuple[Figure, ...]
    days: tuple[tuple[str, tuple[str, ...]], ...]
    history: History
    shelf: ShelfView
    credentials: tuple[Credential, ...]
    result: Word | None = None
    result_link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where all this is: the repository's name, the channel, and how things outside are linked to."""

    repo: str
    channel: str
    links: Links


def home(board: Board, wanted: Wanted, place: Place, now: datetime, result: tuple[Word | None, str]) -> Home:
    """Describe the first page.

    Args:
        board: What was gathered.
        wanted: What was asked for.
        place: Where all this is.
        now: The time.
        result: What the last action came to, and the deployment that it made; None and empty where there was none.
    """
    told, links = board.health, place.links
    condition = str(told.get("state"))
    daily = figures(told.get("kpis"), board.days)
    word, made = result
    return Home(
        repo=place.repo,
        channel=place.channel,
        now=moment(told.get("timestamp"), now),
        health=words.HEALTH.get(str(told.get("status")), words.UNKNOWN),
        condition=words.CONDITIONS.get(condition, words.UNKNOWN),
        meaning=words.MEANINGS.get(condition, ""),
        can_deploy=condition != "PAUSED",
        live=_live(board, links, now),
        troubles=tuple(troubles(board, links, now)),
        services=tuple(services(told.get("services"), now)),
        pullers=tuple(pullers(board, now)),
        figures=daily,
        days=_days(daily),
        history=timeline(board, wanted, links, now),
        shelf=shelf_view(board, wanted, links, now),
        credentials=due_dates(board.summary, now),
        result=word,
        result_link=address(f"/deployments/{made}") if made else "",
    )


def _live(board: Board, links: Links, now: datetime) -> Live | None:
    pointer = board.pointer
    if pointer is None:
        return None
    noted = board.lines[0].get("withheld") if board.lines else None
    withheld = board.shelf.withheld if board.shelf is not None else noted if isinstance(noted, int) else 0
    return Live(
        deployment=pointer.deployment,
        commit=pointer.commit,
        commit_link=links.commit(pointer.commit),
        at=moment(pointer.deployed_at, now),
        trigger=pointer.trigger.value,
        skills=pointer.manifest.skills,
        withheld=withheld,
    )


def _days(found: tuple[Figure, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not found:
        return ()
    days = [day for day, _ in found[0].days]
    return tuple((day, tuple(figure.days[place][1] for figure in found)) for place, day in enumerate(days))
