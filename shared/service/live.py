"""What the store says is live: the pointer with its generation, and the summary beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.names import CURRENT, SUMMARY
from shared.core.summary import Summary, parse_summary
from shared.core.verify import UnverifiedPointer, read_pointer

if TYPE_CHECKING:
    from shared.model import Pointer
    from shared.service.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One consistent look at what is live. Generation 0: the object did not exist; then `pointer` is None."""

    pointer: Pointer | None
    envelope: bytes
    generation: int
    summary: Summary
    summary_generation: int


def read_live(context: Context) -> Live:
    """Read pointer and summary side by side, and prove that one of our own signers wrote the pointer.

    The pointer is read before the branch head, always: a head that is older than the pointer could move content back.

    Raises:
        UnverifiedError: the pointer in the store was not signed by us for this repository and epoch.
    """
    current, summary = context.together([lambda: context.store.get(CURRENT), lambda: context.store.get(SUMMARY)])
    envelope = b"" if current is None else current.data
    return Live(
        pointer=None if current is None else read_pointer(UnverifiedPointer(envelope), context.trust),
        envelope=envelope,
        generation=0 if current is None else current.generation,
        summary=Summary() if summary is None else parse_summary(summary.data),
        summary_generation=0 if summary is None else summary.generation,
    )
