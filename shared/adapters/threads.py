"""Independent calls side by side, behind the `Together` port."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from shared import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
MAX_THREADS = 8


def in_threads(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run the calls in at most eight threads, wait for all, and return their results in order.

    Their log lines say what the caller's say.

    Raises:
        Exception: the first call's error, after all have ended: nothing runs on behind a caller's back.
    """
    if len(calls) <= 1:
        return [call() for call in calls]
    with ThreadPoolExecutor(max_workers=min(MAX_THREADS, len(calls))) as pool:
        # Each gets a context of its own: one cannot be entered twice at once.
        futures = [pool.submit(log.carried(call)) for call in calls]
    return [future.result() for future in futures]
