"""What is told of rotations: each credential with its fingerprints, dates and state, and the one that is under way. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from shared.core.credentials import kind_of
from shared.core.dues import days_left, state_of
from shared.core.rotation import is_retired_accepted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from shared.core.dues import Due
    from shared.core.rotation import Active, Holding, Record


def rotation_document(
    active: Active | None,
    records: Mapping[str, Record],
    holdings: Mapping[str, Holding],
    dues: Mapping[str, Due],
    *,
    quiet: timedelta,
    now: datetime,
) -> dict[str, object]:
    """Make the answer of `GET /api/rotation`.

    Args:
        active: The rotation that is under way.
        records: What is known of each value in use.
        holdings: What is accepted, and who used what.
        dues: When each is due, as last noted.
        quiet: So long nobody must have used the old value before it may go.
        now: The time.
    """
    shown = [name for name in sorted(holdings) if holdings[name].accepted or name in records]
    return {
        "active": None if active is None else _active(active),
        "quiet_seconds": round(quiet.total_seconds()),
        "credentials": [
            _credential(name, holdings[name], records.get(name), dues.get(name), active, now) for name in shown
        ],
    }


def _active(active: Active) -> dict[str, object]:
    verified = active.verified
    return {
        "name": active.name,
        "begun_at": active.begun_at,
        "old": active.old or None,
        "verified": None
        if verified is None
        else {
            "fingerprint": verified.fingerprint,
            "at": verified.at,
            "checks": [asdict(check) for check in verified.checks],
        },
    }


def _credential(
    name: str, holding: Holding, record: Record | None, due: Due | None, active: Active | None, now: datetime
) -> dict[str, object]:
    kind = kind_of(name)
    retired = record is not None and is_retired_accepted(record, holding)
    return {
        "name": name,
        "cadence_days": kind.cadence_days,
        "fingerprints": list(holding.accepted),
        **_dates(due, now),
        "state": _state(name, due, active, now),
        "retired": record.retired if record is not None and retired else None,
        "used": dict(holding.used),
        "kept": kind.kept,
        "overlap": kind.overlap,
        "symptom": kind.symptom,
    }


def _dates(due: Due | None, now: datetime) -> dict[str, object]:
    if due is None:
        return dict.fromkeys(("since", "due_at", "days_left", "lifetime_days", "known_from"))
    return {
        "since": due.since,
        "due_at": due.due_at,
        "days_left": days_left(due.due_at, now),
        "lifetime_days": due.lifetime_days,
        "known_from": due.known_from,
    }


def _state(name: str, due: Due | None, active: Active | None, now: datetime) -> str:
    if active is not None and active.name == name:
        return "rotating"
    return "unknown" if due is None else state_of(due.due_at, due.lifetime_days, now)
