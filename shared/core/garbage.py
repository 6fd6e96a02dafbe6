"""Which stored objects are garbage: old, and named by no deployment that anybody may still go back to.

Only archives and manifests are ever garbage. Records, trust, events, pauses and reports are history and stay for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.manifest_view import ManifestView
from shared.core.names import is_digest, object_name, parse_timestamp, timestamp
from shared.errors import InputError
from shared.model import Digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from shared.core.summary import Summary
    from shared.model import Pointer
    from shared.ports import StoredName

FOLDER = object_name(Digest(""))
LEAST_AGE = timedelta(days=30)
LAST_DEPLOYMENTS = 16
DAY = timedelta(days=1)

# A quote inside a string is escaped: where this stands, an entry of the manifest begins.
_ARCHIVE = re.compile(rb'"[a-z0-9-]+":\{"archive":\{"sha256":"([0-9a-f]{64})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Listed objects: how many are `named` by what is kept, or are not ours to judge; how many are `young`; and the rest."""

    named: int
    young: int
    garbage: tuple[StoredName, ...]


def kept_deployments(newest_first: Iterable[Pointer], now: datetime) -> Iterator[Pointer]:
    """Yield the deployments whose objects stay: the last 16, and each that was live at any time of the last 30 days.

    A deployment is live until its successor is deployed, so the one that the 30 days began with is among them. Times rise
    within an epoch: behind the first deployment that need not stay, none must.

    Args:
        newest_first: The live deployment and those before it, through all epochs; no more are taken than needed.
        now: The time.
    """
    ended_at: datetime | None = None
    for place, pointer in enumerate(newest_first):
        if place >= LAST_DEPLOYMENTS and ended_at is not None and ended_at < now - LEAST_AGE:
            return
        yield pointer
        ended_at = parse_timestamp(pointer.deployed_at)


def archives_named(data: bytes, skills: int | None) -> set[Digest]:
    """Return the archives that a manifest names, without parsing its megabytes.

    Args:
        data: The manifest's bytes, which the caller has compared with its digest.
        skills: How many skills its signed pointer says it has; None where only a later pointer's history names it.

    Raises:
        InputError: `MANIFEST_INVALID`, this is no manifest as we write it, so that what it names is not known.
    """
    view = ManifestView(data)
    found = _ARCHIVE.findall(data, view.first, view.end)
    expected = sum(1 for _ in view.starts()) if skills is None else skills
    if len(found) != expected:
        raise InputError("MANIFEST_INVALID", f"expected {expected} skills with an archive each, found {len(found)}")
    return {Digest(digest.decode()) for digest in found}


def sort_out(entries: Iterable[StoredName], kept: Collection[Digest], now: datetime) -> Sorted:
    """Say what becomes of listed objects.

    Args:
        entries: What the store lists under `objects/`.
        kept: The digests of the kept deployments' manifests, and of all archives that these name.
        now: The time.
    """
    named = young = 0
    garbage: list[StoredName] = []
    for entry in entries:
        digest = Digest(entry.name.removeprefix(FOLDER))
        # What has another name was put there by somebody else, who may need it.
        if digest in kept or not is_digest(digest):
            named += 1
        elif entry.updated_at >= now - LEAST_AGE:
            young += 1
        else:
            garbage.append(entry)
    return Sorted(named=named, young=young, garbage=tuple(garbage))


def is_due(summary: Summary, now: datetime) -> bool:
    """Whether nobody has claimed the day's collection yet; a claim that a wrong clock made blocks it for no more than that."""
    claimed = summary.gc.get("at")
    return claimed is None or abs(now - parse_timestamp(str(claimed))) >= DAY


def with_claim(summary: Summary, now: datetime, token: str) -> Summary:
    """Claim the day's collection.

    Args:
        summary: As it is.
        now: The time.
        token: Whose claim it is, so that no two calls write the same bytes and both believe that theirs were first.
    """
    return replace(summary, gc={"at": timestamp(now), "token": token})
