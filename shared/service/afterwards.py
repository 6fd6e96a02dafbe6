"""When people are told: behind a call, in what is left of its time. What they are told is `alerting`'s business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import DeadlineError, SkillSyncError
from shared.model import Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.service.context import Deadline
    from shared.service.sync import Outcome

WEBHOOK_SECONDS = 3.0
SECONDS = 5.0


def tell_after(
    run: Callable[[], Outcome], trigger: Trigger, deadline: Deadline, tell: Callable[[float], None]
) -> Outcome:
    """Run a call, and tell people what there is to tell behind it, however it ended.

    Args:
        run: The call.
        trigger: What set it going. A webhook that changed nothing that an alert could be about costs nothing more.
        deadline: The call's own; only a poll, which nobody waits for, may tell a little longer.
        tell: Looks and tells, within so many seconds.

    Returns:
        What the call returned; its errors are raised again.
    """
    try:
        outcome = run()
    except SkillSyncError as error:
        # One that only lacked time has failed in nothing: the poll goes on with it.
        if trigger is Trigger.POLLING or not isinstance(error, DeadlineError):
            tell(_seconds(trigger, deadline))
        raise
    if not (trigger is Trigger.WEBHOOK and outcome.is_quiet):
        tell(_seconds(trigger, deadline))
    return outcome


def _seconds(trigger: Trigger, deadline: Deadline) -> float:
    if trigger is Trigger.POLLING:
        return SECONDS
    return min(WEBHOOK_SECONDS if trigger is Trigger.WEBHOOK else SECONDS, deadline.remaining())
