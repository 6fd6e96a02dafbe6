"""What the functions refused, as an error of ours: by status and code, in one sentence. The exit status follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import (
    ConflictError,
    DeniedError,
    InputError,
    NotFoundError,
    PausedError,
    RejectedError,
    SkillSyncError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY = 400, 401, 403, 404, 409, 429
_SERVER_FAULT = 500


_LONG_SECONDS = 120


class FailedChecksError(ConflictError):
    """Something was tried before a change, and failed; nothing was changed.

    Args:
        code: Stable code.
        message: What was refused.
        checks: What was tried, as the functions tell it.
    """

    def __init__(self, code: str, message: str, *, checks: Sequence[object]) -> None:
        super().__init__(code, message)
        self.checks = tuple(checks)


def refusal_of(
    status: int, document: Mapping[str, object] | None, address: str, retry_after: float | None
) -> SkillSyncError:
    """Make the error.

    Args:
        status: The HTTP status code.
        document: The body, None where it was no JSON object: then something else answered than the functions.
        address: Who was asked.
        retry_after: After how many seconds one may ask again.
    """
    said = document or {}
    code, message = str(said.get("code") or ""), str(said.get("error") or "")
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        who = message or "something before the functions refused the call: Cloud IAM, or a proxy"
        return DeniedError(code or "DENIED", f"{address} refused the key: {who}")
    if not code:
        return UnavailableError("ANSWER_INVALID", f"{address} answered {status}, and not as the functions do")
    if status >= _SERVER_FAULT or status == _TOO_MANY:
        return UnavailableError(code, f"{message}{_again(retry_after)}")
    if status == _CONFLICT:
        message = f"{message}{_again(retry_after)}"
    return _theirs(status, code, message, said)


def _theirs(status: int, code: str, message: str, said: Mapping[str, object]) -> SkillSyncError:
    if code == "PAUSED":
        reasons = said.get("reasons")
        named = tuple(str(reason) for reason in reasons) if isinstance(reasons, list) else ()
        return PausedError(message, reasons=named, next_action=str(said.get("next_action") or ""))
    checks = said.get("checks")
    if isinstance(checks, list):
        return FailedChecksError(code, message, checks=checks)
    if code == "ROUTE_UNKNOWN":
        return UnavailableError(
            code, "this function does not serve that route: SKILL_SYNC_URL must lead to all of them"
        )
    if status == _NOT_FOUND:
        return NotFoundError(code, message)
    if status == _BAD_REQUEST:
        return InputError(code, message)
    return ConflictError(code, message) if status == _CONFLICT else RejectedError(code, message)


def _again(retry_after: float | None) -> str:
    if retry_after is None:
        return ""
    if retry_after <= _LONG_SECONDS:
        return f"; try again in {retry_after:.0f} s"
    return f"; try again in {-(-retry_after // 60):.0f} min"
