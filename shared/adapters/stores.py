"""Which store a `STORE_URI` names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import ConfigError

if TYPE_CHECKING:
    from shared.core.google_cloud import GoogleCloud
    from shared.ports import Store

_SQLITE = "sqlite://"
_GCS = "gs://"


def open_store(uri: str, cloud: GoogleCloud) -> Store:
    """Open a store; its client is loaded only now.

    Args:
        uri: `gs://bucket/prefix` or `sqlite:///path/to/file`.
        cloud: Where the storage and the credentials are, for `gs://`.

    Raises:
        ConfigError: `STORE_URI_UNSUPPORTED`, `STORE_URI_INVALID`.
    """
    if uri.startswith(_SQLITE) and len(uri) > len(_SQLITE) + 1:
        from shared.adapters.sqlite_store import SqliteStore  # noqa: PLC0415 - whoever uses the other never loads it

        return SqliteStore(Path(uri.removeprefix(_SQLITE)))
    if uri.startswith(_GCS):
        from shared.adapters.gcs_store import open_gcs  # noqa: PLC0415 - the same

        return open_gcs(uri, cloud)
    raise ConfigError("STORE_URI_UNSUPPORTED", "STORE_URI must be gs://bucket/prefix or sqlite:///path/to/file")
