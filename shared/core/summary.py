"""The summary: recent deployments, last webhook and poll, daily counters. All that health reads beside pointer and pullers.

It can always be rebuilt from the records; a sync that finds it behind the pointer writes what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.canonical import canonical_bytes, parse_object
from shared.core.latches import latches_document, parse_latches
from shared.core.names import is_time, parse_deployment, parse_timestamp, timestamp
from shared.errors import InputError
from shared.model import DeploymentId, Latch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from shared.core.decide import Decision
    from shared.model import FailedDelivery, Pointer

SCHEMA = "skill-sync/summary/1"
MAX_DEPLOYMENTS = 50
MAX_DAYS = 30
MAX_NAMES = 20
LATENCY_BUCKETS_MS = (250, 500, 1000, 2000, 4000, 8000, 25_000)
"""Upper bounds of the histogram's buckets; one more bucket holds what took longer."""

LONGEST_BLOCK = timedelta(hours=2)
"""GitHub's primary rate limit is measured by the hour."""
MAX_LOST = 100
"""As many numbers of lost deliveries are kept as one look at the forge's list can show."""

_TIMES = frozenset({"last_check", "last_received", "last_lost", "error_at", "blocked_until", "since", "at"})

Line = dict[str, object]
"""One deployment as the summary and the API show it: `line_of` says what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The summary's content.

    `webhook` and `poller` hold the last times, `source` until when the source's API has told us to stay away, `audit` how
    far the audit graph was fed and what went wrong with it; `days` counters by day, `latency` among them. `latches` are the
    functions' own pauses, `withheld` is what the newest deployment withholds, as `core.withheld_note` keeps it; `gc` who last
    claimed a day's collection of garbage, and when; `credentials` what `core.credential_notes` keeps.
    """

    deployments: tuple[Line, ...] = ()
    webhook: dict[str, object] = field(default_factory=dict)
    poller: dict[str, object] = field(default_factory=dict)
    source: dict[str, object] = field(default_factory=dict)
    audit: dict[str, object] = field(default_factory=dict)
    days: dict[str, dict[str, object]] = field(default_factory=dict)
    latches: tuple[Latch, ...] = ()
    withheld: dict[str, object] = field(default_factory=dict)
    gc: dict[str, object] = field(default_factory=dict)
    credentials: dict[str, object] = field(default_factory=dict)

    @property
    def newest(self) -> tuple[int, int]:
        """Epoch and sequence of the newest deployment on record, (0, 0) where there is none."""
        return max((parse_deployment(str(line["id"])) for line in self.deployments), default=(0, 0))


Change = Callable[[Summary], Summary]
"""One change of the summary; it is applied again when another writer came first, so it must not depend on its own effect."""


def summary_bytes(summary: Summary) -> bytes:
    """Write the summary canonically."""
    return canonical_bytes(
        {
            "schema": SCHEMA,
            "deployments": list(summary.deployments),
            "webhook": summary.webhook,
            "poller": summary.poller,
            "source": summary.source,
            "audit": summary.audit,
            "days": summary.days,
            "latches": latches_document(summary.latches),
            "withheld": summary.withheld,
            "gc": summary.gc,
            "credentials": summary.credentials,
        }
    )


def parse_summary(data: bytes) -> Summary:
    """Read a summary. One that is damaged counts as empty, since the records can fill it again.

    Args:
        data: The object's content.
    """
    try:
        document = parse_object(data, what="the summary")
        lines = document.get("deployments")
        known = [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []
        summary = Summary(
            deployments=tuple(known),
            webhook=_noted(document.get("webhook")),
            poller=_noted(document.get("poller")),
            source=_noted(document.get("source")),
            audit=_noted(document.get("audit")),
            days={key: _mapping(value) for key, value in _mapping(document.get("days")).items()},
            latches=parse_latches(document.get("latches")),
            withheld=_mapping(document.get("withheld")),
            gc=_noted(document.get("gc")),
            credentials=_mapping(document.get("credentials")),
        )
        return summary if document.get("schema") == SCHEMA and summary.newest >= (0, 0) else Summary()
    except (InputError, KeyError):
        return Summary()


def line_of(pointer: Pointer, decision: Decision) -> Line:
    """Describe one deployment in one line.

    Args:
        pointer: The deployment's pointer.
        decision: What it changed against its predecessor.
    """
    return {
        **brief(pointer),
        "history_rewritten": pointer.history_rewritten,
        "withheld": len(decision.manifest.withheld),
        "published": list(decision.published[:MAX_NAMES]),
        "removed": list(decision.removed[:MAX_NAMES]),
        "held": [item.id for item in decision.withheld[:MAX_NAMES]],
    }


def brief(pointer: Pointer) -> Line:
    """Describe one deployment by what its pointer alone tells."""
    return {
        "id": pointer.deployment,
        "timestamp": pointer.deployed_at,
        "asked_at": pointer.asked_at,
        "commit_sha": pointer.commit,
        "status": pointer.status.value,
        "trigger": pointer.trigger.value,
        "action": pointer.action.value,
        "skills": pointer.manifest.skills,
        "rolled_back_to": pointer.rolled_back_to,
    }


def with_deployments(summary: Summary, lines: Iterable[Line]) -> Summary:
    """Add deployments that are not on record yet, and count each on its own day."""
    known = {line["id"] for line in summary.deployments}
    fresh = [line for line in lines if line["id"] not in known]
    if not fresh:
        return summary
    ordered = sorted((*summary.deployments, *fresh), key=lambda line: parse_deployment(str(line["id"])))
    counted = summary
    for line in fresh:
        day = str(line["timestamp"])[:10]
        counted = count(counted, day, "rejected" if line["status"] == "rejected" else "deployments")
    return replace(counted, deployments=tuple(ordered[-MAX_DEPLOYMENTS:]))


def with_webhook(summary: Summary, at: str, hook: int | None = None) -> Summary:
    """Note the last genuine webhook that asked for a sync, and which of the repository's hooks made the call."""
    received = max(at, str(summary.webhook.get("last_received", "")))
    noted = {**summary.webhook, "last_received": received, **({} if hook is None else {"hook": hook})}
    return count(replace(summary, webhook=noted), at[:10], "webhooks")


def with_lost(summary: Summary, lost: Sequence[FailedDelivery]) -> Summary:
    """Note webhook calls that never arrived; each is counted once, on the day of its last attempt."""
    known = lost_deliveries(summary)
    fresh = {item.id: item for item in lost if item.id not in known}
    if not fresh:
        return summary
    last = max([str(summary.webhook.get("last_lost", "")), *(timestamp(item.delivered_at) for item in fresh.values())])
    numbers = sorted({*known, *fresh})[-MAX_LOST:]
    counted = replace(summary, webhook={**summary.webhook, "last_lost": last, "lost": numbers})
    for item in fresh.values():
        counted = count(counted, timestamp(item.delivered_at)[:10], "webhooks_lost")
    return counted


def lost_deliveries(summary: Summary) -> frozenset[int]:
    """Return the numbers of the deliveries that are known to be lost."""
    numbers = summary.webhook.get("lost")
    return frozenset(item for item in numbers if isinstance(item, int)) if isinstance(numbers, list) else frozenset()


def with_blocked(summary: Summary, until: datetime | None, now: datetime) -> Summary:
    """Note until when the source's API must be left alone: the later of what was known and `until`, if still to come."""
    times = [moment for moment in (until, blocked_until(summary, now)) if moment is not None and moment > now]
    return replace(summary, source={"blocked_until": timestamp(max(times))} if times else {})


def blocked_until(summary: Summary, now: datetime) -> datetime | None:
    """Return until when the source's API must be left alone; a time that lies absurdly far ahead is not believed."""
    noted = summary.source.get("blocked_until")
    moment = None if noted is None else parse_timestamp(str(noted))
    return moment if moment is not None and now < moment <= now + LONGEST_BLOCK else None


def with_poll(summary: Summary, at: str, commit: str) -> Summary:
    """Note a poll that read the head and finished."""
    checked = max(at, str(summary.poller.get("last_check", "")))
    return count(replace(summary, poller={"last_check": checked, "last_head": commit}), at[:10], "polls")


def with_failure(summary: Summary, at: str, code: str) -> Summary:
    """Note a sync that failed with that error code; the next poll that succeeds takes the note away."""
    return count(replace(summary, poller={**summary.poller, "error": code, "error_at": at}), at[:10], "failed")


def with_latency(summary: Summary, day: str, milliseconds: float) -> Summary:
    """Count one deployment's time from the call to the moved pointer into the day's histogram."""
    bucket = sum(milliseconds > bound for bound in LATENCY_BUCKETS_MS)
    today = dict(summary.days.get(day, {}))
    histogram = _histogram(today.get("latency"))
    histogram[bucket] += 1
    return replace(summary, days=_kept({**summary.days, day: {**today, "latency": histogram}}))


def count(summary: Summary, day: str, what: str) -> Summary:
    """Raise one of the day's counters by one."""
    today = dict(summary.days.get(day, {}))
    former = today.get(what)
    today[what] = (former if isinstance(former, int) else 0) + 1
    return replace(summary, days=_kept({**summary.days, day: today}))


def missing_from(summary: Summary, pointer: Pointer | None) -> list[DeploymentId]:
    """List the deployments up to the pointer that the summary lacks, oldest first, at most as many as it can hold."""
    if pointer is None:
        return []
    epoch, seq = summary.newest
    first = seq + 1 if epoch == pointer.epoch else 1
    first = max(first, pointer.seq - MAX_DEPLOYMENTS + 1)
    return [DeploymentId(f"{pointer.epoch}-{number}") for number in range(first, pointer.seq + 1)]


def _kept(days: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    return {day: days[day] for day in sorted(days)[-MAX_DAYS:]}


def _histogram(value: object) -> list[int]:
    empty = [0] * (len(LATENCY_BUCKETS_MS) + 1)
    counts = [item for item in value if isinstance(item, int)] if isinstance(value, list) else []
    return counts if len(counts) == len(empty) else empty


def _noted(value: object) -> dict[str, object]:
    # A time that is none would stand in the way of every later one.
    return {key: item for key, item in _mapping(value).items() if key not in _TIMES or is_time(item)}


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}
