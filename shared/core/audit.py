"""What the audit graph is told: rows of plain values, made from signed records and from events. No text of anybody else's.

Agents read the graph, so that free text in it would be a way to give them orders: what is not an id, a code, a digest, a
count or a time stays out. How the rows become nodes is the adapter's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from shared.core.canonical import parse_object
from shared.core.events import time_of
from shared.core.names import is_digest, is_slug, parse_deployment, parse_timestamp
from shared.core.report import OUTCOMES
from shared.errors import InputError
from shared.model import Severity, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.core.change_set import ChangeSet
    from shared.model import LiveSkill, Pointer, SkillId, Withheld

Row = dict[str, object]
"""Values that a graph can hold: texts, numbers, truth values, times, and lists of texts."""

STATUSES = {Status.SUCCESS: "success", Status.REJECTED: "failed", Status.ROLLED_BACK: "rolled_back"}
"""As the graph's readers know them. `failed`: all that a push changed was withheld; `outcome` says so precisely."""
REMOVAL = "removed"
"""The content of a withheld removal, which has none."""
MAX_CODES = 20
_CODE = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
_MAX_CODE_CHARS = 64
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """How far the graph was fed: the newest deployment, and until when events were read. Empty before anything was."""

    epoch: int = 0
    seq: int = 0
    events_until: str = ""

    @property
    def number(self) -> tuple[int, int]:
        """Epoch and sequence of the newest deployment."""
        return self.epoch, self.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one transaction writes.

    Args:
        deployments: From `deployment_row`, in order.
        events: From `event_row`.
        after: Where the graph stands then.
        head: The newest pointer's envelope with its epoch, sequence and time of issue; None where it is not told.
    """

    deployments: Sequence[Row] = ()
    events: Sequence[Row] = ()
    after: Position
    head: Head | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A signed pointer as the graph remembers it. The graph proves nothing: who reads it verifies the signature."""

    epoch: int
    seq: int
    issued_at: str
    envelope: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphState:
    """What the graph says of itself. `head` is the envelope of the highest pointer that it remembers, not verified."""

    position: Position
    head: bytes | None = field(default=None, repr=False)


def head_of(pointer: Pointer, envelope: bytes) -> Head:
    """Return what the graph is to remember of a pointer."""
    return Head(epoch=pointer.epoch, seq=pointer.seq, issued_at=pointer.issued_at, envelope=envelope)


def deployment_row(pointer: Pointer, changes: ChangeSet) -> Row:
    """Describe one deployment.

    Args:
        pointer: Its verified pointer.
        changes: What it changed.
    """
    return {
        "id": pointer.deployment,
        "previous": pointer.previous,
        "rolled_back_to": pointer.rolled_back_to,
        "properties": {
            "epoch": pointer.epoch,
            "seq": pointer.seq,
            "timestamp": parse_timestamp(pointer.deployed_at),
            "asked_at": None if pointer.asked_at is None else parse_timestamp(pointer.asked_at),
            "commit_sha": _commit(pointer.commit),
            "previous_commit": _commit(pointer.previous_commit),
            "status": STATUSES[pointer.status],
            "outcome": pointer.status.value,
            "action": pointer.action.value,
            "trigger": pointer.trigger.value,
            "skills_count": pointer.manifest.skills,
            "published_count": len(changes.published),
            "removed_count": len(changes.removed),
            "withheld_count": changes.withheld_count,
            "manifest": pointer.manifest.sha256,
            "history_rewritten": pointer.history_rewritten,
            "sync_id": _code(pointer.token),
        },
        "deployed": [_version(skill) for skill in changes.published],
        "removed": [_version(skill) for skill in changes.removed],
        "withheld": [_held(item) for item in changes.withheld],
    }


def event_row(name: str, data: bytes) -> Row | None:
    """Describe one event; None for what is none, or tells nothing that the graph may hold.

    Args:
        name: The object's name, which makes the event what it is.
        data: Its content.
    """
    try:
        document = parse_object(data, what="the event")
        moment = time_of(name)
    except InputError:
        return None
    kind = _code(document.get("kind"))
    if kind is None:
        return None
    puller = document.get("puller") if kind in {"drift", "held", "installed"} else None
    return {
        "id": name,
        "kind": kind,
        "at": moment,
        "deployment": _deployment(document.get("deployment")),
        "puller": puller if isinstance(puller, str) and is_slug(puller) else None,
        "outcome": _outcome(kind, document.get("outcome")),
        "code": _code(document.get("code")) or _code(document.get("reason")),
        "codes": _codes(document.get("reasons")),
        "commit_sha": _commit(document.get("commit")),
        "trigger": _code(document.get("trigger")),
        "party": _code(document.get("party")),
        "count": _count(document),
    }


def _version(skill: LiveSkill) -> Row:
    return {
        "name": graph_name(skill.id),
        "version": skill.version,
        "content_sha": skill.tree,
        "archive": skill.archive,
        "files": len(skill.files),
        "bytes": sum(file.size for file in skill.files),
    }


def _held(item: Withheld) -> Row:
    codes = [finding.code for finding in item.findings if finding.severity is Severity.ERROR]
    codes = list(dict.fromkeys(codes or [finding.code for finding in item.findings]))[:MAX_CODES]
    return {
        "name": graph_name(item.id),
        "content_sha": item.tree or REMOVAL,
        "reason": item.reason.value,
        "code": codes[0] if codes else item.reason.value,
        "codes": codes,
    }


def graph_name(key: SkillId) -> str:
    """Return a skill's id; where it is no slug, which only a withheld one can be, a name that holds none of its text."""
    return key if is_slug(key) else f"unnameable-{sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()[:12]}"


def _outcome(kind: str, value: object) -> str | None:
    if kind == "held":
        return "held"
    return value if isinstance(value, str) and value in OUTCOMES else None


def _deployment(value: object) -> str | None:
    try:
        return value if isinstance(value, str) and parse_deployment(value) else None
    except InputError:
        return None


def _code(value: object) -> str | None:
    fits = isinstance(value, str) and len(value) <= _MAX_CODE_CHARS and _CODE.fullmatch(value)
    return str(value) if fits else None


def _codes(value: object) -> list[str]:
    found = [_code(item) for item in value[:MAX_CODES]] if isinstance(value, list) else []
    return [code for code in found if code is not None]


def _commit(value: object) -> str | None:
    # SHA-256 repositories have 64 digits.
    fits = isinstance(value, str) and (_COMMIT.fullmatch(value) or is_digest(value))
    return str(value) if fits else None


def _count(document: Mapping[str, object]) -> int | None:
    """Count what an event lists, whose names stay out of the graph."""
    listed = document.get("files") or document.get("skills")
    return len(listed) if isinstance(listed, list | dict) else None
