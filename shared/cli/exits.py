"""The exit statuses of the operator's command, in one place: the code, `--help` and README all say these."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from shared.errors import ConfigError, DeniedError, InputError, PausedError, UnavailableError

if TYPE_CHECKING:
    from shared.errors import SkillSyncError


class Exit(IntEnum):
    """How a command ends; from 64 on as sysexits.h has it, as the puller does too."""

    DONE = 0
    FAILED = 1
    UNHEALTHY = 2
    PAUSED = 3
    USAGE = 64
    UNAVAILABLE = 69
    BUSY = 75
    DENIED = 77
    CONFIG = 78
    INTERRUPTED = 130


MEANINGS: tuple[tuple[Exit, str], ...] = (
    (Exit.DONE, "done; `status`: healthy; `doctor`: nothing failed"),
    (
        Exit.FAILED,
        "refused, not confirmed, or not all came about, as was said; `status`: degraded; `doctor`: a check failed",
    ),
    (Exit.UNHEALTHY, "`status`: unhealthy"),
    (Exit.PAUSED, "deployments are paused: reasons and next action were printed"),
    (Exit.USAGE, "the arguments are wrong, or a rollback would need --yes"),
    (Exit.UNAVAILABLE, "the functions, or what they stand on, do not answer as they should; try again later"),
    (
        Exit.BUSY,
        "not finished in time, or too early, or somebody else was first; a deferred sync is finished by the next poll",
    ),
    (Exit.DENIED, "the key was refused"),
    (Exit.CONFIG, "a setting is missing or wrong"),
    (Exit.INTERRUPTED, "ended by Ctrl-C; what was asked of the functions may still happen"),
)


def epilog() -> str:
    """Return the table as `--help` prints it."""
    return "exit status:\n" + "\n".join(f"  {status.value:>3}  {meaning}" for status, meaning in MEANINGS)


def exit_table() -> str:
    """Return the table as README prints it, in Markdown."""
    return "\n".join(["| status | when |", "|---|---|", *(f"| {status.value} | {text} |" for status, text in MEANINGS)])


def exit_of(error: SkillSyncError) -> Exit:
    """Say how a command ends that failed with this error."""
    if error.code in {"BUSY", "ROTATION_QUIET"}:
        return Exit.BUSY
    return next((status for kind, status in _BY_KIND if isinstance(error, kind)), Exit.FAILED)


_BY_KIND: tuple[tuple[type[SkillSyncError], Exit], ...] = (
    (PausedError, Exit.PAUSED),
    (DeniedError, Exit.DENIED),
    (ConfigError, Exit.CONFIG),
    (InputError, Exit.USAGE),
    (UnavailableError, Exit.UNAVAILABLE),
)
