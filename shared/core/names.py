"""Names of stored objects and the times inside them: which are legal, and how each object of ours is called."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.errors import InputError

if TYPE_CHECKING:
    from shared.model import DeploymentId, Digest

MAX_NAME_BYTES = 512
_NAME = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DEPLOYMENT = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MAX_SLUG_CHARS = 64

CURRENT = "current.json"
SUMMARY = "summary.json"
ALERTS = "alerts.json"
ROTATIONS = "rotation/"
ROTATION = "rotation/active.json"
"""The rotation that is under way: one name, so that there is one at a time."""


def check_name(name: str) -> str:
    """Return `name` if an object may be called so.

    Raises:
        InputError: `NAME_INVALID`, not segments of `[A-Za-z0-9._-]` joined by `/`, a dot segment, or over 512 bytes.
    """
    dots = any(segment in {".", ".."} for segment in name.split("/"))
    if len(name) > MAX_NAME_BYTES or dots or not _NAME.fullmatch(name):
        raise InputError(
            "NAME_INVALID", f"an object's name is segments of A-Z a-z 0-9 . _ - joined by /, got {name[:80]!r}"
        )
    return name


def is_name(text: str) -> bool:
    """Whether an object may be called so."""
    try:
        return bool(check_name(text))
    except InputError:
        return False


def object_name(digest: Digest) -> str:
    """Where an archive or manifest lies."""
    return f"objects/{digest}"


def record_name(deployment: DeploymentId) -> str:
    """Where a deployment's record lies."""
    return f"deployments/{deployment}.json"


def trust_name(version: int) -> str:
    """Where a version of the trust lies."""
    return f"trust/{version}.json"


def pause_name(epoch: int, reason: str) -> str:
    """Where the evidence of a pause lies."""
    return f"pauses/{epoch}-{reason}.json"


def puller_name(puller: str) -> str:
    """Where a puller's last report lies."""
    return f"pullers/{puller}.json"


def rotation_name(credential: str) -> str:
    """Name the record of a credential's last rotation."""
    return check_name(f"{ROTATIONS}{credential}.json")


def event_name(at: str, key: str) -> str:
    """Where an event lies: `events/<day>/<time>-<key>.json`, so that a day lists in order.

    Args:
        at: The event's time as `timestamp` writes it.
        key: What makes the event the same event when it is written again.
    """
    return f"events/{at[:10]}/{at[11:23].replace(':', '')}-{key}.json"


def is_digest(text: str) -> bool:
    """Whether `text` is 64 lower-case hex digits."""
    return _DIGEST.fullmatch(text) is not None


def is_slug(text: str) -> bool:
    """Whether `text` may be the id of a published skill, or of a puller."""
    return len(text) <= MAX_SLUG_CHARS and _SLUG.fullmatch(text) is not None


def parse_deployment(text: str) -> tuple[int, int]:
    """Split `<epoch>-<seq>`.

    Raises:
        InputError: `DEPLOYMENT_ID_INVALID`.
    """
    match = _DEPLOYMENT.fullmatch(text)
    if match is None:
        raise InputError("DEPLOYMENT_ID_INVALID", f"a deployment's id is <epoch>-<seq>, got {text[:40]!r}")
    return int(match[1]), int(match[2])


def timestamp(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC with milliseconds; such texts sort as the times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")


def parse_timestamp(text: str) -> datetime:
    """Read a time that `timestamp` wrote.

    Raises:
        InputError: `TIME_INVALID`.
    """
    try:
        if _TIMESTAMP.fullmatch(text) is None:
            raise ValueError
        return datetime.fromisoformat(text)
    except ValueError:
        raise InputError("TIME_INVALID", f"a time is YYYY-MM-DDTHH:MM:SS.mmmZ, got {text[:40]!r}") from None


def is_time(value: object) -> bool:
    """Whether a value is a time that `timestamp` wrote."""
    try:
        return isinstance(value, str) and bool(parse_timestamp(value))
    except InputError:
        return False


def age_of(text: str, now: datetime) -> timedelta:
    """Return how long ago a time was; one that nobody can read proves nothing, and is older than any."""
    try:
        return now - parse_timestamp(text)
    except InputError:
        return timedelta.max


def later(text: str, **delta: float) -> str:
    """Return the time that lies `delta` (the arguments of `timedelta`) behind the written one."""
    return timestamp(parse_timestamp(text) + timedelta(**delta))
