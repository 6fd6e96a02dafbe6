"""The `Source` port on a repository on this machine's disk, bare or with a work tree; only what is committed counts.

Each call opens the repository anew and closes it, so that new commits and packs are seen and no file stays open.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dulwich.errors import RefFormatError
from dulwich.refs import HEADREF, Ref
from dulwich.repo import Repo

from shared.adapters.git_border import border
from shared.adapters.git_limits import Allowance, Deadline
from shared.adapters.git_objects import commit_sha, descends, has_commit, is_id, list_tree, object_id, read_blobs
from shared.errors import RejectedError
from shared.model import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shared.model import BlobId, CommitSha, TreeEntry


class LocalSource:
    """A source on disk.

    Args:
        path: The repository's folder.
        branch: The branch to follow; None follows the repository's HEAD.
        seconds: Tells how many seconds the running sync still has.
        max_bytes: The most that one call of `blobs` returns.
    """

    def __init__(self, path: str, branch: str | None, *, seconds: Callable[[], float], max_bytes: int) -> None:
        self._path = path
        self._ref = HEADREF if branch is None else Ref(b"refs/heads/" + branch.encode())
        self._deadline = Deadline(path, seconds)
        self._max_bytes = max_bytes

    def head(self, known: CommitSha | None) -> CommitSha:  # noqa: ARG002 - reading it is as cheap as comparing it
        """Read the branch head now.

        Raises:
            RejectedError: `BRANCH_NOT_FOUND`, `REPOSITORY_EMPTY`, or what opening raises.
        """
        with self._open() as repo:
            try:
                return commit_sha(repo.refs[self._ref], self._path)
            except (KeyError, RefFormatError):
                empty = not repo.refs.subkeys(Ref(b"refs/heads/"))
                raise no_such_branch(self._path, self._ref, empty=empty) from None

    def listing(self, commit: CommitSha) -> list[TreeEntry]:
        """List every entry of the commit's tree; see `list_tree`."""
        with self._open() as repo:
            return list_tree(repo.object_store, commit)

    def blobs(self, commit: CommitSha, entries: Sequence[TreeEntry]) -> Mapping[BlobId, bytes]:  # noqa: ARG002
        """Read the contents of these entries; see `read_blobs`."""
        with self._open() as repo:
            return read_blobs(repo.object_store, entries, Allowance(self._path, self._max_bytes))

    def compare(self, base: CommitSha, head: CommitSha) -> Standing:
        """Say how `head` stands to `base`, by walking the history."""
        if base == head:
            return Standing.IDENTICAL
        old, new = object_id(base), object_id(head)
        with self._open() as repo:
            store = repo.object_store
            if not is_id(old) or not has_commit(store, old):
                return Standing.UNKNOWN
            ahead = descends(store, new, old, self._deadline.wait)
            behind = None if ahead else descends(store, old, new, self._deadline.wait)
        if ahead or behind:
            return Standing.AHEAD if ahead else Standing.BEHIND
        return Standing.UNKNOWN if ahead is None or behind is None else Standing.DIVERGED

    @contextmanager
    def _open(self) -> Iterator[Repo]:
        with border(self._path), Repo(self._path) as repo:
            yield repo


def no_such_branch(where: str, ref: Ref, *, empty: bool) -> RejectedError:
    """The error for a branch that is not there.

    Args:
        where: How messages name the repository.
        ref: What was asked for, `HEAD` or `refs/heads/<branch>`.
        empty: Whether the repository has no branch at all.
    """
    if empty:
        return RejectedError("REPOSITORY_EMPTY", f"{where} has no commit yet")
    return RejectedError("BRANCH_NOT_FOUND", f"{where} has no branch at {ref.decode(errors='replace')}")
