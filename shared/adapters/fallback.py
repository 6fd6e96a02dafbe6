"""A `Source` over two others: the second takes over for good once the first cannot go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from shared import log
from shared.adapters.github_faults import ForbiddenError
from shared.errors import RejectedError, SkillSyncError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.model import BlobId, CommitSha, Standing, TreeEntry
    from shared.ports import Source

T = TypeVar("T")


class FallbackSource:
    """Asks the first source, and from its first refusal on only the second: one sync sees one source.

    The second is asked when the first is limited, broken, wrong or too small, not when a person must act or the time is
    over. What it rejects is final; when it is not available either, the first one's error says what to wait for.

    Args:
        first: Asked as long as it answers.
        open_second: Builds the second source when it is needed.
        seconds: Tells how many seconds the running sync still has.
    """

    def __init__(self, first: Source, open_second: Callable[[], Source], *, seconds: Callable[[], float]) -> None:
        self._first = first
        self._open_second = open_second
        self._seconds = seconds
        self._second: Source | None = None
        self._refusal: SkillSyncError | None = None

    def head(self, known: CommitSha | None) -> CommitSha:
        """Read the branch head now."""
        return self._ask(lambda source: source.head(known))

    def listing(self, commit: CommitSha) -> list[TreeEntry]:
        """List every entry of the commit's tree."""
        return self._ask(lambda source: source.listing(commit))

    def blobs(self, commit: CommitSha, entries: Sequence[TreeEntry]) -> Mapping[BlobId, bytes]:
        """Read the contents of these entries."""
        return self._ask(lambda source: source.blobs(commit, entries))

    def compare(self, base: CommitSha, head: CommitSha) -> Standing:
        """Say how `head` stands to `base`."""
        return self._ask(lambda source: source.compare(base, head))

    def _ask(self, call: Callable[[Source], T]) -> T:
        if self._second is None:
            try:
                return call(self._first)
            except (UnavailableError, RejectedError) as error:
                if not _may_go_on(error) or self._seconds() <= 0:
                    raise
                log.warning("GitHub's REST API refuses; going on over the git protocol", code=error.code)
                self._refusal = error
            self._second = self._open_second()
        try:
            return call(self._second)
        except UnavailableError as error:
            raise (self._refusal or error) from None


def _may_go_on(error: UnavailableError | RejectedError) -> bool:
    if isinstance(error, UnavailableError):
        return error.code != "SOURCE_TOO_SLOW"
    return isinstance(error, ForbiddenError) or error.code == "SOURCE_TOO_LARGE"
