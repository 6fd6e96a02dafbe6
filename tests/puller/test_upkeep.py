"""What somebody changes in installed files is noticed within a minute, repaired or told, and never lost."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from shared.puller.backup import MAX_COPIES
from shared.puller.follow import Result
from shared.puller.status import metrics
from shared.puller.upkeep import REPORT
from tests.fakes.release_transport import refusal
from tests.fakes.world import skill
from tests.puller.drifting import WORK, a_minute, told, write_unseen
from tests.puller.edge import Edge, Quick
from tests.puller.test_crash import Counted, Killed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """A volume with skills a and b, looked at for a while."""
    return a_volume(tmp_path)


def a_volume(folder: Path) -> Edge:
    built = Edge(folder, max_bytes=10**9)
    built.world.deploy(skill("a", notes="n", more="m") | {"a/deep/er/x": b"x", "a/deep/y": b"y"}, skill("b", notes="n"))
    built.look()
    a_minute(built)
    built.function.reports.clear()
    return built


def modes(edge: Edge) -> dict[str, int]:
    found = edge.skills.rglob("*")
    return {str(path.relative_to(edge.skills)): stat.S_IMODE(path.lstat().st_mode) for path in found}


def replace_by_link(path: Path) -> None:
    target = path.parent / f"{path.name}.real"
    path.rename(target)
    path.symlink_to(target.name)


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "mine").write_bytes(WORK)


def replace_by_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(WORK)


FILES = ["a/SKILL.md", "a.md", "a/notes.txt", "a/deep/er/x", "b/notes.txt"]
FILE_ACTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (lambda path: path.write_bytes(WORK), "changed"),
    "appended to": (lambda path: path.write_bytes(path.read_bytes() + WORK), "changed"),
    "emptied": (lambda path: path.write_bytes(b""), "changed"),
    "edited unseen": (lambda path: write_unseen(path, bytes(len(path.read_bytes()))), "changed"),
    "deleted": (lambda path: path.unlink(), "missing"),
    "made executable": (lambda path: path.chmod(0o755), "changed"),
    "locked": (lambda path: path.chmod(0), "changed"),
    "linked hard": (lambda path: os.link(path, path.with_name("second")), "changed"),
    "made a link": (replace_by_link, "changed"),
    "made a pipe": (replace_by_fifo, "changed"),
    "made a folder": (replace_by_folder, "changed"),
}


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("act", FILE_ACTS)
def test_whatever_becomes_of_a_file_is_repaired_within_a_minute_and_told_once(edge: Edge, path: str, act: str) -> None:
    do, what = FILE_ACTS[act]
    right = modes(edge)
    do(edge.skills / path)
    a_minute(edge)
    left = {name: mode for name, mode in modes(edge).items() if not name.endswith((".real", "second"))}
    assert left == right
    assert edge.wanted().items() <= edge.files().items()
    assert [each for each in told(edge) if each[2] != "reported"] == [(path, what, "repaired")]
    a_minute(edge)
    assert [each for each in told(edge) if each[2] != "reported"] == [(path, what, "repaired")]


def test_a_second_hard_link_keeps_the_content_and_the_file_of_ours_is_its_own_again(edge: Edge) -> None:
    os.link(edge.skills / "a" / "SKILL.md", edge.folder / "second")
    a_minute(edge)
    assert (edge.skills / "a" / "SKILL.md").stat().st_nlink == 1
    assert (edge.folder / "second").read_bytes() == edge.wanted()["a/SKILL.md"]


FOLDER_ACTS: dict[str, Callable[[Path], object]] = {
    "deleted": shutil.rmtree,
    "made a file": replace_by_file,
    "made a link": replace_by_link,
    "locked": lambda path: path.chmod(0o700),
    "opened": lambda path: path.chmod(0o777),
    "emptied": lambda path: [shutil.rmtree(each) if each.is_dir() else each.unlink() for each in path.iterdir()],
    "moved": lambda path: path.rename(path.with_name("elsewhere")),
}


@pytest.mark.parametrize("path", ["a", "a/deep", "a/deep/er"])
@pytest.mark.parametrize("act", FOLDER_ACTS)
def test_whatever_becomes_of_a_folder_is_repaired_within_a_minute(edge: Edge, path: str, act: str) -> None:
    right = modes(edge)
    FOLDER_ACTS[act](edge.skills / path)
    a_minute(edge)
    assert edge.wanted().items() <= edge.files().items()
    assert right.items() <= modes(edge).items()
    assert {action for _, _, action in told(edge)} <= {"repaired", "reported"}
    before = told(edge)
    a_minute(edge)
    assert told(edge) == before, "told once"


def test_the_whole_skills_folder_comes_back_though_a_deployment_is_due(edge: Edge) -> None:
    right = modes(edge)
    shutil.rmtree(edge.skills)
    edge.world.deploy(skill("b", "Two.", notes="n"), skill("c"))
    a_minute(edge)
    assert edge.files() == edge.wanted()
    shutil.rmtree(edge.skills)
    a_minute(edge)
    assert edge.files() == edge.wanted()
    assert modes(edge)["b"] == right["b"]


def test_what_was_only_touched_is_no_news(edge: Edge) -> None:
    for path in (edge.skills / "a" / "SKILL.md", edge.skills / "a", edge.skills / "b.md"):
        os.utime(path)
    before = edge.snapshot()
    a_minute(edge)
    assert edge.snapshot() == before
    assert told(edge) == []


def test_what_happens_again_is_told_again(edge: Edge) -> None:
    for _ in range(2):
        (edge.skills / "a.md").write_bytes(WORK)
        a_minute(edge)
    assert told(edge) == [("a.md", "changed", "repaired")] * 2
    assert edge.follower.upkeep.counts == {"repaired": 2}
    assert 'skill_sync_puller_drift_total{action="repaired"} 2' in metrics(edge.follower, 0.0, 2.0)


def test_an_edit_is_kept_beside_the_backups_and_in_none_of_them(edge: Edge) -> None:
    edge.world.deploy(skill("b", "Two.", notes="n"))
    edge.look()
    whole = {path: path.read_bytes() for path in (edge.backups / "1-2").rglob("*") if path.is_file()}
    (edge.skills / "b" / "notes.txt").write_bytes(WORK)  # not changed by 1-2: its backup holds the same content
    a_minute(edge)
    assert (edge.backups / "drift" / "b" / "notes.txt").read_bytes() == WORK
    assert {path: path.read_bytes() for path in (edge.backups / "1-2").rglob("*") if path.is_file()} == whole


def test_an_editor_who_never_rests_does_not_fill_the_volume(edge: Edge) -> None:
    for number in range(MAX_COPIES + 15):
        (edge.skills / "a.md").write_bytes(b"%d" % number)
        a_minute(edge)
    copies = {path.read_bytes() for path in (edge.backups / "drift").iterdir()}
    assert copies == {b"%d" % number for number in range(15, MAX_COPIES + 15)}, "the newest"
    assert edge.files() == edge.wanted()


def test_folders_that_are_put_in_the_way_again_and_again_do_not_fill_the_volume_either(edge: Edge) -> None:
    for _ in range(MAX_COPIES + 3):
        replace_by_folder(edge.skills / "a.md")
        a_minute(edge, until=(edge.skills / "a.md").is_file)
    assert len(list((edge.backups / "drift").iterdir())) == MAX_COPIES
    assert edge.files() == edge.wanted()


@pytest.mark.parametrize("name", ["a/own", "a/deep/own", "a/deep/er/own/x", b"a/\xff\xfe", "a/line\nbreak"])
def test_what_somebody_adds_is_told_once_and_left(edge: Edge, name: str | bytes) -> None:
    path = edge.skills / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(WORK)
    a_minute(edge)
    assert path.read_bytes() == WORK
    assert [each[1:] for each in told(edge)] == [("added", "reported")]
    (edge.skills / "a.md").write_bytes(WORK)
    a_minute(edge)
    assert [each[1:] for each in told(edge)] == [("added", "reported"), ("changed", "repaired")]
    assert path.read_bytes() == WORK


def test_what_is_added_gone_and_added_again_is_told_again(edge: Edge) -> None:
    for _ in range(2):
        (edge.skills / "a" / "own").write_bytes(WORK)
        a_minute(edge)
        (edge.skills / "a" / "own").unlink()
        a_minute(edge)
    assert told(edge) == [("a/own", "added", "reported")] * 2


def test_what_lies_beside_the_skills_is_nobodys_business(edge: Edge) -> None:
    (edge.skills / "own").mkdir()
    (edge.skills / "own" / "SKILL.md").write_bytes(WORK)
    (edge.skills / "own.md").write_bytes(WORK)
    a_minute(edge)
    assert told(edge) == []
    assert edge.files() == edge.wanted() | {"own/SKILL.md": WORK, "own.md": WORK}


@pytest.mark.parametrize("layouts", [("tree",), ("flat",)])
def test_a_single_layout_is_looked_after(tmp_path: Path, layouts: tuple[str, ...]) -> None:
    edge = Edge(tmp_path, layouts=layouts)
    edge.world.deploy(skill("a", notes="n"))
    edge.look()
    a_minute(edge)
    for path in edge.wanted():
        (edge.skills / path).write_bytes(WORK)
    a_minute(edge)
    assert edge.files() == edge.wanted()
    assert {each[0] for each in told(edge)} == set(edge.wanted())


def test_report_alone_changes_nothing_and_tells_each_change_once(edge: Edge) -> None:
    edge.drift = REPORT
    edge.restart()
    edge.look()
    for data in (WORK, b"two", b"two"):
        (edge.skills / "a.md").write_bytes(data)
        a_minute(edge)
        assert (edge.skills / "a.md").read_bytes() == data
    assert told(edge) == [("a.md", "changed", "reported")] * 2, "the third time it was the same"
    (edge.skills / "b.md").unlink()
    a_minute(edge)
    assert told(edge)[2:] == [("b.md", "missing", "reported")]
    (edge.skills / "a.md").write_bytes(edge.wanted()["a.md"])
    a_minute(edge)
    (edge.skills / "a.md").write_bytes(b"two")
    a_minute(edge)
    assert told(edge)[3:] == [("a.md", "changed", "reported")], "again, for it was right in between"
    assert not (edge.backups / "drift").exists()


def test_after_report_alone_a_resume_repairs(edge: Edge) -> None:
    edge.drift = REPORT
    edge.restart()
    edge.look()
    (edge.skills / "a.md").write_bytes(WORK)
    (edge.skills / "b.md").unlink()
    a_minute(edge)
    (edge.folder / ".skill-sync" / "resume").touch()
    edge.look()
    assert edge.files() == edge.wanted()
    (edge.skills / "a.md").write_bytes(WORK)
    a_minute(edge)
    assert (edge.skills / "a.md").read_bytes() == WORK, "only that once"


def unreachable(_request: httpx.Request) -> httpx.Response:
    return refusal(503, "BUSY")


def test_a_repair_needs_no_release_function(edge: Edge) -> None:
    edge.function.fault = unreachable
    shutil.rmtree(edge.skills / "a")
    (edge.skills / "b.md").write_bytes(WORK)
    a_minute(edge)
    assert edge.files() == edge.wanted()
    edge.function.fault = lambda _: None
    a_minute(edge)
    assert {path for path, _, _ in told(edge)} >= {"a/SKILL.md", "b.md"}


def test_after_a_restart_a_repair_needs_no_release_function_either(edge: Edge) -> None:
    edge.function.fault = unreachable
    shutil.rmtree(edge.skills / "a")
    edge.restart()
    edge.look()
    assert edge.files() == edge.wanted()


def test_while_nothing_can_be_fetched_what_can_be_repaired_is(edge: Edge) -> None:
    for root in (edge.skills, edge.backups / ".next"):
        shutil.rmtree(root / "a", ignore_errors=True)
    (edge.skills / "a.md").unlink()
    (edge.backups / ".next" / "a.md").unlink()
    (edge.skills / "b.md").write_bytes(WORK)
    edge.function.fault = unreachable
    a_minute(edge)
    assert (edge.skills / "b.md").read_bytes() == edge.wanted()["b.md"]
    edge.function.fault = lambda _: None
    a_minute(edge)
    assert edge.files() == edge.wanted()
    assert ("a.md", "missing", "reported") in told(edge)
    assert ("a.md", "missing", "repaired") in told(edge)


def test_an_archive_that_is_gone_from_the_store_stands_in_no_other_skills_way(edge: Edge) -> None:
    archive = edge.world.manifest.skills["a"].archive
    shutil.rmtree(edge.backups)
    for path in ("a.md", "a/SKILL.md", "b.md", "b/SKILL.md"):
        (edge.skills / path).unlink()
    edge.function.fault = lambda request: refusal(404, "OBJECT_MISSING") if archive in request.url.path else None
    a_minute(edge)
    assert {path for path in edge.wanted() if path[0] == "b"} <= set(edge.files())
    edge.function.fault = lambda _: None
    a_minute(edge)
    assert edge.files() == edge.wanted()


def test_a_refused_pointer_keeps_nothing_from_being_repaired(edge: Edge) -> None:
    edge.world.clock.move(10 * 24 * 3600.0)
    assert edge.look() is Result.REFUSED
    (edge.skills / "a.md").write_bytes(WORK)
    a_minute(edge)
    assert edge.files() == edge.wanted()
    assert edge.follower.standing.condition.value != "READY"


def test_while_an_install_is_unfinished_nothing_is_taken_for_drift(edge: Edge) -> None:
    edge.world.deploy(skill("a", "Two."), skill("b", "Two.", notes="n"))
    at = 1
    while not edge.follower.state.unfinished:
        edge.calls = Counted(at, lambda: OSError(errno.ENOSPC, "no space"))
        edge.restart()
        edge.look()
        at += 1
    assert told(edge) == []
    edge.calls = Quick()
    edge.restart()
    edge.look()
    a_minute(edge)
    assert edge.files() == edge.wanted()
    assert told(edge) == []


def drifted(folder: Path) -> Edge:
    """A volume on which a repair replaces, adds, deletes, displaces, and lets a name rest; noticed, and not yet acted on."""
    edge = a_volume(folder)
    edge.world.deploy(
        skill("a", "Two.", more="m") | {"a/deep/er/x": b"x", "a/deep/y": b"y"}, skill("b", notes="n"), skill("c")
    )
    edge.look()
    a_minute(edge)
    old = skill("a", notes="n")
    (edge.skills / "a" / "SKILL.md").write_bytes(old["a/SKILL.md"])
    (edge.skills / "a" / "notes.txt").write_bytes(old["a/notes.txt"])
    (edge.skills / "a" / "more.txt").write_bytes(WORK)
    (edge.skills / "a" / "deep" / "own").write_bytes(b"own")
    replace_by_file(edge.skills / "b")
    replace_by_folder(edge.skills / "b.md")
    shutil.rmtree(edge.skills / "c")
    edge.restart()
    return edge


@pytest.mark.parametrize("reachable", [True, False])
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_any_change_of_the_disk_during_a_repair_ends_like_a_clean_repair(
    tmp_path: Path, *, reachable: bool, after: bool
) -> None:
    clean = drifted(tmp_path / "clean")
    clean.calls = Counted(0, Killed)
    clean.restart()
    clean.look()
    total = clean.calls.done
    a_minute(clean)
    assert clean.files() == clean.wanted() | {"a/deep/own": b"own"}
    assert not (clean.skills / "a" / "notes.txt").exists(), "ours, and stale"
    for at in range(1, total + 1, 9 if reachable else 23):
        edge = drifted(tmp_path / f"{at}")
        edge.calls = Counted(at, Killed, after=after)
        edge.restart()
        if not reachable:
            edge.function.fault = unreachable
        with pytest.raises(Killed):
            a_minute(edge)
        edge.calls = Quick()
        edge.restart()
        a_minute(edge)
        assert edge.snapshot() == clean.snapshot(), f"killed at change {at} of {total}"
        assert not edge.follower.state.unfinished
        shutil.rmtree(edge.folder)


def test_a_disk_that_refuses_during_a_repair_is_asked_again(tmp_path: Path) -> None:
    clean = drifted(tmp_path / "clean")
    clean.calls = Counted(0, Killed)
    clean.restart()
    clean.look()
    total = clean.calls.done
    a_minute(clean)
    for at in range(1, total + 1, 9):
        edge = drifted(tmp_path / f"{at}")
        edge.calls = Counted(at, lambda: OSError(errno.ENOSPC, "no space"))
        edge.restart()
        for _ in range(3):
            a_minute(edge)
        assert edge.snapshot() == clean.snapshot(), f"refused at change {at} of {total}"
        assert not edge.follower.state.unfinished, "though nothing new was deployed"
        shutil.rmtree(edge.folder)


def test_what_is_being_written_is_left_until_it_stands_still_and_not_longer_than_a_few_seconds(edge: Edge) -> None:
    (edge.skills / "a.md").write_bytes(WORK)
    edge.follower.upkeep.sweep.forget()
    edge.world.clock.move(30.0)
    edge.look()
    assert (edge.skills / "a.md").read_bytes() == WORK
    edge.world.clock.move(2.0)
    edge.look()
    assert edge.files() == edge.wanted()
    passed = 0.0
    while passed < 60.0:
        (edge.skills / "a.md").write_bytes(b"%d" % passed)
        edge.world.clock.move(2.0)
        passed += 2.0
        edge.look()
        if edge.files() == edge.wanted():
            break
    assert passed < 60.0
