"""Keeping in the summary what one process was told: the rate limit of the source, which all obey, and news of credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.credential_notes import with_token, with_uses
from shared.core.summary import blocked_until, with_blocked

if TYPE_CHECKING:
    from shared.core.summary import Summary
    from shared.service.context import Context


def obey(context: Context, summary: Summary) -> None:
    """Leave the source's API alone as long as the summary says."""
    until = blocked_until(summary, context.clock.now())
    if context.quota is not None and until is not None:
        context.quota.block(until)


def with_quota(context: Context, summary: Summary) -> Summary:
    """Note what this process was told; without a quota the note of others stays as it is."""
    if context.quota is None:
        return summary
    return with_blocked(summary, context.quota.blocked_until(), context.clock.now())


def with_credentials(context: Context, summary: Summary, at: str) -> Summary:
    """Note under which credentials this call came in, and what was heard of the source's token."""
    note = None if context.token_note is None else context.token_note()
    return with_token(with_uses(summary, context.uses, at), note)
