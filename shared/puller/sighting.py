"""What a gateway says of itself, read from its answer: whether it is well, and which skills it has loaded.

A listing is the member `skills`, at the top or inside `result`, `payload` or `data`: a list of objects, a list of names, or
an object from name to object. Every entry of it counts as loaded, also one with an `error`, a `disabled` one or one that is
not `eligible`: the gateway has read that SKILL.md, or keeps the last good one, and whether it offers the skill depends on
its own settings, which no deployment changes. Only what says that it came with the gateway itself (OpenClaw's source
`openclaw-bundled`) is left out: it is loaded from elsewhere, in place of one of the same name in our folder.

How a gateway is asked is left to `probe_url` and `probe_command`, what follows from its answer to `proof`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import log
from shared.core.canonical import parse_object
from shared.core.discover import SKILL_FILE
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_VALUES = 256 * 1024
"""Of an answer, roughly: what it takes in memory depends on how many values it holds more than on its bytes."""
MAX_DETAIL_CHARS = 200
MAX_NAME_CHARS = 512

UNREACHABLE = "gateway_unreachable"
TIMEOUT = "gateway_timeout"
STATUS = "gateway_status"
NOT_JSON = "gateway_not_json"
NOT_OK = "gateway_not_ok"
TOO_LARGE = "gateway_too_large"
COMMAND_FAILED = "gateway_command_failed"
STOPPED = "gateway_look_stopped"
"""The look was broken off because this process was asked to end; it says nothing about the gateway."""

_UNWELL = frozenset({"unhealthy", "error"})
_WRAPPERS = ("result", "payload", "data")
_DIGEST = re.compile(r"(?:sha256[:-])?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One skill that a gateway has loaded; `id` or `name` is told, or both.

    Args:
        id: What the gateway tells it by: its folder's name, where that can be told.
        name: The name that its frontmatter declares.
        digest: SHA-256 of the SKILL.md that is loaded, lower-case hex; None when that is not told.
    """

    id: str | None = None
    name: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one look at the gateway showed.

    Args:
        healthy: Whether it answered, as a gateway that is well.
        skills: What it has loaded; None when it does not tell.
        code: Why it is not healthy, one of the codes above; empty when it is.
        detail: The same for people: bounded, fit for logs, without anything of settings or environment.
    """

    healthy: bool
    skills: tuple[Listed, ...] | None = None
    code: str = ""
    detail: str = ""


def unwell(code: str, detail: str) -> Sighting:
    """Return what a look showed that found no healthy gateway; `detail` may hold foreign text."""
    return Sighting(healthy=False, code=code, detail=str(log.clean(detail))[:MAX_DETAIL_CHARS])


def sighting_of(data: bytes) -> Sighting:
    """Read a gateway's answer.

    Args:
        data: What it sent, any bytes at all.

    Returns:
        A healthy sighting only for a JSON object that does not deny it.
    """
    if len(data) > MAX_ANSWER_BYTES or sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
        return unwell(TOO_LARGE, f"expected at most {MAX_ANSWER_BYTES} bytes and {MAX_VALUES} values, got more")
    try:
        document = parse_object(data, what="the answer")
    except InputError as error:
        return unwell(NOT_JSON, error.message)
    status = document.get("status")
    if document.get("ok") is False:
        return unwell(NOT_OK, "the gateway says that it is not ok")
    if isinstance(status, str) and status.lower() in _UNWELL:
        return unwell(NOT_OK, f"the gateway says that its status is {status.lower()}")
    return Sighting(healthy=True, skills=_listing(document))


def _listing(document: dict[str, object]) -> tuple[Listed, ...] | None:
    inner = [document.get(wrapper) for wrapper in _WRAPPERS]
    for holder in (document, *(each for each in inner if isinstance(each, dict))):
        found = _read_listing(holder.get("skills"))
        if found is not None:
            return found
    return None


def _read_listing(value: object) -> tuple[Listed, ...] | None:
    """Read one listing; None when it is none, such as a count, or an object that counts."""
    if isinstance(value, list):
        found = _known(_entry(item) for item in value if not _is_bundled(item))
        return found if found or all(map(_is_bundled, value)) else None
    if isinstance(value, dict) and all(isinstance(item, dict) for item in value.values()):
        return _known(_keyed(key, item) for key, item in value.items() if not _is_bundled(item))
    return None


def _known(found: Iterable[Listed]) -> tuple[Listed, ...]:
    return tuple(each for each in found if each.id is not None or each.name is not None)


def _entry(item: object) -> Listed:
    if not isinstance(item, dict):
        return Listed(name=_text(item))
    identity = _first(item, ("id",)) or _folder(item) or _first(item, ("slug", "key", "skillKey"))
    return Listed(id=identity, name=_first(item, ("name",)), digest=_digest(item))


def _keyed(key: str, item: object) -> Listed:
    # The key is whatever the gateway tells skills by; it stands for what the entry itself leaves out.
    found = _entry(item)
    known = _text(key)
    if found.name is None:
        return Listed(id=found.id, name=known, digest=found.digest)
    return found if found.id is not None else Listed(id=known, name=found.name, digest=found.digest)


def _folder(item: dict[str, object]) -> str | None:
    """Tell the skill's folder from where OpenClaw read it: its own `skillKey` is the declared name, not the folder's.

    Source: https://github.com/openclaw/openclaw/blob/main/src/agents/skills-status.ts (`SkillStatusEntry`).
    """
    path = str(item.get("filePath") or "")
    base = path.removesuffix(f"/{SKILL_FILE}") if path.endswith(f"/{SKILL_FILE}") else str(item.get("baseDir") or "")
    return _text(base.rstrip("/").rpartition("/")[2]) if "/" in base else None


def _is_bundled(item: object) -> bool:
    # Not the member `bundled`: that one is also true for a skill of ours that has taken a bundled one's name.
    source = item.get("source") if isinstance(item, dict) else None
    return isinstance(source, str) and source.endswith("-bundled")


def _first(item: dict[str, object], keys: tuple[str, ...]) -> str | None:
    return next((text for key in keys if (text := _text(item.get(key))) is not None), None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARS else None


def _digest(item: dict[str, object]) -> str | None:
    text = _first(item, ("digest", "sha256", "hash"))
    match = None if text is None else _DIGEST.fullmatch(text.lower())
    return None if match is None else match[1]
