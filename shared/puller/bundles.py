"""The manifests on the volume: what is installed, and what is or was being installed, each verified whenever it is opened.

They say which files are ours. A manifest that was lost is fetched again: its name is its content.
"""

from __future__ import annotations

import mmap
import os
from hashlib import sha256
from typing import TYPE_CHECKING

from shared import log
from shared.core.canonical import digest_of
from shared.core.manifest import MAX_MANIFEST_BYTES, empty_manifest, manifest_bytes
from shared.core.manifest_view import ManifestView
from shared.errors import InputError, NotFoundError, UnavailableError, UnverifiedError
from shared.puller.state import Edition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from shared.model import Digest, Trust
    from shared.puller.client import ReleaseClient
    from shared.puller.files import Root

MANIFESTS = "manifests"
_DRAFT = "manifest.new"
_SUFFIX = ".json"


class Bundles:
    """Keeps manifests by their digest.

    Args:
        own: The puller's own folder.
        client: Where a manifest comes from that is not there.
    """

    def __init__(self, own: Root, client: ReleaseClient) -> None:
        self._own = own
        self._client = client
        self._open: dict[Digest, ManifestView] = {}

    def fetch(self, edition: Edition, trust: Trust) -> ManifestView:
        """Open the manifest that a pointer names, and check that it is of this line of deployments.

        Raises:
            UnverifiedError: `bundle_mismatch` or `bundle_rejected`.
            NotFoundError: `OBJECT_MISSING`.
            UnavailableError: the release function did not give it.
        """
        if edition.size > MAX_MANIFEST_BYTES:
            raise UnverifiedError("bundle_mismatch", f"a manifest has at most {MAX_MANIFEST_BYTES} bytes")
        view = self.view(edition)
        try:
            head = view.head()
        except InputError as error:
            raise UnverifiedError("bundle_rejected", error.message) from None
        ours, theirs = (trust.channel, trust.repo), (head.channel, head.repo)
        if ours != theirs:
            raise UnverifiedError("bundle_rejected", f"the manifest is of {theirs}, expected {ours}")
        return view

    def view(self, edition: Edition) -> ManifestView:
        """Open a manifest, from here or from the release function; errors as for `fetch`."""
        view = self._open.get(edition.manifest) or stored_view(self._own, edition) or _nothing(edition)
        if view is None:
            self._download(edition)
            view = stored_view(self._own, edition)
        if view is None:
            raise UnavailableError("VOLUME_BUSY", "a manifest that was just written is not there")
        self._open[edition.manifest] = view
        return view

    def known(self, edition: Edition) -> ManifestView | None:
        """Open a manifest that was accepted here before; None when nobody has it any more.

        Raises:
            UnavailableError: it was lost here, and the release function does not answer.
        """
        try:
            return self.view(edition)
        except (NotFoundError, UnverifiedError) as error:
            log.error("What is installed is not known any more", code=error.code, manifest=edition.manifest)
            return None

    def nothing(self, layouts: tuple[str, ...]) -> Edition:
        """Return what stands for a volume on which nothing is installed."""
        data = _empty()
        return Edition(manifest=digest_of(data), size=len(data), skills=0, layouts=layouts)

    def keep(self, manifests: Collection[Digest]) -> None:
        """Throw away all manifests but these."""
        self._open = {digest: view for digest, view in self._open.items() if digest in manifests}
        for name in self._own.names(MANIFESTS):
            if name.removesuffix(_SUFFIX) not in manifests:
                self._own.clear(f"{MANIFESTS}/{name}")

    def relax(self) -> None:
        """Give back the memory of all pages that were looked at; they are read again when they are needed."""
        for view in self._open.values():
            if isinstance(view.data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                view.data.madvise(mmap.MADV_DONTNEED)

    def sync(self, edition: Edition) -> None:
        """Make a manifest survive a loss of power; until then it would have to be fetched again."""
        self._own.sync_all(_path(edition.manifest))  # where there is one

    def _download(self, edition: Edition) -> None:
        self._client.stream_object(edition.manifest, edition.size, self._write)
        self._own.clear(_path(edition.manifest))
        self._own.make_folders(MANIFESTS)
        self._own.move(_DRAFT, self._own, _path(edition.manifest), synced=False)

    def _write(self, chunks: Iterator[bytes]) -> None:
        self._own.clear(_DRAFT)
        # Not waited for: what a loss of power takes is fetched again.
        self._own.create(_DRAFT, chunks, 0o600, synced=False)


def stored_view(own: Root, edition: Edition) -> ManifestView | None:
    """Open a manifest that is on the volume; None when it is not there, or not whole.

    Args:
        own: The puller's own folder.
        edition: Names it.

    Raises:
        UnverifiedError: `bundle_rejected`, it is what was signed, but no manifest.
    """
    if _digest_of(own, edition) != edition.manifest:
        return None
    # Mapped, not read: of 6 MB only the pages that are looked at take memory.
    try:
        with own.parent(_path(edition.manifest)) as (folder, name):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        if os.fstat(fd).st_size != edition.size or edition.size == 0:
            return None
        data = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(fd)
    try:
        return ManifestView(data)
    except InputError as error:
        raise UnverifiedError("bundle_rejected", error.message) from None


def _digest_of(own: Root, edition: Edition) -> str | None:
    path = _path(edition.manifest)
    if own.stat(path) is None:
        return None
    checksum = sha256()
    for chunk in own.chunks(path):
        checksum.update(chunk)
    return checksum.hexdigest()


def _empty() -> bytes:
    return manifest_bytes(empty_manifest(channel="", repo="", root="", rules=""))


def _nothing(edition: Edition) -> ManifestView | None:
    """Open what nobody keeps, because it is the same everywhere."""
    return ManifestView(_empty()) if edition.manifest == digest_of(_empty()) else None


def _path(digest: Digest) -> str:
    return f"{MANIFESTS}/{digest}{_SUFFIX}"
