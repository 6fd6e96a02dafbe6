"""What a refusal of GitHub's REST API means to us. Rate limits are told apart before, by github_quota.py.

Source: https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
"""

from __future__ import annotations

from typing import Final

from shared.errors import RejectedError, SkillSyncError, UnavailableError

OK, CREATED, FOUND, NOT_MODIFIED = 200, 201, 302, 304
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, GONE, UNPROCESSABLE = 401, 403, 404, 409, 410, 422
ABSENT: Final = frozenset({NOT_FOUND, GONE, UNPROCESSABLE})
"""What is answered to an object's name that the repository does not have."""
_GONE_OR_HIDDEN: Final = ("SOURCE_NOT_FOUND", "is not there; a token without access to it is told the same")
# Never followed: after a rename, somebody else may take the old name.
_MOVED: Final = ("SOURCE_MOVED", "has moved: use its new name")
_REJECTED: Final = {
    UNAUTHORIZED: ("SOURCE_DENIED", "refuses access: is the token right and not expired?"),
    451: ("SOURCE_DENIED", "refuses access: it is blocked for legal reasons"),
    NOT_FOUND: _GONE_OR_HIDDEN,
    GONE: _GONE_OR_HIDDEN,
    CONFLICT: ("REPOSITORY_EMPTY", "has no commit yet"),
    **dict.fromkeys((301, FOUND, 303, 307, 308), _MOVED),
}


class ForbiddenError(RejectedError):
    """`SOURCE_DENIED` by the API itself, which may have its own reasons: the git protocol may still let us in."""


def fault(status: int, where: str) -> SkillSyncError:
    """Return the error that a status means.

    Args:
        status: Any but the expected ones.
        where: How messages name the repository.

    Returns:
        A RejectedError (`SOURCE_DENIED`, `SOURCE_NOT_FOUND`, `SOURCE_MOVED`, `REPOSITORY_EMPTY`) where a person must act,
        else an UnavailableError `SOURCE_UNAVAILABLE`.
    """
    if status == FORBIDDEN:
        return ForbiddenError("SOURCE_DENIED", f"{where} refuses access (403): may the token read the contents?")
    if status in _REJECTED:
        code, why = _REJECTED[status]
        return RejectedError(code, f"{where} {why} ({status})")
    return UnavailableError("SOURCE_UNAVAILABLE", f"{where} answers with status {status}")


def corrupt(where: str, why: str) -> UnavailableError:
    """Return the error for an answer that is not what was asked for: `SOURCE_CORRUPT`."""
    return UnavailableError("SOURCE_CORRUPT", f"{where}: {why}")
