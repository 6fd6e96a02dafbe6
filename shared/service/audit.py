"""Feeding the audit graph from the store: a deployment by its own sync when there is time, and all that is left by the poll.

The records and events in the store are the source. The graph may be down, or be taken back in time: what it lacks is read
again from where it stands, and nothing of it is needed for a deployment.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from shared import log
from shared.core.audit import Batch, Position, deployment_row, event_row, head_of
from shared.core.audit_note import fed_number, with_audit_failure, with_fed
from shared.core.change_set import decided
from shared.core.events import events_of
from shared.core.names import parse_deployment, timestamp
from shared.errors import ConflictError, RejectedError, SkillSyncError, UnavailableError
from shared.service.audit_backlog import Backlog
from shared.service.live import read_live
from shared.service.objects import read_manifest
from shared.service.summary_store import change_summary

if TYPE_CHECKING:
    from shared.core.decide import Decision
    from shared.core.summary import Change, Summary
    from shared.model import LiveSkill, Pointer, SkillId
    from shared.ports import Audit, AuditSession
    from shared.service.context import Context, Deadline
    from shared.service.live import Live

SYNC_SECONDS = 1.5
"""What a webhook's answer waits for the graph at most; the pointer has moved and the pullers know by then."""
LEAST_SECONDS = 0.5
TOLD_ONE_BY_ONE = 20
_BUSY = "AUDIT_MOVED"


def feed_now(context: Context, live: Live, envelope: bytes, pointer: Pointer, decision: Decision) -> Change:
    """Feed one deployment whose pointer has just moved, if the graph stands right before it; never fails.

    A graph that failed or is behind is left to the poll, so that nobody waits for it twice.

    Args:
        context: The ports.
        live: What was read before, with the summary.
        envelope: The signed pointer.
        pointer: The same, readable.
        decision: What it changed.

    Returns:
        What the summary is to be told.
    """
    audit, before = context.audit, (0, 0) if pointer.previous is None else parse_deployment(pointer.previous)
    if audit is None or "error" in live.summary.audit or fed_number(live.summary) != before:
        return lambda summary: summary
    at = timestamp(context.clock.now())
    try:
        row = deployment_row(pointer, decided(decision, _removed_from(context, live, decision)))
        events = [event_row(name, data) for name, data in events_of(pointer, decision)]
        batch = Batch(
            deployments=[row],
            events=[event for event in events if event is not None],
            after=Position(epoch=pointer.epoch, seq=pointer.seq),
            head=head_of(pointer, envelope),
        )
        with audit.open(SYNC_SECONDS) as graph:
            graph.write(batch, at=before)
    except SkillSyncError as error:
        log.warning("The audit graph is left to the poll", code=error.code, deployment=pointer.deployment)
        code = error.code
        return lambda summary: summary if code == _BUSY else with_audit_failure(summary, code, at)
    log.info("Projected", deployment=pointer.deployment)
    return lambda summary: with_fed(summary, pointer.deployment)


def catch_up(context: Context, deadline: Deadline) -> None:
    """Feed everything that the graph lacks, and note how far it stands; never fails.

    Nothing is fed of a store that cannot be believed: it may be the graph that will accuse it.

    Args:
        context: The ports.
        deadline: Nothing is begun once it is over; the next poll goes on.
    """
    if context.audit is None or deadline.remaining() < LEAST_SECONDS:
        return
    try:
        live = read_live(context)
        if live.pointer is not None:
            _note(context, live, _caught_up(context, context.audit, live, live.pointer, deadline))
    except SkillSyncError as error:
        log.warning("The audit graph is not fed", code=error.code)


def _caught_up(context: Context, audit: Audit, live: Live, pointer: Pointer, deadline: Deadline) -> Change:
    at = timestamp(context.clock.now())
    try:
        with audit.open(deadline.remaining()) as graph:
            fed = _feed(context, graph, live, pointer, deadline)
    except (UnavailableError, RejectedError) as error:
        log.warning("The audit graph is not fed; the next poll tries again", code=error.code, detail=error.message)
        code = error.code
        return lambda summary: with_audit_failure(summary, code, at)
    except ConflictError as error:
        log.info("Somebody else feeds the audit graph", code=error.code)
        return lambda summary: summary
    return (lambda summary: with_fed(summary, pointer.deployment)) if fed else (lambda summary: summary)


def _feed(context: Context, graph: AuditSession, live: Live, pointer: Pointer, deadline: Deadline) -> bool:
    """Write batch after batch; returns whether nothing is left."""
    at = graph.state().position
    backlog = Backlog(context, pointer)
    deployments = events = 0
    batches = backlog.batches(at, head_of(pointer, live.envelope))
    following = next(batches, None)
    while following is not None:
        batch = following
        # The next one is read from the store while the graph writes this one.
        following = context.together([partial(_written, graph, batch, at), partial(next, batches, None)])[1]
        _tell(batch)
        at = batch.after
        deployments, events = deployments + len(batch.deployments), events + len(batch.events)
        if deadline.remaining() < LEAST_SECONDS:
            log.warning("The audit graph is still behind; the next poll goes on", deployments=deployments)
            return False
    if deployments or events:
        log.info("The audit graph has caught up", deployments=deployments, events=events, until=f"{at.epoch}-{at.seq}")
    return True


def _written(graph: AuditSession, batch: Batch, at: Position) -> None:
    graph.write(batch, at=at.number)


def _tell(batch: Batch) -> None:
    """Say of each deployment, under its own sync's id, that it is in the graph; of a long backlog only how much it was."""
    for row in batch.deployments if len(batch.deployments) <= TOLD_ONE_BY_ONE else ():
        properties = row["properties"]
        assert isinstance(properties, dict)  # noqa: S101 - so `deployment_row` makes it
        with log.about(str(properties["sync_id"] or row["id"])):
            log.info("Projected", deployment=row["id"])


def _note(context: Context, live: Live, change: Change) -> None:
    def unless_newer(summary: Summary) -> Summary:
        told = change(summary)
        # A sync that came meanwhile may have fed its own deployment.
        return told if fed_number(told) >= fed_number(summary) else summary

    if unless_newer(live.summary) != live.summary:
        change_summary(context.store, unless_newer)


def _removed_from(context: Context, live: Live, decision: Decision) -> dict[SkillId, LiveSkill]:
    if not decision.removed or live.pointer is None:
        return {}
    return read_manifest(context.store, live.pointer.manifest.sha256).skills
