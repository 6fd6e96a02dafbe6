"""What a deployment has to tell beside its record: one event for each kind of thing that a person may have to act on.

Events are derived from pointer and decision alone, so that a sync that heals after a crash writes the very same ones.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.canonical import canonical_bytes
from shared.core.names import event_name, parse_timestamp, timestamp
from shared.errors import InputError
from shared.model import Action, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.core.decide import Decision
    from shared.model import Pointer, Withheld

SCHEMA = "skill-sync/event/1"
FOLDER = "events/"
OVERLAP = timedelta(minutes=15)
"""Who reads events from a point in time on begins so much before it: clocks differ, and writing takes a while."""
LATE = timedelta(minutes=5)
"""An event that is written so long after its time is announced by one of kind `late`; well within the overlap."""
_NAME = re.compile(r"events/(\d{4}-\d{2}-\d{2})/(\d{2})(\d{2})(\d{2}\.\d{3})-[A-Za-z0-9._-]+\.json")
_KINDS = {
    Reason.REJECTED: "rejected",
    Reason.TOGETHER: "held-together",
    Reason.UNHEALTHY: "unhealthy",
    Reason.DELETION_GUARD: "held-deletions",
}


def events_of(pointer: Pointer, decision: Decision) -> list[tuple[str, bytes]]:
    """List a deployment's events as object name and content.

    Args:
        pointer: The deployment's pointer.
        decision: What it changed.
    """
    return [
        event(pointer.deployed_at, f"{pointer.deployment}-{kind}", kind, {**_common(pointer), **details})
        for kind, details in _events(pointer, decision)
    ]


def event(at: str, key: str, kind: str, details: dict[str, object]) -> tuple[str, bytes]:
    """Make one event.

    Args:
        at: When, as `timestamp` writes it.
        key: What makes it the same event when it is written again.
        kind: What happened.
        details: Codes, ids, paths and counts; no text from the repository.
    """
    return event_name(at, key), canonical_bytes({"schema": SCHEMA, "at": at, "kind": kind, **details})


def time_of(name: str) -> datetime:
    """Return the time that an event's name begins with.

    Raises:
        InputError: `NAME_INVALID`, this is no event's name.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise InputError("NAME_INVALID", f"expected the name of an event, got {name[:80]!r}")
    day, hours, minutes, seconds = found.groups()
    return parse_timestamp(f"{day}T{hours}:{minutes}:{seconds}Z")


def is_event_name(name: str) -> bool:
    """Whether an object of that name is an event."""
    return _NAME.fullmatch(name) is not None


def names_from(moment: datetime) -> str:
    """Return the text behind which the names of all events from that moment on sort."""
    at = timestamp(moment)
    return f"{FOLDER}{at[:10]}/{at[11:23].replace(':', '')}"


def _events(pointer: Pointer, decision: Decision) -> Iterator[tuple[str, dict[str, object]]]:
    for reason, kind in _KINDS.items():
        held = {item.id: _codes(item) for item in decision.withheld if item.reason is reason}
        if held:
            yield kind, {"skills": held}
    if pointer.history_rewritten:
        yield "history-rewritten", {"previous_commit": pointer.previous_commit}
    if pointer.action is Action.ROLLBACK:
        yield "rolled-back", {"published": list(decision.published), "removed": list(decision.removed)}


def _common(pointer: Pointer) -> dict[str, object]:
    return {"deployment": pointer.deployment, "commit": pointer.commit, "trigger": pointer.trigger.value}


def _codes(item: Withheld) -> dict[str, object]:
    # Agents read the audit trail: no text from the repository goes in, hints included.
    findings = [{"code": found.code, "path": found.path, "line": found.line} for found in item.findings]
    return {"tree": item.tree, "findings": findings}
