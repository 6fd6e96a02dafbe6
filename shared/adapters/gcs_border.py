"""The border to the storage client: what its many exceptions mean to us. Foreign texts stay behind: they may quote anything."""

from __future__ import annotations

from typing import Final

import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from shared.errors import RejectedError, SkillSyncError, UnavailableError

FOREIGN: Final = (
    api.GoogleAPIError,  # every status, and RetryError when the time is over
    auth.GoogleAuthError,
    InvalidResponse,
    DataCorruption,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    # An answer that is no JSON, or lacks what it should have.
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
)
_NO_BUCKET: Final = "The specified bucket does not exist"
_DENIED: Final = (api.Unauthorized, api.Forbidden, auth.DefaultCredentialsError)


def fault(error: BaseException, what: str) -> SkillSyncError:
    """Turn a foreign exception into ours.

    Args:
        error: One of `FOREIGN`.
        what: The object or listing that was asked for.

    Returns:
        RejectedError `STORE_DENIED` or `STORE_NOT_FOUND` where a person must act, else UnavailableError `STORE_UNAVAILABLE`.
    """
    if isinstance(error, _DENIED):
        return RejectedError("STORE_DENIED", f"{what}: the credentials are missing or do not give access to the bucket")
    if isinstance(error, api.NotFound):
        return RejectedError("STORE_NOT_FOUND", f"{what}: there is no such bucket")
    inner = error.__cause__ if isinstance(error, api.RetryError) and error.__cause__ is not None else error
    return UnavailableError("STORE_UNAVAILABLE", f"{what}: the bucket does not answer as it should ({_kind(inner)})")


def is_missing_object(error: BaseException) -> bool:
    """Whether an object is missing, and not its whole bucket: the status is the same, only the service's sentence tells.

    No bucket or object of ours has a space in its name, so none can bring that sentence into the message.
    """
    return isinstance(error, api.NotFound) and _NO_BUCKET not in error.message


def _kind(error: BaseException) -> str:
    status = error.code if isinstance(error, api.GoogleAPICallError) else None
    return type(error).__name__ if status is None else f"{type(error).__name__}, {int(status)}"
