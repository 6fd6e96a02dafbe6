"""The border to the storage service: what its answers, and what breaks on the way, mean to us. Foreign texts stay behind."""

from __future__ import annotations

from typing import Final

from shared.adapters.google_answers import BROKEN, FORBIDDEN, NOT_FOUND, UNAUTHORIZED, TooLargeError, status_may_pass
from shared.adapters.lean_httpx import httpx
from shared.errors import RejectedError, SkillSyncError, UnavailableError

_FAILED: Final = 412
_NO_BUCKET: Final = b"The specified bucket does not exist"


class RefusalError(Exception):
    """The service answered with something else than a success.

    Args:
        status: The status.
        text: The beginning of the answer; only what it means is kept, for it may quote anything.
    """

    def __init__(self, status: int, text: bytes = b"") -> None:
        super().__init__(f"status {status}")
        self.status = status
        # No bucket or object of ours has a space in its name, so none can bring that sentence into the answer.
        self.no_bucket = status == NOT_FOUND and _NO_BUCKET in text


class DamagedError(Exception):
    """What came is not what the service says that it sent."""


FOREIGN: Final = (RefusalError, DamagedError, *BROKEN)


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed when it is sent again; each write names the generation that it replaces."""
    if isinstance(error, RefusalError):
        return status_may_pass(error.status)
    return isinstance(error, httpx.TransportError | DamagedError)


def is_mismatch(error: BaseException) -> bool:
    """Whether another generation is current than the one that was named."""
    return isinstance(error, RefusalError) and error.status == _FAILED


def is_missing_object(error: BaseException) -> bool:
    """Whether an object is missing, and not its whole bucket: the status is the same, only the service's sentence tells."""
    return isinstance(error, RefusalError) and error.status == NOT_FOUND and not error.no_bucket


def fault(error: BaseException, what: str) -> SkillSyncError:
    """Turn a foreign exception into ours.

    Args:
        error: One of `FOREIGN`.
        what: The object or listing that was asked for.

    Returns:
        RejectedError `STORE_DENIED` or `STORE_NOT_FOUND` where a person must act, else UnavailableError `STORE_UNAVAILABLE`.
    """
    status = error.status if isinstance(error, RefusalError) else None
    if status in {UNAUTHORIZED, FORBIDDEN}:
        return denied(what)
    if status == NOT_FOUND:
        return RejectedError("STORE_NOT_FOUND", f"{what}: there is no such bucket")
    if isinstance(error, TooLargeError):
        return UnavailableError("STORE_UNAVAILABLE", f"{what}: {error}")
    kind = type(error).__name__ if status is None else f"status {status}"
    return UnavailableError("STORE_UNAVAILABLE", f"{what}: the bucket does not answer as it should ({kind})")


def denied(what: str) -> RejectedError:
    """Return the error for missing credentials, or for such that do not suffice; a person must act."""
    return RejectedError("STORE_DENIED", f"{what}: the credentials are missing or do not give access to the bucket")
