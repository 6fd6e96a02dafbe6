"""A poll's look at what is due, once an hour. What it writes down is `due_dates`' business, who is told `alerts`'."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import log
from shared.core.credential_notes import is_look_due
from shared.core.credentials import named_by
from shared.errors import SkillSyncError
from shared.service.due_dates import note_dues
from shared.service.rotation_bench import Bench

if TYPE_CHECKING:
    from shared.core.summary import Summary
    from shared.service.context import Context


def look_at_credentials(context: Context, summary: Summary) -> None:
    """Note what is due when, if nobody has for an hour; never raises. Two at once would do no harm: they write the same.

    Args:
        context: The ports, and what this function holds.
        summary: As it was read just now.
    """
    if not is_look_due(summary, context.clock.now()):
        return
    try:
        note_dues(_bench(context))
    except SkillSyncError as error:
        log.warning("Due dates are left to the next poll", code=error.code, detail=error.message)
    except Exception as error:  # noqa: BLE001 - an edge: housekeeping must never fail the poll
        log.unexpected(error, "Due dates are left to the next poll")


def _bench(context: Context) -> Bench:
    return Bench(
        store=context.store,
        trust=context.trust,
        clock=context.clock,
        together=context.together,
        poll_seconds=context.poll_seconds,
        held={**context.held, **named_by(context.trust)},
    )
