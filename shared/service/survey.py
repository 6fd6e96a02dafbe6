"""A look at the store from all sides: the pointer, the summary, what others remember; and the state that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.names import CURRENT, SUMMARY, parse_timestamp, timestamp
from shared.core.rewind import StoreVerdict, judge_store
from shared.core.states import LATCHING, State, state_of, with_latch
from shared.core.summary import Summary, parse_summary
from shared.core.verify import UnverifiedPointer, read_former
from shared.errors import UnverifiedError
from shared.service.witnesses import audit_witness, proved_latches, puller_reports, witnesses_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from shared.core.rewind import Witness
    from shared.model import Latch, Pointer, Trust
    from shared.ports import Audit, Store, StoredObject, Together

TRUST_EXPIRED = "trust_expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found. `latches` are those that are in force, newly raised ones among them; `summary` may lack these.

    `offered` is what the store's pointer says, if one of our signers wrote it, be it live or not.
    """

    current: StoredObject | None
    offered: Pointer | None
    summary: Summary
    summary_generation: int
    reports: Sequence[Mapping[str, object]]
    witnesses: Sequence[Witness]
    verdict: StoreVerdict
    latches: tuple[Latch, ...]
    state: State


def survey(
    store: Store, trust: Trust, together: Together, now: datetime, *, trouble: str = "", audit: Audit | None = None
) -> Survey:
    """Look at everything, and judge it.

    Args:
        store: Where.
        trust: The newest version that is believed.
        together: Runs the reads side by side.
        now: The time.
        trouble: What the walk of the trust met, empty when nothing.
        audit: What also remembers; None where no graph is kept.
    """
    reports: list[Mapping[str, object]] = []
    remembered: list[Witness | None] = []
    current, stored, _, _ = together(
        [
            lambda: store.get(CURRENT),
            lambda: store.get(SUMMARY),
            lambda: reports.extend(puller_reports(store, together)),
            lambda: remembered.append(audit_witness(audit, trust)),
        ]
    )
    summary = Summary() if stored is None else parse_summary(stored.data)
    pointer = None if current is None else readable(current.data, trust)
    witnesses, orphans = witnesses_of(store, trust, together, summary, pointer, reports)
    witnesses += [witness for witness in remembered if witness is not None]
    verdict = judge_store(None if current is None else current.data, witnesses, trust, now, orphans=orphans)
    if verdict.reason in LATCHING:
        # What is remembered may be newer than the first look: only a pointer that was read after it can stand behind it.
        current = store.get(CURRENT)
        verdict = judge_store(None if current is None else current.data, witnesses, trust, now, orphans=orphans)
    known = proved_latches(store, trust, summary.latches)
    latches = with_latch(known, verdict.reason, trust, timestamp(now))
    troubles = [reason for reason in (verdict.reason, trouble, expired(trust, now)) if reason]
    return Survey(
        current=current,
        offered=None if current is None else readable(current.data, trust),
        summary=summary,
        summary_generation=0 if stored is None else stored.generation,
        reports=reports,
        witnesses=witnesses,
        verdict=verdict,
        latches=latches,
        state=state_of(troubles, latches, trust),
    )


def readable(envelope: bytes, trust: Trust) -> Pointer | None:
    """Return what an envelope says, if one of our signers wrote it, be it of this epoch or an older one."""
    try:
        return read_former(UnverifiedPointer(envelope), trust)
    except UnverifiedError:
        return None


def expired(trust: Trust, now: datetime) -> str:
    """Return `trust_expired` when it is; else an empty text."""
    return TRUST_EXPIRED if trust.expires_at and parse_timestamp(trust.expires_at) <= now else ""
