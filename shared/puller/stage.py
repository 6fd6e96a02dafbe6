"""Staging: the files that an install will rename into place, verified and on the disk before the first live one changes."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from shared.core.archive import MAX_ARCHIVE_BYTES, unpack
from shared.core.git_objects import blob_id
from shared.errors import DeadlineError, InputError, UnverifiedError
from shared.puller.layout import ancestors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from concurrent.futures import Future

    from shared.model import BlobId, LiveSkill, SkillFile, SkillId
    from shared.puller.client import ReleaseClient
    from shared.puller.files import Root
    from shared.puller.layout import Wanted
    from shared.puller.look import Seen
    from shared.puller.scope import Group

STAGING = "staging"
MAX_DOWNLOADS = 8
MAX_BYTES_AT_ONCE = MAX_ARCHIVE_BYTES
"""Of all archives that are under way or wait to be unpacked; one alone may be as large as any."""
_SYNCED_ONE_BY_ONE = 64
"""Above so many files one flush of the whole filesystem takes less time than one for each."""


class Stage:
    """Puts wanted files into the staging folder, under the paths that they will have in the skills folder.

    Args:
        skills: Where content that is on the disk already is taken from.
        own: Where the staging folder is.
        client: Where archives come from.
        stopping: Whether the process was asked to end; no further download then begins.
    """

    def __init__(self, skills: Root, own: Root, client: ReleaseClient, stopping: Callable[[], bool]) -> None:
        self._skills = skills
        self._own = own
        self._client = client
        self._stopping = stopping
        self.fetching_seconds = 0.0
        """How long it was waited for the release function."""
        self._spare: Root | None = None
        self._unsynced: list[str] = []
        self._count = 0

    def clear(self, spare: Root | None = None) -> None:
        """Throw away what an earlier install left.

        Args:
            spare: A copy of what is wanted, where content is looked for before it is fetched.
        """
        self._own.clear(STAGING)
        self._spare, self._unsynced, self._count = spare, [], 0

    def fill(self, group: Group, paths: Collection[str], seen: Mapping[str, Seen]) -> None:
        """Stage the files at these paths; `sync` must follow.

        Args:
            group: What each path shall hold, and which skill it is of.
            paths: Which of them to stage; none of them may be staged already.
            seen: What stands in the skills folder.

        Raises:
            UnverifiedError: `bundle_mismatch` or `bundle_rejected`.
            DeadlineError: `STOPPED`.
        """
        here = {found.blob: path for path, found in seen.items() if found.blob is not None}
        needed: dict[SkillId, list[str]] = {}
        for path in sorted(paths):
            if not self._reuse(path, group.wanted[path], here):
                needed.setdefault(group.wanted[path].skill, []).append(path)
        jobs = [(group.live[key], {path: group.wanted[path] for path in of}) for key, of in needed.items()]
        if jobs:
            self._download_all(jobs)
        self._count += len(paths)
        if self._count <= _SYNCED_ONE_BY_ONE:
            self._unsynced += paths

    def sync(self) -> None:
        """Make everything that was staged survive a loss of power."""
        if self._count > _SYNCED_ONE_BY_ONE:
            self._own.sync_disk()
        elif self._count:
            files = [f"{STAGING}/{path}" for path in self._unsynced]
            # A folder that is renamed in must not lose its names either.
            for path in (*files, *sorted({folder for file in files for folder in ancestors(file)})):
                self._own.sync_one(path)
        self._unsynced, self._count = [], 0

    def _download_all(self, jobs: list[tuple[LiveSkill, dict[str, Wanted]]]) -> None:
        """Fetch several at once, and verify and write one after the other: these need the processor, and no company."""
        under_way: deque[tuple[LiveSkill, dict[str, Wanted], Future[bytes]]] = deque()
        with ThreadPoolExecutor(max_workers=min(MAX_DOWNLOADS, len(jobs))) as pool:
            try:
                for skill, wanted in jobs:
                    while under_way and not _has_room([each[0] for each in under_way], skill):
                        self._finish(*under_way.popleft())
                    under_way.append((skill, wanted, pool.submit(self._fetch, skill)))
                while under_way:
                    self._finish(*under_way.popleft())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _finish(self, skill: LiveSkill, wanted: Mapping[str, Wanted], fetched: Future[bytes]) -> None:
        files = verified_files(skill, self._awaited(fetched))
        self._write({path: (files[want.source].data, want.mode) for path, want in wanted.items()})

    def _awaited(self, fetched: Future[bytes]) -> bytes:
        began = time.monotonic()
        try:
            return fetched.result()
        finally:
            self.fetching_seconds += time.monotonic() - began

    def _fetch(self, skill: LiveSkill) -> bytes:
        if self._stopping():
            raise DeadlineError("STOPPED", "the puller was asked to end before everything was fetched")
        if skill.archive_size > MAX_ARCHIVE_BYTES:
            raise UnverifiedError("bundle_rejected", f"{skill.id}: an archive has at most {MAX_ARCHIVE_BYTES} bytes")
        return self._client.bundle_object(skill.archive, skill.archive_size)

    def _reuse(self, path: str, want: Wanted, here: Mapping[BlobId, str]) -> bool:
        data = self._held(self._skills, here.get(want.blob), want)
        if data is None:
            data = self._held(self._spare, path, want)
        if data is not None:
            self._write({path: (data, want.mode)})
        return data is not None

    def _held(self, root: Root | None, path: str | None, want: Wanted) -> bytes | None:
        found = None if root is None or path is None else root.stat(path)
        if root is None or path is None or found is None or found.st_size != want.size:
            return None
        try:
            data = b"".join(root.chunks(path))
        except OSError:
            return None  # it went away meanwhile, or is no file
        return data if blob_id(data) == want.blob else None  # it may have changed since it was looked at

    def _write(self, files: Mapping[str, tuple[bytes, int]]) -> None:
        folders: dict[str, dict[str, tuple[bytes, int]]] = {}
        for path, file in files.items():
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, {})[name] = file
        for folder, inside in folders.items():
            self._own.fill(f"{STAGING}/{folder}".rstrip("/"), inside)


def _has_room(under_way: Sequence[LiveSkill], following: LiveSkill) -> bool:
    size = sum(skill.archive_size for skill in (*under_way, following))
    return len(under_way) < MAX_DOWNLOADS and size <= MAX_BYTES_AT_ONCE


def verified_files(skill: LiveSkill, archive: bytes) -> dict[str, SkillFile]:
    """Unpack an archive and prove that it holds exactly the files that the manifest names.

    Args:
        skill: The manifest's entry.
        archive: The bytes, already compared with the entry's digest.

    Raises:
        UnverifiedError: `bundle_rejected`.
    """
    try:
        files = unpack(archive)
    except InputError as error:
        raise UnverifiedError("bundle_rejected", f"{skill.id}: {error.message}") from None
    found = {(file.path, 0o755 if file.executable else 0o644, file.blob, len(file.data)) for file in files}
    if found != {(file.path, file.mode, file.blob, file.size) for file in skill.files}:
        raise UnverifiedError("bundle_rejected", f"{skill.id}: the archive holds other files than the manifest names")
    return {file.path: file for file in files}
