"""Health by three bounded reads in one round: the pointer, the summary, and the reports of the pullers that have a key.

Only what these three tell is judged. Records, evidence of pauses and the chain of trust are left to `survey`, which the poll
makes, and the operators' questions: what it finds stands in the summary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.canonical import parse_object
from shared.core.health import Evidence, health_of
from shared.core.names import CURRENT, SUMMARY, puller_name, timestamp
from shared.core.rewind import judge_store
from shared.core.states import LATCHING, in_force, state_of, with_latch
from shared.core.summary import Summary, parse_summary
from shared.errors import InputError
from shared.service.survey import expired, readable
from shared.service.witnesses import MAX_PULLERS, floors_of, puller_reports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from shared.core.rewind import StoreVerdict
    from shared.core.states import State
    from shared.model import Latch, Trust
    from shared.ports import Store, StoredObject, Together

Reports = list["Mapping[str, object]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What health is measured by. `pullers`: the ids that have a key, of which the first 50 are read; none lists them."""

    webhook_configured: bool
    poll_seconds: float
    pullers: tuple[str, ...] = ()
    audit_configured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What the reads brought, and what the pointer is worth by what the pullers remember."""

    current: StoredObject | None
    summary: Summary
    reports: Sequence[Mapping[str, object]]
    verdict: StoreVerdict


def glance(store: Store, trust: Trust, together: Together, now: datetime, pullers: Sequence[str]) -> Glance:
    """Read side by side, and judge the pointer.

    Args:
        store: Where.
        trust: Whose signature counts.
        together: Runs the reads side by side.
        now: The time.
        pullers: Whose reports; where none are named, those that a listing shows.
    """
    reports: Reports = []
    first, stored, *_ = together(
        [
            lambda: store.get(CURRENT),
            lambda: store.get(SUMMARY),
            *([] if pullers else [lambda: reports.extend(puller_reports(store, together))]),
            *(lambda id_=id_: reports.append(_report(store, id_)) for id_ in pullers[:MAX_PULLERS]),
        ]
    )
    reports.sort(key=lambda report: str(report.get("id")))
    floors = floors_of(reports, trust)
    verdict = judge_store(None if first is None else first.data, floors, trust, now)
    current = first
    if verdict.reason in LATCHING:
        # A report may be newer than the first look: only a pointer that was read after it can stand behind it.
        current = store.get(CURRENT)
        verdict = judge_store(None if current is None else current.data, floors, trust, now)
    summary = Summary() if stored is None else parse_summary(stored.data)
    return Glance(current=current, summary=summary, reports=reports, verdict=verdict)


def health(found: Glance, trust: Trust, now: datetime, watched: Watched, *, trouble: str = "") -> dict[str, object]:
    """Describe the health.

    Args:
        found: What was read.
        trust: Whose signature counts.
        now: The time.
        watched: What is measured by.
        trouble: What the walk of the trust met, empty when nothing.
    """
    state, _ = standing(found, trust, now, trouble)
    evidence = Evidence(
        pointer=None if found.current is None else readable(found.current.data, trust),
        summary=found.summary,
        pullers=found.reports,
        webhook_configured=watched.webhook_configured,
        poll_seconds=watched.poll_seconds,
        state=state,
        audit_configured=watched.audit_configured,
    )
    return health_of(evidence, now)


def standing(found: Glance, trust: Trust, now: datetime, trouble: str) -> tuple[State, tuple[Latch, ...]]:
    """Say in which state the functions are, and which latches hold; arguments as for `health`."""
    # The poll proves a latch by its evidence before it acts on it; to be told of one, its word is enough.
    latches = with_latch(in_force(found.summary.latches, trust), found.verdict.reason, trust, timestamp(now))
    troubles = [reason for reason in (found.verdict.reason, trouble, expired(trust, now)) if reason]
    return state_of(troubles, latches, trust), latches


def _report(store: Store, puller: str) -> dict[str, object]:
    name = puller_name(puller)
    stored = store.get(name)
    try:
        report = {} if stored is None else parse_object(stored.data, what=name)
    except InputError:
        report = {}
    return {**report, "id": puller}
