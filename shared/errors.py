"""The errors of the product, split first by what the caller must do. Status codes are web.py's business.

SkillSyncError
├── RejectedError       never retry: the input, the request or the evidence is wrong
│   ├── InputError        what came in has the wrong form
│   ├── DeniedError       who asks is unknown
│   ├── NotFoundError     what was asked for does not exist
│   ├── UnverifiedError   signed evidence does not hold
│   ├── PausedError       an operator must act first
│   └── ConfigError       a setting is missing or wrong
├── UnavailableError    retry later: an outside system did not answer as it should
│   └── DeadlineError     this call's own time is over
└── ConflictError       re-read and decide: somebody else wrote first, or something else must come first
    ├── ProbeError        what was tried did not work
    └── NotYetError       a waiting time is not over
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.core.credentials import Check


class SkillSyncError(Exception):
    """The root of all errors that the product raises on purpose.

    Args:
        code: Stable, for machines: upper case, words joined by underscores.
        message: For people: what was expected, what came, in which thing. Never a secret, never matched text.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class RejectedError(SkillSyncError):
    """Never retry: the same call will be refused again."""


class InputError(RejectedError):
    """What came in has the wrong form.

    Args:
        code: Stable code.
        message: What was expected and what came.
        status: The HTTP status that fits, when the input was a request.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(code, message)
        self.status = status


class DeniedError(RejectedError):
    """The caller did not prove who it is."""


class NotFoundError(RejectedError):
    """The thing asked for does not exist."""


class UnverifiedError(RejectedError):
    """Evidence that must be signed, and be consistent with what is remembered, is not."""


class PausedError(RejectedError):
    """Nothing is deployed until an operator has acted; what is live is served on.

    Args:
        message: What was found.
        reasons: The reasons, as `core.states` names them.
        next_action: What the operator has to do.
    """

    def __init__(self, message: str, *, reasons: tuple[str, ...], next_action: str) -> None:
        super().__init__("PAUSED", message)
        self.reasons = reasons
        self.next_action = next_action


class ConfigError(RejectedError):
    """Settings are missing or wrong; the message names every one of them."""


class UnavailableError(SkillSyncError):
    """Retry later: an outside system is down, slow, or refuses for now.

    Args:
        code: Stable code.
        message: Which system, what was asked, what came.
        retry_after_seconds: How long the caller should wait, when known.
    """

    def __init__(self, code: str, message: str, *, retry_after_seconds: float = 30.0) -> None:
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds


class DeadlineError(UnavailableError):
    """The time that this call allowed itself is over; what was stored stays, and the next poll finishes."""


class ConflictError(SkillSyncError):
    """Somebody else wrote first, or something else must come first: re-read and decide again."""


class ProbeError(ConflictError):
    """What was tried did not work.

    Args:
        code: Stable code.
        message: Which checks failed.
        checks: All of them.
    """

    def __init__(self, code: str, message: str, *, checks: tuple[Check, ...]) -> None:
        super().__init__(code, message)
        self.checks = checks


class NotYetError(ConflictError):
    """A waiting time is not over.

    Args:
        code: Stable code.
        message: What is waited for.
        retry_after_seconds: How much of it is left.
    """

    def __init__(self, code: str, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(code, message)
        self.retry_after_seconds = retry_after_seconds
