"""Pausing: what was found is written down once, with both sides of the evidence, and nothing is deployed any more."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.canonical import canonical_bytes
from shared.core.events import event
from shared.core.names import pause_name, timestamp
from shared.core.states import LATCHING, VIOLATION, in_force, next_action, state_of, with_latch
from shared.errors import PausedError, SkillSyncError
from shared.service.objects import create_once
from shared.service.summary_store import change_summary
from shared.service.telling import tell

if TYPE_CHECKING:
    from datetime import datetime

    from shared.core.rewind import Witness
    from shared.core.summary import Summary
    from shared.model import Pointer, Trust
    from shared.ports import Store
    from shared.service.context import Context
    from shared.service.survey import Survey

SCHEMA = "skill-sync/pause/1"
PARTY = "functions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accusation:
    """What the store is accused of. `envelope` is what it holds, `offered` the same if one of our signers wrote it."""

    reason: str
    detail: str
    envelope: bytes | None = field(repr=False)
    offered: Pointer | None
    against: Witness | None


def accusation_of(found: Survey) -> Accusation:
    """Say what a look at the store accuses it of."""
    return Accusation(
        reason=found.verdict.reason,
        detail=found.verdict.detail,
        envelope=None if found.current is None else found.current.data,
        offered=found.offered,
        against=found.verdict.against,
    )


def fork_of(pointer: Pointer, envelope: bytes, rival: Witness) -> Accusation:
    """Say that a deployment was made twice: its record names another manifest than the pointer that was just written."""
    detail = f"{pointer.deployment} was deployed before, with another manifest"
    return Accusation(reason=VIOLATION, detail=detail, envelope=envelope, offered=pointer, against=rival)


def paused(found: Survey, trust: Trust) -> PausedError:
    """Say why nothing is deployed, and what to do."""
    remembered = max((witness.pointer.epoch for witness in found.witnesses), default=0)
    action = next_action(found.state, found.latches, trust, remembered_epoch=remembered)
    detail = found.verdict.detail or "the evidence stands in pauses/"
    return PausedError(
        f"paused, {', '.join(found.state.reasons)}: {detail}", reasons=found.state.reasons, next_action=action
    )


def refuse_while_latched(summary: Summary, trust: Trust) -> None:
    """Stop at once where the summary holds a latch that is in force; the next poll looks whether it is proved.

    Raises:
        PausedError: with the reasons.
    """
    latches = in_force(summary.latches, trust)
    if latches:
        state = state_of((), latches, trust)
        action = next_action(state, latches, trust, remembered_epoch=0)
        raise PausedError(
            f"paused since {state.since}: {', '.join(state.reasons)}", reasons=state.reasons, next_action=action
        )


def record_pause(context: Context, found: Accusation) -> None:
    """Write a newly raised latch, its evidence and its event; never fails, the next poll finds the same again."""
    reason, trust = found.reason, context.trust
    if reason not in LATCHING:
        return
    at = timestamp(context.clock.now())
    try:
        name = pause_name(trust.epoch, reason)
        if context.store.get(name) is None:
            if found.against is not None:
                told = observed(PARTY, trust, reason, found.against.pointer, found.offered)
                tell(context.store, *told, context.clock.now())
            create_once(context.store, name, _evidence(found, trust, at))
        change_summary(
            context.store, lambda summary: replace(summary, latches=with_latch(summary.latches, reason, trust, at))
        )
    except SkillSyncError as error:
        log.warning("The pause was not written down", code=error.code, reason=reason)
    log.error("Paused: nothing is deployed until an operator has acted", reason=reason, detail=found.detail)


def _evidence(found: Accusation, trust: Trust, at: str) -> bytes:
    against = found.against
    document = {
        "schema": SCHEMA,
        "party": PARTY,
        "reason": found.reason,
        "epoch": trust.epoch,
        "trust_version": trust.version,
        "at": at,
        "store": None if found.envelope is None else base64.b64encode(found.envelope).decode(),
        "remembered": None if against is None else base64.b64encode(against.envelope).decode(),
        "remembered_by": None if against is None else against.party,
    }
    return canonical_bytes(document)


def observed(party: str, trust: Trust, reason: str, remembered: Pointer, offered: Pointer | None) -> tuple[str, bytes]:
    """Make the event `dr.observed` of a party: one for each epoch and reason."""
    details: dict[str, object] = {
        "party": party,
        "reason": reason,
        "epoch": trust.epoch,
        "remembered": remembered.deployment,
        "remembered_manifest": remembered.manifest.sha256,
        "store": None if offered is None else offered.deployment,
    }
    # Named by what is remembered, so that the same finding is told once, whoever makes it again.
    key = f"dr-observed-{party}-{trust.epoch}-{reason}"
    return event(remembered.deployed_at, key, "dr.observed", details)


def tell_recovered(store: Store, party: str, trust: Trust, now: datetime) -> None:
    """Write the event `dr.recovered_boot` of a party, once for each epoch."""
    if trust.epoch > 1:
        details: dict[str, object] = {"party": party, "epoch": trust.epoch, "trust_version": trust.version}
        name, data = event(trust.issued_at, f"dr-recovered-{party}-{trust.epoch}", "dr.recovered_boot", details)
        tell(store, name, data, now)
