"""The same watcher for Python gateways: follows the folder that skill-sync writes and keeps a registry of its skills current.

    watcher = SkillWatcher(Path("/data/skills"), on_change=lambda skill_id, what: ...)
    watcher.start()
    ...
    watcher.health()   # the answer of GET /health?check=skills
    watcher.close()

An atomic rename reaches a watchdog handler as *moved*, not as *modified*: every kind of event is taken, and whatever it says,
only what stands in the folder afterwards counts. Needs watchdog and PyYAML.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_FILE_BYTES = 256_000
MAX_FRONTMATTER_CHARS = 16 * 1024
DEBOUNCE_SECONDS = 0.25
AGAIN_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FRONTMATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)
_RELOAD = ".reload"
_log = logging.getLogger("SkillWatcher")


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One loaded skill. `error` says why a newer file was not taken over."""

    id: str
    name: str
    description: str
    version: str | None
    digest: str
    text: str
    error: str | None = None


class NotWholeError(Exception):
    """A file that cannot be taken over now: half written, or broken."""


def id_of(path: str) -> str | None:
    """Return the id that a path below the folder belongs to; None when it is nobody's SKILL.md."""
    first, *rest = path.split("/")
    skill = first.removesuffix(".md") if not rest else first
    return skill if rest in ([], ["SKILL.md"]) and _ID.fullmatch(skill) else None


def parse_skill(skill_id: str, data: bytes) -> Skill:
    """Read one SKILL.md.

    Raises:
        NotWholeError: with the reason.
    """
    try:
        text = data.decode()
        match = _FRONTMATTER.match(text)
        if match is None or len(match[1]) > MAX_FRONTMATTER_CHARS:
            raise NotWholeError("no closed frontmatter")
        # The base loader makes texts of everything: `1.10` stays what it is, and there are no merge keys.
        members = yaml.load(match[1], Loader=yaml.CBaseLoader)  # noqa: S506 - the safest of them all
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise NotWholeError(type(error).__name__) from None
    members = members if isinstance(members, dict) else {}
    name, description = _text(members.get("name")), _text(members.get("description"))
    if name is None or description is None:
        raise NotWholeError("no name or description")
    metadata = members.get("metadata")
    version = _text(members.get("version")) or _text(metadata.get("version") if isinstance(metadata, dict) else None)
    digest = hashlib.sha256(data).hexdigest()
    return Skill(id=skill_id, name=name, description=description, version=version, digest=digest, text=text)


class SkillWatcher:
    """Follows a folder.

    Args:
        folder: What skill-sync writes.
        on_change: Told the id and what became of it: added, changed, removed.
        debounce_seconds: How long a skill must be quiet before it is looked at.
    """

    def __init__(
        self,
        folder: Path,
        on_change: Callable[[str, str], None] = lambda _id, _what: None,
        *,
        debounce_seconds: float = DEBOUNCE_SECONDS,
    ) -> None:
        self._folder = folder
        self._on_change = on_change
        self._debounce = debounce_seconds
        self._skills: dict[str, Skill] = {}
        self._missing: set[str] = set()
        self._tries: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._wake = threading.Condition()
        self._closed = False
        self._observer = Observer()
        self._worker = threading.Thread(target=self._work, name="SkillWatcher", daemon=True)

    def start(self) -> None:
        """Load what is there and begin to follow."""
        self._observer.schedule(_Handler(self), str(self._folder), recursive=True)
        self._observer.start()
        for skill_id in self._ids():
            self._look(skill_id)
        self._worker.start()
        _log.info("[SkillWatcher] Watching %s (%d skills)", self._folder, len(self._skills))

    def skills(self) -> list[Skill]:
        """List the loaded skills in order of their ids."""
        return sorted(self._skills.copy().values(), key=lambda skill: skill.id)

    def health(self) -> dict[str, Any]:
        """Return the answer of `GET /health?check=skills`."""
        skills = [
            {"id": each.id, "name": each.name, "version": each.version, "digest": each.digest, "error": each.error}
            for each in self.skills()
        ]
        return {"ok": True, "count": len(skills), "skills": skills}

    def close(self) -> None:
        """Stop following; what is loaded stays."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._observer.stop()
        self._observer.join()
        self._worker.join()

    def noticed(self, path: str) -> None:
        """Take note that something happened at a path."""
        inside = path.removeprefix(str(self._folder)).lstrip("/")
        ids = self._ids() if inside in {"", _RELOAD} else {id_of(inside)}
        with self._wake:
            for skill_id in ids - {None}:
                self._due[str(skill_id)] = time.monotonic() + self._debounce
            self._wake.notify()

    def _ids(self) -> set[str | None]:
        found = {id_of(each.name) for each in self._folder.iterdir()}
        return {each for each in found if each is not None} | set(self._skills)

    def _work(self) -> None:
        while True:
            with self._wake:
                now = time.monotonic()
                ready = [skill_id for skill_id, due in self._due.items() if due <= now]
                if not ready and not self._closed:
                    self._wake.wait(min(self._due.values(), default=now + 60.0) - now)
                if self._closed:
                    return
                for skill_id in ready:
                    del self._due[skill_id]
            for skill_id in ready:
                self._look(skill_id)

    def _look(self, skill_id: str | None) -> None:
        if skill_id is None:
            return
        what = self._judge(skill_id)
        if what in {"bad", "unsettled"}:
            tries = self._tries.get(skill_id, 0)
            self._tries[skill_id] = tries + 1
            if what == "bad" and tries == 1:
                _log.warning("[SkillWatcher] Skill not taken over: %s", skill_id)
            with self._wake:
                self._due.setdefault(skill_id, time.monotonic() + AGAIN_SECONDS[min(tries, len(AGAIN_SECONDS) - 1)])
            return
        self._tries.pop(skill_id, None)
        if what != "unchanged":
            _log.info("[SkillWatcher] Skill changed: %s (%s)", skill_id, what)
            self._on_change(skill_id, what)

    def _judge(self, skill_id: str) -> str:
        former = self._skills.get(skill_id)
        try:
            data = self._read(skill_id)
            if data is None:
                return self._gone(skill_id)
            self._missing.discard(skill_id)
            skill = parse_skill(skill_id, data)
        except (NotWholeError, OSError) as error:
            if former is not None:
                self._skills[skill_id] = replace(former, error=str(error))
            return "bad"
        self._skills[skill_id] = skill
        if former is None:
            return "added"
        return "unchanged" if former.digest == skill.digest else "changed"

    def _gone(self, skill_id: str) -> str:
        if skill_id not in self._skills:
            return "unchanged"
        # A writer that replaces a file by removing it first is seen without it for a moment.
        if skill_id not in self._missing:
            self._missing.add(skill_id)
            return "unsettled"
        self._missing.discard(skill_id)
        del self._skills[skill_id]
        return "removed"

    def _read(self, skill_id: str) -> bytes | None:
        for path in (self._folder / skill_id / "SKILL.md", self._folder / f"{skill_id}.md"):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                before = path.lstat()
                if before.st_size > MAX_FILE_BYTES or path.is_symlink():
                    raise NotWholeError("too large, or a link")
                data = path.read_bytes()
                after = path.lstat()
                if (after.st_ino, after.st_size, after.st_mtime_ns) != (
                    before.st_ino,
                    len(data),
                    before.st_mtime_ns,
                ):
                    raise NotWholeError("changed while it was read")
                return data
        return None


class _Handler(FileSystemEventHandler):
    def __init__(self, watcher: SkillWatcher) -> None:
        self._watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in {"opened", "closed_no_write"}:
            return  # our own reading
        for path in (event.src_path, event.dest_path):
            if path:
                self._watcher.noticed(str(path))


def _text(value: object) -> str | None:
    return value.strip() if isinstance(value, str) and value.strip() else None
