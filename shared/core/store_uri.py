"""What a `STORE_URI` names: a bucket with a prefix, or a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.core.names import check_name
from shared.errors import ConfigError, InputError

_FILE = "sqlite://"
_GCS = "gs://"
_BUCKET = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketPlace:
    """Objects below a prefix of a bucket; the prefix has no slash at its ends, and may be empty."""

    bucket: str
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlace:
    """Objects in one file."""

    path: str


def store_place(uri: str) -> BucketPlace | FilePlace:
    """Read it.

    Args:
        uri: `gs://bucket`, `gs://bucket/prefix` or `sqlite:///path/to/file`.

    Raises:
        ConfigError: `STORE_URI_UNSUPPORTED`, `STORE_URI_INVALID`.
    """
    if uri.startswith(_FILE) and len(uri) > len(_FILE) + 1:
        return FilePlace(path=uri.removeprefix(_FILE))
    if not uri.startswith(_GCS):
        raise ConfigError("STORE_URI_UNSUPPORTED", "expected gs://bucket/prefix or sqlite:///path/to/file")
    match = _BUCKET.fullmatch(uri)
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
    return BucketPlace(bucket=match[1], prefix=prefix)
