"""The `Hooks` port on GitHub's REST API: which webhook calls never arrived.

Source: https://docs.github.com/en/rest/repos/webhooks#list-deliveries-for-a-repository-webhook
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from shared.adapters.github_body import Budget
from shared.adapters.github_faults import FORBIDDEN, NOT_FOUND, OK, UNAUTHORIZED, corrupt
from shared.core.canonical import member
from shared.errors import InputError, RejectedError
from shared.model import FailedDelivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.adapters.github_api import Api

_LIST_BYTES: Final = 2**20
_REFUSED: Final = frozenset({UNAUTHORIZED, FORBIDDEN, NOT_FOUND})
_ARRIVED: Final = range(200, 300)
_STATUSES: Final = range(1000)
_GUID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One attempt to deliver one event."""

    event: str
    delivery: FailedDelivery

    @property
    def arrived(self) -> bool:
        return self.delivery.status_code in _ARRIVED


class GitHubHooks:
    """A repository's webhooks, as far as the token may see them.

    Args:
        api: The repository.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def failed_deliveries(self, hook: int | None) -> Sequence[FailedDelivery] | None:
        """List push deliveries among the last hundred that never arrived, oldest first; see the port."""
        number = self._only_push_hook() if hook is None else hook
        entries = None if number is None else self._list(f"/hooks/{number}/deliveries?per_page=100")
        if entries is None:
            return None
        try:
            attempts = [_attempt(entry) for entry in entries]
        except (InputError, ValueError):
            raise corrupt(self._api.where, "expected webhook deliveries, got something else") from None
        return _failed(attempts)

    def listed(self) -> list[dict[str, object]] | None:
        """List the repository's webhooks as GitHub shows them; None when the token may not read them. Raises as the port.

        Source:
            https://docs.github.com/en/rest/repos/webhooks#list-repository-webhooks
        """
        entries = self._list("/hooks?per_page=100")
        return None if entries is None else [entry for entry in entries if isinstance(entry, dict)]

    def _only_push_hook(self) -> int | None:
        numbers = [hook.get("id") for hook in self.listed() or () if takes_pushes(hook)]
        only = numbers[0] if len(numbers) == 1 else None
        return only if isinstance(only, int) and not isinstance(only, bool) else None

    def _list(self, path: str) -> list[object] | None:
        """Get a list; None when the token may not."""
        try:
            answer = self._api.get(path, budget=Budget(_LIST_BYTES, self._api.where), also=_REFUSED)
        except RejectedError as error:
            if error.code == "SOURCE_DENIED":  # not even the App itself was let in
                return None
            raise
        if answer.status != OK or answer.content is None:
            return None
        # The strict reader takes objects only.
        entries = self._api.parsed(b'{"entries":' + answer.content + b"}").get("entries")
        if not isinstance(entries, list):
            raise corrupt(self._api.where, "expected a list, got something else")
        return entries


def takes_pushes(hook: dict[str, object]) -> bool:
    """Whether a webhook is active and called for pushes."""
    events = hook.get("events")
    return hook.get("active") is True and isinstance(events, list) and ("push" in events or "*" in events)


def _attempt(entry: object) -> _Attempt:
    what = "a delivery"
    guid = member(entry, "guid", str, what=what)
    made = datetime.fromisoformat(member(entry, "delivered_at", str, what=what))
    # Null where nothing was answered.
    status = (
        0
        if isinstance(entry, dict) and entry.get("status_code") is None
        else member(entry, "status_code", int, what=what)
    )
    if not _GUID.fullmatch(guid) or made.tzinfo is None or status not in _STATUSES:
        raise ValueError
    delivery = FailedDelivery(id=member(entry, "id", int, what=what), guid=guid, delivered_at=made, status_code=status)
    return _Attempt(event=member(entry, "event", str, what=what), delivery=delivery)


def _failed(attempts: Sequence[_Attempt]) -> list[FailedDelivery]:
    """Of each push that never arrived, return the last attempt."""
    arrived = {attempt.delivery.guid for attempt in attempts if attempt.arrived}
    ordered = sorted(attempts, key=lambda attempt: (attempt.delivery.delivered_at, attempt.delivery.id))
    last = {attempt.delivery.guid: attempt for attempt in ordered if attempt.event == "push"}
    lost = [attempt.delivery for guid, attempt in last.items() if guid not in arrived]
    return sorted(lost, key=lambda delivery: (delivery.delivered_at, delivery.id))
