"""The signed pointer: how it is written, refreshed and succeeded. Whether one may be believed is `verify`'s business."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.canonical import canonical_bytes, member, parse_object
from shared.core.envelope import sign_envelope
from shared.core.names import is_digest, parse_deployment, parse_timestamp, timestamp
from shared.errors import InputError
from shared.model import Action, CommitSha, DeploymentId, Digest, ManifestRef, Pointer, Status, Trigger

if TYPE_CHECKING:
    from datetime import datetime

    from shared.model import Trust
    from shared.ports import Signer

SCHEMA = "skill-sync/pointer/1"
PAYLOAD_TYPE = "application/vnd.skill-sync.pointer+json"
HISTORY_LENGTH = 16
_LEAST_LIFETIME = timedelta(minutes=30)
_LIFETIME_IN_POLLS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a deployment decides about its pointer; everything else follows from the former one and the time.

    `asked_at` is when the call came in, as `timestamp` writes it; `rolled_back_to` the deployment that a rollback goes to.
    """

    action: Action
    status: Status
    trigger: Trigger
    commit: CommitSha
    manifest: ManifestRef
    token: str
    history_rewritten: bool = False
    asked_at: str | None = None
    rolled_back_to: DeploymentId | None = None


def next_pointer(former: Pointer | None, move: Move, *, trust: Trust, now: datetime, poll_seconds: float) -> Pointer:
    """Make the pointer of a new deployment: sequence +1 in the same epoch, or 1 in a new one.

    Args:
        former: The pointer that was read, None before the first deployment.
        move: What was decided.
        trust: Names channel, repository, ref and epoch.
        now: The time of issue.
        poll_seconds: The polling interval, which the lifetime follows.
    """
    same_epoch = former is not None and former.epoch == trust.epoch
    # A new epoch begins with its own time: a clock that was wrong once must not be wrong for ever.
    issued_at = _issue_time(former if same_epoch else None, now)
    return Pointer(
        channel=trust.channel,
        repo=trust.repo,
        ref=trust.ref,
        epoch=trust.epoch,
        seq=former.seq + 1 if former is not None and same_epoch else 1,
        action=move.action,
        status=move.status,
        trigger=move.trigger,
        commit=move.commit,
        previous_commit=None if former is None else former.commit,
        history_rewritten=move.history_rewritten,
        manifest=move.manifest,
        history=lineage(former)[-HISTORY_LENGTH:] if former is not None and same_epoch else (),
        deployed_at=issued_at,
        issued_at=issued_at,
        expires_at=_expiry(issued_at, poll_seconds),
        head_checked_at=issued_at,
        token=move.token,
        previous=None if former is None else former.deployment,
        asked_at=move.asked_at,
        rolled_back_to=move.rolled_back_to,
    )


def refreshed(pointer: Pointer, *, commit: CommitSha, now: datetime, poll_seconds: float) -> Pointer:
    """Return the same deployment with a new head and new dates; no other field may change in a refresh."""
    issued_at = _issue_time(pointer, now)
    return replace(
        pointer,
        commit=commit,
        issued_at=issued_at,
        expires_at=_expiry(issued_at, poll_seconds),
        head_checked_at=issued_at,
    )


def lineage(pointer: Pointer) -> tuple[tuple[int, Digest], ...]:
    """Return the (sequence, manifest digest) pairs that a pointer vouches for, oldest first, its own last."""
    return (*pointer.history, (pointer.seq, pointer.manifest.sha256))


def sign_pointer(pointer: Pointer, signer: Signer) -> bytes:
    """Write a pointer canonically and wrap it in a signed envelope."""
    return sign_envelope(canonical_bytes(_document(pointer)), PAYLOAD_TYPE, signer)


def parse_pointer(payload: bytes) -> Pointer:
    """Read the payload of an envelope whose signature holds.

    Raises:
        InputError: `SCHEMA_UNKNOWN`; or a member is missing or not what it must be.
    """
    what = "the pointer"
    document = parse_object(payload, what=what, max_depth=4)
    if document.get("schema") != SCHEMA:
        raise InputError("SCHEMA_UNKNOWN", f"expected schema {SCHEMA!r}")

    def text(key: str) -> str:
        return member(document, key, str, what=what)

    def time(key: str) -> str:
        return timestamp(parse_timestamp(text(key)))

    previous = document.get("previous_commit")
    try:
        return Pointer(
            channel=text("channel"),
            repo=text("repo"),
            ref=text("ref"),
            epoch=_positive(document, "epoch"),
            seq=_positive(document, "seq"),
            action=Action(text("action")),
            status=Status(text("status")),
            trigger=Trigger(text("trigger")),
            commit=CommitSha(text("commit")),
            previous_commit=None if previous is None else CommitSha(text("previous_commit")),
            history_rewritten=member(document, "history_rewritten", bool, what=what),
            manifest=_manifest(document.get("manifest")),
            history=tuple(_pair(item) for item in member(document, "history", list, what=what)),
            deployed_at=time("deployed_at"),
            issued_at=time("issued_at"),
            expires_at=time("expires_at"),
            head_checked_at=time("head_checked_at"),
            token=text("token"),
            previous=_deployment(document.get("previous")),
            asked_at=None if document.get("asked_at") is None else time("asked_at"),
            rolled_back_to=_deployment(document.get("rolled_back_to")),
        )
    except ValueError:
        raise InputError("MEMBER_INVALID", "the pointer names an unknown action, status or trigger") from None


def _issue_time(former: Pointer | None, now: datetime) -> str:
    # Two instances' clocks differ: the time of issue must still rise, or a puller would take the newer for a replay.
    if former is None:
        return timestamp(now)
    return timestamp(max(now, parse_timestamp(former.issued_at) + timedelta(milliseconds=1)))


def _expiry(issued_at: str, poll_seconds: float) -> str:
    lifetime = max(_LEAST_LIFETIME, timedelta(seconds=_LIFETIME_IN_POLLS * poll_seconds))
    return timestamp(parse_timestamp(issued_at) + lifetime)


def _document(pointer: Pointer) -> dict[str, object]:
    manifest = pointer.manifest
    return {
        "schema": SCHEMA,
        "channel": pointer.channel,
        "repo": pointer.repo,
        "ref": pointer.ref,
        "epoch": pointer.epoch,
        "seq": pointer.seq,
        "action": pointer.action.value,
        "status": pointer.status.value,
        "trigger": pointer.trigger.value,
        "commit": pointer.commit,
        "previous_commit": pointer.previous_commit,
        "history_rewritten": pointer.history_rewritten,
        "manifest": {"sha256": manifest.sha256, "size": manifest.size, "skills": manifest.skills},
        "history": [[seq, digest] for seq, digest in pointer.history],
        "deployed_at": pointer.deployed_at,
        "issued_at": pointer.issued_at,
        "expires_at": pointer.expires_at,
        "head_checked_at": pointer.head_checked_at,
        "token": pointer.token,
        "previous": pointer.previous,
        "asked_at": pointer.asked_at,
        "rolled_back_to": pointer.rolled_back_to,
    }


def _manifest(value: object) -> ManifestRef:
    what = "the pointer's manifest"
    return ManifestRef(
        sha256=_digest(member(value, "sha256", str, what=what)),
        size=member(value, "size", int, what=what),
        skills=member(value, "skills", int, what=what),
    )


def _pair(item: object) -> tuple[int, Digest]:
    match item:
        case [int(seq), str(digest)] if seq > 0 and not isinstance(seq, bool):
            return seq, _digest(digest)
    raise InputError("MEMBER_INVALID", "the pointer's history holds pairs of sequence number and digest")


def _deployment(value: object) -> DeploymentId | None:
    # Absent in what earlier versions wrote.
    if value is None:
        return None
    parse_deployment(str(value))
    return DeploymentId(str(value))


def _digest(text: str) -> Digest:
    if not is_digest(text):
        raise InputError("MEMBER_INVALID", "a manifest's digest is 64 hex digits")
    return Digest(text)


def _positive(document: dict[str, object], key: str) -> int:
    value = member(document, key, int, what="the pointer")
    if value < 1:
        raise InputError("MEMBER_INVALID", f"the pointer's {key} is at least 1, got {value}")
    return value
