"""Staging: the files that an install will rename into place, verified and on the disk before the first live one changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.archive import unpack
from shared.core.git_objects import blob_id
from shared.errors import InputError, UnverifiedError
from shared.puller.downloads import Downloads
from shared.puller.layout import ancestors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from shared.model import BlobId, LiveSkill, SkillFile, SkillId
    from shared.puller.client import ReleaseClient
    from shared.puller.downloads import Fetched
    from shared.puller.files import Root
    from shared.puller.layout import Wanted
    from shared.puller.look import Seen
    from shared.puller.scope import Group

STAGING = "staging"
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
        self._downloads = Downloads(client, stopping)
        self._spare: Root | None = None
        self._has_moved = False
        self._unsynced: list[str] = []
        self._count = 0

    @property
    def fetching_seconds(self) -> float:
        """How long it was waited for the release function."""
        return self._downloads.waited_seconds

    def clear(self, spare: Root | None = None) -> None:
        """Throw away what an earlier install left.

        Args:
            spare: A copy of what is wanted, where content is looked for before it is fetched.
        """
        self._own.clear(STAGING)
        self._spare, self._unsynced, self._count = spare, [], 0
        self._has_moved = False

    def fill(self, group: Group, paths: Collection[str], seen: Mapping[str, Seen]) -> None:
        """Stage the files at these paths; some of it may be done only by `sync`, which must follow.

        Args:
            group: What each path shall hold, and which skill it is of.
            paths: Which of them to stage; none of them may be staged already.
            seen: What stands in the skills folder.

        Raises:
            UnverifiedError: `bundle_mismatch` or `bundle_rejected`.
            UnavailableError: an archive could not be fetched.
            DeadlineError: `STOPPED`.
        """
        if not paths:
            return
        here = {found.blob: path for path, found in seen.items() if found.blob is not None}
        needed: dict[SkillId, dict[str, Wanted]] = {}
        # Opened once for many: to walk there for each file takes longer than to write it.
        with self._own.open(STAGING, make=True) as staging:
            for path in sorted(paths):
                want = group.wanted[path]
                if not self._reuse(staging, path, want, here):
                    needed.setdefault(want.skill, {})[path] = want
            for key, wanted in needed.items():
                for fetched in self._downloads.until_room_for(group.live[key]):
                    self._unpack(staging, fetched)
                self._downloads.begin(group.live[key], wanted)
        self._count += len(paths)
        if self._count <= _SYNCED_ONE_BY_ONE:
            self._unsynced += paths

    def sync(self) -> None:
        """Finish what `fill` has begun, and make all of it survive a loss of power; errors as for `fill`."""
        if self._count:
            with self._own.open(STAGING) as staging:
                for fetched in self._downloads.rest():
                    self._unpack(staging, fetched)
        if self._count > _SYNCED_ONE_BY_ONE:
            self._own.sync_disk()
        elif self._count:
            files = [f"{STAGING}/{path}" for path in self._unsynced]
            # A folder that is renamed in must not lose its names either.
            for path in (*files, *sorted({folder for file in files for folder in ancestors(file)})):
                self._own.sync_one(path)
        self._unsynced, self._count = [], 0

    def move_in(self, names: Collection[str]) -> None:
        """Rename what is staged directly below into the skills folder; until `flush` a loss of power may undo it."""
        if names:
            self._has_moved = True
            self._own.move_all(STAGING, names, self._skills)

    def flush(self) -> None:
        """Make all that was moved in survive a loss of power, the receiving folder first: never is neither name there."""
        if self._has_moved:
            self._skills.sync_names()
            self._own.sync_names(STAGING)
        self._has_moved = False

    def stop(self) -> None:
        """Let nothing be fetched any more that was begun for an install that did not end."""
        self._downloads.stop()

    def _unpack(self, staging: int, fetched: Fetched) -> None:
        files = verified_files(fetched.skill, fetched.archive)
        contents = {path: (files[want.source].data, want.mode) for path, want in fetched.wanted.items()}
        self._own.fill(staging, contents)

    def _reuse(self, staging: int, path: str, want: Wanted, here: Mapping[BlobId, str]) -> bool:
        data = self._held(self._skills, here.get(want.blob), want)
        if data is None:
            data = self._held(self._spare, path, want)
        if data is not None:
            self._own.fill(staging, {path: (data, want.mode)})
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
