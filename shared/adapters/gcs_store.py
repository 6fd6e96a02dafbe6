"""The `Store` port on Google Cloud Storage, by its JSON API; one request an operation, and no write without a generation.

    trying again may help   UnavailableError   STORE_UNAVAILABLE
    a person must act       RejectedError      STORE_DENIED (no credentials, or without the right), STORE_NOT_FOUND (no such
                                               bucket)

Sources: https://cloud.google.com/storage/docs/request-preconditions, https://cloud.google.com/storage/docs/retry-strategy
"""

from __future__ import annotations

import re
import string
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from shared.adapters.clock import SystemClock
from shared.adapters.gcs_border import FOREIGN, denied, fault, is_mismatch, is_missing_object
from shared.adapters.gcs_http import GcsHttp, Limits
from shared.adapters.gcs_objects import GcsObjects
from shared.adapters.google_tokens import Purpose, open_bearer
from shared.core.names import check_name, is_name
from shared.core.store_uri import BucketPlace, store_place
from shared.errors import ConfigError, ConflictError, InputError

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterator

    from shared.adapters.lean_httpx import httpx
    from shared.core.google_cloud import GoogleCloud
    from shared.ports import Clock, StoredName, StoredObject

MAX_LIMIT: Final = 1000
_SERVICE: Final = "https://storage.googleapis.com"
_NAME_TEXT = re.compile(r"[A-Za-z0-9._/-]*")
_NAME_CHARS: Final = sorted(string.ascii_letters + string.digits + "-./_")
_BEHIND_ALL: Final = "~"  # sorts behind every character of a name
TOKENS: Final = Purpose(
    scope="https://www.googleapis.com/auth/devstorage.read_write",
    denied=partial(denied, "the store"),
    unavailable="STORE_UNAVAILABLE",
)


def open_gcs(
    uri: str,
    cloud: GoogleCloud,
    *,
    clock: Clock | None = None,
    limits: Limits | None = None,
    open_transport: Callable[[], httpx.BaseTransport] | None = None,
) -> GcsStore:
    """Build the store for a bucket; nothing is asked yet.

    Args:
        uri: `gs://bucket` or `gs://bucket/prefix`.
        cloud: Where the service and the credentials are.
        clock: Waits between tries; None is the system's.
        limits: How long things may take; None for what suits the service.
        open_transport: Makes what carries the requests, at the first one; None is the network.

    Raises:
        ConfigError: `STORE_URI_UNSUPPORTED`, `STORE_URI_INVALID`.
    """
    place = store_place(uri)
    if not isinstance(place, BucketPlace):
        raise ConfigError("STORE_URI_UNSUPPORTED", "expected gs://bucket/prefix, got a file")
    clock, limits = clock or SystemClock(), limits or Limits()
    http = GcsHttp(
        cloud.emulator or _SERVICE,
        bearer=None if cloud.emulator else open_bearer(cloud, TOKENS, clock, open_transport),
        clock=clock,
        limits=limits,
        open_transport=open_transport,
    )
    return GcsStore(GcsObjects(http, place.bucket, max_object_bytes=limits.max_object_bytes), place.prefix)


class GcsStore:
    """Named objects below one prefix of a bucket, for many threads.

    Args:
        objects: The bucket's objects.
        prefix: What all names begin with in the bucket, without slashes at its ends; may be empty.
    """

    def __init__(self, objects: GcsObjects, prefix: str = "") -> None:
        self._objects = objects
        self._prefix = f"{prefix}/" if prefix else ""

    def get(self, name: str) -> StoredObject | None:
        """Read one object; None when it does not exist."""
        check_name(name)
        try:
            return self._objects.read(self._prefix + name)
        except FOREIGN as error:
            if is_missing_object(error):
                return None
            raise fault(error, name) from None

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        """Write one object whole, as the port says."""
        check_name(name)
        try:
            return self._objects.write(self._prefix + name, data, if_generation=if_generation)
        except FOREIGN as error:
            raise (_mismatch(name, if_generation) if is_mismatch(error) else fault(error, name)) from None

    def delete(self, name: str, *, if_generation: int) -> None:
        """Delete one object at that generation, as the port says."""
        check_name(name)
        if not if_generation:  # the service would read a 0 as "must not exist", which no delete can mean
            raise _mismatch(name, if_generation)
        try:
            self._objects.delete(self._prefix + name, if_generation=if_generation)
        except FOREIGN as error:
            gone = is_mismatch(error) or is_missing_object(error)
            raise (_mismatch(name, if_generation) if gone else fault(error, name)) from None

    def list(self, prefix: str, *, after: str = "", limit: int = MAX_LIMIT) -> builtins.list[StoredName]:
        """List a range of names in order, as the port says.

        Raises:
            InputError: `LIMIT_INVALID`, a limit outside 1 to 1,000.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise InputError("LIMIT_INVALID", f"a listing's limit is 1 to {MAX_LIMIT}, got {limit}")
        if _NAME_TEXT.fullmatch(prefix) is None:
            return []  # no name begins like this
        try:
            return list(islice(self._lines(prefix, after, limit), limit))
        except FOREIGN as error:
            raise fault(error, f"the list of {prefix or 'all objects'}") from None

    def _lines(self, prefix: str, after: str, limit: int) -> Iterator[StoredName]:
        first = self._prefix + _first_behind(after) if after else ""
        token = ""
        while True:
            page = self._objects.page(self._prefix + prefix, first=first, most=limit, token=token)
            for line in page.lines:
                name = line.name.removeprefix(self._prefix)
                if is_name(name):
                    yield replace(line, name=name)
            token = page.next_token
            if not token:
                return


def _first_behind(after: str) -> str:
    """Return the text that exactly the names behind `after`, whatever text that is, do not sort before."""
    held = _NAME_TEXT.match(after)
    begin = "" if held is None else held[0]
    if begin == after:
        return begin + _NAME_CHARS[0]
    foreign = after[len(begin)]
    return begin + next((char for char in _NAME_CHARS if char > foreign), _BEHIND_ALL)


def _mismatch(name: str, expected: int) -> ConflictError:
    return ConflictError("GENERATION_MISMATCH", f"{name}: generation {expected} is not the current one")
