"""Rotating a credential: begin, verify, finish, abort. Which step may follow is `core.rotation`'s business.

    gather: the open rotation, the records, who used what  ->  decide  ->  one conditional write

`finish` writes the record before it lets go of the open rotation: cut off between the two, it is simply called again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core import rotation
from shared.core.credentials import kind_of
from shared.core.rotation import Holding
from shared.errors import ConflictError
from shared.service.context import random_token
from shared.service.due_dates import note_dues
from shared.service.rotation_bench import look
from shared.service.rotation_checks import checks_of
from shared.service.rotation_store import close_active, write_active, write_record

if TYPE_CHECKING:
    from shared.core.credentials import Check
    from shared.core.rotation import Active, Record
    from shared.service.rotation_bench import Bench, Seen


def begin(bench: Bench, name: str) -> str:
    """Open a rotation; returns what to do next.

    Raises:
        InputError: `ROTATION_NAME_UNKNOWN`.
        ConflictError: as `core.rotation.begin`.
    """
    kind = kind_of(name)
    seen = look(bench)
    active = rotation.begin(
        name,
        seen.holdings.get(name, Holding()),
        seen.kept.records.get(name),
        seen.kept.active,
        token=random_token(),
        now=bench.clock.now(),
    )
    write_active(bench.store, active, 0)
    note_dues(bench)
    return (
        f"let both be accepted ({kind.overlap}), let whoever uses it go over to the new one, then: rotate verify {name}"
    )


def verify(bench: Bench, name: str, expected: str, seconds: float) -> tuple[list[Check], str]:
    """Try the new value, and a made-up one; returns the checks and what to do next.

    Args:
        bench: The ports.
        name: The credential.
        expected: The new value's fingerprint, as far as the operator said; else empty.
        seconds: How long it may take.

    Raises:
        InputError: `ROTATION_NAME_UNKNOWN`.
        ConflictError: `ROTATION_NONE`; as `core.rotation.check_presented` and `prove`.
    """
    kind_of(name)
    seen = look(bench)
    active = _open(seen, name)
    fresh = rotation.check_presented(active, seen.holdings[name], expected)
    checks = checks_of(bench, seen, active, fresh, seconds)
    proved = rotation.prove(active, fresh, checks, bench.clock.now())
    write_active(bench.store, proved, seen.kept.active_generation)
    wait = f"{bench.quiet.total_seconds():.0f} s"
    return checks, f"let {wait} pass in which nobody uses the old value, then: rotate finish {name}"


def finish(bench: Bench, name: str) -> str:
    """End a rotation; returns what to do next.

    Raises:
        InputError: `ROTATION_NAME_UNKNOWN`.
        ConflictError: `ROTATION_NONE`; as `core.rotation.finish`.
    """
    kind = kind_of(name)
    seen = look(bench)
    active = _open(seen, name)
    known = seen.kept.records.get(name)
    if not _is_recorded(known, active):
        record = rotation.finish(active, seen.holdings[name], bench.quiet, bench.clock.now())
        write_record(bench.store, record, seen.kept)
    close_active(bench.store, seen.kept.active_generation)
    note_dues(bench)
    old = f"the old value {active.old}" if active.old else "the old value"
    return f"take {old} away wherever it is kept ({kind.kept}), then: rotate status {name}"


def abort(bench: Bench, name: str) -> str:
    """Give a rotation up; returns what to do next.

    Raises:
        InputError: `ROTATION_NAME_UNKNOWN`.
        ConflictError: `ROTATION_NONE`.
    """
    kind_of(name)
    seen = look(bench)
    active = _open(seen, name)
    close_active(bench.store, seen.kept.active_generation)
    note_dues(bench)
    accepted = seen.holdings[name].accepted
    left = next((each for each in accepted if each != active.old), "")
    if left and active.old and active.old not in accepted:
        return f"the old value {active.old} is gone: everybody goes on with {left}, which counts from now on"
    also = f"; the value {left} is still accepted: take it away again" if left and active.old else ""
    return f"everybody goes on with the old value{also}"


def _open(seen: Seen, name: str) -> Active:
    active = seen.kept.active
    if active is None or active.name != name:
        other = "none is" if active is None else f"{active.name} is"
        raise ConflictError("ROTATION_NONE", f"{name} is not being rotated, {other}: rotate begin {name}")
    return active


def _is_recorded(record: Record | None, active: Active) -> bool:
    return (
        record is not None
        and active.verified is not None
        and (record.fingerprint, record.retired, record.since)
        == (active.verified.fingerprint, active.old, active.begun_at)
    )
