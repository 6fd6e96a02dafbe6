"""What pullers are served: the pointer, the objects it names, old records; and what they report back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.canonical import canonical_bytes, parse_object
from shared.core.names import CURRENT, is_digest, parse_deployment, puller_name, record_name, timestamp
from shared.core.news import events_of, with_news
from shared.core.puller_keys import with_key
from shared.core.report import kept_report
from shared.core.states import LATCHING, Condition
from shared.core.tally import with_tally
from shared.core.verify import etag_of
from shared.errors import ConflictError, InputError, NotFoundError
from shared.model import DeploymentId, Digest
from shared.service.objects import read_object
from shared.service.pause import observed, tell_recovered
from shared.service.telling import tell
from shared.service.witnesses import proved_floor

if TYPE_CHECKING:
    from datetime import datetime

    from shared.core.rewind import Witness
    from shared.model import Trust
    from shared.ports import Store, StoredObject

_ATTEMPTS = 4


def current(store: Store) -> tuple[bytes, str]:
    """Return the signed pointer as it is stored, and its entity tag.

    Raises:
        NotFoundError: `NO_DEPLOYMENT`.
    """
    stored = store.get(CURRENT)
    if stored is None:
        raise NotFoundError("NO_DEPLOYMENT", "nothing was deployed yet")
    return stored.data, etag_of(stored.data)


def served_object(store: Store, digest: str) -> bytes:
    """Return an archive or manifest.

    Raises:
        InputError: `DIGEST_INVALID`.
        NotFoundError: `OBJECT_MISSING`.
    """
    if not is_digest(digest):
        raise InputError("DIGEST_INVALID", "an object is named by 64 lower-case hex digits")
    return read_object(store, Digest(digest))


def served_record(store: Store, deployment: str) -> bytes:
    """Return the signed pointer of one deployment; the live one's is the pointer itself.

    Raises:
        InputError: `DEPLOYMENT_ID_INVALID`.
        NotFoundError: `DEPLOYMENT_UNKNOWN`.
    """
    parse_deployment(deployment)
    stored = store.get(record_name(DeploymentId(deployment)))
    if stored is None:
        raise NotFoundError("DEPLOYMENT_UNKNOWN", f"there is no record of deployment {deployment}")
    return stored.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who reports, as its key proved, and that key's fingerprint."""

    puller: str
    key: str


def accept_report(store: Store, trust: Trust, sender: Sender, report: dict[str, object], now: datetime) -> None:
    """Keep a puller's newest report with what all of them add up to, and write down what is news in it.

    Only what has the right form is kept, and its floor only when our own signature on it holds. A deployment that failed
    its health check is not undone here: who answers pullers holds no signing key, so the next poll does it.

    Args:
        store: Where.
        trust: Whose signature counts.
        sender: Who reports.
        report: The body.
        now: When it came in.

    Raises:
        InputError: `REPORT_INVALID`.
        ConflictError: `REPORT_BUSY`, the same puller kept reporting meanwhile.
    """
    floor = proved_floor(trust, report.get("floor"))
    at = timestamp(now)
    kept = kept_report(sender.puller, report, floor, at)
    name = puller_name(sender.puller)
    _tell(store, trust, kept, floor, now)
    for _ in range(_ATTEMPTS):
        stored = store.get(name)
        former = _former(stored)
        # What a crash left out: once the report that is kept makes way for the next, nobody knows of it any more.
        _write(store, events_of(former), now)
        whole = with_key(with_news(with_tally(kept, former), former), former, sender.key, at)
        try:
            store.put(name, canonical_bytes(whole), if_generation=0 if stored is None else stored.generation)
        except ConflictError:
            continue
        _write(store, events_of(whole), now)
        return
    raise ConflictError("REPORT_BUSY", "this puller's report kept changing under the write")


def _write(store: Store, events: list[tuple[str, bytes]], now: datetime) -> None:
    for name, data in events:
        tell(store, name, data, now)


def _former(stored: StoredObject | None) -> dict[str, object]:
    try:
        return {} if stored is None else parse_object(stored.data, what="the report before")
    except InputError:
        return {}


def _tell(store: Store, trust: Trust, kept: dict[str, object], floor: Witness | None, now: datetime) -> None:
    """Write down, once, that a puller saw the store rewound, or that it follows again in a new epoch."""
    puller, reasons = str(kept["id"]), kept["reasons"]
    if floor is None or not isinstance(reasons, list):
        return
    if kept["state"] == Condition.PAUSED.value:
        for reason in sorted(LATCHING.intersection(reasons)):
            tell(store, *observed(puller, trust, reason, floor.pointer, None), now)
    elif floor.pointer.epoch == trust.epoch and kept["outcome"] in {"installed", "unproved"}:
        tell_recovered(store, puller, trust, now)
