"""The daily collection of garbage by the poll: claimed first, so that one poll a day does it. How is `collect`'s business."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from shared import log
from shared.core.garbage import is_due, with_claim
from shared.core.names import SUMMARY
from shared.core.summary import summary_bytes
from shared.errors import ConflictError, SkillSyncError
from shared.service.collect import Reach, collect
from shared.service.context import Deadline
from shared.service.objects import swap

if TYPE_CHECKING:
    from shared.core.summary import Summary
    from shared.service.context import Context

LEAST_SECONDS = 30.0
"""With less time than that nothing is begun: the next poll does it."""
MOST_SECONDS = 60.0
"""What alerts, which follow, wait for it at most."""


def collect_daily(context: Context, deadline: Deadline, known: tuple[Summary, int]) -> None:
    """Collect garbage behind a poll if nobody has done so for a day; never raises.

    Costs nothing on all other polls. Two runs at once would do no harm; the claim, in the summary that every poll writes
    anyway, only saves work. One that crashes, or does not get through, is made good the next day.

    Args:
        context: The ports.
        deadline: The poll's own.
        known: The summary as it was read just now, and its generation.
    """
    if deadline.remaining() < LEAST_SECONDS:
        return
    try:
        if _is_claimed(context, *known):
            _collect(context, Deadline(context.clock, min(MOST_SECONDS, deadline.remaining())))
    except SkillSyncError as error:
        log.warning("Garbage is left to the next day", code=error.code, detail=error.message)
    except Exception as error:  # noqa: BLE001 - an edge: housekeeping must never fail the poll
        log.unexpected(error, "Garbage is left to the next day")


def _is_claimed(context: Context, summary: Summary, generation: int) -> bool:
    """Whether this call is the one that does it today."""
    now = context.clock.now()
    if not is_due(summary, now):
        return False
    claim = summary_bytes(with_claim(summary, now, context.token()))
    try:
        swap(context.store, SUMMARY, claim, if_generation=generation)
    except ConflictError:
        return False  # another writer came first: a poll will find it due, or claimed
    return True


def _collect(context: Context, deadline: Deadline) -> None:
    reach = Reach(
        store=context.store,
        trust=context.trust,
        clock=context.clock,
        together=context.together,
        audit=context.audit,
    )
    found = collect(reach, deadline, delete=True)
    log.info("Garbage was collected", **asdict(found), left=found.left)
