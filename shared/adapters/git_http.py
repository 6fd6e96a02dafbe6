"""Git's smart HTTP protocol (v2, and v0 for old servers), spoken by dulwich within limits of time, bytes and trust.

What is asked for, and what the objects mean, is the business of git_remote.py.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urljoin

import urllib3
from dulwich.client import Urllib3HttpGitClient
from dulwich.object_store import ObjectStoreGraphWalker
from dulwich.protocol import Protocol

from shared.adapters.git_limits import Allowance, TimedPools
from shared.adapters.git_pack import unpack
from shared.errors import RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dulwich.object_store import MemoryObjectStore
    from dulwich.objects import ObjectID
    from dulwich.refs import Ref

    from shared.adapters.git_limits import Deadline

ADVERTISEMENT: Final = "application/x-git-upload-pack-advertisement"
# Unpacked, text is about four times as large as in a pack; what must fit into memory is the unpacked size.
UNPACKED_FACTOR: Final = 2
_SLICE_BYTES: Final = 64 * 1024
_FLUSH: Final = b"0000"


class NotServedError(UnavailableError):
    """The server refuses what it was asked for, mostly because it does not have it: `SOURCE_UNAVAILABLE`."""


class SmartHttp(Urllib3HttpGitClient):
    """A client of one repository. It asks for the server's capabilities once, and again only where they hold the refs.

    Args:
        url: The repository's address, without credentials.
        credentials: User and password for HTTP Basic, or None.
        deadline: Ends every wait.
        max_bytes: The most that may come over the wire between two calls of `renew`; twice as much once unpacked.
    """

    def __init__(
        self, url: str, *, credentials: tuple[str, str] | None, deadline: Deadline, max_bytes: int
    ) -> None:
        user, password = credentials or (None, None)
        pools = TimedPools(deadline)
        # Thin packs refer to objects outside of the pack; what is fetched here must stand alone.
        super().__init__(url, pool_manager=pools, username=user, password=password, thin_packs=False, quiet=True)
        self._where = url
        self._info_url = urljoin(self._base_url, "info/refs?service=git-upload-pack")
        self._pack_url = urljoin(self._base_url, "git-upload-pack")
        self._wire = Allowance(url, max_bytes)
        self._unpacked = Allowance(url, UNPACKED_FACTOR * max_bytes)
        self._advertised: tuple[Any, bytes] | None = None
        self._fetching = False

    def renew(self) -> None:
        """Begin a new call with the whole allowance of bytes."""
        self._wire.renew()
        self._unpacked.renew()

    def refs(self, prefix: bytes) -> Mapping[Ref, ObjectID | None]:
        """Read the references that begin with `prefix`, now."""
        if not self._speaks_v2():
            self._advertised = None
        return self.get_refs("", ref_prefix=[prefix]).refs

    def can_filter(self) -> bool:
        """Whether the server takes partial fetches, by protocol v2."""
        if self._advertised is None:
            self._http_request(self._info_url, {"Accept": "*/*", "Git-Protocol": "version=2"})
        features = [line[len(b"fetch=") :].split() for line in self._advertised_lines() if line.startswith(b"fetch=")]
        return self._speaks_v2() and any(b"filter" in words for words in features)

    def fetch_into(
        self,
        store: MemoryObjectStore,
        wants: Sequence[ObjectID],
        *,
        have: Sequence[ObjectID] = (),
        depth: int | None = None,
        filter_spec: bytes | None = None,
    ) -> None:
        """Fetch objects by their ids and unpack them.

        Args:
            store: Where they go.
            wants: The ids.
            have: Commits whose history is not wanted; unknown ones are ignored by the server.
            depth: How many generations of commits; None is all of them.
            filter_spec: What to leave out (`--filter` of `git rev-list`), where the server takes filters.

        Raises:
            NotServedError: The server refuses.
        """
        pack = BytesIO()
        self._fetching = True
        try:
            self.fetch_pack(
                "",
                lambda refs, depth=None: list(wants),  # noqa: ARG005 - named so by dulwich
                ObjectStoreGraphWalker(have, lambda _: []),
                pack.write,
                depth=depth,
                filter_spec=filter_spec if self.can_filter() else None,
            )
        finally:
            self._fetching = False
        unpack(pack.getvalue(), store, self._unpacked)

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002, FBT001, FBT002 - dulwich's signature
    ) -> tuple[Any, Callable[[int], bytes]]:
        """Send one request and read the whole answer; the hook that dulwich documents for subclasses."""
        if url not in {self._info_url, self._pack_url}:
            # A server can name other addresses in its answers (packfile-uris). None of them is asked for anything.
            raise UnavailableError("SOURCE_UNAVAILABLE", f"{self._where} refers to another address")
        if url == self._info_url and self._advertised is not None:
            response, body = self._advertised
            return response, BytesIO(body).read
        response, read = super()._http_request(url, headers, data, raise_for_status=False)
        ...
