"""Telling people what they should know, once: the book of alerts in the store, and the messages that follow from it.

It runs behind a call, when its outcome stands; whatever goes wrong here, that outcome stays. What could not be told now is
told by the next poll.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.alert_book import Book, claim, delivered, with_causes, with_watermark
from shared.core.alert_record import book_bytes, parse_book
from shared.core.alerts import causes_of, looked_at
from shared.core.letters import letter_of
from shared.core.names import ALERTS
from shared.core.polling import is_poller_stale
from shared.errors import ConflictError, SkillSyncError
from shared.model import DeploymentId, Trigger
from shared.service.afterwards import WEBHOOK_SECONDS
from shared.service.alert_evidence import everything, fresh_drift, summary_alone
from shared.service.context import random_token
from shared.service.objects import swap
from shared.service.summary_store import read_summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.core.alert_book import Batch
    from shared.model import Trust
    from shared.ports import Alert, Clock, Store, Together
    from shared.service.context import Context

LEAST_SECONDS = 1.0
"""With less time than that nothing is begun: the next poll tells it."""
UNDELIVERED = "ALERT_UNDELIVERED"
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is needed to look and to tell. `poll_seconds` is the polling interval."""

    store: Store
    trust: Trust
    clock: Clock
    together: Together
    alert: Alert
    poll_seconds: float
    token: Callable[[], str] = random_token


def tell_all(context: Context, trigger: Trigger, seconds: float) -> None:
    """Look and tell; never raises. A webhook looks at the summary alone, whatever else called looks at everything.

    Args:
        context: The ports; without `alert` nothing is done.
        trigger: What set the call going.
        seconds: How long the messages may take.
    """
    if context.alert is None or seconds < LEAST_SECONDS:
        return
    if trigger is Trigger.POLLING:
        # Before there is anything to tell, and where nobody waits.
        context.alert.prepare()
    watch = Watch(
        store=context.store,
        trust=context.trust,
        clock=context.clock,
        together=context.together,
        alert=context.alert,
        poll_seconds=context.poll_seconds,
        token=context.token,
    )
    _guarded(lambda: _look_and_tell(watch, seconds, complete=trigger is not Trigger.WEBHOOK))


def tell_of_poller(watch: Watch) -> None:
    """Tell that no poll has finished for long, by somebody other than the poller; never raises.

    Costs one read while all is well.

    Args:
        watch: What is needed.
    """

    def look() -> None:
        if is_poller_stale(read_summary(watch.store)[0], watch.poll_seconds, watch.clock.now()):
            _look_and_tell(watch, WEBHOOK_SECONDS, complete=False)

    _guarded(look)


def _guarded(run: Callable[[], None]) -> None:
    try:
        run()
    except SkillSyncError as error:
        log.warning("Alerts are left to the next poll", code=error.code)
    except Exception as error:  # noqa: BLE001 - an edge: what is only told must never fail what was done
        log.error("Alerts are left to the next poll", kind=type(error).__name__)


def _look_and_tell(watch: Watch, seconds: float, *, complete: bool) -> None:
    batches, deployment = _claimed(watch, complete=complete)
    if not batches:
        return
    trust = watch.trust
    letters = [letter_of(batch, channel=trust.channel, repo=trust.repo, deployment=deployment) for batch in batches]
    sent = list(zip(batches, watch.alert(letters, seconds), strict=True))
    _log(sent)
    _change(watch, lambda book: delivered(book, sent, watch.alert.addresses, watch.clock.now()))


def _claimed(watch: Watch, *, complete: bool) -> tuple[list[Batch], DeploymentId | None]:
    """Enter what is found into the book, and claim what is due; what could not be claimed is sent by somebody else."""
    batches: list[Batch] = []
    deployment: list[DeploymentId] = []

    def enter(book: Book) -> Book:
        # The evidence is read behind the book, always: an older look could bring back what somebody else saw end.
        now = watch.clock.now()
        evidence = everything(watch, now) if complete else summary_alone(watch, now)
        drift, until = fresh_drift(watch.store, book, now) if complete else ([], None)
        found = with_causes(book, [*causes_of(evidence, now), *drift], looked_at(evidence), now)
        claimed, batches[:] = claim(found, watch.alert.addresses, now)
        deployment[:] = [DeploymentId(str(line["id"])) for line in evidence.summary.deployments[-1:]]
        return claimed if until is None else with_watermark(claimed, until)

    _change(watch, enter)
    return batches, next(iter(deployment), None)


def _change(watch: Watch, change: Callable[[Book], Book]) -> None:
    for _ in range(_ATTEMPTS):
        stored = watch.store.get(ALERTS)
        book = Book() if stored is None else parse_book(stored.data)
        changed = change(book)
        if changed == book:
            return
        data = book_bytes(replace(changed, token=watch.token()))
        try:
            swap(watch.store, ALERTS, data, if_generation=0 if stored is None else stored.generation)
        except ConflictError:
            continue
        return
    raise ConflictError("ALERTS_BUSY", "the book of alerts kept changing under the write")


def _log(sent: list[tuple[Batch, frozenset[str]]]) -> None:
    for batch, reached in sent:
        fields = {"topic": batch.topic.value, "over": batch.over, "causes": len(batch.entries), "reached": len(reached)}
        missed = sorted(batch.to - reached)
        if missed:
            log.warning("An alert did not arrive; a poll tries again", code=UNDELIVERED, missed=missed, **fields)
        else:
            log.info("An alert was sent", **fields)
