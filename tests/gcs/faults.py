"""What can go wrong on the way to the stand-in and back, however it is mounted."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.gcs.stand_in import Request

Way = Literal["status", "reset", "lost", "truncated", "corrupt", "silent"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with the next requests.

    Attributes:
        way: `status` answers so instead of the service; `reset` breaks before the service sees the request, `lost` after it
            did it all; `truncated` and `corrupt` damage what it answers; `silent` never answers.
        status: For `status`.
        match: Only requests whose method and address contain this are hit.
        times: How many are hit.
    """

    way: Way
    status: int = 503
    match: str = ""
    times: int = 1


class Faults:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Let the next requests that fit go wrong."""
        with self._lock:
            self._faults.append(fault)

    def next_for(self, asked: Request) -> Fault | None:
        """Take the fault that hits this request, None when all goes well."""
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fault.match in f"{asked.method} {asked.url}":
                    fault.times -= 1
                    return fault
        return None


def damaged(body: bytes, way: Way | None) -> bytes:
    """Return what arrives of an answer's body."""
    if way == "truncated":
        return body[:-1]
    if way == "corrupt":
        return body[:-1] + bytes([body[-1] ^ 1])
    return body
