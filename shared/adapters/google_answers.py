"""What answers of Google's services have in common: which faults may pass, what may break on the way, how much is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared.adapters.lean_httpx import httpx
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
_SERVER_ERROR: Final = 500
_PASSING: Final = frozenset({408, 429})


class TooLargeError(Exception):
    """An answer is larger than this."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")


BROKEN: Final = (
    TooLargeError,
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    OSError,
    # An answer that is no JSON, or lacks what it should have.
    InputError,
    ValueError,
    TypeError,
    LookupError,
)
"""What a request can end with beside an answer, and what reading that answer can end with."""


def status_may_pass(status: int) -> bool:
    """Whether the same request may succeed when it is sent again.

    Source: https://cloud.google.com/storage/docs/retry-strategy#retryable
    """
    return status in _PASSING or status >= _SERVER_ERROR


def within(limit: int, pieces: Iterable[bytes]) -> bytes:
    """Put a body together.

    Args:
        limit: The most bytes that it may have; no more than the piece that passes it is read.
        pieces: The body.

    Raises:
        TooLargeError: it has more.
    """
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) > limit:
            raise TooLargeError(limit)
    return bytes(found)
