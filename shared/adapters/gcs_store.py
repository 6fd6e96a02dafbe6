"""The `Store` port on Google Cloud Storage, by its JSON API; one request an operation, and no write without a generation.

    trying again may help   UnavailableError   STORE_UNAVAILABLE
    a person must act       RejectedError      STORE_DENIED (no credentials, or without the right), STORE_NOT_FOUND (no such
                                               bucket)
    a setting is wrong      ConfigError        STORE_URI_INVALID

Sources: https://cloud.google.com/storage/docs/request-preconditions, https://cloud.google.com/storage/docs/retry-strategy
"""

from __future__ import annotations

import re
import string
import threading
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Final

from google.api_core.exceptions import PreconditionFailed
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from shared.adapters.gcs_border import FOREIGN, fault, is_missing_object
from shared.core.names import check_name, is_name
from shared.errors import ConfigError, ConflictError, InputError, UnavailableError
from shared.ports import StoredName, StoredObject

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterator

    from _typeshed import ReadableBuffer
    from google.cloud.storage import Bucket, Client

MAX_LIMIT: Final = 1000
MAX_OBJECT_BYTES: Final = 64 * 2**20
CONNECTIONS: Final = 64
TIMEOUT_SECONDS: Final = (3.0, 10.0)
"""To connect, and between two bytes."""
RETRY_SECONDS: Final = 20.0
FIRST_PAUSE_SECONDS: Final = 0.2
_KIND: Final = "application/octet-stream"
_LISTED: Final = "items(name,generation,size,updated),nextPageToken"
_URI = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*))?")
_NAME_TEXT = re.compile(r"[A-Za-z0-9._/-]*")
_NAME_CHARS: Final = sorted(string.ascii_letters + string.digits + "-./_")
_BEHIND_ALL: Final = "~"  # sorts behind every character of a name


def open_gcs(uri: str) -> GcsStore:
    """Build the store for a bucket; nothing is asked yet.

    Args:
        uri: `gs://bucket` or `gs://bucket/prefix`.

    Raises:
        ConfigError: `STORE_URI_INVALID`.
    """
    match = _URI.fullmatch(uri)
    prefix = (match[2] or "").rstrip("/") if match else ""
    try:
        if match is None:
            raise InputError("NAME_INVALID", "no bucket")
        if prefix:
            check_name(prefix)
    except InputError:
        raise ConfigError(
            "STORE_URI_INVALID", "expected gs://bucket or gs://bucket/prefix, got something else"
        ) from None
    bucket = match[1]
    return GcsStore(lambda: new_client().bucket(bucket), prefix)


def new_client() -> Client:
    """Make a client with the credentials of the environment; it sends nothing on its own.

    An emulator named by `STORAGE_EMULATOR_HOST` is spoken to without credentials, as the library has it.
    """
    # Without a project nobody goes looking for one: objects are named by their bucket alone.
    client = storage.Client(project=None)
    # For traces that nobody asked for it would fetch the bucket's metadata in a thread of its own, which needs a further
    # right and goes on behind the answer.
    client._bucket_metadata_cache = None  # noqa: SLF001 - there is a switch, but only in the environment
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=CONNECTIONS, pool_block=True)
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, adapter)  # noqa: SLF001 - the session is made from the credentials inside
    return client


class GcsStore:
    """Named objects below one prefix of a bucket, for many threads.

    Args:
        open_bucket: Makes the bucket's handle, without a request; called once, at the first operation.
        prefix: What all names begin with in the bucket, without slashes at its ends; may be empty.
        timeout_seconds: To connect, and between two bytes.
        retry_seconds: No new try begins after this time. Trying again is safe: each write names the generation that it
            replaces.
        first_pause_seconds: The longest pause before the second try; it doubles from try to try, up to four seconds.
        max_object_bytes: Larger objects are not read.
    """

    def __init__(
        self,
        open_bucket: Callable[[], Bucket],
        prefix: str = "",
        *,
        timeout_seconds: tuple[float, float] = TIMEOUT_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        max_object_bytes: int = MAX_OBJECT_BYTES,
    ) -> None:
        self._open_bucket = open_bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._timeout = timeout_seconds
        pauses = DEFAULT_RETRY.with_delay(initial=first_pause_seconds, maximum=4.0, multiplier=2.0)
        self._retry = pauses.with_timeout(retry_seconds)
        self._max_object_bytes = max_object_bytes
        self._lock = threading.Lock()
        self._opened: Bucket | None = None

    def get(self, name: str) -> StoredObject | None:
        """Read one object; None when it does not exist."""
        check_name(name)
        try:
            # Each try reads the whole: the library would resume a broken download, and then checks no checksum any more.
            found: StoredObject = self._retry(self._read)(name)
        except FOREIGN as error:
            if is_missing_object(error):
                return None
            raise fault(error, name) from None
        else:
            return found

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        """Write one object whole, as the port says."""
        check_name(name)
        try:
            blob = self._bucket.blob(self._prefix + name)
            blob.upload_from_string(
                data,
                content_type=_KIND,
                if_generation_match=if_generation,
                checksum="crc32c",
                timeout=self._timeout,
                retry=self._retry,
            )
            return int(blob.generation)
        except PreconditionFailed:
            raise _mismatch(name, if_generation) from None
        except FOREIGN as error:
            raise fault(error, name) from None

    def delete(self, name: str, *, if_generation: int) -> None:
        """Delete one object at that generation, as the port says."""
        check_name(name)
        if not if_generation:  # the service would read a 0 as "must not exist", which no delete can mean
            raise _mismatch(name, if_generation)
        try:
            blob = self._bucket.blob(self._prefix + name)
            blob.delete(if_generation_match=if_generation, timeout=self._timeout, retry=self._retry)
        except FOREIGN as error:
            if isinstance(error, PreconditionFailed) or is_missing_object(error):
                raise _mismatch(name, if_generation) from None
            raise fault(error, name) from None

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

    @property
    def _bucket(self) -> Bucket:
        with self._lock:
            if self._opened is None:
                self._opened = self._open_bucket()
            return self._opened

    def _read(self, name: str) -> StoredObject:
        blob = self._bucket.blob(self._prefix + name)
        content = _Bounded(name, self._max_object_bytes)
        blob.download_to_file(content, raw_download=True, checksum="crc32c", timeout=self._timeout, retry=None)
        return StoredObject(data=content.getvalue(), generation=int(blob.generation))

    def _lines(self, prefix: str, after: str, limit: int) -> Iterator[StoredName]:
        found = self._bucket.client.list_blobs(
            self._bucket,
            prefix=self._prefix + prefix,
            start_offset=self._prefix + _first_behind(after) if after else None,
            page_size=limit,
            fields=_LISTED,
            timeout=self._timeout,
            retry=self._retry,
        )
        for blob in found:
            name = blob.name.removeprefix(self._prefix)
            if is_name(name):
                yield StoredName(
                    name=name, generation=int(blob.generation), size=int(blob.size), updated_at=blob.updated
                )


class _Bounded(BytesIO):
    def __init__(self, name: str, limit: int) -> None:
        super().__init__()
        self._name = name
        self._limit = limit

    def write(self, data: ReadableBuffer, /) -> int:
        written = super().write(data)
        if self.tell() > self._limit:
            raise UnavailableError("STORE_UNAVAILABLE", f"{self._name}: more than {self._limit} bytes")
        return written


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
