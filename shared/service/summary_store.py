"""Reading and changing the summary: one object that many write, each by compare-and-swap, again when another came first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.names import SUMMARY
from shared.core.summary import Summary, parse_summary, summary_bytes
from shared.errors import ConflictError
from shared.service.objects import swap

if TYPE_CHECKING:
    from shared.core.summary import Change
    from shared.ports import Store

_ATTEMPTS = 6


def read_summary(store: Store) -> tuple[Summary, int]:
    """Read the summary and its generation; an empty one and 0 when there is none."""
    stored = store.get(SUMMARY)
    return (Summary(), 0) if stored is None else (parse_summary(stored.data), stored.generation)


def change_summary(store: Store, change: Change) -> None:
    """Change the summary as it is now.

    Raises:
        ConflictError: `SUMMARY_BUSY`, after several tries.
    """
    swap_summary(store, *read_summary(store), change)


def swap_summary(store: Store, summary: Summary, generation: int, change: Change) -> None:
    """Change the summary from what was read; again from what is there now when another writer came first.

    Raises:
        ConflictError: `SUMMARY_BUSY`, after several tries.
    """
    for _ in range(_ATTEMPTS):
        try:
            swap(store, SUMMARY, summary_bytes(change(summary)), if_generation=generation)
        except ConflictError:
            summary, generation = read_summary(store)
        else:
            return
    raise ConflictError("SUMMARY_BUSY", "the summary kept changing under the write")
