"""What a poll does behind its own work, from one look at the summary: due dates once an hour, garbage once a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import log
from shared.errors import SkillSyncError
from shared.service.collect_daily import collect_daily
from shared.service.credential_look import look_at_credentials
from shared.service.summary_store import read_summary

if TYPE_CHECKING:
    from shared.service.context import Context, Deadline


def keep_house(context: Context, deadline: Deadline) -> None:
    """Do what is due; never raises. Costs one read where nothing is.

    Args:
        context: The ports, and what this function holds.
        deadline: The poll's own.
    """
    try:
        known = read_summary(context.store)
    except SkillSyncError as error:
        log.warning("Housekeeping is left to the next poll", code=error.code, detail=error.message)
    except Exception as error:  # noqa: BLE001 - an edge: housekeeping must never fail the poll
        log.unexpected(error, "Housekeeping is left to the next poll")
    else:
        collect_daily(context, deadline, known)
        look_at_credentials(context, known[0])
