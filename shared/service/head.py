"""Reading the branch head until it has settled: the refs that a source serves may lag behind the push it announced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.model import Standing

if TYPE_CHECKING:
    from shared.model import CommitSha, Pointer, Push
    from shared.ports import Clock, Source
    from shared.service.context import Deadline

PAUSES_SECONDS = (0.5, 1.0, 2.0)


class HeadReader:
    """Reads the head for one sync and knows how commits stand, asking the source only when the push does not tell.

    Args:
        source: Where the head is.
        clock: For the pauses.
        push: The push that set the sync going, if one did.
    """

    def __init__(self, source: Source, clock: Clock, push: Push | None) -> None:
        self._source = source
        self._clock = clock
        self._push = push
        self._standings: dict[tuple[CommitSha, CommitSha], Standing] = {}

    def settled_head(self, pointer: Pointer | None, deadline: Deadline) -> CommitSha:
        """Read the head, again while it lags behind the push or behind the pointer; then take it as it is."""
        known = None if pointer is None else pointer.commit
        for pause in PAUSES_SECONDS:
            head = self._source.head(known)
            if not self._lags(head, known):
                return head
            self._clock.sleep(min(pause, deadline.remaining()))
            deadline.check()
        return self._source.head(known)

    def standing(self, base: CommitSha, head: CommitSha) -> Standing:
        """Say how `head` stands to `base`."""
        if base == head:
            return Standing.IDENTICAL
        push = self._push
        if push is not None and not push.forced and (push.before, push.after) == (base, head):
            return Standing.AHEAD
        if (base, head) not in self._standings:
            self._standings[base, head] = self._source.compare(base, head)
        return self._standings[base, head]

    def _lags(self, head: CommitSha, known: CommitSha | None) -> bool:
        push = self._push
        # Where the push began it has not arrived yet, a forced one as little; of that no ancestry tells.
        if push is not None and (
            head == push.before != push.after or self.standing(head, push.after) is Standing.AHEAD
        ):
            return True
        return known is not None and self.standing(known, head) is Standing.BEHIND
