"""The border to dulwich and urllib3: what their many exceptions mean to us.

Errors of our own pass unchanged: status codes, limits and git's refusals are told apart where they are seen.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dulwich import errors
from dulwich.pack import PackFileDisappeared, UnresolvedDeltas
from dulwich.repo import InvalidWorktreeConfiguration, UnsupportedExtension, UnsupportedVersion
from urllib3.exceptions import HTTPError

from shared.errors import RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN: Final = (
    # The server, or the way to it. MaxRetryError, NewConnectionError and IncompleteRead are HTTPErrors.
    HTTPError,
    OSError,
    EOFError,
    # dulwich's own words for a broken conversation, pack, object or reference.
    errors.GitProtocolError,
    errors.ChecksumMismatch,
    errors.ApplyDeltaError,
    errors.WrongObjectException,
    errors.ObjectMissing,
    errors.MissingCommitError,
    errors.FileFormatException,
    errors.RefFormatError,
    UnresolvedDeltas,
    PackFileDisappeared,
    # What dulwich's parsers stumble over when the bytes are garbage: they check few of them.
    zlib.error,
    struct.error,
    AssertionError,
    LookupError,
    OverflowError,
    TypeError,
    ValueError,
)
_UNREADABLE: Final = (UnsupportedVersion, UnsupportedExtension, InvalidWorktreeConfiguration)


@contextmanager
def border(where: str) -> Iterator[None]:
    """Turn foreign exceptions into ours.

    Foreign texts and causes stay behind: a server can write anything into them, even the token that it was sent.

    Args:
        where: How messages name the repository; holds no credentials.

    Raises:
        RejectedError: `SOURCE_NOT_FOUND`, there is no git repository, or none that can be read.
        UnavailableError: `SOURCE_UNAVAILABLE`, everything else.
    """
    try:
        yield
    except errors.NotGitRepository:
        raise RejectedError("SOURCE_NOT_FOUND", f"expected a git repository at {where}, there is none") from None
    except _UNREADABLE as error:
        message = f"the git repository at {where} has a format that is not supported ({type(error).__name__})"
        raise RejectedError("SOURCE_NOT_FOUND", message) from None
    except FOREIGN as error:
        message = f"{where} cannot be reached or does not answer as git does ({_kind(error)})"
        raise UnavailableError("SOURCE_UNAVAILABLE", message) from None


def _kind(error: BaseException) -> str:
    """Name the innermost class: `NameResolutionError` says more than the wrappers around it."""
    inner = error.__cause__ or error
    return type(getattr(inner, "reason", None) or inner).__name__
