"""What the puller does to a volume: whole files, our files only, in the order that a watching gateway needs."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.puller.calls import Calls
from shared.puller.follow import Result
from tests.fakes.world import skill
from tests.puller.edge import Edge, skill_sets


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_install_writes_both_layouts_and_the_reload_mark(edge: Edge) -> None:
    edge.world.deploy(skill("a", notes="n"), skill("b"))
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    assert set(edge.files()) == {"a/SKILL.md", "a/notes.txt", "a.md", "b/SKILL.md", "b.md"}
    assert (edge.skills / ".reload").exists()
    assert edge.reports() == [("installed", "1-1", [])]


def test_an_unchanged_pointer_is_one_request_and_no_work(edge: Edge) -> None:
    edge.world.deploy(skill("a"))
    edge.look()
    edge.function.served.clear()
    before = (edge.skills / ".reload").stat().st_mtime_ns
    assert edge.look() is Result.CURRENT
    assert edge.function.served == ["GET /v1/current"]
    assert (edge.skills / ".reload").stat().st_mtime_ns == before


def test_before_the_first_deployment_there_is_nothing_to_do(edge: Edge) -> None:
    assert edge.look() is Result.CURRENT
    assert edge.files() == {}


def test_modes_are_right_whatever_the_umask_and_every_folder_can_be_read(edge: Edge) -> None:
    edge.world.deploy(skill("a", notes="n") | {"a/deep/er/x.txt": b"x"})
    old = os.umask(0o077)
    try:
        edge.look()
    finally:
        os.umask(old)
    assert {mode(path) for path in edge.skills.rglob("*") if path.is_file()} == {0o644}
    assert {mode(path) for path in edge.skills.rglob("*") if path.is_dir()} == {0o755}


def test_an_update_keeps_the_folder_and_renames_whole_files_over(edge: Edge) -> None:
    edge.world.deploy(skill("a", "One.", notes="n"))
    edge.look()
    folder, file, other = (edge.skills / path for path in ("a", "a/SKILL.md", "a/notes.txt"))
    before = (folder.stat().st_ino, file.stat().st_ino, other.stat().st_ino)
    edge.world.deploy(skill("a", "Two.", notes="n"))
    edge.look()
    after = (folder.stat().st_ino, file.stat().st_ino, other.stat().st_ino)
    assert edge.files() == edge.wanted()
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] != before[1]


def test_only_the_archive_of_what_changed_is_fetched(edge: Edge) -> None:
    edge.world.deploy(skill("a"), skill("b"))
    edge.look()
    edge.function.served.clear()
    edge.world.deploy(skill("a", "Two."), skill("b"))
    edge.look()
    fetched = [path for path in edge.function.served if "/v1/objects/" in path]
    live = edge.world.manifest.skills
    digest = edge.world.pointer.manifest.sha256
    assert fetched == [f"GET /v1/objects/{digest}", f"GET /v1/objects/{next(iter(live.values())).archive}"]


def test_a_removed_skill_goes_in_both_layouts_and_one_that_comes_back_waits_two_seconds(edge: Edge) -> None:
    edge.world.deploy(skill("a"), skill("b"))
    edge.look()
    edge.world.deploy(skill("b"))
    edge.look()
    assert edge.files() == edge.wanted()
    assert not (edge.skills / "a").exists()
    edge.world.deploy(skill("a"), skill("b"))
    edge.restart()
    edge.world.clock.slept.clear()
    edge.look()
    assert edge.files() == edge.wanted()
    assert sum(edge.world.clock.slept) == pytest.approx(2.0, abs=0.1)


def test_a_layout_that_is_turned_off_loses_its_files_and_only_those(tmp_path: Path) -> None:
    both = Edge(tmp_path)
    both.world.deploy(skill("a", notes="n"))
    both.look()
    for layout in (("tree",), ("flat",)):
        one = Edge(tmp_path, both.world, layouts=layout)
        one.look()
        assert one.files() == one.wanted()


def test_a_file_that_becomes_a_folder_and_a_folder_that_becomes_a_file_are_both_installed(edge: Edge) -> None:
    edge.world.deploy(skill("a") | {"a/x": b"file", "a/y/z": b"deep"})
    edge.look()
    edge.world.deploy(skill("a") | {"a/x/z": b"deep", "a/y": b"file"})
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    assert not edge.backups.exists()


def test_what_is_not_ours_is_left_alone(edge: Edge) -> None:
    (edge.skills / "own.md").write_text("mine")
    (edge.skills / "own").mkdir()
    (edge.skills / "own" / "SKILL.md").write_text("mine")
    edge.world.deploy(skill("a"))
    edge.look()
    (edge.skills / "a" / "note").write_text("mine")
    edge.world.deploy(skill("a", "Two."))
    edge.look()
    assert edge.files() == edge.wanted() | {"own.md": b"mine", "own/SKILL.md": b"mine", "a/note": b"mine"}
    edge.world.deploy(skill("b"))
    edge.look()
    assert edge.files() == edge.wanted() | {"own.md": b"mine", "own/SKILL.md": b"mine", "a/note": b"mine"}


@pytest.mark.parametrize("thing", ["file", "folder", "link", "dangling", "fifo"])
@pytest.mark.parametrize("path", ["a", "a.md", "a/SKILL.md", "a/notes.txt"])
def test_a_foreign_thing_on_our_path_is_moved_to_the_backup_and_reported(edge: Edge, path: str, thing: str) -> None:
    target = edge.skills / path
    target.parent.mkdir(exist_ok=True)
    outside = edge.folder / "outside"
    outside.mkdir()
    (outside / "SKILL.md").write_text("outside")
    if thing == "file":
        target.write_text("foreign")
    elif thing == "folder":
        target.mkdir()
        (target / "inside").write_text("foreign")
    elif thing == "fifo":
        os.mkfifo(target)
    else:
        target.symlink_to(outside if thing == "link" else outside / "missing")
    edge.world.deploy(skill("a", notes="n"))
    assert edge.look() is Result.INSTALLED
    kept = {} if (path, thing) != ("a", "folder") else {"a/inside": b"foreign"}
    assert edge.files() == edge.wanted() | kept
    assert [item.name for item in outside.iterdir()] == ["SKILL.md"]
    if not kept:
        assert os.path.lexists(edge.backups / "1-1" / path)
        assert edge.function.reports[0]["displaced"] == [path]


def test_a_foreign_file_that_equals_ours_is_adopted(edge: Edge) -> None:
    edge.world.deploy(skill("a"))
    (edge.skills / "a").mkdir(parents=True)
    (edge.skills / "a" / "SKILL.md").write_bytes(edge.world.live()["a"]["SKILL.md"])
    edge.look()
    assert edge.files() == edge.wanted()
    assert edge.function.reports[0]["displaced"] == []
    edge.world.deploy(skill("b"))
    edge.look()
    assert edge.files() == edge.wanted()


def test_a_second_foreign_file_does_not_overwrite_the_first_in_the_backup(edge: Edge) -> None:
    (edge.backups / "1-1").mkdir(parents=True)
    (edge.backups / "1-1" / "a.md").write_text("older")
    (edge.skills / "a.md").write_text("newer")
    edge.world.deploy(skill("a"))
    edge.look()
    assert sorted(path.read_text() for path in (edge.backups / "1-1").iterdir()) == ["newer", "older"]


def test_a_hard_linked_file_is_written_anew(edge: Edge) -> None:
    edge.world.deploy(skill("a"))
    edge.look()
    os.link(edge.skills / "a" / "SKILL.md", edge.folder / "second-name")
    edge.restart()
    edge.look()
    assert (edge.skills / "a" / "SKILL.md").stat().st_nlink == 1
    assert edge.files() == edge.wanted()


def test_a_reader_never_sees_a_missing_or_half_file_while_updates_go_on(edge: Edge) -> None:
    texts = [f"{number} " * 20_000 for number in range(50)]
    edge.world.deploy(skill("a", texts[0]))
    edge.look()
    valid = {skill("a", text)["a/SKILL.md"] for text in texts}
    faults: list[str] = []
    reads = 0
    done = threading.Event()

    def read() -> None:
        nonlocal reads
        while not done.is_set():
            for path in ("a/SKILL.md", "a.md"):
                try:
                    if (edge.skills / path).read_bytes() not in valid:
                        faults.append(f"{path} is half")
                except FileNotFoundError:
                    faults.append(f"{path} is missing")
                reads += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for text in texts[1:]:
            edge.world.deploy(skill("a", text))
            assert edge.look() is Result.INSTALLED
    finally:
        done.set()
        reader.join()
    assert (faults, reads > 50) == ([], True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=st.lists(skill_sets(), min_size=1, max_size=5), restarts=st.booleans())
def test_whatever_came_before_the_volume_ends_equal_to_the_last_manifest(
    tmp_path_factory: pytest.TempPathFactory, versions: list[dict[str, bytes]], *, restarts: bool
) -> None:
    edge = Edge(tmp_path_factory.mktemp("volume"))
    for files in versions:
        edge.world.deploy(files)
        if restarts:
            edge.restart()
        edge.look()
        assert edge.files() == edge.wanted()
        assert not _empty_folders(edge.skills)


def _empty_folders(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_dir() and not any(path.iterdir())]


class Told(Calls):
    """Tells which folders are flushed, and which names are given, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def sync(self, fd: int) -> None:
        self.told.append(f"flush {Path(f'/proc/self/fd/{fd}').readlink().name}")

    def sync_disk(self, fd: int) -> None:
        del fd
        self.told.append("flush all")

    def rename(self, name: str, target: str, fd: int, target_fd: int) -> None:
        self.told.append(f"rename {target}")
        super().rename(name, target, fd, target_fd)

    def touch(self, fd: int) -> None:
        self.told.append("touch")
        super().touch(fd)


def test_what_is_renamed_in_was_flushed_before_and_its_names_are_before_anything_else_follows(edge: Edge) -> None:
    edge.world.deploy(*(skill(f"s{number:02d}") for number in range(40)))
    edge.calls = calls = Told()
    edge.restart()
    assert edge.look() is Result.INSTALLED
    told = calls.told
    moved = [at for at, what in enumerate(told) if what.startswith("rename s") and what[8:10].isdigit()]
    assert len(moved) == 80
    assert "flush all" in told[: moved[0]]
    assert told[moved[-1] + 1 :][:3] == ["flush skills", "flush staging", "touch"]
    assert all(what.startswith("rename s") for what in told[moved[0] : moved[-1] + 1])
