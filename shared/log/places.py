"""Where an error came from: files, lines and functions. Never its message and no value: both may be secret or foreign."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

MAX_FRAMES = 12
MAX_CAUSES = 4
_ROOT = Path(__file__).resolve().parents[2]
_OURS = (f"{_ROOT}/shared/", f"{_ROOT}/functions/")
_FOREIGN_PARTS = 2


def described(error: BaseException) -> dict[str, object]:
    """Say what a person who is woken at night needs to find the fault.

    Args:
        error: As it was caught.

    Returns:
        `kind`; `place`, where it was raised; `stack`, our own frames, the innermost last; `code` of an operating system's
        error; `causes`, the kinds of the errors before it.
    """
    told: dict[str, object] = {"kind": type(error).__name__, **_frames(error.__traceback__)}
    if isinstance(error, OSError) and isinstance(error.errno, int):
        told["code"] = f"OS_{error.errno}"
    causes = _causes(error)
    return {**told, "causes": causes} if causes else told


def _frames(trace: TracebackType | None) -> dict[str, object]:
    ours: deque[str] = deque(maxlen=MAX_FRAMES)
    place = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        own = code.co_filename.startswith(_OURS)
        parts = Path(code.co_filename).parts
        file = code.co_filename[len(f"{_ROOT}/") :] if own else "/".join(parts[-_FOREIGN_PARTS:])
        place = f"{file}:{trace.tb_lineno} {code.co_name}"
        if own:
            ours.append(place)
        trace = trace.tb_next
    return {"place": place, "stack": list(ours)}


def _causes(error: BaseException) -> list[str]:
    kinds: list[str] = []
    before = error.__cause__ or error.__context__
    while before is not None and len(kinds) < MAX_CAUSES:
        kinds.append(type(before).__name__)
        before = before.__cause__ or before.__context__
    return kinds
