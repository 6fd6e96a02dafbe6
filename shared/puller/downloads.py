"""Archives on their way, fetched several at once and ahead of their turn; what becomes of them is left to `stage`."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from shared.core.archive import MAX_ARCHIVE_BYTES
from shared.errors import DeadlineError, UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shared.model import LiveSkill
    from shared.puller.client import ReleaseClient
    from shared.puller.layout import Wanted

    _Answer = SimpleQueue[bytes | BaseException]
    """Of one download: what came, or what went wrong."""

MAX_DOWNLOADS = 8
MAX_BYTES_AT_ONCE = MAX_ARCHIVE_BYTES
"""Of all archives that are under way or wait to be unpacked; one alone may be as large as any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One skill's archive, which is the one that the manifest names; `wanted` are the paths that need something of it."""

    skill: LiveSkill
    wanted: Mapping[str, Wanted]
    archive: bytes


class Downloads:
    """Fetches archives, and hands them over one after the other: unpacking needs the processor, and no company.

    Args:
        client: Where archives come from.
        stopping: Whether the process was asked to end; no further download then begins.
    """

    def __init__(self, client: ReleaseClient, stopping: Callable[[], bool]) -> None:
        self._client = client
        self._stopping = stopping
        # Not a pool of futures: their locks and conditions took a quarter of what a whole first install takes.
        self._threads: list[Thread] = []
        self._jobs: SimpleQueue[tuple[LiveSkill, _Answer] | None] = SimpleQueue()
        self._under_way: deque[tuple[LiveSkill, Mapping[str, Wanted], _Answer]] = deque()
        self.waited_seconds = 0.0
        """How long it was waited for the release function."""

    def until_room_for(self, skill: LiveSkill) -> Iterator[Fetched]:
        """Yield the oldest until this one may begin; errors as for `Stage.fill`."""
        while self._under_way and not has_room([each[0] for each in self._under_way], skill):
            yield self._next()

    def begin(self, skill: LiveSkill, wanted: Mapping[str, Wanted]) -> None:
        """Begin to fetch a skill's archive; there must be room for it."""
        answer: _Answer = SimpleQueue()
        self._under_way.append((skill, wanted, answer))
        self._jobs.put((skill, answer))
        if len(self._threads) < len(self._under_way):
            self._threads.append(Thread(target=self._work, name="download", daemon=True))
            self._threads[-1].start()

    def rest(self) -> Iterator[Fetched]:
        """Yield all that are under way; errors as for `Stage.fill`."""
        while self._under_way:
            yield self._next()

    def stop(self) -> None:
        """Forget what is under way, and begin nothing more of it."""
        self._under_way.clear()
        with suppress(Empty):
            while True:
                self._jobs.get_nowait()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _next(self) -> Fetched:
        skill, wanted, answer = self._under_way.popleft()
        began = time.monotonic()
        archive = answer.get()
        self.waited_seconds += time.monotonic() - began
        if isinstance(archive, BaseException):
            raise archive
        return Fetched(skill=skill, wanted=wanted, archive=archive)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            skill, answer = job
            try:
                answer.put(self._fetch(skill))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where the answer is waited for
                answer.put(error)

    def _fetch(self, skill: LiveSkill) -> bytes:
        if self._stopping():
            raise DeadlineError("STOPPED", "the puller was asked to end before everything was fetched")
        if skill.archive_size > MAX_ARCHIVE_BYTES:
            raise UnverifiedError("bundle_rejected", f"{skill.id}: an archive has at most {MAX_ARCHIVE_BYTES} bytes")
        return self._client.bundle_object(skill.archive, skill.archive_size)


def has_room(under_way: Sequence[LiveSkill], following: LiveSkill) -> bool:
    """Whether one more may be fetched beside these."""
    size = sum(skill.archive_size for skill in (*under_way, following))
    return len(under_way) < MAX_DOWNLOADS and size <= MAX_BYTES_AT_ONCE
