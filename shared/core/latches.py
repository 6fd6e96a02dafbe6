"""How latches are written and read, wherever a party keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.canonical import member
from shared.core.names import parse_timestamp, timestamp
from shared.errors import InputError
from shared.model import Latch

if TYPE_CHECKING:
    from collections.abc import Iterable


def latches_document(latches: Iterable[Latch]) -> list[dict[str, object]]:
    """Write latches as a part of a document."""
    return [{"reason": each.reason, "epoch": each.epoch, "since": each.since} for each in latches]


def parse_latches(value: object) -> tuple[Latch, ...]:
    """Read latches; what was written before there were any holds none.

    Raises:
        InputError: `MEMBER_INVALID`, `TIME_INVALID`.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InputError("MEMBER_INVALID", "latches are a list")
    what = "a latch"
    return tuple(
        Latch(
            reason=member(item, "reason", str, what=what),
            epoch=member(item, "epoch", int, what=what),
            since=timestamp(parse_timestamp(member(item, "since", str, what=what))),
        )
        for item in value
    )
