"""The store on Google Cloud Storage at its worst: every fault ends in the right content or a clear error, never in between."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import google.auth.exceptions
import pytest

from shared.adapters.gcs_store import CONNECTIONS, GcsStore, new_client, open_gcs
from shared.errors import ConfigError, ConflictError, RejectedError, SkillSyncError, UnavailableError
from shared.service.objects import create_once, swap
from tests.gcs.adapter import Fault, Mounted, client_at, client_on
from tests.gcs.server import GcsServer
from tests.gcs.stand_in import Gcs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.cloud import storage

    from tests.gcs.adapter import Way

ROOT = Path(__file__).resolve().parents[2]
PASSING = [429, 408, 500, 502, 503, 504]
SECRET = "ya29.thisMustNeverBeShown"


class Bucket:
    """A stand-in with a store on it."""

    def __init__(self, service: Gcs, client: storage.Client, mounted: Mounted, **options: object) -> None:
        self.service = service
        self.wire = mounted
        self.store = GcsStore(lambda: client.bucket("bucket"), "pre/fix", **options)  # type: ignore[arg-type]

    def holds(self) -> dict[str, bytes]:
        return {name.removeprefix("pre/fix/"): data for name, data in self.service.stored("bucket").items()}


@contextmanager
def bucket_with(**options: object) -> Iterator[Bucket]:
    service = Gcs("bucket")
    client, mounted = client_on(service)
    with closing(client):
        yield Bucket(service, client, mounted, **options)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with bucket_with() as found:
        yield found


def refused(call: Callable[[], object]) -> SkillSyncError:
    with pytest.raises(SkillSyncError) as caught:
        call()
    return caught.value


# what an operation costs


def test_each_operation_is_one_request(bucket: Bucket) -> None:
    generation = bucket.store.put("a", b"one", if_generation=0)
    calls: list[Callable[[], object]] = [
        lambda: bucket.store.put("b", b"two", if_generation=0),
        lambda: bucket.store.put("a", b"two", if_generation=generation),
        lambda: bucket.store.get("a"),
        lambda: bucket.store.get("nothing"),
        lambda: bucket.store.list(""),
        lambda: bucket.store.list("", after="a", limit=1),
        lambda: bucket.store.delete("b", if_generation=bucket.store.list("b")[0].generation),
    ]
    for call, expected in zip(calls, [1, 1, 1, 1, 1, 1, 2], strict=True):
        before = len(bucket.wire.log)
        call()
        assert len(bucket.wire.log) - before == expected


def test_building_a_store_and_a_client_asks_nothing(bucket: Bucket) -> None:
    assert bucket.wire.log == []
    opened: list[str] = []
    GcsStore(lambda: opened.append("bucket"))  # type: ignore[arg-type, func-returns-value]
    assert opened == []


def test_no_write_goes_out_without_the_generation_that_it_replaces(bucket: Bucket) -> None:
    first = bucket.store.put("a", b"one", if_generation=0)
    second = bucket.store.put("a", b"x" * 9_000_000, if_generation=first)
    refused(lambda: bucket.store.put("a", b"late", if_generation=first))
    refused(lambda: bucket.store.delete("a", if_generation=first))
    bucket.store.delete("a", if_generation=second)
    writes = [asked for asked in bucket.wire.log if asked.method in {"POST", "DELETE"}]
    assert len(writes) == 5
    assert all("ifGenerationMatch" in asked.query for asked in writes)


def test_nothing_outside_of_the_prefix_is_seen_or_touched(bucket: Bucket) -> None:
    client, mounted = client_on(bucket.service)
    with closing(client):
        whole = GcsStore(lambda: client.bucket("bucket"))
        for name in ("a", "pre/a", "pre/fix.json", "pre/fixture/a", "pre/fix/a", "zz"):
            whole.put(name, name.encode(), if_generation=0)
        assert [line.name for line in bucket.store.list("")] == ["a"]
        assert bucket.store.get("a").data == b"pre/fix/a"
        assert bucket.store.get("ture/a") is None
        assert [line.name for line in whole.list("pre/fix")] == ["pre/fix.json", "pre/fix/a", "pre/fixture/a"]
        assert len(mounted.log) == 7


def test_objects_that_no_name_of_ours_could_name_are_not_listed(bucket: Bucket) -> None:
    client, _ = client_on(bucket.service)
    with closing(client):
        for name in ("pre/fix/a b", "pre/fix/", "pre/fix/ü", "pre/fix/../x"):
            client.bucket("bucket").blob(name).upload_from_string(b"", if_generation_match=0)
    bucket.store.put("good", b"", if_generation=0)
    assert [line.name for line in bucket.store.list("")] == ["good"]


def test_short_pages_are_put_together(bucket: Bucket) -> None:
    bucket.service.page_size = 3
    names = [f"n{number:02d}" for number in range(10)]
    for name in names:
        bucket.store.put(name, b"", if_generation=0)
    assert [line.name for line in bucket.store.list("")] == names
    assert [line.name for line in bucket.store.list("", after="n01", limit=5)] == names[2:7]


# faults that pass


@pytest.mark.parametrize("fault", [*PASSING, "reset", "silent"])
def test_what_passes_is_tried_again(bucket: Bucket, fault: int | Way) -> None:
    def fail() -> None:
        if isinstance(fault, int):
            bucket.wire.fail(Fault(way="status", status=fault, times=2))
        else:
            bucket.wire.fail(Fault(way=fault, times=2))

    fail()
    generation = bucket.store.put("a", b"one", if_generation=0)
    fail()
    assert bucket.store.get("a").generation == generation
    fail()
    assert [line.generation for line in bucket.store.list("")] == [generation]
    fail()
    bucket.store.delete("a", if_generation=generation)
    assert bucket.holds() == {}
    assert len(bucket.wire.log) == 12


@pytest.mark.parametrize("way", ["truncated", "corrupt"])
def test_damaged_content_is_never_returned(bucket: Bucket, way: Way) -> None:
    bucket.store.put("a", b"content", if_generation=0)
    bucket.wire.fail(Fault(way=way, match="alt=media"))
    if way == "corrupt":
        assert refused(lambda: bucket.store.get("a")).code == "STORE_UNAVAILABLE"
    assert bucket.store.get("a").data == b"content"


def test_content_that_is_damaged_after_a_broken_try_is_found_out_too(bucket: Bucket) -> None:
    # The library would go on where the first try broke off, and check no sum of what it puts together.
    bucket.store.put("a", b"content" * 5000, if_generation=0)
    bucket.wire.fail(Fault(way="truncated", match="alt=media"))
    bucket.wire.fail(Fault(way="corrupt", match="alt=media"))
    assert refused(lambda: bucket.store.get("a")).code == "STORE_UNAVAILABLE"
    assert not any("range" in asked.headers for asked in bucket.wire.log)


def test_a_put_whose_answer_was_lost_tells_a_conflict_and_its_bytes_are_there(bucket: Bucket) -> None:
    bucket.wire.fail(Fault(way="lost"))
    with pytest.raises(ConflictError, match="GENERATION_MISMATCH"):
        bucket.store.put("a", b"mine", if_generation=0)
    assert bucket.holds() == {"a": b"mine"}


def test_callers_find_out_that_a_lost_answer_was_a_success(bucket: Bucket) -> None:
    bucket.wire.fail(Fault(way="lost"))
    create_once(bucket.store, "a", b"mine")
    generation = bucket.store.get("a").generation
    bucket.wire.fail(Fault(way="lost"))
    swap(bucket.store, "a", b"newer", if_generation=generation)
    bucket.wire.fail(Fault(way="lost", match="upload"))
    with pytest.raises(ConflictError):
        swap(bucket.store, "a", b"too late", if_generation=generation)
    assert bucket.holds() == {"a": b"newer"}


def test_a_delete_whose_answer_was_lost_tells_a_conflict_and_took_effect_once(bucket: Bucket) -> None:
    generation = bucket.store.put("a", b"one", if_generation=0)
    bucket.wire.fail(Fault(way="lost"))
    assert refused(lambda: bucket.store.delete("a", if_generation=generation)).code == "GENERATION_MISMATCH"
    assert bucket.holds() == {}


def test_a_large_put_that_breaks_in_the_middle_is_whole_in_the_end(bucket: Bucket) -> None:
    data = bytes(range(256)) * 40_000  # above the limit of one multipart request
    bucket.wire.fail(Fault(way="status", status=503, match="PUT"))
    bucket.store.put("a", data, if_generation=0)
    assert bucket.holds() == {"a": data}
    assert refused(lambda: bucket.store.put("a", data, if_generation=0)).code == "GENERATION_MISMATCH"


def test_one_write_a_second_and_name_is_waited_for() -> None:
    with bucket_with() as bucket:
        bucket.service.one_write_a_second = True
        generation = bucket.store.put("a", b"one", if_generation=0)
        started = time.monotonic()
        bucket.store.put("b", b"one", if_generation=0)
        assert time.monotonic() - started < 0.9
        bucket.store.put("a", b"two", if_generation=generation)
        assert time.monotonic() - started > 0.9
        assert bucket.holds() == {"a": b"two", "b": b"one"}


# faults that stay


@pytest.mark.parametrize("way", ["status", "reset", "silent"])
def test_what_does_not_pass_ends_within_its_time(way: Way) -> None:
    with bucket_with(retry_seconds=1.0) as bucket:
        bucket.wire.fail(Fault(way=way, times=10**6))
        calls: list[Callable[[], object]] = [
            lambda: bucket.store.get("a"),
            lambda: bucket.store.put("a", b"", if_generation=0),
            lambda: bucket.store.delete("a", if_generation=1),
            lambda: bucket.store.list(""),
        ]
        for call in calls:
            started = time.monotonic()
            error = refused(call)
            assert (type(error), error.code) == (UnavailableError, "STORE_UNAVAILABLE")
            assert time.monotonic() - started < 3.0
        assert bucket.holds() == {}


@pytest.mark.parametrize("status", [401, 403])
def test_missing_rights_are_for_a_person_and_are_not_tried_again(bucket: Bucket, status: int) -> None:
    calls: list[Callable[[], object]] = [
        lambda: bucket.store.get("a"),
        lambda: bucket.store.put("a", b"", if_generation=0),
        lambda: bucket.store.delete("a", if_generation=1),
        lambda: bucket.store.list(""),
    ]
    for number, call in enumerate(calls, 1):
        bucket.wire.fail(Fault(way="status", status=status))
        error = refused(call)
        assert (type(error), error.code) == (RejectedError, "STORE_DENIED")
        assert len(bucket.wire.log) == number


def test_a_missing_bucket_is_for_a_person() -> None:
    client, _ = client_on(Gcs("another"))
    with closing(client):
        store = GcsStore(lambda: client.bucket("bucket"))
        assert refused(lambda: store.put("a", b"", if_generation=0)).code == "STORE_NOT_FOUND"
        assert refused(lambda: store.list("")).code == "STORE_NOT_FOUND"
        assert store.get("a") is None  # of one object the service says the same in both cases


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (google.auth.exceptions.DefaultCredentialsError(SECRET), "STORE_DENIED"),
        (google.auth.exceptions.RefreshError(SECRET), "STORE_UNAVAILABLE"),
        (google.auth.exceptions.TransportError(SECRET), "STORE_UNAVAILABLE"),
    ],
)
def test_credentials_that_cannot_be_had_are_told_without_their_text(error: Exception, code: str) -> None:
    def open_bucket() -> storage.Bucket:
        raise error

    found = refused(lambda: GcsStore(open_bucket).list(""))
    assert found.code == code
    assert SECRET not in str(found)
    assert found.__cause__ is None


def test_an_object_that_is_too_large_is_not_read(bucket: Bucket) -> None:
    bucket.store.put("a", b"x" * 1001, if_generation=0)
    with bucket_with(max_object_bytes=1000) as other:
        other.store.put("a", b"x" * 1000, if_generation=0)
        assert len(other.store.get("a").data) == 1000
        generation = other.store.get("a").generation
        other.store.put("a", b"x" * 1001, if_generation=generation)
        assert refused(lambda: other.store.get("a")).code == "STORE_UNAVAILABLE"
    assert len(bucket.store.get("a").data) == 1001


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b"{}", b'{"items": [{"name": "pre/fix/a"}]}'])
def test_an_answer_that_is_none_is_an_unavailable_store(body: bytes) -> None:
    class Garbage(Gcs):
        def answer(self, request: object) -> object:  # type: ignore[override]
            reply = super().answer(request)  # type: ignore[arg-type]
            return type(reply)(status=200, headers={"Content-Type": "application/json"}, body=body)

    client, _ = client_on(Garbage("bucket"))
    with closing(client):
        store = GcsStore(lambda: client.bucket("bucket"), "pre/fix", retry_seconds=0.5)
        assert refused(lambda: store.put("a", b"", if_generation=0)).code == "STORE_UNAVAILABLE"
        assert refused(lambda: store.get("a")).code == "STORE_UNAVAILABLE"
        if body != b"{}":
            assert refused(lambda: store.list("")).code == "STORE_UNAVAILABLE"


# the client


def test_sixty_four_threads_share_one_client_and_its_connections(recwarn: pytest.WarningsRecorder) -> None:
    with GcsServer(Gcs("bucket")) as server, closing(client_at(server.url)) as client:
        store = GcsStore(lambda: client.bucket("bucket"))
        start = threading.Barrier(CONNECTIONS)

        def write(number: int) -> int:
            start.wait(timeout=30)
            return store.put(f"n{number}", b"x", if_generation=0)

        with ThreadPoolExecutor(CONNECTIONS) as threads:
            assert len(set(threads.map(write, range(CONNECTIONS)))) == CONNECTIONS
        assert len(store.list("")) == CONNECTIONS
    assert not recwarn.list


def test_the_emulator_that_the_environment_names_is_used_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    with GcsServer(Gcs("bucket")) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        store = open_gcs("gs://bucket/pre/fix")
        store.put("a", b"one", if_generation=0)
        assert server.service.stored("bucket") == {"pre/fix/a": b"one"}
        # Nothing but what was asked for goes out, not even to describe the bucket for a trace.
        assert [seen.method for seen in server.log] == ["POST"]


def test_our_client_keeps_as_many_connections_as_it_may_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    with closing(new_client()) as client:
        for address in ("https://x", "http://x"):
            adapter = client._http.get_adapter(address)
            assert (adapter._pool_maxsize, adapter._pool_block) == (CONNECTIONS, True)


@pytest.mark.parametrize(
    "uri",
    ["gs://", "gs:///a", "gs://B", "gs://a", "gs://bucket/a b", "gs://bucket/../x", "gs://bucket//x", "gs://-bucket"],
)
def test_a_wrong_address_is_told_before_anything_is_asked(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_gcs(uri)
    assert caught.value.code == "STORE_URI_INVALID"


@pytest.mark.parametrize("uri", ["gs://bucket", "gs://bucket/", "gs://my.bucket_1/prod", "gs://bucket/a/b/"])
def test_a_right_address_opens_without_a_request(uri: str) -> None:
    assert isinstance(open_gcs(uri), GcsStore)


def test_the_client_is_only_imported_when_the_store_is_one_of_google_cloud_storage() -> None:
    script = (
        "import sys; from shared import wiring; from shared.config import load_settings\n"
        "wiring.store(load_settings({'STORE_URI': 'sqlite:///nowhere/x.db'})); first = 'google.cloud.storage' in sys.modules\n"
        "wiring.store(load_settings({'STORE_URI': 'gs://bucket'})); print(first, 'google.cloud.storage' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
