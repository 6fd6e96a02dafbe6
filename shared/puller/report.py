"""What the functions are told: each news once, again until they have taken it, and how things stand every minute."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from shared import log
from shared.core.names import timestamp
from shared.errors import InputError, SkillSyncError
from shared.puller.state_file import failed_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.ports import Clock
    from shared.puller.client import ReleaseClient
    from shared.puller.drift import Drift
    from shared.puller.state import State

HEARTBEAT_SECONDS = 60.0
_MAX_LISTED = 50


class Result(StrEnum):
    """How one look ended."""

    CURRENT = "current"
    INSTALLED = "installed"
    UNPROVED = "unproved"
    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """How a look ended, the codes that say why, the state that follows, and the trust it was judged by.

    `about`: the deployment that the reasons are told of, where the next one is news though it has the same.
    """

    outcome: Result
    reasons: tuple[str, ...] = ()
    about: str = ""
    state: str = ""
    trust_version: int = 0


class Reporter:
    """Tells the functions what is news.

    An install is news, and so is what somebody changed on the volume. A reason for refusing or failing is, when it was not
    told since things last went well, and so is that they go well again. The heartbeat repeats how things stand, be it good or
    bad: it may be all that the functions still have.

    Args:
        client: The release function.
        clock: For dates, and for the heartbeat.
        counted: Says, at the moment of sending, what the functions count.
    """

    def __init__(self, client: ReleaseClient, clock: Clock, counted: Callable[[], Mapping[str, object]] = dict) -> None:
        self._client = client
        self._clock = clock
        self._counted = counted
        self._last: Word | None = None
        self._troubles: set[Word] = set()
        self._pending: Word | None = None
        self._pending_at = ""
        self._pending_drift: list[Drift] = []
        self._drift: list[Drift] = []
        self._sent_at = float("-inf")
        self._fault = ""

    def note(self, word: Word, state: State, drift: Sequence[Drift] = ()) -> None:
        """Take note of how a look ended, and report what is due; a report that fails is tried again at the next look."""
        due = self._clock.monotonic() - self._sent_at >= HEARTBEAT_SECONDS
        self.keep(drift)
        if self._is_news(word) or ((due or self._drift) and self._pending is None):
            self._begin(word)
        self._last = word
        if self._pending is not None:
            self._send(self._pending, state)

    def _begin(self, word: Word) -> None:
        # One time for all tries: by it the functions know a report that was sent again. What somebody changes meanwhile
        # waits for the next report, for in this one it might be taken for told.
        self._pending, self._pending_at = word, timestamp(self._clock.now())
        self._pending_drift, self._drift = [*self._pending_drift, *self._drift][:_MAX_LISTED], []

    def keep(self, drift: Sequence[Drift]) -> None:
        """Keep for the next report what somebody changed."""
        # More than one report can carry was logged; the functions learn that there was much.
        self._drift = [*self._drift, *drift][:_MAX_LISTED]

    def is_new_trouble(self, word: Word) -> bool:
        """Whether this reason was not met since things last went well: what is logged once, too."""
        return word not in self._troubles

    def _is_news(self, word: Word) -> bool:
        if word.outcome in {Result.CURRENT, Result.INSTALLED}:
            healed = bool(self._troubles)
            self._troubles.clear()
            return healed or self._last is None or word.outcome is Result.INSTALLED
        new = self.is_new_trouble(word)
        self._troubles.add(word)
        return new

    def _send(self, word: Word, state: State) -> None:
        try:
            document = report_document(word, state, self._pending_at, self._pending_drift)
            self._client.report({**document, **self._counted()})
        except SkillSyncError as error:
            if error.code != self._fault:
                log.warning("The report was not taken", code=error.code, detail=error.message)
            self._fault = error.code
            if not isinstance(error, InputError):
                return
        else:
            self._fault = ""
        self._pending, self._sent_at, self._pending_drift = None, self._clock.monotonic(), []


def report_document(word: Word, state: State, at: str, drift: Sequence[Drift] = ()) -> dict[str, object]:
    """Write a report. `deployment`, `manifest` and `installed_at` are of what is installed, also when a newer one failed."""
    failures = [failed_document(failed) for failed in state.failures]
    news: dict[str, object] = {"failed": failures[-1], "failed_before": failures[:-1]} if failures else {}
    if drift:
        news["drift"] = [{"path": each.path, "what": each.what, "action": each.action} for each in drift]
    return {
        "outcome": word.outcome.value,
        "deployment": state.deployment,
        "manifest": state.manifest,
        "installed_at": state.installed_at,
        "at": at,
        "state": word.state or None,
        "trust_version": word.trust_version,
        "reasons": list(word.reasons),
        "displaced": list(state.displaced[:_MAX_LISTED]),
        "floor": base64.b64encode(state.envelope).decode() if state.envelope else None,
        **news,
    }
