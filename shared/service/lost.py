"""Recording webhook calls that never arrived. The poll has brought their content already; a person may mend the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import log
from shared.core.events import event
from shared.core.names import timestamp
from shared.core.summary import lost_deliveries, with_lost
from shared.errors import SkillSyncError
from shared.service.summary_store import change_summary, read_summary
from shared.service.telling import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.model import FailedDelivery
    from shared.service.context import Context, Deadline


_REJECTED = 400
"""So a webhook answers a push whose skills are all rejected: that call has arrived, whatever the forge calls it."""


def record_lost_webhooks(context: Context, deadline: Deadline) -> None:
    """Look through the forge's list of deliveries and write one event for each that is newly known to be lost.

    Called when a poll found commits that no webhook brought, so that an unchanged poll costs one request. Never fails: what
    cannot be read or written now is found again after the next such poll.

    Args:
        context: The ports; without `hooks` nothing is done.
        deadline: Nothing is begun once it is over.
    """
    if context.hooks is None or deadline.remaining() <= 0:
        return
    try:
        summary, _ = read_summary(context.store)
        hook = summary.webhook.get("hook")
        found = context.hooks.failed_deliveries(hook if isinstance(hook, int) else None)
        known = lost_deliveries(summary)
        fresh = [item for item in found or () if item.id not in known and item.status_code != _REJECTED]
        if fresh:
            _record(context, fresh)
    except SkillSyncError as error:
        log.warning("The list of webhook deliveries was not read", code=error.code)


def _record(context: Context, fresh: Sequence[FailedDelivery]) -> None:
    # Events first, by names that are the same when they are written again: once the summary knows the numbers, nobody looks.
    for item in fresh:
        details: dict[str, object] = {"delivery": item.guid, "status_code": item.status_code}
        name, data = event(timestamp(item.delivered_at), f"webhook-lost-{item.id}", "webhook-lost", details)
        tell(context.store, name, data, context.clock.now())
    change_summary(context.store, lambda summary: with_lost(summary, fresh))
    log.warning("Webhook calls were lost; the poll has brought their commits", count=len(fresh))
