"""Collecting garbage: old archives and manifests that nobody can go back to are deleted. Which ones, `core.garbage` decides.

It reads what is live, then lists `objects/`, then deletes by the generations that were listed. It takes no lock, and no
deployment that comes at the same time can lose anything. Of every object that a later deployment names, one of these holds:

1. The manifest that this run found live names it too. Then it is kept.
2. The live manifest lacked it when that deployment's sync gathered. Then the sync wrote it before it moved the pointer: anew
   or over itself (`objects.write_object`, `renew_object`), in either case with a new generation and a new time.
   a. Written before it was listed, it is listed young, since no sync lasts 30 days: not garbage.
   b. Written behind that, it has another generation than the listed one: the deletion is refused.
   c. Deleted before it was written, it is created again; a rollback, which must read it first, finds that it is gone and
      says so (`OBJECT_MISSING`) with the pointer where it was.
3. The deployment was the second or a later one since then, and its predecessor named the object: the same holds of that one.

An epoch opens without writing its archives again, but with what was live (1), and not while its store cannot be believed.
What was found live may therefore be old by the time of the deletion, and nothing has to be read twice. Two runs at once
delete by generation too, and only count differently. Only an object's age needs a clock. It is the store's, by the time of
the pointer's own last write, where ours is ahead of it: an operator's wrong clock deletes nothing.

Deployment records, trust, events, pauses and reports are never deleted.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from shared.core.garbage import FOLDER, archives_named, kept_deployments, sort_out
from shared.core.names import CURRENT, parse_deployment
from shared.errors import ConflictError, InputError, NotFoundError, RejectedError, UnavailableError, UnverifiedError
from shared.model import DeploymentId
from shared.service.objects import read_object, read_record
from shared.service.pause import paused
from shared.service.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from shared.model import Digest, Pointer, Trust
    from shared.ports import Audit, Clock, Store, StoredName, Together
    from shared.service.context import Deadline

T = TypeVar("T")

MOST_DELETED = 2000
"""In one run, so that what is remembered of the listing has a bound."""
INCOMPLETE = "GC_INCOMPLETE"
_LEAST_SECONDS = 2.0
_READS = 16
_MANIFEST_READS = 4
_DELETIONS = 64
_RECORDS = "deployments/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What is needed to look and to delete. `audit` also bears witness against a rewound store, where there is one."""

    store: Store
    trust: Trust
    clock: Clock
    together: Together
    audit: Audit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a run found and did, in objects.

    `listed` is the sum of `kept` (named by a deployment that is kept, or not ours to judge), `young` and `garbage`. Of the
    garbage, `deleted` is gone, `skipped` was written again or deleted by somebody else, and the rest is left to the next run.
    """

    listed: int = 0
    kept: int = 0
    young: int = 0
    garbage: int = 0
    garbage_bytes: int = 0
    deleted: int = 0
    skipped: int = 0

    @property
    def left(self) -> int:
        """How much of the garbage is still there."""
        return self.garbage - self.deleted - self.skipped


def collect(reach: Reach, deadline: Deadline, *, delete: bool, most: int = MOST_DELETED) -> Collected:
    """Find the garbage, and delete it.

    Args:
        reach: The ports.
        deadline: Nothing is begun once it is over; what was not deleted is left to the next run.
        delete: Whether to delete at all; else it is only counted.
        most: How many objects one run deletes at most.

    Raises:
        PausedError: the store was taken back in time, or the epoch has no deployment yet; nothing was deleted.
        UnverifiedError: nobody we know signed the pointer; nothing was deleted.
        UnavailableError: `GC_INCOMPLETE`, what a deployment names that must be kept is not known, so that nothing was deleted;
            other codes when the store did not answer.
        DeadlineError: the time was over before all that must be kept was known; nothing was deleted.
    """
    pointer = _believed(reach)
    if pointer is None:
        return Collected()
    now = _now(reach)
    kept = _kept(reach, pointer, now, deadline)
    found, garbage = _listed(reach, kept, now, most)
    if not delete:
        return found
    results: list[bool] = []
    for chunk in _chunks(garbage, _DELETIONS):
        if deadline.remaining() < _LEAST_SECONDS:
            break
        results += reach.together([partial(_is_deleted, reach.store, entry) for entry in chunk])
    return replace(found, deleted=sum(results), skipped=len(results) - sum(results))


def _believed(reach: Reach) -> Pointer | None:
    """Return the live pointer of a store that nothing speaks against; None when nothing was ever deployed."""
    found = survey(reach.store, reach.trust, reach.together, reach.clock.now(), audit=reach.audit)
    if not found.state.deploys_allowed:
        raise paused(found, reach.trust)
    verdict = found.verdict
    if verdict.pointer is None and verdict.reason:
        raise UnverifiedError(verdict.reason, verdict.detail)
    return verdict.pointer


def _now(reach: Reach) -> datetime:
    written = [entry.updated_at for entry in reach.store.list(CURRENT, limit=1)]
    return min([reach.clock.now(), *written])


def _kept(reach: Reach, pointer: Pointer, now: datetime, deadline: Deadline) -> set[Digest]:
    """Return the digests of all manifests and archives that stay."""
    # The pointer vouches for its history's manifests, whatever became of their records.
    manifests: dict[Digest, int | None] = {digest: None for _, digest in pointer.history}
    for each in kept_deployments(_newest_first(reach, pointer, deadline), now):
        manifests[each.manifest.sha256] = each.manifest.skills
    kept = set(manifests)
    for chunk in _chunks(list(manifests.items()), _MANIFEST_READS):
        deadline.check()
        for archives in reach.together([partial(_archives, reach.store, *each) for each in chunk]):
            kept |= archives
    return kept


def _newest_first(reach: Reach, pointer: Pointer, deadline: Deadline) -> Iterator[Pointer]:
    """Yield the live deployment, then all before it that have a record, read as they are asked for."""
    yield pointer
    for chunk in _chunks(_numbers(reach.store, (pointer.epoch, pointer.seq)), _READS):
        deadline.check()
        names = [DeploymentId(f"{epoch}-{seq}") for epoch, seq in chunk]
        yield from reach.together([partial(_record, reach, name) for name in names])


def _numbers(store: Store, live: tuple[int, int]) -> list[tuple[int, int]]:
    """List the recorded deployments before the live one, newest first.

    By the records' names, since nothing else goes through every epoch: after a restore an epoch may begin without naming
    the former one's last deployment. A deployment without a record cannot be gone back to.
    """
    found: list[tuple[int, int]] = []
    for page in _pages(store, _RECORDS):
        for entry in page:
            with suppress(InputError):  # nothing of ours
                found.append(parse_deployment(entry.name.removeprefix(_RECORDS).removesuffix(".json")))
    return sorted((number for number in found if number < live), reverse=True)


def _record(reach: Reach, name: DeploymentId) -> Pointer:
    try:
        pointer = read_record(reach.store, reach.trust, name)
    except RejectedError as error:
        raise _incomplete(f"the record of {name} cannot be read", error.code) from None
    if pointer is None:
        raise _incomplete(f"the record of {name} was listed, and is gone", "NOT_FOUND")
    return pointer


def _archives(store: Store, manifest: Digest, skills: int | None) -> set[Digest]:
    try:
        return archives_named(read_object(store, manifest), skills)
    except (NotFoundError, InputError) as error:
        raise _incomplete(f"the manifest {manifest} cannot be read", error.code) from None
    except UnavailableError as error:
        if error.code != "OBJECT_CORRUPT":
            raise
        raise _incomplete(f"the manifest {manifest} cannot be read", error.code) from None


def _incomplete(what: str, code: str) -> UnavailableError:
    # Its archives may lie there still, and whoever brings the manifest back needs them.
    return UnavailableError(INCOMPLETE, f"{what} ({code}); what it names is not known, so nothing is deleted")


def _listed(reach: Reach, kept: set[Digest], now: datetime, most: int) -> tuple[Collected, list[StoredName]]:
    """List all objects page by page; only what is to be deleted is remembered."""
    named = young = count = size = 0
    garbage: list[StoredName] = []
    for page in _pages(reach.store, FOLDER):
        found = sort_out(page, kept, now)
        named, young, count = named + found.named, young + found.young, count + len(found.garbage)
        size += sum(entry.size for entry in found.garbage)
        garbage += found.garbage[: most - len(garbage)]
    total = named + young + count
    return Collected(listed=total, kept=named, young=young, garbage=count, garbage_bytes=size), garbage


def _is_deleted(store: Store, entry: StoredName) -> bool:
    try:
        store.delete(entry.name, if_generation=entry.generation)
    except ConflictError:
        return False  # it becomes live again, or another run was faster
    return True


def _pages(store: Store, prefix: str) -> Iterator[list[StoredName]]:
    after = ""
    while page := store.list(prefix, after=after):
        yield page
        after = page[-1].name


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
