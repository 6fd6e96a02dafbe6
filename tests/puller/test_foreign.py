"""What people and agents put into the skills folder: never followed, never lost, whenever it appears."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.puller.calls import Calls
from shared.puller.follow import Result
from tests.fakes.world import skill
from tests.puller.edge import Edge, Quick

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

WORK = b"a person's work"


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """A volume with skills a and b."""
    built = Edge(tmp_path)
    built.world.deploy(skill("a", notes="n"), skill("b"))
    built.look()
    return built


def survives(edge: Edge) -> bool:
    return any(path.is_file() and path.read_bytes() == WORK for path in edge.folder.rglob("*"))


def while_an_archive_is_fetched(edge: Edge, act: Callable[[], object]) -> None:
    """Do something once, just before the next archive is served."""
    manifest = f"/v1/objects/{edge.world.pointer.manifest.sha256}"
    waiting = [act]

    def fault(request: httpx.Request) -> None:
        if request.url.path.startswith("/v1/objects/") and request.url.path != manifest and waiting:
            waiting.pop()()

    edge.function.fault = fault


@pytest.mark.parametrize("path", ["a/note", "a/SKILL.md", "a.md", "a/notes.txt"])
def test_what_arrives_in_a_removed_skill_during_a_download_is_not_lost(edge: Edge, path: str) -> None:
    edge.world.deploy(skill("b", "Two."))
    while_an_archive_is_fetched(edge, lambda: (edge.skills / path).write_bytes(WORK))
    assert edge.look() is Result.INSTALLED
    assert survives(edge)
    assert edge.wanted().items() <= edge.files().items()


@pytest.mark.parametrize("path", ["b/SKILL.md", "b.md", "c.md", "c"])
def test_what_arrives_on_a_path_of_ours_during_a_download_is_not_lost(edge: Edge, path: str) -> None:
    edge.world.deploy(skill("b", "Two."), skill("c"))
    while_an_archive_is_fetched(edge, lambda: (edge.skills / path).write_bytes(WORK))
    assert edge.look() is Result.INSTALLED
    assert survives(edge)
    assert edge.function.reports[-1]["displaced"] == [path]
    assert edge.files() == edge.wanted()


@pytest.mark.parametrize("path", ["a", "a/note", "a/SKILL.md", "a.md"])
def test_what_arrives_where_nothing_stood_during_the_first_download_is_not_lost(tmp_path: Path, path: str) -> None:
    edge = Edge(tmp_path)
    edge.world.deploy(skill("a", notes="n"), skill("b"))

    def work() -> None:
        (edge.skills / path).parent.mkdir(exist_ok=True)
        (edge.skills / path).write_bytes(WORK)

    while_an_archive_is_fetched(edge, work)
    assert edge.look() is Result.INSTALLED
    assert survives(edge)
    assert edge.function.reports[-1]["displaced"] == ([] if path == "a/note" else [path])
    assert edge.wanted().items() <= edge.files().items()


class Intruding(Quick):
    """Puts a file into a skill's folder at the very moment before that folder is renamed away."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge

    def rename(self, name: str, target: str, fd: int, target_fd: int) -> None:
        if name == "a":
            (self.edge.skills / "a" / "note").write_bytes(WORK)
        super().rename(name, target, fd, target_fd)


def test_what_arrives_in_the_last_moment_leaves_with_the_folder_and_is_kept(edge: Edge) -> None:
    edge.calls = Intruding(edge)
    edge.restart()
    edge.world.deploy(skill("b"))
    edge.look()
    assert not (edge.skills / "a").exists()
    assert (edge.backups / "1-2" / "a" / "note").read_bytes() == WORK
    assert not (edge.backups / "1-2" / "a" / "SKILL.md").exists()


def test_a_file_of_ours_that_somebody_edited_is_kept_before_it_is_replaced(edge: Edge) -> None:
    (edge.skills / "a.md").write_bytes(WORK)
    edge.world.deploy(skill("a", "Two.", notes="n"), skill("b"))
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    assert (edge.backups / "1-2" / "a.md").read_bytes() == WORK
    assert edge.function.reports[-1]["displaced"] == ["a.md"]


@pytest.mark.parametrize("path", ["a/SKILL.md", "a.md", "a/notes.txt"])
def test_a_file_of_ours_that_somebody_edited_is_kept_when_its_skill_is_removed(edge: Edge, path: str) -> None:
    (edge.skills / path).write_bytes(WORK)
    edge.world.deploy(skill("b"))
    edge.look()
    assert edge.files() == edge.wanted()
    assert not (edge.skills / "a").exists()
    assert (edge.backups / "1-2" / path).read_bytes() == WORK


def test_an_overwritten_foreign_file_is_there_at_every_moment(edge: Edge) -> None:
    (edge.skills / "a" / "SKILL.md").write_bytes(WORK)
    missing: list[str] = []

    class Watching(Quick):
        def __getattribute__(self, name: str) -> object:
            if not (edge.skills / "a" / "SKILL.md").exists():
                missing.append(name)
            return super().__getattribute__(name)

    edge.calls = Watching()
    edge.restart()
    edge.world.deploy(skill("a", "Two.", notes="n"), skill("b"))
    assert edge.look() is Result.INSTALLED
    assert missing == []


def test_foreign_files_of_a_removed_skill_stay_and_its_skill_file_goes_first(edge: Edge) -> None:
    gone: list[str] = []

    class Noting(Quick):
        def unlink(self, name: str, fd: int) -> None:
            gone.append(name)
            super().unlink(name, fd)

    (edge.skills / "a" / "own").mkdir()
    edge.calls = Noting()
    edge.restart()
    edge.world.deploy(skill("b"))
    edge.look()
    assert sorted(path.name for path in (edge.skills / "a").iterdir()) == ["own"]
    assert [name for name in gone if name in {"SKILL.md", "notes.txt"}] == ["SKILL.md", "notes.txt"]


@pytest.mark.parametrize("inner", ["", "/deep"])
def test_a_link_in_the_way_is_displaced_and_never_followed(edge: Edge, inner: str) -> None:
    outside = edge.folder / "outside"
    outside.mkdir()
    edge.world.deploy(skill("b"))
    edge.look()
    (edge.skills / f"a{inner}").parent.mkdir(exist_ok=True)
    (edge.skills / f"a{inner}").symlink_to(outside)
    edge.world.deploy(skill("a", "Two.") | {"a/deep/x": b"x"}, skill("b"))
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    assert list(outside.iterdir()) == []
    assert (edge.backups / "1-3" / f"a{inner}").is_symlink()


def test_a_name_that_was_displaced_rests_before_the_skill_comes(edge: Edge) -> None:
    (edge.skills / "c").write_bytes(WORK)
    edge.world.deploy(skill("a", notes="n"), skill("b"), skill("c"))
    edge.world.clock.slept.clear()
    edge.look()
    assert sum(edge.world.clock.slept) == 2.0


def test_the_rest_of_a_name_begins_when_it_really_went(edge: Edge) -> None:
    edge.world.deploy(skill("b"))
    edge.look()
    edge.world.clock.move(1.5)
    edge.world.deploy(skill("a"))
    edge.look()  # a has 0.5 s left to rest, and b goes
    edge.world.clock.slept.clear()
    edge.world.deploy(skill("a"), skill("b"))
    edge.look()
    assert 1.4 < sum(edge.world.clock.slept) <= 2.0


def test_a_backup_whose_name_is_blocked_gets_another_one(edge: Edge) -> None:
    (edge.backups / "1-2").mkdir(parents=True)
    (edge.backups / "1-2" / "a").write_text("a file where a folder is needed")
    (edge.skills / "a" / "SKILL.md").write_bytes(WORK)
    edge.world.deploy(skill("a", "Two."), skill("b"))
    assert edge.look() is Result.INSTALLED
    assert (edge.backups / "1-2.2" / "a" / "SKILL.md").read_bytes() == WORK


class OtherDisk(Quick):
    """A backup folder on another filesystem: nothing can be renamed into it from outside."""

    def __init__(self, backups: Path) -> None:
        self.backups = str(backups)

    def rename(self, name: str, target: str, fd: int, target_fd: int) -> None:
        inside = [str(Path(f"/proc/self/fd/{each}").readlink()).startswith(self.backups) for each in (fd, target_fd)]
        if inside == [False, True]:
            raise OSError(errno.EXDEV, "another filesystem")
        super().rename(name, target, fd, target_fd)


@pytest.mark.parametrize("thing", ["file", "folder", "link", "fifo"])
def test_foreign_things_reach_a_backup_folder_on_another_filesystem(edge: Edge, thing: str) -> None:
    target = edge.skills / "c"
    if thing == "folder":
        target = edge.skills / "c.md"
        (target / "inside").mkdir(parents=True)
        (target / "inside" / "x").write_bytes(WORK)
        os.mkfifo(target / "pipe")
    elif thing == "file":
        target.write_bytes(WORK)
    elif thing == "link":
        target.symlink_to("nowhere")
    else:
        os.mkfifo(target)
    edge.calls = OtherDisk(edge.backups)
    edge.restart()
    edge.world.deploy(skill("a", notes="n"), skill("b"), skill("c"))
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    kept = {str(path.relative_to(edge.backups / "1-2")) for path in edge.backups.glob("1-2/**/*")}
    expected: dict[str, set[str]] = {
        "file": {"c"},
        "folder": {"c.md", "c.md/inside", "c.md/inside/x"},
        "link": {"c"},
        "fifo": set(),
    }
    assert kept == expected[thing]
    assert [path.name for path in edge.backups.iterdir()] == ["1-2"], "no half copy stays"


def test_a_state_that_cannot_be_read_now_is_not_taken_for_a_damaged_one(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, count: int) -> bytes:
        raise OSError(errno.EIO, f"cannot read {count} bytes of {fd}")

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", refuse)
        with pytest.raises(OSError, match="cannot read"):
            edge.restart()
    edge.restart()
    assert edge.look() is Result.CURRENT
    assert list((edge.folder / ".skill-sync").glob("state.damaged-*")) == []


def test_a_layout_that_is_turned_off_takes_its_files_with_it_and_turned_on_again_needs_no_download(edge: Edge) -> None:
    (edge.skills / "own.md").write_bytes(WORK)
    edge.layouts = ("tree",)
    edge.restart()
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted() | {"own.md": WORK}
    edge.layouts = ("tree", "flat")
    edge.restart()
    edge.function.served.clear()
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted() | {"own.md": WORK}
    assert not [call for call in edge.function.served if "/v1/objects/" in call], "not even the manifest"


def test_the_calls_that_wait_for_the_disk_are_made(edge: Edge) -> None:
    synced: list[str] = []

    class Noting(Calls):
        def sync(self, fd: int) -> None:
            synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()).removeprefix(str(edge.folder)))

        def rename(self, name: str, target: str, fd: int, target_fd: int) -> None:
            synced.append(f"rename {name}")
            super().rename(name, target, fd, target_fd)

    edge.calls = Noting()
    edge.restart()
    edge.world.deploy(skill("a", "Two.", notes="n"), skill("b"))
    edge.look()
    renamed = synced.index("rename SKILL.md")
    assert "/.skill-sync/staging/a/SKILL.md" in synced[:renamed], "the content before the name"
    assert "/skills/a" in synced[renamed:], "the name before the state says so"
    assert synced.index("rename state.new") < renamed, "the floor before everything"
