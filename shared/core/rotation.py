"""How one value of a credential takes the place of another: what may follow what, and what is kept of it. Pure.

    begin (one value) -> the new one is accepted beside it -> verify -> a quiet period without the old one -> finish

Nothing here decides whether a value works: that is tried, and comes in as checks. The rules are those that TUF and every
guide to rotation share: the old value goes last, only after the new one was seen to work, and never two at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared.core.credentials import Check, failed
from shared.core.names import parse_timestamp, timestamp
from shared.errors import ConflictError, NotYetError, ProbeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

QUIET_POLLS = 2
"""So many polling intervals nobody may use the old value before it may go: whoever still has it calls within one."""
_TWO = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is accepted now, and by whom it was used.

    Args:
        accepted: Fingerprints, newest first; empty where nobody knows.
        used: When a call came in under each, as far as that is noted.
    """

    accepted: tuple[str, ...] = ()
    used: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """That a value was seen to work: which, when, and by what."""

    fingerprint: str
    at: str
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """The rotation that is under way. `old` is empty where nobody knew what was accepted; `token` names this one alone."""

    token: str
    name: str
    begun_at: str
    old: str = ""
    verified: Verified | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of the value in use: since when, and how that is known (`rotation`, `first_seen`, `changed`, `trust`).

    `retired` is the value that it replaced, at `retired_at`: it must not be accepted for long any more.
    """

    name: str
    fingerprint: str
    since: str
    known_from: str
    retired: str = ""
    retired_at: str = ""


def begin(
    name: str, holding: Holding, record: Record | None, active: Active | None, *, token: str, now: datetime
) -> Active:
    """Open a rotation.

    Args:
        name: The credential.
        holding: What is accepted now.
        record: What is known of the value in use.
        active: The rotation that is under way, whichever credential it is of.
        token: A text that no other rotation has.
        now: The time.

    Raises:
        ConflictError: `ROTATION_OPEN`, `ROTATION_OLD_STILL_ACCEPTED`, `ROTATION_TWO_ALREADY`.
    """
    if active is not None:
        raise ConflictError(
            "ROTATION_OPEN",
            f"{active.name} is being rotated since {active.begun_at}; never two at once: finish or abort that one first",
        )
    if record is not None and is_retired_accepted(record, holding):
        raise ConflictError(
            "ROTATION_OLD_STILL_ACCEPTED",
            f"{record.retired}, which was retired at {record.retired_at}, is still accepted: remove it first",
        )
    if len(holding.accepted) >= _TWO:
        raise ConflictError(
            "ROTATION_TWO_ALREADY",
            f"two values are accepted already ({', '.join(holding.accepted)}): take the one out that is not in use, then begin",
        )
    return Active(token=token, name=name, begun_at=timestamp(now), old=next(iter(holding.accepted), ""))


def check_presented(active: Active, holding: Holding, expected: str) -> str:
    """Return the fingerprint of the new value, as it is accepted beside the old one.

    Args:
        active: The rotation.
        holding: What is accepted now.
        expected: The new value's fingerprint, as far as the operator said; else empty.

    Raises:
        ConflictError: `ROTATION_NOT_SEEN`, `ROTATION_NOT_NEWEST`, `ROTATION_OLD_GONE`.
    """
    newest = next(iter(holding.accepted), "")
    fresh = expected or (newest if newest != active.old else "")
    if not fresh or fresh not in holding.accepted:
        shown = fresh or "a new one"
        raise ConflictError(
            "ROTATION_NOT_SEEN",
            f"{shown} is not accepted yet for {active.name}; what is: {', '.join(holding.accepted) or 'nothing known'}",
        )
    if fresh == active.old:
        raise ConflictError("ROTATION_NOT_SEEN", f"{fresh} is the value that {active.name} had before")
    if fresh != newest:
        raise ConflictError(
            "ROTATION_NOT_NEWEST", f"{newest} stands before {fresh} in {active.name}; the new value is the first line"
        )
    if active.old and active.old not in holding.accepted:
        raise ConflictError(
            "ROTATION_OLD_GONE",
            f"the old value {active.old} of {active.name} is gone too early; put it back as second line until `finish`",
        )
    return fresh


def prove(active: Active, fingerprint: str, checks: Sequence[Check], now: datetime) -> Active:
    """Note that the new value works; the quiet period begins.

    Raises:
        ProbeError: `ROTATION_PROBE_FAILED`, with the checks.
    """
    wrong = failed(checks)
    if wrong:
        told = "; ".join(f"{check.name}: {check.text or check.code}" for check in wrong)
        raise ProbeError(
            "ROTATION_PROBE_FAILED", f"{fingerprint} does not work as {active.name}: {told}", checks=tuple(checks)
        )
    return replace(active, verified=Verified(fingerprint=fingerprint, at=timestamp(now), checks=tuple(checks)))


def finish(active: Active, holding: Holding, quiet: timedelta, now: datetime) -> Record:
    """End a rotation: from now on the old value may go.

    Args:
        active: The rotation.
        holding: What is accepted now.
        quiet: So long nobody must have used the old value.
        now: The time.

    Raises:
        ConflictError: `ROTATION_UNVERIFIED`; as `check_presented`.
        NotYetError: `ROTATION_QUIET`, with the seconds that are left.
    """
    verified = active.verified
    if verified is None:
        raise ConflictError("ROTATION_UNVERIFIED", f"the new value of {active.name} was not verified")
    fresh = check_presented(active, holding, "")
    if fresh != verified.fingerprint:
        raise ConflictError(
            "ROTATION_UNVERIFIED", f"{verified.fingerprint} was verified, {fresh} is the newest of {active.name} by now"
        )
    last_use = holding.used.get(active.old, "")
    quiet_since = max(verified.at, last_use)
    left = (parse_timestamp(quiet_since) + quiet - now).total_seconds()
    if left > 0:
        why = f"the old value was used at {last_use}" if quiet_since == last_use else f"verified at {verified.at}"
        raise NotYetError("ROTATION_QUIET", f"{why}; {left:.0f} s to go for {active.name}", retry_after_seconds=left)
    return Record(
        name=active.name,
        fingerprint=fresh,
        since=active.begun_at,
        known_from="rotation",
        retired=active.old,
        retired_at=timestamp(now),
    )


def adopted(name: str, holding: Holding, record: Record | None, active: Active | None, now: datetime) -> Record | None:
    """Return what is known of the value in use, where nobody rotated it by the rules.

    A value is in use as long as it is accepted: another that comes beside it, and goes when a rotation is given up, makes it
    no younger.

    Args:
        name: The credential.
        holding: What is accepted now.
        record: What was known; None at first.
        active: The rotation that is under way: what it brings is no surprise.
        now: The time.

    Returns:
        The record to keep; the same object where nothing is new.
    """
    newest = next(iter(holding.accepted), "")
    if not newest or (active is not None and active.name == name):
        return record
    if record is None:
        return Record(name=name, fingerprint=newest, since=timestamp(now), known_from="first_seen")
    if record.fingerprint in holding.accepted:
        return record
    return Record(name=name, fingerprint=newest, since=timestamp(now), known_from="changed")


def is_retired_accepted(record: Record, holding: Holding) -> bool:
    """Whether a value that was replaced is still let in."""
    return bool(record.retired) and record.retired in holding.accepted and record.retired != record.fingerprint
