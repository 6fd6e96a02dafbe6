"""Which store a `STORE_URI` names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.core.store_uri import FilePlace, store_place

if TYPE_CHECKING:
    from shared.core.google_cloud import GoogleCloud
    from shared.ports import Store


def open_store(uri: str, cloud: GoogleCloud) -> Store:
    """Open a store; its client is loaded only now.

    Args:
        uri: `gs://bucket/prefix` or `sqlite:///path/to/file`.
        cloud: Where the storage and the credentials are, for `gs://`.

    Raises:
        ConfigError: `STORE_URI_UNSUPPORTED`, `STORE_URI_INVALID`.
    """
    place = store_place(uri)
    if isinstance(place, FilePlace):
        from shared.adapters.sqlite_store import SqliteStore  # noqa: PLC0415 - whoever uses the other never loads it

        return SqliteStore(Path(place.path))
    from shared.adapters.gcs_store import open_gcs  # noqa: PLC0415 - the same

    return open_gcs(uri, cloud)
