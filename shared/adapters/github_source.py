"""The `Source` port on GitHub's REST API alone; what it refuses, fallback.py asks for over the git protocol.

head      1 request (a 304, which costs no quota, when nothing changed)
listing   1 request; more for trees that the API cuts short
blobs     1 request a content up to 64, 2 for any number above
compare   1 request
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from shared.adapters.github_body import Budget
from shared.adapters.github_faults import ABSENT, NOT_MODIFIED, UNPROCESSABLE, corrupt
from shared.adapters.github_tarball import wanted_files
from shared.adapters.github_tree import is_id
from shared.adapters.github_walk import MAX_REQUESTS, TreeWalk
from shared.core.git_objects import blob_id
from shared.errors import RejectedError, UnavailableError
from shared.model import BlobId, CommitSha, Kind, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.adapters.github_api import Api
    from shared.adapters.github_walk import TreeCache
    from shared.model import TreeEntry
    from shared.ports import Together

SINGLE_BLOBS: Final = 64
"""Up to so many contents are asked for one by one, more by the archive."""
SHA_BYTES: Final = 128
COMPARE_BYTES: Final = 8 * 2**20
CONTENT_BYTES: Final = 64 * 2**20
"""The most that one call of `blobs` returns."""
ARCHIVE_BYTES: Final = 128 * 2**20
_CONTENTS: Final = frozenset({Kind.FILE, Kind.EXECUTABLE, Kind.SYMLINK})
_SHA: Final = "application/vnd.github.sha"
_RAW: Final = "application/vnd.github.raw+json"


class RestSource:
    """A branch as GitHub's REST API shows it; one for each sync.

    Args:
        api: The repository.
        branch: The branch to follow; None follows the repository's default branch.
        together: Runs requests side by side.
        cache: What earlier listings have learned.
    """

    def __init__(self, api: Api, branch: str | None, *, together: Together, cache: TreeCache) -> None:
        self._api = api
        self._branch = branch
        self._together = together
        self._cache = cache

    def head(self, known: CommitSha | None) -> CommitSha:
        """Read the branch head now; the SHA that is known serves as entity tag.

        Raises:
            RejectedError: `BRANCH_NOT_FOUND`, `REPOSITORY_EMPTY`, or what any request raises.

        Source:
            https://docs.github.com/en/rest/commits/commits#get-a-commit
        """
        tag = {"If-None-Match": f'"{known}"'} if known is not None and is_id(known) else {}
        also = {UNPROCESSABLE, NOT_MODIFIED} if tag else {UNPROCESSABLE}
        budget = Budget(SHA_BYTES, self._api.where)
        answer = self._api.get(f"/commits/{self._ref()}", budget=budget, accept=_SHA, headers=tag, also=also)
        if answer.status == NOT_MODIFIED and known is not None:
            return known
        if answer.status == UNPROCESSABLE:
            raise self._no_branch()
        found = (answer.content or b"").decode("ascii", "replace")
        if not is_id(found):
            raise corrupt(self._api.where, "expected the id of the branch head, got something else")
        return CommitSha(found)

    def listing(self, commit: CommitSha) -> list[TreeEntry]:
        """List every entry of the commit's tree; see `TreeWalk`."""
        return TreeWalk(self._api, self._together, self._cache).listing(commit)

    def blobs(self, commit: CommitSha, entries: Sequence[TreeEntry]) -> Mapping[BlobId, bytes]:
        """Read the contents of these entries, each checked against its id.

        Raises:
            UnavailableError: `SOURCE_CORRUPT`; `SOURCE_UNAVAILABLE` also when this takes too many requests.
            RejectedError: `SOURCE_TOO_LARGE`, before the first request where the sizes are known.
        """
        wanted = {BlobId(entry.id): entry for entry in entries}
        if any(entry.kind not in _CONTENTS or not is_id(entry.id) for entry in entries):
            raise corrupt(self._api.where, "only files have contents")
        kept = Budget(CONTENT_BYTES, self._api.where)
        kept.check(sum(entry.size or 0 for entry in wanted.values()))
        found = self._archived(commit, entries, kept) if len(wanted) > SINGLE_BLOBS else {}
        missing = [name for name in wanted if name not in found]
        if len(missing) > MAX_REQUESTS:
            message = f"{self._api.where} cannot give {len(missing)} contents in {MAX_REQUESTS} requests"
            raise UnavailableError("SOURCE_UNAVAILABLE", message)
        contents = self._together([lambda name=name: self._blob(name, kept) for name in missing])  # type: ignore[misc]
        return {**found, **dict(zip(missing, contents, strict=True))}

    def compare(self, base: CommitSha, head: CommitSha) -> Standing:
        """Say how `head` stands to `base`; UNKNOWN when GitHub does not know one of them, or nothing links them.

        Source:
            https://docs.github.com/en/rest/commits/commits#compare-two-commits (files are listed on page 1 only)
        """
        if base == head:
            return Standing.IDENTICAL
        if not is_id(base) or not is_id(head):
            return Standing.UNKNOWN
        path = f"/compare/{base}...{head}?per_page=1&page=2"
        document = self._api.get_object(path, budget=Budget(COMPARE_BYTES, self._api.where), also=ABSENT)
        if document is None:
            return Standing.UNKNOWN
        known: dict[object, Standing] = {item.value: item for item in Standing if item is not Standing.UNKNOWN}
        status = document.get("status")
        if not isinstance(status, str) or status not in known:
            raise corrupt(self._api.where, "expected how two commits stand, got something else")
        return known[status]

    def _ref(self) -> str:
        if self._branch is None:
            return "HEAD"
        # Git forbids such names; in an address they would lead to somewhere else.
        if any(part in {"", ".", ".."} for part in self._branch.split("/")):
            raise self._no_branch()
        return f"heads/{quote(self._branch, errors='replace')}"

    def _no_branch(self) -> RejectedError:
        name = "default branch with a commit" if self._branch is None else f"branch {self._branch}"
        return RejectedError("BRANCH_NOT_FOUND", f"{self._api.where} has no {name}")

    def _archived(self, commit: CommitSha, entries: Iterable[TreeEntry], kept: Budget) -> dict[BlobId, bytes]:
        """Read what the commit's archive has of these entries as it is in the repository."""
        if not is_id(commit):
            raise corrupt(self._api.where, "expected a commit's id of 40 hex digits")
        wanted = {entry.path: BlobId(entry.id) for entry in entries}
        where = self._api.where
        found = self._api.download(
            f"/tarball/{commit}",
            lambda pieces: wanted_files(pieces, wanted, CONTENT_BYTES, where),
            Budget(ARCHIVE_BYTES, where),
        )
        kept.take(sum(map(len, found.values())))
        return found

    def _blob(self, name: BlobId, kept: Budget) -> bytes:
        """Read one content, again when it is not what its name says.

        Source:
            https://docs.github.com/en/rest/git/blobs#get-a-blob
        """
        for _ in range(2):
            answer = self._api.get(f"/git/blobs/{name}", budget=kept, accept=_RAW, also=ABSENT)
            if answer.content is None:
                raise corrupt(self._api.where, f"it does not have the content {name}")
            if blob_id(answer.content) == name:
                return answer.content
        raise corrupt(self._api.where, f"the content {name} has another hash")
