"""Where rotations are kept: the open one under a name that only one can have, and the last result of each credential."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from shared import log
from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.credentials import Check, Mark, kind_of
from shared.core.names import ROTATION, ROTATIONS, parse_timestamp, rotation_name
from shared.core.rotation import Active, Record, Verified
from shared.errors import ConflictError, InputError
from shared.service.objects import swap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.ports import Store, Together

SCHEMA = "skill-sync/rotation/1"
MAX_RECORDS = 100
_WHAT = "a rotation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was read, each with the generation that it was read at."""

    active: Active | None = None
    active_generation: int = 0
    records: Mapping[str, Record] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)


def read_rotations(store: Store, together: Together) -> Kept:
    """Read the open rotation and all records, at most 100; a record that cannot be read counts as none.

    Args:
        store: Where.
        together: Runs the reads side by side.

    Raises:
        InputError: the open rotation cannot be read: nobody can say what is under way.
    """
    listed = [entry.name for entry in store.list(ROTATIONS, limit=MAX_RECORDS)]
    found = together([lambda name=name: store.get(name) for name in listed])  # type: ignore[misc]
    records: dict[str, Record] = {}
    generations: dict[str, int] = {}
    active, active_generation = None, 0
    for name, stored in zip(listed, found, strict=True):
        if stored is None:
            continue
        if name == ROTATION:
            active, active_generation = _active(stored.data), stored.generation
            continue
        generations[name.removeprefix(ROTATIONS).removesuffix(".json")] = stored.generation
        record = _readable(stored.data)
        if record is not None and rotation_name(record.name) == name:
            records[record.name] = record
    return Kept(active=active, active_generation=active_generation, records=records, generations=generations)


def write_active(store: Store, active: Active, generation: int) -> None:
    """Keep the open rotation; with generation 0, only if none is open.

    Raises:
        ConflictError: `ROTATION_OPEN`, somebody else has begun, or changed this one, at the same time.
    """
    try:
        swap(store, ROTATION, canonical_bytes({"schema": SCHEMA, **asdict(active)}), if_generation=generation)
    except ConflictError:
        raise ConflictError(
            "ROTATION_OPEN", "somebody else works on a rotation at this moment; look again: rotate status"
        ) from None


def close_active(store: Store, generation: int) -> None:
    """Let go of the open rotation; one that is gone already is no fault.

    Raises:
        ConflictError: `ROTATION_OPEN`, it was changed meanwhile.
    """
    try:
        store.delete(ROTATION, if_generation=generation)
    except ConflictError:
        if store.get(ROTATION) is not None:
            raise ConflictError("ROTATION_OPEN", "the rotation changed meanwhile; look again: rotate status") from None


def write_record(store: Store, record: Record, kept: Kept) -> None:
    """Keep a credential's record.

    Raises:
        ConflictError: somebody else wrote it first.
    """
    data = canonical_bytes({"schema": SCHEMA, **asdict(record)})
    swap(store, rotation_name(record.name), data, if_generation=kept.generations.get(record.name, 0))


def drop_record(store: Store, name: str, kept: Kept) -> None:
    """Forget a credential that is no more, such as a retired puller's key.

    Raises:
        ConflictError: somebody else wrote it first.
    """
    store.delete(rotation_name(name), if_generation=kept.generations[name])


def _readable(data: bytes) -> Record | None:
    try:
        document = parse_object(data, what=_WHAT)
        record = Record(**{key: member(document, key, str, what=_WHAT) for key in Record.__dataclass_fields__})
        kind_of(record.name)
        for moment in (record.since, *filter(None, [record.retired_at])):
            parse_timestamp(moment)
    except InputError as error:
        log.warning("A record of a rotation cannot be read, and is written anew", code=error.code)
        return None
    return record


def _active(data: bytes) -> Active:
    document = parse_object(data, what=_WHAT)
    verified = document.get("verified")
    active = Active(
        **{key: member(document, key, str, what=_WHAT) for key in ("token", "name", "begun_at", "old")},
        verified=_verified(verified) if isinstance(verified, dict) else None,
    )
    parse_timestamp(active.begun_at)
    return active


def _verified(value: dict[str, object]) -> Verified:
    checks = value.get("checks")
    found = [item for item in checks if isinstance(item, dict)] if isinstance(checks, list) else []
    verified = Verified(
        fingerprint=member(value, "fingerprint", str, what=_WHAT),
        at=member(value, "at", str, what=_WHAT),
        checks=tuple(_check(item) for item in found),
    )
    parse_timestamp(verified.at)
    return verified


def _check(item: dict[str, object]) -> Check:
    texts = {key: str(item.get(key) or "") for key in ("name", "code", "text", "fix")}
    mark = str(item.get("mark"))
    return Check(mark=Mark(mark) if mark in set(Mark) else Mark.FAIL, **texts)
