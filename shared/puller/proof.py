"""The verdict on a reload: did the gateway take over what was installed? Pure; asking again, and until when, is the caller's.

A verdict is about one look. A gateway needs a moment to reload, so a failure counts only when it is still there at the
deadline, while `certain` ends the waiting. The rules, one function each:

  unwell     a gateway that is not healthy fails the deployment as a whole (`gateway_unhealthy`); a look that was broken off
             because the puller ends says nothing
  untold     a gateway that lists nothing proves nothing, and neither does a skill that is listed without a digest
  gone       a removed skill is proved when nothing is listed under its names; until then it is pending, never a failure
  lost       a skill that was listed before and is listed no longer has been lost (`skill_lost`), also when the gateway has
             ceased to list anything; one that was not listed before is pending: a gateway may refuse it for their number,
             or for a bundled one of the same name
  loaded     a skill is proved by the digest of its new SKILL.md; another digest is a stale skill (`reload_unproved`)

Whose an entry is. An entry with a skill's id (its folder's name) is that skill's, and then nothing else is. Without one,
entries count that carry one of its names as id or name, unless their id is another skill's: a name may differ from the
folder's, and two skills may declare the same. Such an entry can prove a skill by its digest; it can fail it only when it is
the only one, and has no id that may be a stranger's. In doubt a skill is pending, for a deployment is not undone on a guess.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from shared.puller.sighting import STOPPED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from shared.puller.sighting import Listed, Sighting

UNHEALTHY = "gateway_unhealthy"
LOST = "skill_lost"
UNPROVED = "reload_unproved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A skill that a deployment changes.

    Args:
        id: Its folder's name.
        names: Every name that it may be listed under: its id and the names that its old and its new SKILL.md declare.
        digest: SHA-256 of its new SKILL.md, lower-case hex; None when it is removed.
    """

    id: str
    names: frozenset[str]
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one look says of a deployment.

    Args:
        failures: Code and skill's id, empty where it is the gateway's: what must be healed by the deadline.
        pending: The ids of what the listing does not show as it should be, without that being a failure.
        certain: Whether every change is proved: there is nothing more to wait for.
    """

    failures: tuple[tuple[str, str], ...] = ()
    pending: tuple[str, ...] = ()
    certain: bool = False


class _Found(Enum):
    PROVED = auto()
    UNTOLD = auto()
    PENDING = auto()
    LOST = auto()
    STALE = auto()


_FAILURES = {_Found.LOST: LOST, _Found.STALE: UNPROVED}


def listed_before(before: Sighting, changes: Collection[Change], *, others: Collection[str] = ()) -> frozenset[str]:
    """Return the ids of the changed skills that the gateway listed before the install.

    Args:
        before: What a look showed then.
        changes: What the deployment changes.
        others: The ids of the skills that it leaves alone, as far as known.
    """
    listing = _Listing(before.skills or (), _taken(changes, others))
    return frozenset(change.id for change in changes if listing.of(change))


def judge(
    before: frozenset[str] | None, now: Sighting, changes: Collection[Change], *, others: Collection[str] = ()
) -> Verdict:
    """Judge a look after the install.

    Args:
        before: What `listed_before` returned; None when nothing was listed, or that is not known.
        now: What the look showed.
        changes: What the deployment changed.
        others: The ids of the skills that it left alone; an entry with such an id is never a changed skill's.
    """
    if not now.healthy:
        return _unwell(now)
    listing = None if now.skills is None else _Listing(now.skills, _taken(changes, others))
    found = [(change.id, _find(change, listing, was_listed=change.id in (before or ()))) for change in changes]
    return Verdict(
        failures=tuple((_FAILURES[what], skill) for skill, what in found if what in _FAILURES),
        pending=tuple(skill for skill, what in found if what is _Found.PENDING),
        certain=all(what is _Found.PROVED for _, what in found),
    )


def _unwell(now: Sighting) -> Verdict:
    return Verdict() if now.code == STOPPED else Verdict(failures=((UNHEALTHY, ""),))


def _find(change: Change, listing: _Listing | None, *, was_listed: bool) -> _Found:
    if change.digest is None:
        return _gone(change, listing)
    entries = [] if listing is None else listing.of(change)
    if entries:
        return _loaded(change, entries)
    return _lost(is_told=listing is not None, was_listed=was_listed)


def _gone(change: Change, listing: _Listing | None) -> _Found:
    if listing is None:
        return _Found.UNTOLD
    return _Found.PENDING if listing.of(change) else _Found.PROVED


def _lost(*, is_told: bool, was_listed: bool) -> _Found:
    if was_listed:
        return _Found.LOST
    return _Found.PENDING if is_told else _Found.UNTOLD


def _loaded(change: Change, entries: Collection[Listed]) -> _Found:
    digests = {entry.digest for entry in entries}
    if change.digest in digests:
        return _Found.PROVED
    if None in digests:
        return _Found.UNTOLD
    return _Found.STALE if _is_surely_of(change, entries) else _Found.PENDING


def _is_surely_of(change: Change, entries: Collection[Listed]) -> bool:
    if all(entry.id == change.id for entry in entries):
        return True
    return len(entries) == 1 and all(entry.id is None or entry.id in change.names for entry in entries)


def _taken(changes: Iterable[Change], others: Iterable[str]) -> frozenset[str]:
    return frozenset(others) | {change.id for change in changes}


class _Listing:
    """What a gateway lists, by id and by name.

    Args:
        skills: The entries.
        taken: The ids of all known skills.
    """

    def __init__(self, skills: Iterable[Listed], taken: frozenset[str]) -> None:
        self._by_id: dict[str, list[Listed]] = defaultdict(list)
        self._by_name: dict[str, list[Listed]] = defaultdict(list)
        self._taken = taken
        for entry in skills:
            if entry.id is not None:
                self._by_id[entry.id].append(entry)
            if entry.name is not None:
                self._by_name[entry.name].append(entry)

    def of(self, change: Change) -> list[Listed]:
        """Return the entries that are, or may be, a changed skill's; equal ones count once."""
        own = self._by_id.get(change.id)
        if own:
            return list(dict.fromkeys(own))
        named = [
            entry
            for name in sorted(change.names)
            for entry in (*self._by_id.get(name, ()), *self._by_name.get(name, ()))
            if entry.id not in self._taken
        ]
        return list(dict.fromkeys(named))
