"""Git's smart HTTP protocol (v2, and v0 for old servers), spoken by dulwich within limits of time, bytes and trust.

What is asked for, and what the objects mean, is the business of git_remote.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import urllib3
from dulwich.client import Urllib3HttpGitClient
from dulwich.object_store import ObjectStoreGraphWalker
from dulwich.protocol import Protocol

from shared.adapters.git_limits import Allowance, TimedPools
from shared.adapters.git_pack import unpack
from shared.errors import RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dulwich.client import HTTPResponse
    from dulwich.object_store import MemoryObjectStore
    from dulwich.objects import ObjectID
    from dulwich.refs import Ref

    from shared.adapters.git_limits import Deadline
    from shared.adapters.git_proof import Proof

ADVERTISEMENT: Final = "application/x-git-upload-pack-advertisement"
RESULT: Final = "application/x-git-upload-pack-result"
# Text is about four times as large unpacked; this bounds the memory, `max_bytes` the traffic.
UNPACKED_FACTOR: Final = 2
_SLICE_BYTES: Final = 64 * 1024
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_NOT_FOUND: Final = frozenset({404, 410})
_DENIED: Final = frozenset({401, 403})
_RATE_LIMITED: Final = 429


class NotServedError(UnavailableError):
    """The server refuses what it was asked for, mostly because it does not have it: `SOURCE_UNAVAILABLE`."""


@dataclass(slots=True)
class _Answer:
    """An answer that was read to its end, in the shape that dulwich expects of a response."""

    content_type: str | None
    body: bytes = field(repr=False)
    status: int = _OK
    headers: Mapping[str, str] = field(default_factory=dict)
    redirect_location: str = ""

    def read(self, amt: int | None = None) -> bytes:
        return self.body[:amt]

    def geturl(self) -> str | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


class SmartHttp(Urllib3HttpGitClient):
    """A client of one repository. It asks for the server's capabilities once, and again only where they hold the refs.

    Args:
        url: The repository's address, without credentials.
        proof: What is shown to the server, and to no other.
        deadline: Ends every wait.
        max_bytes: The most that may come over the wire between two calls of `renew`; twice as much once unpacked.
    """

    def __init__(self, url: str, *, proof: Proof, deadline: Deadline, max_bytes: int) -> None:
        pools = TimedPools(deadline)
        # Thin packs refer to objects outside of the pack; what is fetched here must stand alone.
        super().__init__(url, pool_manager=pools, thin_packs=False, quiet=True)
        self._proof = proof
        self._where = url
        self._info_url = urljoin(f"{url.rstrip('/')}/", "info/refs?service=git-upload-pack")
        self._pack_url = urljoin(self._info_url, "../git-upload-pack")
        self._wire = Allowance(url, max_bytes)
        self._unpacked = Allowance(url, UNPACKED_FACTOR * max_bytes)
        self._advertised: _Answer | None = None
        self._fetching = False

    def renew(self) -> None:
        """Begin a new call with the whole allowance of bytes."""
        self._wire.renew()
        self._unpacked.renew()

    def refs(self, prefix: bytes) -> Mapping[Ref, ObjectID | None]:
        """Read the references that begin with `prefix`, now."""
        if b"version 2" not in self._advertisement():  # then the advertisement itself is the list, maybe an old one
            self._advertised = None
        return self.get_refs("", ref_prefix=[prefix]).refs

    def can_filter(self) -> bool:
        """Whether the server takes partial fetches, by protocol v2."""
        if self._advertised is None:
            self._http_request(self._info_url, {"Accept": "*/*", "Git-Protocol": "version=2"})
        lines = self._advertisement()
        features = [word for line in lines if line.startswith(b"fetch=") for word in line[len(b"fetch=") :].split()]
        return b"version 2" in lines and b"filter" in features

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
            have: Commits whose history is not wanted; the server ignores those that it does not know.
            depth: How many generations of commits; None is all of them.
            filter_spec: What to leave out (as `--filter` of `git rev-list`), where the server takes filters.

        Raises:
            NotServedError: The server refuses.
        """
        pack = BytesIO()
        spec = filter_spec if self.can_filter() else None
        self._fetching = True
        try:
            self.fetch_pack(
                "",
                lambda _refs, depth=None: list(wants),  # noqa: ARG005 - dulwich passes it by name
                ObjectStoreGraphWalker(have, lambda _: []),
                pack.write,
                depth=depth,
                filter_spec=spec,
            )
        finally:
            self._fetching = False
        unpack(pack.getvalue(), store, self._unpacked)

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002, FBT001, FBT002 - the hook's signature is dulwich's
    ) -> tuple[HTTPResponse, Callable[[int], bytes]]:
        """Answer one request of dulwich's; this is the hook that it documents for subclasses."""
        answer = self._answer(url, headers, data)
        return answer, BytesIO(answer.body).read

    def _answer(self, url: str, headers: dict[str, str] | None, data: bytes | Iterator[bytes] | None) -> _Answer:
        if url == self._info_url:
            if self._advertised is None:
                self._advertised = self._advertised_by(self._send(url, headers, None))
            return self._advertised
        if url != self._pack_url:
            # Answers can name other addresses (packfile-uris). No server tells us whom to ask.
            raise UnavailableError("SOURCE_UNAVAILABLE", f"{self._where} refers to another address")
        if self._fetching and isinstance(data, bytes) and b"command=ls-refs" in data:
            return _Answer(RESULT, b"0000")  # dulwich lists the refs before each fetch; what we want we know by id
        answer = self._send(url, headers, data)
        if answer.body[4:8] == b"ERR ":
            raise NotServedError("SOURCE_UNAVAILABLE", f"{self._where} refuses what it was asked for")
        return answer

    def _send(self, url: str, headers: dict[str, str] | None, data: bytes | Iterator[bytes] | None) -> _Answer:
        """Send a request and read the whole answer, so that the connection can be used again.

        A refused token is replaced by the other one, if there are two; each is refused once at most.
        """
        response, read = self._request(url, headers, data)
        if _is_denial(response) and not isinstance(data, Iterator) and self._proof.replace():
            response.close()
            response, read = self._request(url, headers, data)
            if response.status == _OK:
                self._proof.was_accepted()
        try:
            self._check_status(response)
            body = BytesIO()
            while piece := read(_SLICE_BYTES):
                self._wire.take(len(piece))
                body.write(piece)
            return _Answer(response.content_type, body.getvalue())
        finally:
            response.close()

    def _request(
        self, url: str, headers: dict[str, str] | None, data: bytes | Iterator[bytes] | None
    ) -> tuple[HTTPResponse, Callable[[int], bytes]]:
        # Ours to send, and not the client's: it can be changed, and both addresses are this server's.
        return super()._http_request(url, {**(headers or {}), **self._proof.headers()}, data, raise_for_status=False)

    def _check_status(self, response: HTTPResponse) -> None:
        status, where = response.status, self._where
        wait = _retry_after(response.headers)
        if status == _OK:
            return
        if status in _REDIRECTS:
            raise RejectedError("SOURCE_MOVED", f"the repository at {where} has moved ({status}): use its new address")
        if status == _RATE_LIMITED or (status in _DENIED and wait is not None):
            raise _unavailable("SOURCE_RATE_LIMITED", f"{where} limits our rate ({status})", wait)
        if status in _DENIED:
            raise RejectedError(
                "SOURCE_DENIED", f"{where} refuses access ({status}): is the token right and not expired?"
            )
        if status in _NOT_FOUND:
            raise RejectedError("SOURCE_NOT_FOUND", f"there is no repository at {where} ({status})")
        raise _unavailable("SOURCE_UNAVAILABLE", f"{where} answers with status {status}", wait)

    def _advertised_by(self, answer: _Answer) -> _Answer:
        if answer.content_type is None or answer.content_type.split(";")[0] != ADVERTISEMENT:
            # Either no git server, or the dumb protocol, which would need one request an object.
            raise RejectedError("SOURCE_NOT_FOUND", f"{self._where} does not speak git's smart HTTP protocol")
        return answer

    def _advertisement(self) -> list[bytes]:
        """The lines of the server's first answer; none before it was asked."""
        if self._advertised is None:
            return []
        protocol = Protocol(BytesIO(self._advertised.body).read, lambda _: None)
        lines = []
        while not protocol.eof():
            lines.append((protocol.read_pkt_line() or b"").strip())
        return lines


def _is_denial(response: HTTPResponse) -> bool:
    return response.status in _DENIED and _retry_after(response.headers) is None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` (RFC 9110, 10.2.3: seconds or a date); None when it is absent or no such thing."""
    text = headers.get("Retry-After")
    try:
        return None if text is None else urllib3.Retry().parse_retry_after(text)
    except urllib3.exceptions.InvalidHeader:
        return None


def _unavailable(code: str, message: str, wait: float | None) -> UnavailableError:
    if wait is None:
        return UnavailableError(code, message)
    return UnavailableError(code, message, retry_after_seconds=wait)
