"""What is wrong, each with its next step and the runbook's section; and how the services stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.alert_kinds import RUNBOOK, WORDS, Tone, Topic
from shared.core.health import BEHIND_AFTER
from shared.core.names import parse_timestamp
from shared.dashboard import words
from shared.dashboard.credentials import due_dates
from shared.dashboard.members import items, part
from shared.dashboard.times import Moment, moment
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from shared.dashboard.links import Links
    from shared.dashboard.words import Word
    from shared.service.dashboard import Board

_PULLER_TOPICS = {"silent": Topic.PULLER_SILENT, "held": Topic.HEALTH_CHECK, "behind": Topic.HEALTH_CHECK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that is wrong. `section` names the place in the runbook, `link` is its address where one is known."""

    text: str
    step: str
    tone: str
    section: str
    link: str = ""
    since: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service. `at` is when it was last heard of."""

    name: str
    word: Word
    at: Moment | None
    note: str = ""


def _is_at_work(puller: Mapping[str, object], now: datetime) -> bool:
    # One that is behind for a moment installs what is new; health calls that no fault either.
    try:
        return puller.get("status") == "behind" and now - parse_timestamp(str(puller.get("since"))) <= BEHIND_AFTER
    except InputError:
        return False


def troubles(board: Board, links: Links, now: datetime) -> Iterator[Trouble]:
    """Yield what is wrong, the worst first.

    Args:
        board: What was gathered.
        links: Where the runbook is.
        now: The time.
    """
    for topic, text, since in (*_found(board.health, now), *_lapsing(board, now)):
        is_known = topic is Topic.PAUSED and board.next_action != "none"
        yield Trouble(
            text=text,
            step=board.next_action if is_known else WORDS[topic].step,
            tone="bad" if WORDS[topic].tone is Tone.ERROR else "warn",
            section=f"{RUNBOOK}#{topic.value}",
            link=links.section(topic.value),
            since=moment(since, now),
        )


def _found(told: Mapping[str, object], now: datetime) -> Iterator[tuple[Topic, str, object]]:
    listed = part(told, "services")
    poller, audit = part(listed, "poller"), part(listed, "audit")
    if told.get("state") != "READY":
        # What the store cannot show has a code instead of a reason, and its own section.
        topic = Topic.FAILED if told.get("error") else Topic.PAUSED
        yield topic, f"The state is {told.get('state')}: {', '.join(map(str, items(told, 'reasons')))}", None
    if told.get("last_deployment") is None and not told.get("error"):
        yield Topic.FAILED, "Nothing was deployed yet", None
    if poller.get("status") in {"stale", "never"}:
        yield Topic.POLLER_STALE, "Nobody polls", poller.get("last_check")
    if poller.get("error"):
        yield Topic.FAILED, f"The last sync failed: {poller['error']}", poller.get("error_at")
    for each in items(listed, "pullers"):
        puller = each if isinstance(each, dict) else {}
        topic_of = _PULLER_TOPICS.get(str(puller.get("status")))
        if topic_of is not None and not _is_at_work(puller, now):
            # One that is paused waits for the operator, as the functions do; its gateway has nothing to do with it.
            topic_of = Topic.PAUSED if puller.get("state") == "PAUSED" else topic_of
            yield topic_of, f"Puller {puller.get('id')} is {puller.get('status')}", puller.get("since")
    if audit.get("error"):
        yield Topic.AUDIT_BEHIND, f"The audit graph cannot be fed: {audit['error']}", None


def _lapsing(board: Board, now: datetime) -> Iterator[tuple[Topic, str, object]]:
    due = [each.name for each in due_dates(board.summary, now) if each.state in {"due", "overdue"}]
    if due:
        yield Topic.CREDENTIAL_DUE, f"Credentials are due: {', '.join(due)}", None


def services(told: object, now: datetime) -> Iterator[Service]:
    """Yield poller, webhook and audit graph.

    Args:
        told: The health's `services`.
        now: The time.
    """
    listed = told if isinstance(told, dict) else {}
    poller, webhook, audit = (part(listed, name) for name in ("poller", "webhook", "audit"))
    until = moment(poller.get("rate_limited_until"), now)
    note = f"GitHub's API is left alone until {until.utc}" if until else str(poller.get("error") or "")
    yield Service(name="Poller", word=_word(poller), at=moment(poller.get("last_check"), now), note=note)
    lost = moment(webhook.get("last_lost"), now)
    note = f"one was lost {lost.age}" if lost else ""
    yield Service(name="Webhook", word=_word(webhook), at=moment(webhook.get("last_received"), now), note=note)
    pending = audit.get("pending")
    note = str(audit.get("error") or (f"{pending} deployments pending" if pending else ""))
    yield Service(name="Audit graph", word=_word(audit), at=None, note=note)


def _word(service: Mapping[str, object]) -> Word:
    return words.SERVICES.get(str(service.get("status")), words.UNKNOWN)
