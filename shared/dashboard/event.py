"""One deployment's view model: its record, what it changed, what was found in what it withheld, and the changed texts."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from shared.core.text_diff import TextDiff, text_diff
from shared.dashboard import words
from shared.dashboard.links import Links, address
from shared.dashboard.shelf_view import Held, held
from shared.dashboard.times import Moment, duration, milliseconds_between, moment
from shared.dashboard.visible import short, visible
from shared.service.deployment_texts import LISTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from shared.core.text_diff import DiffLine
    from shared.dashboard.words import Word
    from shared.model import LiveSkill
    from shared.service.deployment_texts import Text, Told

_HELD = 15
_TEXT_BYTES = 14_000
"""What one text's lines may take of the page: five of them stay below its bound, whatever they hold."""
_LINE_BYTES = 32
_OTHERS = 12
_TONES = {"+": "add", "-": "del", "@": "gap"}
_ADDED = words.Word(text="added", sign="+", tone="good")
_CHANGED = words.Word(text="changed", sign="~", tone="warn")
_REMOVED = words.Word(text="removed", sign="✕", tone="bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One skill that came, changed or went."""

    id: str
    word: Word
    was: str
    became: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One line of a diff, its sign in front; `tone` names its style."""

    tone: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One SKILL.md against its former one. `others` names what else of the skill changed."""

    title: str
    lines: tuple[Shown, ...]
    added: int
    removed: int
    note: str
    trouble: str
    others: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Everything on a deployment's page."""

    id: str
    word: Word
    is_live: bool
    is_known: bool
    action: str
    trigger: str
    back_to: str
    at: Moment | None
    asked_at: Moment | None
    latency: str
    commit: str
    commit_link: str
    previous_commit: str
    previous_commit_link: str
    compare_link: str
    previous_link: str
    rollback: str
    rewritten: bool
    skills: int
    manifest: str
    changes: tuple[Change, ...]
    more_changes: int
    held: tuple[Held, ...]
    more_held: int
    texts: tuple[Compared, ...]
    following: str


def event(told: Told, links: Links, now: datetime, *, can_go_back: bool = True) -> Event:
    """Describe one deployment.

    Args:
        told: What was read.
        links: Where things are to be found.
        now: The time.
        can_go_back: Whether a rollback to it is offered.
    """
    pointer, found = told.pointer, told.changes
    amount = 0 if found is None else len(found.published) + len(found.removed)
    listed = tuple(islice(_changes(told), LISTED))
    withheld = () if found is None else found.withheld
    here, compared = address(f"/deployments/{pointer.deployment}"), links.compare
    return Event(
        id=pointer.deployment,
        word=words.OUTCOMES.get(pointer.status.value, words.UNKNOWN),
        is_live=told.is_live,
        is_known=found is not None,
        action=pointer.action.value,
        trigger=pointer.trigger.value,
        back_to=pointer.rolled_back_to or "",
        at=moment(pointer.deployed_at, now),
        asked_at=moment(pointer.asked_at, now),
        latency=duration(milliseconds_between(pointer.asked_at, pointer.deployed_at)),
        commit=pointer.commit,
        commit_link=links.commit(pointer.commit),
        previous_commit=pointer.previous_commit or "none",
        previous_commit_link=links.commit(pointer.previous_commit),
        compare_link=compared(pointer.previous_commit, pointer.commit) if pointer.previous_commit else "",
        previous_link=address(f"/deployments/{pointer.previous}") if pointer.previous else "",
        rollback=address("/rollback", to=pointer.deployment) if can_go_back and not told.is_live else "",
        rewritten=pointer.history_rewritten,
        skills=pointer.manifest.skills,
        manifest=pointer.manifest.sha256,
        changes=listed,
        more_changes=amount - len(listed),
        held=held(withheld[:_HELD], links),
        more_held=max(0, len(withheld) - _HELD),
        texts=tuple(_compared(text, links, pointer.commit) for text in told.texts),
        following=address(here, "texts", after=told.following) if told.following else "",
    )


def _changes(told: Told) -> Iterator[Change]:
    if told.changes is None:
        return
    for skill in told.changes.published[:LISTED]:
        former = told.former.get(skill.id)
        word = _ADDED if former is None else _CHANGED
        was = "" if former is None else short(former.version, 60)
        yield Change(id=skill.id, word=word, was=was, became=short(skill.version, 60))
    for skill in told.changes.removed:
        yield Change(id=skill.id, word=_REMOVED, was=short(skill.version, 60), became="")


def _compared(text: Text, links: Links, commit: str) -> Compared:
    found = TextDiff() if text.trouble else text_diff(text.old, text.new)
    lines, is_cut = _within(found.lines)
    return Compared(
        title=f"{text.skill.id}/SKILL.md",
        lines=lines,
        added=found.added,
        removed=found.removed,
        note=found.note or ("only the beginning is shown" if is_cut else ""),
        trouble=f"{text.trouble}: these texts cannot be shown." if text.trouble else "",
        others=_others(text.skill, text.former),
        link=links.line(commit, text.skill.path),
    )


def _within(lines: Sequence[DiffLine]) -> tuple[tuple[Shown, ...], bool]:
    shown: list[Shown] = []
    left = _TEXT_BYTES
    for line in lines:
        text = f"{line.mark} {visible(line.text)}"
        left -= _LINE_BYTES + len(escape(text).encode("utf-8", "replace"))
        if left < 0:
            return tuple(shown), True
        shown.append(Shown(tone=_TONES.get(line.mark, ""), text=text))
    return tuple(shown), False


def _others(skill: LiveSkill, former: LiveSkill | None) -> str:
    was = {} if former is None else {file.path: (file.blob, file.mode) for file in former.files}
    now = {file.path: (file.blob, file.mode) for file in skill.files}
    changed = sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path) and path != "SKILL.md")
    signs = {True: "+", False: "~"}
    told = [f"{'-' if path not in now else signs[path not in was]} {short(path, 80)}" for path in changed[:_OTHERS]]
    more = f" and {len(changed) - _OTHERS} more" if len(changed) > _OTHERS else ""
    return ", ".join(told) + more
