"""A commit that somebody uploaded, as a source: the upload saves the fetching, and the repository keeps the last word.

An upload that could move what is live backwards, or off the branch, or that holds something else than its commit, is refused.
Where the repository cannot be asked, nothing is deployed: under the name of a commit that was never compared, wrong content
would stay until the skill changes, since nobody fetches a second time what is live already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import InputError
from shared.model import BlobId, Kind, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.core.upload import Tree
    from shared.model import CommitSha, TreeEntry
    from shared.ports import Source

REFUSALS = frozenset({"UPLOAD_NOT_HEAD", "UPLOAD_BEHIND", "UPLOAD_DIVERGED", "UPLOAD_UNKNOWN", "UPLOAD_NOT_COMMIT"})
_CONFLICT, _UNPROCESSABLE = 409, 422
_WITHOUT_CONTENT = frozenset({Kind.FOLDER, Kind.SUBMODULE})


class UploadedSource:
    """The port `Source` over an upload; its head is the uploaded commit.

    Args:
        source: The repository.
        commit: What was uploaded, by its caller's word.
        tree: The upload.
    """

    def __init__(self, source: Source, commit: CommitSha, tree: Tree) -> None:
        self._source = source
        self._commit = commit
        self._tree = tree
        self._listing: list[TreeEntry] | None = None
        self._standings: dict[tuple[CommitSha, CommitSha], Standing] = {}

    def head(self, known: CommitSha | None) -> CommitSha:
        """Return the uploaded commit, if it may become live where `known` is.

        Raises:
            InputError: `UPLOAD_BEHIND`, `UPLOAD_DIVERGED`, `UPLOAD_UNKNOWN`, `UPLOAD_NOT_HEAD` (409);
                `UPLOAD_NOT_COMMIT` (422).
        """
        if known != self._commit:
            self._check_standing(self._source.head(known), known)
        self.listing(self._commit)
        return self._commit

    def listing(self, commit: CommitSha) -> list[TreeEntry]:
        """List the commit's tree as the repository has it; the upload holds the very same files."""
        if self._listing is None:
            listing = self._source.listing(commit)
            if _contents(listing) != _contents(self._tree.listing):
                raise InputError(
                    "UPLOAD_NOT_COMMIT",
                    f"the upload must hold exactly the files of commit {commit}, byte for byte and without a folder around",
                    status=_UNPROCESSABLE,
                )
            self._listing = listing
        return self._listing

    def blobs(self, commit: CommitSha, entries: Sequence[TreeEntry]) -> Mapping[BlobId, bytes]:
        """Return contents of the upload; each was hashed as it was read."""
        del commit
        return {BlobId(entry.id): self._tree.contents[BlobId(entry.id)] for entry in entries}

    def compare(self, base: CommitSha, head: CommitSha) -> Standing:
        """Say how `head` stands to `base`, as the repository knows it."""
        if (base, head) not in self._standings:
            self._standings[base, head] = self._source.compare(base, head)
        return self._standings[base, head]

    def _check_standing(self, branch: CommitSha, live: CommitSha | None) -> None:
        # A branch that was forced back is followed by webhook and poll. Here it could as well be an old head that the source
        # still serves, with an upload that comes too late.
        if live is not None and self.compare(live, self._commit) is Standing.BEHIND:
            raise _refused("UPLOAD_BEHIND", f"commit {live} is live, and descends from the uploaded {self._commit}")
        if branch == self._commit:
            return
        if live is None:
            raise _refused("UPLOAD_NOT_HEAD", f"nothing is live yet: expected the branch head {branch}")
        ways = {self.compare(live, self._commit), self.compare(branch, self._commit)}
        if Standing.UNKNOWN in ways:
            raise _refused("UPLOAD_UNKNOWN", f"the repository does not tell how {self._commit} stands to what is live")
        if Standing.DIVERGED in ways:
            raise _refused("UPLOAD_DIVERGED", f"{self._commit} lies beside what is live, or beside the branch {branch}")


def _contents(listing: Iterable[TreeEntry]) -> dict[str, tuple[Kind, str]]:
    return {entry.path: (entry.kind, entry.id) for entry in listing if entry.kind not in _WITHOUT_CONTENT}


def _refused(code: str, message: str) -> InputError:
    return InputError(code, message, status=_CONFLICT)
