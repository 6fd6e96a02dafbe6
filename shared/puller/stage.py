"""Staging: the files that an install will rename into place, verified and on the disk before the first live one changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from shared.core.archive import unpack
from shared.core.git_objects import blob_id
from shared.errors import DeadlineError, InputError, UnverifiedError
from shared.puller.layout import ancestors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from shared.model import BlobId, LiveSkill, Manifest, SkillFile, SkillId
    from shared.puller.client import ReleaseClient
    from shared.puller.files import Root
    from shared.puller.layout import Wanted
    from shared.puller.look import Seen

STAGING = "staging"
MAX_DOWNLOADS = 8


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

    def clear(self) -> None:
        """Throw away what an earlier install left."""
        self._own.clear(STAGING)

    def fill(
        self, manifest: Manifest, wanted: Mapping[str, Wanted], paths: Collection[str], seen: Mapping[str, Seen]
    ) -> None:
        """Stage the files at these paths.

        Args:
            manifest: Names each skill's archive.
            wanted: What each path shall hold.
            paths: Which of them to stage; none of them may be staged already.
            seen: What stands in the skills folder.

        Raises:
            UnverifiedError: `bundle_mismatch` or `bundle_rejected`.
            DeadlineError: `STOPPED`.
        """
        self._own.make_folders(STAGING)
        here = {found.blob: path for path, found in seen.items() if found.blob is not None}
        needed: dict[SkillId, list[str]] = {}
        for path in sorted(paths):
            if not self._reuse(path, wanted[path], here):
                needed.setdefault(wanted[path].skill, []).append(path)
        with ThreadPoolExecutor(max_workers=MAX_DOWNLOADS) as pool:
            jobs = [
                pool.submit(self._download, manifest.skills[key], {path: wanted[path] for path in of_skill})
                for key, of_skill in needed.items()
            ]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        self._sync(paths)

    def _reuse(self, path: str, want: Wanted, here: Mapping[BlobId, str]) -> bool:
        source = here.get(want.blob)
        found = None if source is None else self._skills.stat(source)
        if source is None or found is None or found.st_size != want.size:
            return False
        data = b"".join(self._skills.chunks(source))
        if blob_id(data) != want.blob:
            return False  # it changed since it was looked at
        self._write(path, want, data)
        return True

    def _download(self, skill: LiveSkill, wanted: Mapping[str, Wanted]) -> None:
        if self._stopping():
            raise DeadlineError("STOPPED", "the puller was asked to end before everything was fetched")
        files = verified_files(skill, self._client.bundle_object(skill.archive, skill.archive_size))
        for path, want in wanted.items():
            self._write(path, want, files[want.source].data)

    def _write(self, path: str, want: Wanted, data: bytes) -> None:
        staged = f"{STAGING}/{path}"
        self._own.make_folders(staged.rpartition("/")[0])
        self._own.create(staged, [data], want.mode)

    def _sync(self, paths: Iterable[str]) -> None:
        # A folder that is renamed in must not lose its names in a power cut.
        for folder in sorted({folder for path in paths for folder in ancestors(f"{STAGING}/{path}")}):
            self._own.sync(folder)


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
