"""Who remembers what was live: the pullers' reported floors, the audit graph and the newest record.

Each is believed only as far as our own signature on it holds.
"""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from typing import TYPE_CHECKING

from shared import log
from shared.core.canonical import parse_object
from shared.core.names import parse_deployment, pause_name, record_name
from shared.core.rewind import Witness
from shared.core.states import in_force
from shared.core.verify import UnverifiedPointer, is_by_any_signer, is_by_current_signer, read_memory, read_record
from shared.errors import InputError, RejectedError, SkillSyncError
from shared.model import DeploymentId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.core.summary import Summary
    from shared.model import Latch, Pointer, Trust
    from shared.ports import Audit, Store, Together

MAX_PULLERS = 50
AUDIT_SECONDS = 5.0
"""Of a poll's five minutes: a graph that is only slow should not be left unheard."""
_RECORDS = "deployments/"


def puller_reports(store: Store, together: Together) -> list[Mapping[str, object]]:
    """Read every puller's last report; one that cannot be read counts as none."""
    names = [entry.name for entry in store.list("pullers/", limit=MAX_PULLERS)]
    found: list[Mapping[str, object]] = []
    for name, stored in zip(names, together([lambda name=name: store.get(name) for name in names]), strict=True):  # type: ignore[misc]
        try:
            found += [] if stored is None else [parse_object(stored.data, what=name)]
        except InputError:
            continue
    return found


def witnesses_of(
    store: Store,
    trust: Trust,
    together: Together,
    summary: Summary,
    pointer: Pointer | None,
    reports: Sequence[Mapping[str, object]],
) -> tuple[list[Witness], list[Witness]]:
    """Collect what is remembered and proved, and records that only a signer proves who has been revoked since.

    Args:
        store: Where.
        trust: Whose signature counts.
        together: Runs the reads side by side.
        summary: Names the newest deployment on record.
        pointer: What the store says is live.
        reports: The pullers' last ones.
    """
    found = floors_of(reports, trust)
    orphans: list[Witness] = []
    for number, record in _records(store, together, _numbers(store, summary, pointer)):
        for proved, kept in ((_witness("record", record, trust), found), (_orphan(record, trust), orphans)):
            # The summary is signed by nobody, nor is a name: they may only say where to look.
            if proved is not None and (proved.pointer.epoch, proved.pointer.seq) == number:
                kept.append(proved)
    return found, orphans


def floors_of(reports: Iterable[Mapping[str, object]], trust: Trust) -> list[Witness]:
    """Return what pullers remember, as far as our own signature proves it."""
    return [witness for report in reports if (witness := _of_report(report, trust)) is not None]


def _numbers(store: Store, summary: Summary, pointer: Pointer | None) -> list[tuple[int, int]]:
    """List the deployments whose records may know better than the pointer."""
    newest = summary.newest
    if pointer is None:
        number = newest if newest > (0, 0) else _newest_record(store)
        return [number] if number > (0, 0) else []
    # A record never comes before its pointer: that of the next deployment, or another one of this, shows a rewind.
    own = (pointer.epoch, pointer.seq)
    return sorted({own, (pointer.epoch, pointer.seq + 1), *([newest] if newest > own else [])})


def _records(
    store: Store, together: Together, numbers: Sequence[tuple[int, int]]
) -> list[tuple[tuple[int, int], bytes]]:
    names = [record_name(DeploymentId(f"{epoch}-{seq}")) for epoch, seq in numbers]
    stored = together([lambda name=name: store.get(name) for name in names])  # type: ignore[misc]
    return [(number, record.data) for number, record in zip(numbers, stored, strict=True) if record is not None]


def proved_latches(store: Store, trust: Trust, latches: Iterable[Latch]) -> tuple[Latch, ...]:
    """Return the latches in force that signed evidence stands behind; anybody could have written another one."""
    return tuple(latch for latch in in_force(latches, trust) if _is_proved(store, trust, latch))


def _is_proved(store: Store, trust: Trust, latch: Latch) -> bool:
    stored = store.get(pause_name(latch.epoch, latch.reason))
    try:
        document = {} if stored is None else parse_object(stored.data, what="the evidence")
    except InputError:
        return False
    sides = [_decoded(document.get(side)) for side in ("store", "remembered")]
    return any(is_by_any_signer(UnverifiedPointer(side), trust) for side in sides)


def _orphan(envelope: bytes, trust: Trust) -> Witness | None:
    if is_by_current_signer(UnverifiedPointer(envelope), trust):
        return None
    try:
        pointer = read_record(UnverifiedPointer(envelope), trust)
    except RejectedError:
        return None
    return Witness(party="record", pointer=pointer, envelope=envelope)


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return b""


def _newest_record(store: Store) -> tuple[int, int]:
    """Find the newest record by its name; only where pointer and summary both tell nothing."""
    newest, after = (0, 0), ""
    while page := store.list(_RECORDS, after=after):
        for entry in page:
            with suppress(InputError):
                newest = max(newest, parse_deployment(entry.name.removeprefix(_RECORDS).removesuffix(".json")))
        after = page[-1].name
    return newest


def proved_floor(trust: Trust, text: object) -> Witness | None:
    """Read the floor that a puller sends, base64 of an envelope; None when our own signature on it does not hold."""
    return _witness("puller", _decoded(text), trust)


def audit_witness(audit: Audit | None, trust: Trust) -> Witness | None:
    """Return the highest pointer that the audit graph remembers; one that does not answer accuses nobody."""
    if audit is None:
        return None
    try:
        with audit.open(AUDIT_SECONDS) as graph:
            envelope = graph.state().head
    except SkillSyncError as error:
        log.warning("The audit graph bears no witness", code=error.code)
        return None
    return None if envelope is None else _witness("audit", envelope, trust)


def _of_report(report: Mapping[str, object], trust: Trust) -> Witness | None:
    floor = report.get("floor")
    text = floor.get("envelope") if isinstance(floor, dict) else None
    witness = proved_floor(trust, text)
    return (
        None
        if witness is None
        else Witness(party=f"puller {report.get('id')}", pointer=witness.pointer, envelope=witness.envelope)
    )


def _witness(party: str, envelope: bytes, trust: Trust) -> Witness | None:
    try:
        pointer = read_memory(UnverifiedPointer(envelope), trust)
    except RejectedError:
        return None
    return Witness(party=party, pointer=pointer, envelope=envelope)
