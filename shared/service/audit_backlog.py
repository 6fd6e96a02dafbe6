"""What the audit graph still lacks, read from the store in batches: deployments by number, then events by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import log
from shared.core.audit import Batch, Position, deployment_row, event_row
from shared.core.canonical import parse_object
from shared.core.change_set import ChangeSet, between
from shared.core.events import FOLDER, OVERLAP, is_event_name, names_from, time_of
from shared.core.manifest_view import ManifestView
from shared.core.names import parse_deployment, parse_timestamp, timestamp
from shared.errors import InputError, NotFoundError, UnavailableError
from shared.model import Action, DeploymentId
from shared.service.objects import read_object
from shared.service.record import readable_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.core.audit import Head, Row
    from shared.model import Digest, Pointer
    from shared.service.context import Context

MAX_ROWS = 500
"""Of one transaction, which a graph holds in memory until it ends."""
MAX_MANIFEST_BYTES = 48 * 1024 * 1024
"""Of all manifests that are held at once."""
_PAGE = 1000
_LATE = "late"


class Backlog:
    """What a graph lacks.

    Args:
        context: The ports.
        live: The verified pointer, up to which deployments are read.
    """

    def __init__(self, context: Context, live: Pointer) -> None:
        self._context = context
        self._store = context.store
        self._live = live
        self._views: dict[Digest, ManifestView | None] = {}

    def batches(self, at: Position, head: Head) -> Iterator[Batch]:
        """Yield what lies behind a position, in order, each batch with the position that it leads to.

        Args:
            at: Where the graph stands.
            head: The live pointer's; it goes with the last of the deployments.
        """
        for pointers in self._grouped(at):
            last = pointers[-1]
            at = Position(epoch=last.epoch, seq=last.seq, events_until=at.events_until)
            rows = [deployment_row(pointer, self._changes(pointer)) for pointer in pointers]
            yield Batch(deployments=rows, after=at, head=head if at.number == self._live_number else None)
        yield from self._events(at)

    @property
    def _live_number(self) -> tuple[int, int]:
        return self._live.epoch, self._live.seq

    def _grouped(self, at: Position) -> Iterator[list[Pointer]]:
        """Yield the deployments, so many at a time as their manifests' size allows."""
        group: list[Pointer] = []
        size = 0
        for pointer in self._pointers(at):
            if group and (len(group) >= MAX_ROWS or size + pointer.manifest.size > MAX_MANIFEST_BYTES):
                yield self._prepared(group)
                group, size = [], 0
            group.append(pointer)
            size += pointer.manifest.size
        if group:
            yield self._prepared(group)

    def _prepared(self, group: list[Pointer]) -> list[Pointer]:
        """Read the manifests of a group side by side; of the former ones only the last is needed again."""
        needed = list(
            dict.fromkeys(digest for pointer in group for digest in (_before(pointer), pointer.manifest.sha256))
        )
        kept = {digest: view for digest, view in self._views.items() if digest in needed}
        missing = [digest for digest in needed if digest is not None and digest not in kept]
        found = self._context.together([lambda digest=digest: self._view(digest) for digest in missing])  # type: ignore[misc]
        self._views = {**kept, **dict(zip(missing, found, strict=True))}
        return group

    def _view(self, digest: Digest) -> ManifestView | None:
        try:
            return ManifestView(read_object(self._store, digest))
        except (NotFoundError, InputError) as error:
            log.warning("A deployment's manifest cannot be read", code=error.code, digest=digest)
        except UnavailableError as error:
            if error.code != "OBJECT_CORRUPT":
                raise
            log.warning("A deployment's manifest cannot be read", code=error.code, digest=digest)
        return None

    def _changes(self, pointer: Pointer) -> ChangeSet:
        """Say what a deployment changed; nothing where its manifests are collected or damaged by now."""
        before, after = _before(pointer), self._views.get(pointer.manifest.sha256)
        if after is None or pointer.action is Action.RECOVER:
            return ChangeSet()  # an epoch opens with what was live
        former = None if before is None else self._views.get(before)
        if before is not None and former is None:
            return ChangeSet()
        try:
            return between(former, after)
        except InputError as error:
            log.warning("A deployment's manifest cannot be read", code=error.code, deployment=pointer.deployment)
            return ChangeSet()

    def _pointers(self, at: Position) -> Iterator[Pointer]:
        """Yield the records behind a position up to the live pointer, through all epochs."""
        epoch, seq = max(1, at.epoch), at.seq if at.epoch else 0
        while epoch < self._live.epoch:
            yield from self._records(epoch, seq + 1, self._last_of(epoch))
            epoch, seq = epoch + 1, 0
        if epoch == self._live.epoch and seq < self._live.seq:
            yield from self._records(epoch, seq + 1, self._live.seq - 1)
            # Its own record may be still unwritten after a crash, and the pointer says the same.
            yield self._live

    def _records(self, epoch: int, first: int, last: int) -> Iterator[Pointer]:
        for start in range(first, last + 1, MAX_ROWS):
            names = [DeploymentId(f"{epoch}-{seq}") for seq in range(start, min(start + MAX_ROWS, last + 1))]
            found = self._context.together([lambda name=name: readable_record(self._context, name) for name in names])  # type: ignore[misc]
            yield from (pointer for pointer in found if pointer is not None)

    def _last_of(self, epoch: int) -> int:
        """Return the last sequence of a former epoch, which the first deployment of the next one names."""
        name = DeploymentId(f"{epoch + 1}-1")
        first = self._live if name == self._live.deployment else readable_record(self._context, name)
        former, last = (0, 0) if first is None or first.previous is None else parse_deployment(first.previous)
        return last if former == epoch else 0

    def _events(self, at: Position) -> Iterator[Batch]:
        until = timestamp(self._context.clock.now())
        after = names_from(parse_timestamp(at.events_until) - OVERLAP) if at.events_until else ""
        names: list[str] = []
        while page := self._store.list(FOLDER, after=after, limit=_PAGE):
            names += [entry.name for entry in page if is_event_name(entry.name)]
            after = page[-1].name
            while len(names) > MAX_ROWS:
                chunk, names = names[:MAX_ROWS], names[MAX_ROWS:]
                yield self._batch(at, chunk, timestamp(time_of(chunk[-1])))
        if names:
            yield self._batch(at, names, until)

    def _batch(self, at: Position, names: Sequence[str], until: str) -> Batch:
        found = self._context.together([lambda name=name: self._event(name) for name in names])  # type: ignore[misc]
        after = Position(epoch=at.epoch, seq=at.seq, events_until=until)
        return Batch(events=[row for row in found if row is not None], after=after)

    def _event(self, name: str) -> Row | None:
        stored = self._store.get(name)
        row = None if stored is None else event_row(name, stored.data)
        if stored is None or row is None or row["kind"] != _LATE:
            return row
        told = str(parse_object(stored.data, what=name).get("event"))
        late = self._store.get(told) if is_event_name(told) else None
        return None if late is None else event_row(told, late.data)


def _before(pointer: Pointer) -> Digest | None:
    return pointer.history[-1][1] if pointer.history else None
