"""Who remembers what was live: the pullers' reported floors and the newest record, each proved by our own signature."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress
from typing import TYPE_CHECKING

from shared.core.canonical import parse_object
from shared.core.names import parse_deployment, record_name
from shared.core.rewind import Witness
from shared.core.verify import UnverifiedPointer, read_memory
from shared.errors import InputError, RejectedError
from shared.model import DeploymentId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.core.summary import Summary
    from shared.model import Pointer, Trust
    from shared.ports import Store, Together

MAX_PULLERS = 50
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
    store: Store, trust: Trust, summary: Summary, pointer: Pointer | None, reports: Sequence[Mapping[str, object]]
) -> list[Witness]:
    """Collect what is remembered and proved.

    Args:
        store: Where.
        trust: Whose signature counts.
        summary: Names the newest deployment on record.
        pointer: What the store says is live; a record that is no newer is not read.
        reports: The pullers' last ones.
    """
    found = [witness for report in reports if (witness := _of_report(report, trust)) is not None]
    newest = summary.newest
    if pointer is None and newest == (0, 0):
        newest = _newest_record(store)
    if newest > (0, 0) and (pointer is None or newest > (pointer.epoch, pointer.seq)):
        stored = store.get(record_name(DeploymentId(f"{newest[0]}-{newest[1]}")))
        witness = None if stored is None else _witness("record", stored.data, trust)
        # The summary is signed by nobody, nor is a name: they may only say where to look.
        if witness is not None and (witness.pointer.epoch, witness.pointer.seq) == newest:
            found.append(witness)
    return found


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
    try:
        envelope = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return None
    return _witness("puller", envelope, trust)


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
