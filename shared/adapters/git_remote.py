"""The `Source` port on any git repository, by path or URL: opened here, and fetched over HTTP as little as possible.

How git is spoken over HTTP is the business of git_http.py; a repository on disk is that of git_local.py.

    trying again may help   UnavailableError   SOURCE_UNAVAILABLE, SOURCE_RATE_LIMITED, SOURCE_TOO_SLOW,
                                               SOURCE_CORRUPT (an object is missing, or not what its name says)
    a person must act       RejectedError      SOURCE_NOT_FOUND (also no smart HTTP), SOURCE_MOVED, SOURCE_DENIED,
                                               BRANCH_NOT_FOUND, REPOSITORY_EMPTY, SOURCE_TOO_LARGE,
                                               SOURCE_UNSUPPORTED (ids by SHA-256)
    a setting is wrong      ConfigError        SOURCE_URL_UNSUPPORTED
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from dulwich.object_store import MemoryObjectStore
from dulwich.refs import HEADREF, Ref

from shared.adapters.git_border import border
from shared.adapters.git_http import NotServedError, SmartHttp
from shared.adapters.git_limits import Allowance, Deadline
from shared.adapters.git_local import LocalSource, no_such_branch
from shared.adapters.git_objects import commit_sha, descends, has_commit, is_id, list_tree, object_id, read_blobs
from shared.adapters.git_proof import Proof
from shared.errors import ConfigError, RejectedError
from shared.model import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dulwich.objects import ObjectID

    from shared.adapters.value_choice import ValueChoice
    from shared.model import BlobId, CommitSha, TreeEntry
    from shared.ports import Source

MAX_BYTES: Final = 64 * 2**20
_WANTS_A_REQUEST: Final = 1000
_SCP_LIKE = re.compile(r"[^/]*:")


def open_source(
    url: str,
    branch: str | None,
    *,
    tokens: ValueChoice | None,
    seconds: Callable[[], float],
    max_bytes: int = MAX_BYTES,
) -> Source:
    """Build the source for a repository; nothing is read yet.

    Args:
        url: A path, or a URL with scheme file, http or https. Credentials in it are used when there is no token.
        branch: The branch to follow; None follows the repository's default branch.
        tokens: One of them is sent as the password of the user `x-access-token`, to this URL's server only; None for none.
        seconds: Tells how many seconds the running sync still has.
        max_bytes: The most that one call takes in.

    Raises:
        ConfigError: `SOURCE_URL_UNSUPPORTED`.
    """
    if "://" not in url and not _SCP_LIKE.match(url) and url:
        return LocalSource(url, branch, seconds=seconds, max_bytes=max_bytes)
    parts = _split(url)
    if parts.scheme == "file":
        return LocalSource(unquote(parts.path), branch, seconds=seconds, max_bytes=max_bytes)
    host = parts.netloc.rpartition("@")[2]
    bare_url = f"{parts.scheme}://{host}{parts.path}"
    proof = Proof(tokens, _given(parts))
    return RemoteSource(bare_url, branch, proof=proof, seconds=seconds, max_bytes=max_bytes)


class RemoteSource:
    """A source behind smart HTTP.

    Where the server takes filters, a listing fetches the folders alone and `blobs` fetches what it is asked for. Where
    it does not, the first of the two fetches the one commit with all its content, and the other costs nothing. Not for
    several threads at once.

    Args:
        url: The repository's address, without credentials.
        branch: The branch to follow; None follows the server's HEAD.
        proof: What is shown to the server.
        seconds: Tells how many seconds the running sync still has.
        max_bytes: The most that one call takes in over the wire.
    """

    def __init__(
        self,
        url: str,
        branch: str | None,
        *,
        proof: Proof,
        seconds: Callable[[], float],
        max_bytes: int,
    ) -> None:
        self._url = url
        self._ref = HEADREF if branch is None else Ref(b"refs/heads/" + branch.encode())
        self._deadline = Deadline(url, seconds)
        self._max_bytes = max_bytes
        self._client = SmartHttp(url, proof=proof, deadline=self._deadline, max_bytes=max_bytes)
        self._store = MemoryObjectStore()

    def head(self, known: CommitSha | None) -> CommitSha:  # noqa: ARG002 - git has no conditional requests
        """Read the branch head now: two small requests, one when the server's capabilities are known already.

        Raises:
            RejectedError: `BRANCH_NOT_FOUND`, `REPOSITORY_EMPTY`, or what any request raises.
        """
        with self._call():
            found = self._client.refs(self._ref).get(self._ref)
            if found is None:
                raise no_such_branch(self._url, self._ref, empty=not self._client.refs(b"refs/heads/"))
            return commit_sha(found, self._url)

    def listing(self, commit: CommitSha) -> list[TreeEntry]:
        """List every entry of the commit's tree; see `list_tree`. One request; none when the commit is known already."""
        with self._call():
            if object_id(commit) not in self._store:
                self._fetch_commit(commit, filter_spec=b"blob:none")
            return list_tree(self._store, commit)

    def blobs(self, commit: CommitSha, entries: Sequence[TreeEntry]) -> Mapping[BlobId, bytes]:
        """Read the contents of these entries; see `read_blobs`. One request a thousand, or none."""
        with self._call():
            wanted = dict.fromkeys(object_id(entry.id) for entry in entries)
            missing = [name for name in wanted if name not in self._store]
            if missing and not self._fetch_blobs(missing):
                self._fetch_commit(commit, filter_spec=None)
            return read_blobs(self._store, entries, Allowance(self._url, self._max_bytes))

    def compare(self, base: CommitSha, head: CommitSha) -> Standing:
        """Say how `head` stands to `base`, by fetching only the commits that one has and the other has not.

        UNKNOWN when the server does not know or does not give one of them, or when this takes more than the allowance.
        """
        if base == head:
            return Standing.IDENTICAL
        old, new = object_id(base), object_id(head)
        if not is_id(old):
            return Standing.UNKNOWN
        with self._call():
            try:
                return self._standing(old, new)
            except NotServedError:
                return Standing.UNKNOWN
            except RejectedError as error:
                if error.code == "SOURCE_TOO_LARGE":
                    return Standing.UNKNOWN
                raise

    def _standing(self, old: ObjectID, new: ObjectID) -> Standing:
        if descends(self._commits(new, without=old), new, old, self._deadline.wait):
            return Standing.AHEAD
        commits = self._commits(old, without=new)
        if not has_commit(commits, old):
            return Standing.UNKNOWN
        return Standing.BEHIND if descends(commits, old, new, self._deadline.wait) else Standing.DIVERGED

    def _commits(self, commit: ObjectID, *, without: ObjectID) -> MemoryObjectStore:
        """Fetch the commits that lead to one, but not those that lead to the other."""
        store = MemoryObjectStore()
        self._client.fetch_into(store, [commit], have=[without], filter_spec=b"tree:0")
        return store

    def _fetch_commit(self, commit: CommitSha, *, filter_spec: bytes | None) -> None:
        wants = [object_id(commit)]
        try:
            self._client.fetch_into(self._store, wants, depth=1, filter_spec=filter_spec)
        except NotServedError:
            if filter_spec is None:
                raise
            # A server may take filters and still refuse this one; it cannot refuse the commit without one.
            self._client.fetch_into(self._store, wants, depth=1)

    def _fetch_blobs(self, names: Sequence[ObjectID]) -> bool:
        """Fetch blobs by their ids; False where the server does not give single objects."""
        if not self._client.can_filter():
            return False
        try:
            for wants in (names[i : i + _WANTS_A_REQUEST] for i in range(0, len(names), _WANTS_A_REQUEST)):
                self._client.fetch_into(self._store, wants, filter_spec=b"blob:none")
        except NotServedError:
            return False
        return True

    @contextmanager
    def _call(self) -> Iterator[None]:
        self._client.renew()
        with border(self._url):
            yield


def _split(url: str) -> SplitResult:
    """Split a URL that can be served; any other is refused without repeating it, as it may hold a password."""
    try:
        parts = urlsplit(url)
        served = parts.scheme in {"http", "https"} and parts.hostname is not None and not parts.query
        local = parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path != ""
        _ = parts.port  # raises ValueError when it is no number
    except ValueError:
        served = local = False
    if not (served or local):
        raise ConfigError("SOURCE_URL_UNSUPPORTED", "a source is a path or a URL with scheme file, http or https")
    return parts


def _given(parts: SplitResult) -> tuple[str, str] | None:
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")
