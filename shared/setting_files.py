"""Files that hold settings, remembered for a while: where a secret is mounted, each reading is a call to whoever keeps it.

Google Cloud fetches a mounted secret from Secret Manager at each reading, which takes time and is paid for by the reading:
https://docs.cloud.google.com/run/docs/configuring/services/secrets
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILE_BYTES = 64 * 1024
AGE_SECONDS = 30.0
RETRIES = 5
RETRY_EVERY_SECONDS = 5.0
"""Who is refused makes us read a file again, five times at once and then once in five seconds: strangers are refused, too."""


def read_file(path: str) -> bytes:
    """Read a file now, one byte more than a setting may have at most.

    Raises:
        OSError: it cannot be read.
    """
    with Path(path).open("rb") as stream:
        return stream.read(MAX_FILE_BYTES + 1)


@dataclass(slots=True)
class _Known:
    content: bytes
    read_at: float
    retries: float
    retried_at: float


class RememberedFiles:
    """What files held when they were last read; safe for many threads, which at worst read the same twice.

    Args:
        read: Reads a file.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self, read: Callable[[str], bytes] = read_file, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}

    def recent(self, path: str) -> bytes:
        """Return what a file held at most half a minute ago.

        Raises:
            OSError: it cannot be read now, and what is known of it is older.
        """
        known = self._known.get(path)
        if known is not None and self._monotonic() - known.read_at < AGE_SECONDS:
            return known.content
        return self.now(path)

    def again(self, path: str) -> bytes:
        """Return what a file holds now, or, where it was asked for too often, what it held a moment ago.

        Raises:
            OSError: it cannot be read.
        """
        known = self._known.get(path)
        if known is not None:
            now = self._monotonic()
            known.retries = min(RETRIES, known.retries + (now - known.retried_at) / RETRY_EVERY_SECONDS)
            known.retried_at = now
            if known.retries < 1:
                return known.content
            known.retries -= 1
        return self.now(path)

    def now(self, path: str) -> bytes:
        """Return what a file holds now.

        Raises:
            OSError: it cannot be read.
        """
        content, at = self._read(path), self._monotonic()
        known = self._known.get(path)
        if known is None:
            self._known[path] = _Known(content, at, RETRIES, at)
        else:
            known.content, known.read_at = content, at
        return content
