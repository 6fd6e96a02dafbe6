"""The store on Google Cloud Storage at its worst: every fault ends in the right content or a clear error, never in between."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared import wiring
from shared.adapters.gcs_http import CONNECTIONS, ERROR_BYTES
from shared.adapters.gcs_store import GcsStore, open_gcs
from shared.config import load_settings
from shared.core.google_cloud import GoogleCloud
from shared.errors import ConfigError, ConflictError, RejectedError, SkillSyncError, UnavailableError
from shared.service.objects import create_once, swap
from tests.fakes.clock import FakeClock
from tests.gcs.adapter import NOWHERE, Mounted, store_at, store_on
from tests.gcs.faults import Fault
from tests.gcs.server import GcsServer
from tests.gcs.stand_in import Gcs, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.gcs.faults import Way

ROOT = Path(__file__).resolve().parents[2]
PASSING = [429, 408, 500, 502, 503, 504]
LARGE = bytes(range(256)) * 40_000


class Bucket:
    """A stand-in with a store on it."""

    def __init__(self, service: Gcs, **limits: float) -> None:
        self.service = service
        self.wire = Mounted(service)
        limits = {"first_pause_seconds": 0.01, **limits}
        self.store = store_on(self.wire, "gs://bucket/pre/fix", **limits)

    def holds(self) -> dict[str, bytes]:
        return {name.removeprefix("pre/fix/"): data for name, data in self.service.stored("bucket").items()}


def bucket_with(**limits: float) -> Bucket:
    return Bucket(Gcs("bucket"), **limits)


@pytest.fixture
def bucket() -> Bucket:
    return bucket_with()


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


def test_building_a_store_asks_nothing_and_opens_nothing(bucket: Bucket) -> None:
    assert (bucket.wire.log, bucket.wire.opened) == ([], 0)


def test_threads_that_come_first_together_open_one_client(bucket: Bucket) -> None:
    start = threading.Barrier(16)

    def read(_: int) -> object:
        start.wait(timeout=30)
        return bucket.store.get("a")

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(read, range(16))) == [None] * 16
    assert bucket.wire.opened == 1


def test_no_write_goes_out_without_the_generation_that_it_replaces(bucket: Bucket) -> None:
    first = bucket.store.put("a", b"one", if_generation=0)
    second = bucket.store.put("a", LARGE, if_generation=first)
    refused(lambda: bucket.store.put("a", b"late", if_generation=first))
    refused(lambda: bucket.store.delete("a", if_generation=first))
    bucket.store.delete("a", if_generation=second)
    writes = [asked for asked in bucket.wire.log if asked.method in {"POST", "DELETE"}]
    assert len(writes) == 5
    assert all("ifGenerationMatch" in asked.query for asked in writes)


def test_a_delete_of_what_must_not_exist_is_a_conflict_and_is_never_sent(bucket: Bucket) -> None:
    bucket.store.put("a", b"one", if_generation=0)
    assert refused(lambda: bucket.store.delete("a", if_generation=0)).code == "GENERATION_MISMATCH"
    assert [asked.method for asked in bucket.wire.log] == ["POST"]


def test_every_request_is_given_up_after_the_same_short_silence(bucket: Bucket) -> None:
    generation = bucket.store.put("a", LARGE, if_generation=0)
    bucket.store.get("a")
    bucket.store.list("")
    bucket.store.delete("a", if_generation=generation)
    bucket.store.put("a", b"", if_generation=0)
    assert bucket.wire.timeouts == [{"connect": 3.0, "read": 10.0, "write": 10.0, "pool": 10.0}] * 5


AFTERS = [
    "",
    "-",
    "a",
    "b.b",
    "b ",
    "b\n",
    "b%",
    "b:",
    "b~",
    "b\x7f",
    "bä",
    "b\ud800",
    "z",
    "zz",
    "~",
    "ä",
    "\ud800",
    " ",
    "@",
    "`",
]


@pytest.mark.parametrize("after", AFTERS, ids=ascii)
def test_a_page_behind_any_text_is_one_request(bucket: Bucket, after: str) -> None:
    names = ["-a", ".a", "0", "A", "Z", "_", "a", "a-", "b", "b-b", "b.b", "b/b", "b0", "bA", "b_", "bz", "c", "z"]
    for name in names:
        bucket.store.put(name, b"", if_generation=0)
    before = len(bucket.wire.log)
    assert [line.name for line in bucket.store.list("", after=after, limit=2)] == [n for n in names if n > after][:2]
    assert [asked.query["maxResults"] for asked in bucket.wire.log[before:]] == ["2"]


def test_content_that_somebody_had_marked_as_packed_comes_back_as_it_was_stored(bucket: Bucket) -> None:
    packed = gzip.compress(b"content", mtime=0)
    bucket.service.keep("bucket", "pre/fix/a", packed, encoding="gzip")
    assert bucket.store.get("a").data == packed
    # Without this the service would unpack it on its way.
    assert bucket.wire.log[0].headers["accept-encoding"] == "gzip"


def test_nothing_outside_of_the_prefix_is_seen_or_touched(bucket: Bucket) -> None:
    mounted = Mounted(bucket.service)
    whole = store_on(mounted)
    for name in ("a", "pre/a", "pre/fix.json", "pre/fixture/a", "pre/fix/a", "zz"):
        whole.put(name, name.encode(), if_generation=0)
    assert [line.name for line in bucket.store.list("")] == ["a"]
    assert bucket.store.get("a").data == b"pre/fix/a"
    assert bucket.store.get("ture/a") is None
    assert [line.name for line in whole.list("pre/fix")] == ["pre/fix.json", "pre/fix/a", "pre/fixture/a"]
    assert len(mounted.log) == 7


def test_objects_that_no_name_of_ours_could_name_are_not_listed(bucket: Bucket) -> None:
    for name in ("pre/fix/a b", "pre/fix/", "pre/fix/ü", "pre/fix/../x"):
        bucket.service.keep("bucket", name, b"")
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


def test_content_that_is_damaged_on_its_way_out_is_refused_by_the_service() -> None:
    class Noisy(Gcs):
        def answer(self, request: Request) -> Reply:
            return super().answer(replace(request, body=request.body.replace(b"\1\2\3", b"\1\2\4", 1)))

    noisy = Bucket(Noisy("bucket"))
    assert refused(lambda: noisy.store.put("a", b"\1\2\3", if_generation=0)).code == "STORE_UNAVAILABLE"
    assert refused(lambda: noisy.store.put("a", LARGE, if_generation=0)).code == "STORE_UNAVAILABLE"
    assert noisy.holds() == {}


@pytest.mark.parametrize("way", ["truncated", "corrupt"])
def test_damaged_content_is_never_returned_but_read_again_as_a_whole(bucket: Bucket, way: Way) -> None:
    bucket.store.put("a", b"content", if_generation=0)
    bucket.wire.fail(Fault(way=way, match="alt=media", times=2))
    assert bucket.store.get("a").data == b"content"
    assert len(bucket.wire.log) == 4
    assert not any("range" in asked.headers for asked in bucket.wire.log)


@pytest.mark.parametrize("way", ["truncated", "corrupt"])
def test_content_that_stays_damaged_is_an_unavailable_store(way: Way) -> None:
    bucket = bucket_with(retry_seconds=0.1)
    bucket.store.put("a", b"content", if_generation=0)
    bucket.wire.fail(Fault(way=way, match="alt=media", times=10**6))
    assert refused(lambda: bucket.store.get("a")).code == "STORE_UNAVAILABLE"


@pytest.mark.parametrize("told", ["", "md5=CY9rzUYh03PK3k6DJie09g==", "crc32c=", "crc32c", "crc32c=AAAAAA=="])
def test_content_that_nothing_proves_is_not_returned(told: str) -> None:
    class Silent(Gcs):
        def answer(self, request: Request) -> Reply:
            reply = super().answer(request)
            return replace(reply, headers={**reply.headers, "X-Goog-Hash": told})

    bucket = Bucket(Silent("bucket"), retry_seconds=0.05)
    bucket.store.put("a", b"content", if_generation=0)
    assert refused(lambda: bucket.store.get("a")).code == "STORE_UNAVAILABLE"


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


def test_a_large_put_is_one_request_and_whole_in_the_end(bucket: Bucket) -> None:
    bucket.wire.fail(Fault(way="status", status=503))
    bucket.store.put("a", LARGE, if_generation=0)
    assert bucket.holds() == {"a": LARGE}
    assert refused(lambda: bucket.store.put("a", LARGE, if_generation=0)).code == "GENERATION_MISMATCH"
    assert len(bucket.wire.log) == 3


@pytest.mark.parametrize("data", [b"--", b"\r\n--\r\n", b"\r\n\r\n", b"--" * 1000 + b"\r\n"])
def test_content_that_looks_like_the_border_between_parts_is_content(bucket: Bucket, data: bytes) -> None:
    bucket.store.put("a", data, if_generation=0)
    assert bucket.holds() == {"a": data}


def test_one_write_a_second_and_name_is_waited_for() -> None:
    # At each write the clock of the service goes on by 0.4 s: only the third try for "a" comes a second after the first put.
    service = Gcs("bucket", clock=count(step=0.4).__next__)
    service.one_write_a_second = True
    bucket = Bucket(service)
    generation = bucket.store.put("a", b"one", if_generation=0)
    bucket.store.put("b", b"one", if_generation=0)
    bucket.store.put("a", b"two", if_generation=generation)
    assert bucket.holds() == {"a": b"two", "b": b"one"}
    assert len(bucket.wire.log) == 4


def test_pauses_double_up_to_four_seconds_and_no_try_begins_after_twenty(bucket: Bucket) -> None:
    clock = FakeClock()
    store = open_gcs("gs://bucket", NOWHERE, clock=clock, open_transport=bucket.wire.open)
    bucket.wire.fail(Fault(way="status", times=10**6))
    assert refused(lambda: store.get("a")).code == "STORE_UNAVAILABLE"
    longest = [0.2, 0.4, 0.8, 1.6, 3.2, *[4.0] * len(clock.slept)]
    assert all(0.0 <= pause <= most for pause, most in zip(clock.slept, longest, strict=False))
    assert len(set(clock.slept)) == len(clock.slept) > 5
    assert sum(clock.slept) <= 20.0
    assert len(bucket.wire.log) == len(clock.slept) + 1


# faults on real connections


@contextmanager
def served(**limits: float) -> Iterator[tuple[GcsServer, GcsStore]]:
    limits = {
        "connect_seconds": 1.0,
        "silence_seconds": 0.2,
        "retry_seconds": 5.0,
        "first_pause_seconds": 0.01,
        **limits,
    }
    with GcsServer(Gcs("bucket")) as server:
        yield server, store_at(server.url, **limits)


@pytest.mark.parametrize("way", ["status", "reset", "silent", "lost", "truncated", "corrupt"])
def test_a_write_over_a_real_connection_happens_once_whatever_breaks(way: Way) -> None:
    with served() as (server, store):
        server.fail(Fault(way=way, match="POST"))
        if way in {"lost", "truncated"}:
            assert refused(lambda: store.put("a", b"one", if_generation=0)).code == "GENERATION_MISMATCH"
        elif way == "corrupt":
            assert refused(lambda: store.put("a", b"one", if_generation=0)).code == "STORE_UNAVAILABLE"
        else:
            assert store.put("a", b"one", if_generation=0) == store.get("a").generation
        assert server.service.stored("bucket") == {"a": b"one"}
        writes = [seen for seen in server.log if seen.method == "POST"]
        assert len(writes) == (1 if way == "corrupt" else 2)


@pytest.mark.parametrize("way", ["status", "reset", "silent", "lost", "truncated"])
def test_a_read_over_a_real_connection_is_whole_whatever_breaks(way: Way) -> None:
    # Patient enough for so much on a busy machine: a write that is sent again finds its own first one there.
    with served(silence_seconds=2.0) as (server, store):
        generation = store_at(server.url).put("a", LARGE, if_generation=0)
        server.fail(Fault(way=way, match="alt=media"))
        found = store.get("a")
        assert (found.data, found.generation) == (LARGE, generation)
        server.fail(Fault(way=way, match="maxResults"))
        assert [line.generation for line in store.list("")] == [generation]
        assert len([seen for seen in server.log if seen.method == "GET"]) == 4


def test_content_damaged_on_a_real_connection_is_found_out_and_read_again() -> None:
    with served(silence_seconds=2.0) as (server, store):
        store_at(server.url).put("a", LARGE, if_generation=0)
        server.fail(Fault(way="corrupt", match="alt=media"))
        assert store.get("a").data == LARGE
        assert [seen.method for seen in server.log] == ["POST", "GET", "GET"]


def test_a_connection_serves_one_request_after_the_other_whatever_the_answer_is() -> None:
    with served() as (server, store):
        generation = store.put("a", b"one", if_generation=0)
        assert store.get("nothing") is None
        refused(lambda: store.put("a", b"two", if_generation=0))
        store.list("")
        store.delete("a", if_generation=generation)
        assert store.get("a") is None
        assert (len(server.log), server.connections) == (6, 1)


def test_a_service_that_never_answers_is_given_up() -> None:
    with served(retry_seconds=0.3) as (server, store):
        server.fail(Fault(way="silent", times=10**6))
        started = time.monotonic()
        assert refused(lambda: store.get("a")).code == "STORE_UNAVAILABLE"
        assert time.monotonic() - started < 3.0
        assert len(server.log) > 1


def test_a_service_that_is_not_there_is_unavailable() -> None:
    with served(retry_seconds=0.3) as (server, _):
        url = server.url
    store = store_at(url, retry_seconds=0.3)
    assert refused(lambda: store.get("a")).code == "STORE_UNAVAILABLE"


# faults that stay


@pytest.mark.parametrize("way", ["status", "reset", "silent"])
def test_what_does_not_pass_ends_within_its_time(way: Way) -> None:
    bucket = bucket_with(retry_seconds=0.2)
    bucket.wire.fail(Fault(way=way, times=10**6))
    calls: list[Callable[[], object]] = [
        lambda: bucket.store.get("a"),
        lambda: bucket.store.put("a", b"", if_generation=0),
        lambda: bucket.store.delete("a", if_generation=1),
        lambda: bucket.store.list(""),
    ]
    for call in calls:
        started, before = time.monotonic(), len(bucket.wire.log)
        error = refused(call)
        assert (type(error), error.code) == (UnavailableError, "STORE_UNAVAILABLE")
        assert time.monotonic() - started < 2.0
        assert len(bucket.wire.log) - before > 1
    assert bucket.holds() == {}


@pytest.mark.parametrize("status", [301, 302, 304, 307, 400, 405, 410, 416])
def test_what_no_other_try_would_change_is_not_tried_again(bucket: Bucket, status: int) -> None:
    bucket.wire.fail(Fault(way="status", status=status))
    error = refused(lambda: bucket.store.get("a"))
    assert (type(error), error.code) == (UnavailableError, "STORE_UNAVAILABLE")
    assert len(bucket.wire.log) == 1


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
    store = Bucket(Gcs("another")).store
    assert refused(lambda: store.put("a", b"", if_generation=0)).code == "STORE_NOT_FOUND"
    assert refused(lambda: store.list("")).code == "STORE_NOT_FOUND"
    assert refused(lambda: store.get("a")).code == "STORE_NOT_FOUND"
    assert refused(lambda: store.delete("a", if_generation=1)).code == "STORE_NOT_FOUND"


def test_an_object_is_missing_however_the_service_says_so(bucket: Bucket) -> None:
    bucket.wire.fail(Fault(way="status", status=404, times=2))
    assert bucket.store.get("a") is None
    assert refused(lambda: bucket.store.delete("a", if_generation=1)).code == "GENERATION_MISMATCH"


def test_an_object_that_is_too_large_is_not_read(bucket: Bucket) -> None:
    bucket.store.put("a", b"x" * 1001, if_generation=0)
    other = Bucket(bucket.service, max_object_bytes=1000)
    error = refused(lambda: other.store.get("a"))
    assert (error.code, error.message) == ("STORE_UNAVAILABLE", "a: more than 1000 bytes")
    assert len(other.wire.log) == 1
    assert len(bucket.store.get("a").data) == 1001
    other.store.put("b", b"x" * 1000, if_generation=0)
    assert len(other.store.get("b").data) == 1000


def test_of_an_object_that_is_too_large_no_more_is_taken_than_shows_it() -> None:
    with served(max_object_bytes=1000) as (server, store):
        server.service.keep("bucket", "a", bytes(50 * 2**20))
        assert refused(lambda: store.get("a")).message == "a: more than 1000 bytes"
        server.service.keep("bucket", "b", b"small")
        assert store.get("b").data == b"small"


def test_a_refusal_that_never_ends_is_that_refusal() -> None:
    class Talkative(Gcs):
        def answer(self, request: Request) -> Reply:  # noqa: ARG002 - whatever it is
            return Reply(status=403, body=bytes(ERROR_BYTES + 1))

    assert refused(lambda: Bucket(Talkative("bucket")).store.get("a")).code == "STORE_DENIED"


GARBAGE = [
    b"",
    b"no JSON",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"items": 7, "generation": 7}',
    b'{"items": [7], "generation": "seven"}',
    b'{"items": [{"name": "pre/fix/a"}]}',
    b'{"items": [{"name": "pre/fix/a", "generation": "x", "size": "1", "updated": "2026-11-21T00:00:00Z"}]}',
    b'{"items": [{"name": "pre/fix/a", "generation": "1", "size": "1", "updated": "today"}]}',
]


@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
def test_an_answer_that_is_none_is_an_unavailable_store(body: bytes) -> None:
    class Garbage(Gcs):
        def answer(self, request: Request) -> Reply:  # noqa: ARG002 - whatever it is
            return Reply(headers={"Content-Type": "application/json"}, body=body)

    bucket = Bucket(Garbage("bucket"))
    assert refused(lambda: bucket.store.put("a", b"", if_generation=0)).code == "STORE_UNAVAILABLE"
    assert refused(lambda: bucket.store.get("a")).code == "STORE_UNAVAILABLE"
    if body != b"{}":
        assert refused(lambda: bucket.store.list("")).code == "STORE_UNAVAILABLE"
    assert all(len([asked for asked in bucket.wire.log if asked.method == way]) <= 2 for way in ("GET", "POST"))


# the client


def test_however_many_threads_there_are_they_share_one_client_and_its_sixty_four_connections(
    caplog: pytest.LogCaptureFixture,
) -> None:
    many = 2 * CONNECTIONS
    with GcsServer(Gcs("bucket")) as server:
        server.latency_seconds = 0.05  # so that all are under way at once
        store = store_at(server.url)
        start = threading.Barrier(many)

        def write(number: int) -> int:
            start.wait(timeout=30)
            return store.put(f"n{number}", b"x", if_generation=0)

        with caplog.at_level(logging.WARNING), ThreadPoolExecutor(many) as threads:
            assert len(set(threads.map(write, range(many)))) == many
        assert len(store.list("")) == many
        assert 10 < server.connections <= CONNECTIONS
        assert len(server.log) == many + 1
    assert caplog.records == []


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_emulator_that_the_environment_names_is_used_without_credentials(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with GcsServer(Gcs("bucket")) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", scheme + server.url.removeprefix("http://"))
        # A process keeps the client that it made for an address.
        store = wiring.store(load_settings({"STORE_URI": f"gs://bucket/pre/{scheme.rstrip(':/')}x"}))
        store.put("a", b"one", if_generation=0)
        assert server.service.stored("bucket") == {f"pre/{scheme.rstrip(':/')}x/a": b"one"}
        assert [seen.method for seen in server.log] == ["POST"]


@pytest.mark.parametrize(
    "uri",
    ["gs://", "gs:///a", "gs://B", "gs://a", "gs://bucket/a b", "gs://bucket/../x", "gs://bucket//x", "gs://-bucket"],
)
def test_a_wrong_address_is_told_before_anything_is_asked(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_gcs(uri, GoogleCloud())
    assert caught.value.code == "STORE_URI_INVALID"


@pytest.mark.parametrize("uri", ["gs://bucket", "gs://bucket/", "gs://my.bucket_1/prod", "gs://bucket/a/b/"])
def test_a_right_address_opens_without_a_request(uri: str) -> None:
    assert isinstance(open_gcs(uri, GoogleCloud()), GcsStore)


def test_what_speaks_to_google_is_only_loaded_when_the_store_is_there() -> None:
    script = (
        "import sys; from shared import wiring; from shared.config import load_settings\n"
        "wiring.store(load_settings({'STORE_URI': 'sqlite:///nowhere/x.db'})); first = 'httpx' in sys.modules\n"
        "wiring.store(load_settings({'STORE_URI': 'gs://bucket'}))\n"
        "print(first, 'httpx' in sys.modules, *{'google.auth', 'google.cloud.storage', 'requests'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
