"""Which skills an install has to look at, some at a time: those that differ, or all when what stands there is not sure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from shared.core.manifest_view import differences, together
from shared.errors import InputError, UnverifiedError
from shared.puller.layout import files_of, skill_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from shared.core.manifest_view import ManifestView
    from shared.model import BlobId, Digest, LiveSkill, SkillId
    from shared.puller.history import History
    from shared.puller.layout import Wanted
    from shared.puller.state import Edition, State

    _Row = tuple[SkillId, LiveSkill | None, tuple[LiveSkill | None, ...]]
    """An id, what is wanted, and what each edition before says of it."""

GROUP = 128
"""Skills that are planned together: few enough for the memory, enough for one flush of the disk to serve many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An edition with its manifest opened."""

    edition: Edition
    view: ManifestView


@dataclass(frozen=True, slots=True)
class Group:
    """Some skills: what shall stand of them, and what of theirs is or may be ours.

    `keys` are their ids, `live` are the wanted ones, and `noted` is what the history has of them already.
    """

    keys: list[SkillId] = field(default_factory=list)
    wanted: dict[str, Wanted] = field(default_factory=dict)
    known: dict[str, frozenset[BlobId]] = field(default_factory=dict)
    live: dict[SkillId, LiveSkill] = field(default_factory=dict)
    noted: set[tuple[str, BlobId]] = field(default_factory=set)

    @property
    def paths(self) -> set[str]:
        """All paths that matter."""
        return {*self.wanted, *self.known}

    def know(self, contents: Iterable[tuple[str, BlobId]]) -> None:
        """Add contents of ours, path by path."""
        for path, blob in contents:
            self.known[path] = self.known.get(path, frozenset()) | {blob}


class Scope:
    """The skills that one install looks at.

    Args:
        target: What shall stand.
        before: Everything whose files may stand: what is installed first, then what was left unfinished.
        state: Tells what an operator keeps by hand.
        history: Tells which older contents may stand of these, and of `only`.
        only: Look at these skills alone, whatever differs.
    """

    def __init__(
        self,
        target: Opened,
        before: Sequence[Opened],
        state: State,
        history: History,
        only: Collection[SkillId] | None = None,
    ) -> None:
        self._target = target
        self._before = before
        self._by_hand = state.kept
        self._kept = {} if only is not None else state.kept
        self._released = frozenset(state.kept).union(only or ())
        self._history = history
        self._only = only
        self._is_sure = not state.unfinished and len(before) <= 1

    def groups(self) -> Iterator[Group]:
        """Yield the skills to look at, in the order of their ids.

        Raises:
            UnverifiedError: `bundle_rejected`, while iterating: the manifest names what must not be.
        """
        yield from self._grouped(self._rows())

    def again(self, keys: Iterable[SkillId]) -> Group:
        """Return a group anew that had these ids; errors as for `groups`."""
        return next(self._grouped(self._rows_of(keys)))

    def kept(self) -> dict[SkillId, Digest]:
        """Return what an operator still keeps by hand afterwards: skills that do not get another archive."""
        found = {key: self._target.view.find(key) for key in self._by_hand}
        return {key: skill.archive for key, skill in found.items() if skill and skill.archive == self._by_hand[key]}

    def knowing(self, names: Iterable[str]) -> dict[str, frozenset[BlobId]]:
        """Return everything that is or may be ours of some names directly below the skills folder."""
        found = Group()
        keys = {skill_at(name) for name in names}
        for key in keys:
            for each in (*self._before, self._target):
                self._know(found, each.view.find(key), each.edition)
        self._know_former(found, keys)
        return found.known

    def _grouped(self, rows: Iterator[_Row]) -> Iterator[Group]:
        try:
            while batch := list(islice(rows, GROUP)):
                yield self._group(batch)
        except InputError as error:
            raise UnverifiedError("bundle_rejected", error.message) from None

    def _rows(self) -> Iterator[_Row]:
        if self._only is not None:
            yield from self._rows_of(sorted(self._only))
        elif not self._before or (self._is_sure and self._before[0].edition.layouts == self._target.edition.layouts):
            old = self._before[0].view if self._before else None
            yield from ((each.id, each.new, (each.old,)) for each in differences(old, self._target.view))
        else:
            views = [self._target.view, *(each.view for each in self._before)]
            yield from ((key, held[0], held[1:]) for key, held in together(views))

    def _rows_of(self, keys: Iterable[SkillId]) -> Iterator[_Row]:
        for key in keys:
            yield key, self._target.view.find(key), tuple(each.view.find(key) for each in self._before)

    def _group(self, rows: Iterable[_Row]) -> Group:
        group = Group()
        for key, wanted, before in rows:
            if wanted is not None and self._kept.get(key) == wanted.archive:
                continue
            group.keys.append(key)
            if wanted is not None:
                group.live[key] = wanted
                group.wanted.update(files_of(wanted, self._target.edition.layouts))
            # With the first installation there is nothing before, and with one edition one row.
            for each, skill in zip(self._before, before, strict=False):
                self._know(group, skill, each.edition)
        self._know_former(group, {*group.keys})
        return group

    def _know_former(self, group: Group, keys: set[SkillId]) -> None:
        """Add what a person may have brought back of these skills."""
        for contents in self._history.of(keys & self._released).values():
            former = [(path, blob) for path, blobs in contents.items() for blob in blobs]
            group.know(former)
            group.noted.update(former)

    def _know(self, group: Group, skill: LiveSkill | None, edition: Edition) -> None:
        if skill is not None:
            group.know((path, want.blob) for path, want in files_of(skill, edition.layouts))


def gone(group: Group) -> list[tuple[str, BlobId]]:
    """List the contents of ours that a group replaces or removes, and that the history does not have yet."""
    wanted: Mapping[str, Wanted] = group.wanted
    return [
        (path, blob)
        for path, blobs in group.known.items()
        for blob in sorted(blobs)
        if (path not in wanted or wanted[path].blob != blob) and (path, blob) not in group.noted
    ]
