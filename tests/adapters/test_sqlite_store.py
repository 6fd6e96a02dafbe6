"""What the SQLite store does beyond the contract: faults, crashes, forks, files."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.adapters import sqlite_store
from shared.adapters.sqlite_store import SqliteStore
from shared.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., subprocess.Popen[str]]

ROOT = Path(__file__).parents[2]
NOBODY = 65534
BUSY_TIMEOUT_SECONDS = 0.05


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS)) as opened:
        yield opened


def calls(store: SqliteStore) -> list[Callable[[], object]]:
    """Give one call of each method."""
    return [
        lambda: store.get("a"),
        lambda: store.put("a", b"new", if_generation=0),
        lambda: store.delete("a", if_generation=1),
        lambda: store.list(""),
    ]


def assert_unavailable(call: Callable[[], object]) -> None:
    with pytest.raises(UnavailableError) as caught:
        call()
    assert caught.value.code == "STORE_UNAVAILABLE"


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python in other processes, with the arguments in `sys.argv`; they and their children end with the test."""
    started = []

    def start_one(text: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "import sys\nfrom shared.adapters.sqlite_store import SqliteStore\n" + text]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(
                [*command, *map(str, arguments)], cwd=ROOT, stdin=pipe, stdout=pipe, text=True, start_new_session=True
            )
        )
        return started[-1]

    yield start_one
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def open_files(path: Path) -> list[str]:
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(str(entry.readlink()))
    return [link for link in links if link.startswith(str(path))]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root writes read-only files too, so put it off for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_constructor_touches_nothing(path: Path) -> None:
    SqliteStore(path)
    assert not path.parent.exists()


def test_bad_name_does_not_even_create_the_file(store: SqliteStore, path: Path) -> None:
    with pytest.raises(InputError):
        store.put("../a", b"", if_generation=0)
    with pytest.raises(InputError):
        store.list("", limit=0)
    assert not path.parent.exists()


def test_relative_path_stays_where_it_was_when_the_process_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with closing(SqliteStore("store.db")) as store:
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.put("a", b"", if_generation=0)
    assert (tmp_path / "store.db").exists()


def test_commits_go_to_the_disk_through_a_write_ahead_log(store: SqliteStore) -> None:
    with store._reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_listing_searches_one_range_of_the_index(store: SqliteStore) -> None:
    with store._reading() as connection:
        plan = connection.execute("EXPLAIN QUERY PLAN " + sqlite_store._LIST, (b"a", b"b", 10)).fetchall()
    (step,) = [row[-1] for row in plan]
    assert step.startswith("SEARCH objects USING INDEX")
    assert step.endswith("(name>? AND name<?)")


def test_listing_behind_a_text_that_is_not_unicode_is_empty(store: SqliteStore) -> None:
    store.put("a", b"", if_generation=0)
    assert store.list("\ud800") == []
    assert store.list("", after="\ud800") == []


def test_generations_rise_over_all_names_and_over_reopening(path: Path) -> None:
    seen = []
    for name in ("b", "a", "c"):
        with closing(SqliteStore(path)) as store:
            seen.append(store.put(name, b"one", if_generation=0))
            seen.append(store.put(name, b"two", if_generation=seen[-1]))
            store.delete(name, if_generation=seen[-1])
    assert seen == sorted(set(seen))


def test_closing_leaves_no_file_open_and_the_store_usable(store: SqliteStore, path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(store.get, ["a"] * 64))
    assert open_files(path)
    store.close()
    assert open_files(path) == []
    store.put("a", b"one", if_generation=0)
    assert store.get("a").data == b"one"


def test_locked_database_is_unavailable_for_writes_once_the_timeout_is_over_and_then_recovers(
    store: SqliteStore, path: Path
) -> None:
    generation = store.put("b", b"old", if_generation=0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert_unavailable(lambda: store.put("a", b"new", if_generation=0))
        assert_unavailable(lambda: store.delete("b", if_generation=generation))
        assert store.get("b").data == b"old"
        assert [each.name for each in store.list("")] == ["b"]
    store.put("a", b"new", if_generation=0)


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_new_file_that_another_process_holds_is_waited_for_and_then_unavailable(
    store: SqliteStore, path: Path, lock: str
) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(lock)
        for call in calls(store):
            started = time.monotonic()
            assert_unavailable(call)
            assert time.monotonic() - started >= BUSY_TIMEOUT_SECONDS
    assert store.put("a", b"new", if_generation=0)


@pytest.mark.parametrize("content", [b"not a database " * 400, b"SQLite format 3\0" + b"\xff" * 8176])
def test_file_that_is_no_database_is_unavailable_and_left_alone(store: SqliteStore, path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    for call in calls(store):
        assert_unavailable(call)
    assert path.read_bytes() == content


def test_database_with_damaged_pages_is_unavailable(store: SqliteStore, path: Path) -> None:
    store.put("a", b"old" * 50_000, if_generation=0)
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    for call in calls(store):
        assert_unavailable(call)


def test_database_with_other_tables_of_our_name_is_unavailable(store: SqliteStore, path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE objects (something TEXT)")
    for call in calls(store):
        assert_unavailable(call)


def test_folder_instead_of_the_file_is_unavailable(store: SqliteStore, path: Path) -> None:
    path.mkdir(parents=True)
    for call in calls(store):
        assert_unavailable(call)


def test_file_instead_of_the_folder_is_unavailable(store: SqliteStore, path: Path) -> None:
    path.parent.write_bytes(b"")
    for call in calls(store):
        assert_unavailable(call)


def test_folder_that_cannot_be_made_is_unavailable() -> None:
    for call in calls(SqliteStore("/proc/none/store.db")):
        assert_unavailable(call)


def test_read_only_file_is_unavailable_and_left_alone() -> None:
    with tempfile.TemporaryDirectory() as folder, closing(SqliteStore(Path(folder) / "store.db")) as store:
        store.put("a", b"old", if_generation=0)
        store.close()
        (Path(folder) / "store.db").chmod(0o444)
        Path(folder).chmod(0o555)
        with unprivileged():
            for call in calls(store):
                assert_unavailable(call)
        Path(folder).chmod(0o755)
        (Path(folder) / "store.db").chmod(0o644)
        assert store.get("a").data == b"old"


def test_full_disk_is_unavailable_and_keeps_the_old_content(store: SqliteStore, path: Path, start: Start) -> None:
    generation = store.put("a", b"old", if_generation=0)
    text = """
import resource
from shared.errors import UnavailableError
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
store = SqliteStore(sys.argv[1])
try:
    store.put("a", bytes(4_000_000), if_generation=int(sys.argv[2]))
except UnavailableError as error:
    print(error.code, store.get("a").data)
store.close()
"""
    output, _ = start(text, path, generation).communicate(timeout=30)
    assert output == "STORE_UNAVAILABLE b'old'\n"
    assert (store.get("a").data, store.get("a").generation) == (b"old", generation)


def test_writer_killed_in_the_middle_of_a_transaction_leaves_the_old_content(
    store: SqliteStore, path: Path, start: Start
) -> None:
    generation = store.put("a", b"old", if_generation=0)
    # The small cache makes SQLite write uncommitted pages into the log, as it would for a large object.
    text = """
store = SqliteStore(sys.argv[1])
with store._writing() as connection:
    connection.execute("PRAGMA cache_size = 5")
    connection.execute("UPDATE objects SET data = zeroblob(2000000)")
    connection.execute("INSERT INTO objects (name, updated_at, size, data) VALUES ('b', '', 0, zeroblob(2000000))")
    print("in the middle", flush=True)
    input()
"""
    writer = start(text, path)
    assert writer.stdout.readline() == "in the middle\n"
    assert path.with_name("store.db-wal").stat().st_size > 1_000_000
    writer.kill()
    writer.communicate(timeout=30)
    assert (store.get("a").data, store.get("a").generation) == (b"old", generation)
    assert [each.name for each in store.list("")] == ["a"]
    assert store.put("a", b"new", if_generation=generation) > generation


def test_every_write_that_returned_before_a_kill_is_there_and_whole(
    store: SqliteStore, path: Path, start: Start
) -> None:
    text = """
store = SqliteStore(sys.argv[1])
generation = 0
for number in range(1_000_000):
    generation = store.put("a", b"%d " % number * 20_000, if_generation=generation)
    print(number, flush=True)
"""
    writer = start(text, path)
    for _ in range(30):
        writer.stdout.readline()
    writer.kill()
    output, _ = writer.communicate(timeout=30)
    returned = int(output.split("\n")[-2]) if "\n" in output else 29
    numbers = set(store.get("a").data.split())
    assert numbers in ({b"%d" % returned}, {b"%d" % (returned + 1)})


def test_store_that_was_in_use_before_a_fork_works_in_parent_and_children(
    store: SqliteStore, path: Path, start: Start
) -> None:
    text = """
import os, threading, warnings
from tests.contracts.test_store_contract import raise_counter
warnings.simplefilter("ignore")
store = SqliteStore(sys.argv[1])
threads = [threading.Thread(target=raise_counter, args=(store, 50)) for _ in range(2)]
for thread in threads:
    thread.start()
children = []
for _ in range(3):
    children.append(os.fork())
    if not children[-1]:
        raise_counter(store, 50)
        store.close()
        os._exit(0)
    store.close()
for thread in threads:
    thread.join()
store.close()
print([os.waitpid(child, 0)[1] for child in children], store.get("counter").data)
"""
    output, _ = start(text, path).communicate(timeout=60)
    assert output == "[0, 0, 0] b'250'\n"
    assert store.get("counter").data == b"250"
    with store._reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_no_connection_is_open_while_the_process_forks(store: SqliteStore, path: Path, start: Start) -> None:
    text = """
import os
from pathlib import Path
store = SqliteStore(sys.argv[1])
store.put("a", b"one", if_generation=0)
child = os.fork()
if not child:
    links = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    os._exit(any(link.startswith(sys.argv[1]) for link in links))
print(os.waitpid(child, 0)[1], store.get("a").data)
store.close()
"""
    output, _ = start(text, path).communicate(timeout=60)
    assert output == "0 b'one'\n"
    assert store.get("a").data == b"one"
