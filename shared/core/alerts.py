"""What there is to tell a person now: causes, read off what is known. Who was told what already is `alert_book`'s business.

Causes are levels, not edges: each is found again as long as it lasts, by whoever looks, so that no crash can swallow one.
Lines hold codes, ids, digests and counts, made harmless; never a text that somebody pushed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core import withheld_note
from shared.core.alert_kinds import Topic
from shared.core.cause import Cause
from shared.core.credential_alerts import CREDENTIAL_TOPICS, credential_causes
from shared.core.health import SILENT_AFTER
from shared.core.names import age_of, parse_deployment, parse_timestamp, timestamp
from shared.core.plain_text import fingerprint, plain
from shared.core.polling import STALE_AFTER_POLLS, is_poller_stale
from shared.core.report import NOT_FOLLOWING
from shared.core.states import PAUSING, PENDING, Condition, State
from shared.errors import InputError
from shared.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from shared.core.summary import Summary
    from shared.model import Pointer

NEARLY_EXPIRED = 3
"""A pointer is near its expiry in the last third of its life; a poll signs it anew long before."""
MAX_CODES = 5
_CODE = re.compile(r"[A-Za-z0-9_]{1,64}")
_BY_REASON = {
    Reason.REJECTED.value: Topic.REJECTED,
    Reason.TOGETHER.value: Topic.REJECTED,
    Reason.UNHEALTHY.value: Topic.UNHEALTHY,
    Reason.DELETION_GUARD.value: Topic.DELETION_GUARD,
}
_TOLD_BY_SUMMARY = frozenset({Topic.FAILED, Topic.POLLER_STALE, *CREDENTIAL_TOPICS})
_TOLD_BY_NOTE = frozenset(_BY_REASON.values())
_TOLD_BY_ALL = frozenset(Topic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was read.

    Args:
        summary: The summary.
        poll_seconds: The polling interval.
        state: The operational state; without `complete`, as the summary's latches alone tell it.
        pointer: What one of our signers wrote as live, if it was read.
        reports: The pullers' last ones, if they were read.
        audit: How far the audit graph is behind: `pending`, `error`, and `since` when; empty when it is not.
        complete: Whether all of this was read. What was not looked at cannot be over.
    """

    summary: Summary
    poll_seconds: float
    state: State
    pointer: Pointer | None = None
    reports: Sequence[Mapping[str, object]] = ()
    audit: Mapping[str, object] = field(default_factory=dict)
    complete: bool = False


def causes_of(evidence: Evidence, now: datetime) -> list[Cause]:
    """List every cause that lasts.

    Args:
        evidence: What was read.
        now: The time.
    """
    paused = list(_paused(evidence, now))
    # No poll finishes while paused, and none renews the pointer: that is no other cause.
    halted = [] if paused else [*_stale(evidence, now), *_expiring(evidence.pointer, now)]
    return [
        *paused,
        *_withheld(evidence.summary, timestamp(now)),
        *_failed(evidence.summary, now),
        *halted,
        *_audit(evidence, now),
        *credential_causes(evidence.summary, now),
        *(cause for report in evidence.reports for cause in _puller(report, now)),
    ]


def looked_at(evidence: Evidence) -> frozenset[Topic]:
    """Return the kinds that this evidence tells all about: what it does not show of these is over."""
    known = _TOLD_BY_ALL if evidence.complete else _TOLD_BY_SUMMARY | _TOLD_BY_NOTE
    return known if withheld_note.is_known(evidence.summary) else known - _TOLD_BY_NOTE


def drift_cause(name: str, event: Mapping[str, object], now: datetime) -> Cause:
    """Make the cause of one event of drift.

    Args:
        name: The event's name in the store; an event is told once.
        event: Its content; empty where it was not read.
        now: The time.
    """
    files = event.get("files")
    listed = [item for item in files if isinstance(item, dict)] if isinstance(files, list) else []
    puller = plain(str(event.get("puller", "")))
    counts = [f"{amount} {word}" for word, amount in _counted(listed)]
    at = event.get("at")
    event_id = plain(name.rpartition("/")[2].removesuffix(".json").replace(".", "-"))
    line = f"at {puller}: {', '.join(counts)}; event {event_id}" if listed else f"event {event_id}"
    since = at if isinstance(at, str) and age_of(at, now) > timedelta(0) else timestamp(now)
    return Cause(key=name, topic=Topic.DRIFT, subject=name, line=line, since=since)


def _counted(files: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, int]]:
    words = [f"{item.get('what')} and {item.get('action')}" for item in files]
    for word in sorted(set(words)):
        yield re.sub(r"[^a-z ]", "?", word)[:32], words.count(word)


def _withheld(summary: Summary, at: str) -> Iterator[Cause]:
    for line in withheld_note.lines_of(summary):
        reason, since = str(line["reason"]), plain(str(line["since"]))
        topic = _BY_REASON[reason]
        if topic is Topic.DELETION_GUARD:
            commit, count = plain(str(line.get("commit"))), line.get("count")
            number = count if isinstance(count, int) else 1
            text = f"{number} skills are gone at commit {commit}, since deployment {since}"
            yield Cause(key=f"{topic}/{commit}", topic=topic, subject=topic.value, line=text, since=at, count=number)
            continue
        skill, tree = str(line["id"]), plain(str(line["tree"])) or "none"
        subject = f"skill/{fingerprint(skill)}"
        text = f"{plain(skill)}, tree {tree}, since deployment {since}: {_why(line, reason)}"
        yield Cause(key=f"{topic}/{fingerprint(skill)}/{tree}", topic=topic, subject=subject, line=text, since=at)
    more = summary.withheld.get("more")
    if isinstance(more, int) and more > 0:
        text = f"{more} more that are not listed one by one"
        yield Cause(key=f"{Topic.REJECTED}/more", topic=Topic.REJECTED, subject="more", line=text, since=at, count=more)


def _why(line: Mapping[str, object], reason: str) -> str:
    codes = line.get("codes")
    known = (
        [code for code in codes if isinstance(code, str) and _CODE.fullmatch(code)] if isinstance(codes, list) else []
    )
    return ", ".join(known) or reason


def _failed(summary: Summary, now: datetime) -> Iterator[Cause]:
    error = summary.poller.get("error")
    if error is not None:
        code = plain(str(error))
        since = str(summary.poller.get("error_at", timestamp(now)))
        yield Cause(key=f"{Topic.FAILED}/{code}", topic=Topic.FAILED, subject=Topic.FAILED, line=code, since=since)


def _stale(evidence: Evidence, now: datetime) -> Iterator[Cause]:
    if is_poller_stale(evidence.summary, evidence.poll_seconds, now):
        last = evidence.summary.poller.get("last_check")
        text = f"last poll that finished: {_clock(last)}"
        since = timestamp(now) if last is None else str(last)
        yield Cause(
            key=Topic.POLLER_STALE, topic=Topic.POLLER_STALE, subject=Topic.POLLER_STALE, line=text, since=since
        )


def _audit(evidence: Evidence, now: datetime) -> Iterator[Cause]:
    since = evidence.audit.get("since")
    if isinstance(since, str) and age_of(since, now) > timedelta(seconds=STALE_AFTER_POLLS * evidence.poll_seconds):
        code = plain(str(evidence.audit.get("error") or "AUDIT_BEHIND"))
        topic = Topic.AUDIT_BEHIND
        yield Cause(key=topic, topic=topic, subject=topic, line=f"{code}, since {_clock(since)}", since=since)


def _paused(evidence: Evidence, now: datetime) -> Iterator[Cause]:
    state = evidence.state
    for reason in state.reasons if state.condition is Condition.PAUSED else ():
        if reason in PAUSING and reason != PENDING:  # that one ends by itself with the next sync
            since = state.since or timestamp(now)
            key = f"{Topic.PAUSED}/{reason}"
            yield Cause(key=key, topic=Topic.PAUSED, subject=key, line=plain(reason), since=since)


def _expiring(pointer: Pointer | None, now: datetime) -> Iterator[Cause]:
    if pointer is None:
        return
    issued, expires = parse_timestamp(pointer.issued_at), parse_timestamp(pointer.expires_at)
    if expires - now < (expires - issued) / NEARLY_EXPIRED:
        word = "expired" if expires <= now else "expires"
        text = f"deployment {plain(pointer.deployment)} {word} at {_clock(pointer.expires_at)}"
        key = f"{Topic.POINTER_EXPIRY}/{word}"
        since = timestamp(now)
        yield Cause(key=key, topic=Topic.POINTER_EXPIRY, subject=Topic.POINTER_EXPIRY, line=text, since=since)


def _puller(report: Mapping[str, object], now: datetime) -> Iterator[Cause]:
    puller, last = plain(str(report.get("id"))), str(report.get("last_report"))
    if age_of(last, now) > SILENT_AFTER:
        key = f"{Topic.PULLER_SILENT}/{puller}"
        text = f"{puller}, last report {_clock(last)}"
        yield Cause(key=key, topic=Topic.PULLER_SILENT, subject=key, line=text, since=_known_time(last, now))
    outcome, is_paused = report.get("outcome"), report.get("state") == Condition.PAUSED.value
    if outcome in NOT_FOLLOWING or is_paused:
        failed, reasons = report.get("failed"), report.get("reasons")
        named = _deployment(failed.get("deployment") if isinstance(failed, dict) else report.get("deployment"))
        word = "paused" if is_paused else plain(str(outcome))
        told = reasons if isinstance(reasons, list) else []
        codes = sorted({item for item in told if isinstance(item, str) and _CODE.fullmatch(item)})
        text = f"{puller} is {word}, deployment {named}: {', '.join(codes[:MAX_CODES]) or 'no reason given'}"
        subject = f"{Topic.HEALTH_CHECK}/{puller}"
        # A gateway that is down stays one cause, however much is deployed meanwhile; another deployment that fails is news.
        key = f"{subject}/{word}/{named}" if isinstance(failed, dict) else f"{subject}/{word}"
        yield Cause(key=key, topic=Topic.HEALTH_CHECK, subject=subject, line=text, since=_known_time(last, now))


def _deployment(value: object) -> str:
    try:
        parse_deployment(str(value))
    except InputError:
        return "unknown"
    return str(value)


def _known_time(written: str, now: datetime) -> str:
    return written if age_of(written, now) < timedelta.max else timestamp(now)


def _clock(written: object) -> str:
    """Write a time in minutes, in words that no service makes a link or an emoji of."""
    try:
        return parse_timestamp(str(written)).strftime("%Y-%m-%d %H:%M UTC")
    except InputError:
        return "never"
