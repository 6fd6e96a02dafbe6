"""What an operator puts back by hand, with the command of the README, is kept until it gets a new archive or is given up."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from shared.puller.follow import Result
from tests.fakes.release_transport import refusal
from tests.fakes.world import skill
from tests.puller.drifting import WORK, a_minute, kept_somewhere, restore, told
from tests.puller.edge import Edge, Quick, skill_sets
from tests.puller.test_crash import Counted, Killed

if TYPE_CHECKING:
    from pathlib import Path

ONE = skill("a", "One.", notes="1", old="1") | {"a/past/x": b"x"}
TWO = skill("a", "Two.", notes="2", new="2")
B_ONE, B_TWO = skill("b", "One.", notes="same"), skill("b", "Two.", notes="same")
GONE = skill("gone", "One.")


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return a_volume(tmp_path)


def a_volume(folder: Path) -> Edge:
    """A volume with the second version of a and b; `gone` was removed with the first."""
    built = Edge(folder, max_bytes=10**9)
    built.world.deploy(ONE, B_ONE, GONE, skill("c"))
    built.look()
    a_minute(built)
    built.world.deploy(TWO, B_TWO, skill("c"))
    built.look()
    a_minute(built)
    built.function.reports.clear()
    return built


def laid_out(*skills: dict[str, bytes]) -> dict[str, bytes]:
    """What these skills put on the volume, in both layouts."""
    files = {path: data for each in skills for path, data in each.items()}
    return files | {
        path.replace("/SKILL.md", ".md"): data for path, data in files.items() if path.endswith("/SKILL.md")
    }


RESTORED = laid_out(TWO, skill("c")) | laid_out(ONE, B_ONE, GONE)
"""A plain copy deletes nothing: what only the second version has stays beside the first."""


def ask_to_resume(edge: Edge) -> None:
    (edge.folder / ".skill-sync" / "resume").touch()


def restored(edge: Edge) -> Edge:
    restore(edge, "1-2")
    a_minute(edge)
    return edge


def test_a_restore_by_hand_is_told_once_and_kept(edge: Edge) -> None:
    restored(edge)
    assert edge.files() == RESTORED
    assert sorted(told(edge)) == [
        ("a.md", "changed", "kept"),
        ("a/SKILL.md", "changed", "kept"),
        ("a/notes.txt", "changed", "kept"),
        ("a/old.txt", "added", "kept"),
        ("a/past/x", "added", "kept"),
        ("b.md", "changed", "kept"),
        ("b/SKILL.md", "changed", "kept"),
    ]
    assert set(edge.follower.state.kept) == {"a", "b"}
    before = told(edge)
    a_minute(edge)
    a_minute(edge)
    assert (edge.files(), told(edge)) == (RESTORED, before)


def test_it_is_kept_over_restarts_and_the_looks_that_follow(edge: Edge) -> None:
    restore(edge, "1-2")
    for _ in range(3):
        edge.restart()
        assert edge.look() is Result.CURRENT
        a_minute(edge)
        assert edge.files() == RESTORED


def test_it_is_kept_while_the_release_function_is_away_or_refused(edge: Edge) -> None:
    edge.function.fault = lambda _: refusal(503, "BUSY")
    restored(edge)
    edge.restart()
    a_minute(edge)
    edge.function.fault = lambda _: None
    edge.world.clock.move(10 * 24 * 3600.0)
    assert edge.look() is Result.REFUSED
    a_minute(edge)
    assert edge.files() == RESTORED


def test_it_is_kept_over_a_refresh_and_over_deployments_that_do_not_touch_it(edge: Edge) -> None:
    restored(edge)
    edge.world.deploy(TWO, B_TWO, skill("c"), {"README.md": b"# Read me\n"})
    edge.look()
    a_minute(edge)
    assert edge.files() == RESTORED
    edge.world.deploy(TWO, B_TWO, skill("c", "Two."), skill("d"))
    edge.restart()
    edge.look()
    a_minute(edge)
    assert edge.files() == RESTORED | laid_out(skill("c", "Two."), skill("d"))
    assert set(edge.follower.state.kept) == {"a", "b"}


def test_each_skill_goes_on_with_its_next_archive_and_nothing_of_it_is_foreign_or_stale(edge: Edge) -> None:
    restored(edge)
    three = skill("a", "Three.", notes="3")
    edge.world.deploy(three, B_TWO, skill("c"))
    assert edge.look() is Result.INSTALLED
    a_minute(edge)
    assert edge.files() == laid_out(three, skill("c"), B_ONE, GONE)
    assert edge.function.reports[-1]["displaced"] == []
    assert not (edge.backups / "drift").exists()
    assert set(edge.follower.state.kept) == {"b"}
    edge.world.deploy(three, skill("b", "Three."), skill("c"))
    edge.look()
    assert edge.files() == laid_out(three, skill("c"), skill("b", "Three."), GONE)
    assert edge.follower.state.kept == {}
    (edge.skills / "a.md").write_bytes(WORK)
    a_minute(edge)
    assert edge.files() == edge.wanted() | laid_out(GONE)


def test_a_skill_that_is_removed_while_it_is_kept_goes_as_a_whole(edge: Edge) -> None:
    restored(edge)
    edge.world.deploy(B_TWO, skill("c"))
    edge.look()
    assert edge.files() == laid_out(skill("c"), B_ONE, GONE)
    assert edge.function.reports[-1]["displaced"] == []


@pytest.mark.parametrize("noticed", [True, False])
def test_resume_brings_everything_back_and_tells_it(edge: Edge, *, noticed: bool) -> None:
    restore(edge, "1-2")
    if noticed:
        a_minute(edge)
    ask_to_resume(edge)
    edge.look()
    assert edge.files() == edge.wanted() | laid_out(GONE)
    assert edge.follower.state.kept == {}
    assert not (edge.folder / ".skill-sync" / "resume").exists()
    assert not (edge.backups / "drift").exists(), "it was all ours"
    assert ("a/SKILL.md", "changed", "repaired") in told(edge)
    assert ("a/old.txt", "added", "repaired") in told(edge)
    a_minute(edge)
    assert edge.files() == edge.wanted() | laid_out(GONE)


def test_what_is_put_back_after_a_resume_is_kept_again(edge: Edge) -> None:
    restored(edge)
    ask_to_resume(edge)
    edge.look()
    restored(edge)
    assert edge.files() == RESTORED


def test_a_resume_that_cannot_be_done_stays_asked_for_over_restarts(edge: Edge) -> None:
    restored(edge)
    shutil.rmtree(edge.backups / ".next")
    edge.function.fault = lambda request: refusal(503, "BUSY") if "/objects/" in request.url.path else None
    ask_to_resume(edge)
    edge.look()
    a_minute(edge)
    edge.restart()
    edge.look()
    assert (edge.folder / ".skill-sync" / "resume").exists()
    edge.function.fault = lambda _: None
    a_minute(edge)
    assert edge.files() == edge.wanted() | laid_out(GONE)
    edge.look()
    assert not (edge.folder / ".skill-sync" / "resume").exists()


def test_a_kill_at_any_change_of_the_disk_during_a_resume_ends_like_a_clean_one(tmp_path: Path) -> None:
    clean = restored(a_volume(tmp_path / "clean"))
    ask_to_resume(clean)
    clean.calls = Counted(0, Killed)
    clean.restart()
    clean.look()
    total = clean.calls.done
    a_minute(clean)
    for at in range(1, total + 1, 7):
        edge = restored(a_volume(tmp_path / f"{at}"))
        ask_to_resume(edge)
        edge.calls = Counted(at, Killed)
        edge.restart()
        with pytest.raises(Killed):
            edge.look()
        edge.calls = Quick()
        edge.restart()
        a_minute(edge)
        assert edge.snapshot() == clean.snapshot(), f"killed at change {at} of {total}"
        assert not (edge.folder / ".skill-sync" / "resume").exists()
        shutil.rmtree(edge.folder)


def test_one_that_is_put_back_and_one_that_is_edited_are_told_apart(edge: Edge) -> None:
    restore(edge, "1-2")
    (edge.skills / "b" / "SKILL.md").write_bytes(WORK)
    (edge.skills / "c.md").write_bytes(WORK)
    a_minute(edge)
    assert edge.files() == laid_out(TWO, skill("c"), B_TWO, GONE) | laid_out(ONE)
    assert {path: action for path, _, action in told(edge)}.items() >= {
        "a/SKILL.md": "kept",
        "b/SKILL.md": "repaired",
        "b.md": "repaired",
        "c.md": "repaired",
    }.items()


def test_a_skill_with_one_file_put_back_and_one_edited_is_drift_and_its_stale_files_go(edge: Edge) -> None:
    for path in ("a/SKILL.md", "a/old.txt"):
        shutil.copy(edge.backups / "1-2" / path, edge.skills / path)
    (edge.skills / "a" / "notes.txt").write_bytes(WORK)
    a_minute(edge)
    assert edge.files() == edge.wanted()
    assert (edge.backups / "drift" / "a" / "notes.txt").read_bytes() == WORK
    assert not (edge.backups / "drift" / "a" / "SKILL.md").exists()


def test_a_folder_that_is_deleted_first_and_then_put_back_is_kept_as_it_is(edge: Edge) -> None:
    shutil.rmtree(edge.skills / "a")
    restored(edge)
    new = {"a/new.txt"}
    assert edge.files() == {path: data for path, data in RESTORED.items() if path not in new}
    assert ("a/new.txt", "missing", "kept") in told(edge)
    ask_to_resume(edge)
    edge.look()
    assert edge.files() == edge.wanted() | laid_out(GONE)


def test_only_stale_files_put_back_are_a_restore_too(edge: Edge) -> None:
    shutil.copy(edge.backups / "1-2" / "a" / "old.txt", edge.skills / "a" / "old.txt")
    a_minute(edge)
    assert told(edge) == [("a/old.txt", "added", "kept")]
    three = skill("a", "Three.")
    edge.world.deploy(three, B_TWO, skill("c"))
    edge.look()
    assert edge.files() == edge.wanted()


def test_a_mode_alone_is_no_restore_though_the_content_stood_there_before(edge: Edge) -> None:
    edge.world.deploy(ONE, B_TWO, skill("c"))
    edge.look()
    a_minute(edge)
    edge.world.deploy(TWO, B_TWO, skill("c"))
    edge.look()
    a_minute(edge)
    (edge.skills / "a" / "SKILL.md").chmod(0o600)
    a_minute(edge)
    assert (edge.skills / "a" / "SKILL.md").stat().st_mode & 0o777 == 0o644
    assert edge.follower.state.kept == {}


def test_a_kept_skill_that_is_as_installed_again_is_under_care_again(edge: Edge) -> None:
    restored(edge)
    for path, data in edge.wanted().items():
        (edge.skills / path).write_bytes(data)
    for path in ("old.txt", "past/x"):
        (edge.skills / "a" / path).unlink()
    a_minute(edge)
    assert edge.follower.state.kept == {}
    (edge.skills / "a.md").write_bytes(WORK)
    a_minute(edge)
    assert edge.files().items() >= edge.wanted().items()


def test_a_skill_that_was_removed_and_put_back_by_hand_is_nobodys_and_stays(edge: Edge) -> None:
    restored(edge)
    ask_to_resume(edge)
    edge.look()
    edge.world.deploy(skill("a", "Three."), B_TWO, skill("c"))
    edge.look()
    edge.restart()
    a_minute(edge)
    assert edge.files() == edge.wanted() | laid_out(GONE)


def test_the_backup_that_is_made_while_something_is_kept_holds_what_stood(edge: Edge) -> None:
    restored(edge)
    edge.world.deploy(skill("a", "Three."), B_TWO, skill("c"))
    edge.look()
    held = {
        str(path.relative_to(edge.backups / "1-3")): path.read_bytes()
        for path in (edge.backups / "1-3").rglob("*")
        if path.is_file()
    }
    expected = laid_out(TWO, skill("c")) | laid_out(ONE, B_ONE)
    assert held.items() <= expected.items()
    assert set(laid_out(TWO, B_TWO, skill("c"))) <= set(held)


def test_half_of_a_restore_is_not_taken_for_an_edit(edge: Edge) -> None:
    source = edge.backups / "1-2" / "a"
    whole = (source / "SKILL.md").read_bytes()
    shutil.copy(source / "notes.txt", edge.skills / "a" / "notes.txt")
    (edge.skills / "a" / "SKILL.md").write_bytes(whole[:9])  # where `cp` is just now
    edge.world.clock.move(60.0)
    edge.look()
    (edge.skills / "a" / "SKILL.md").write_bytes(whole)
    a_minute(edge)
    assert (edge.skills / "a" / "SKILL.md").read_bytes() == whole
    assert {action for _, _, action in told(edge)} == {"kept"}


FOREIGN_PATHS = st.sampled_from(
    ["a/SKILL.md", "a.md", "a/x", "a/x/y", "a/own", "b/SKILL.md", "b", "c-d/q.txt", "own/x"]
)


class Volume(RuleBasedStateMachine):
    """People edit, delete and put back, deployments come and pullers restart, in any order."""

    make: pytest.TempPathFactory

    @initialize()
    def begin(self) -> None:
        self.edge = Edge(self.make.mktemp("volume"), max_bytes=10**9)
        self.edge.world.deploy(skill("a", "a"), skill("b", "b", notes="n"))
        self.edge.look()
        self.count = 0
        self.written: set[bytes] = set()

    @rule(path=FOREIGN_PATHS)
    def write(self, path: str) -> None:
        self.count += 1
        target = self.edge.skills / path
        folders = [each for each in target.parents if each.is_relative_to(self.edge.skills)]
        if target.is_dir() or any(each.exists() and not each.is_dir() for each in folders):
            return
        data = b"foreign %d" % self.count
        if target.exists():
            self.written.discard(target.read_bytes())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.written.add(data)

    @rule(name=st.sampled_from(["a", "b", "c-d", "a.md", "b/SKILL.md", "a/x"]))
    def delete(self, name: str) -> None:
        target = self.edge.skills / name
        if not target.exists():
            return
        for path in [target, *target.rglob("*")]:
            if path.is_file():
                self.written.discard(path.read_bytes())
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    @precondition(lambda self: self.backups())
    @rule(number=st.integers(0, 10))
    def put_back(self, number: int) -> None:
        found = self.backups()
        source = found[number % len(found)]
        for path in [each for each in source.rglob("*") if each.is_file()]:
            target = self.edge.skills / path.relative_to(source)
            folders = [each for each in target.parents if each.is_relative_to(self.edge.skills)]
            if target.is_dir() or any(each.exists() and not each.is_dir() for each in folders):
                continue
            if target.exists():
                self.written.discard(target.read_bytes())
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

    @rule(files=skill_sets())
    def deploy(self, files: dict[str, bytes]) -> None:
        self.edge.world.deploy(files)

    @rule(seconds=st.sampled_from([0.0, 2.0, 60.0]))
    def look(self, seconds: float) -> None:
        self.edge.world.clock.move(seconds)
        self.edge.look()

    @rule()
    def restart(self) -> None:
        self.edge.restart()

    @rule(at=st.integers(1, 60))
    def cut_short(self, at: int) -> None:
        self.edge.calls = Counted(at, Killed)
        self.edge.restart()
        try:
            self.edge.look()
        except Killed:
            pass
        finally:
            self.edge.calls = Quick()
            self.edge.restart()

    @rule()
    def resume(self) -> None:
        ask_to_resume(self.edge)

    def backups(self) -> list[Path]:
        return sorted(self.edge.backups.glob("1-*")) if hasattr(self, "edge") else []

    def teardown(self) -> None:
        if not hasattr(self, "edge"):
            return
        self.edge.look()
        ask_to_resume(self.edge)
        a_minute(self.edge)
        here, wanted = self.edge.files(), self.edge.wanted()
        assert wanted.items() <= here.items()
        assert not self.edge.follower.state.unfinished
        assert self.edge.follower.state.kept == {}
        extra = {path: data for path, data in here.items() if path not in wanted}
        live = {path.split("/")[0].removesuffix(".md") for path in wanted}
        assert all(b"foreign" in data for path, data in extra.items() if path.split("/")[0] in live), extra
        for data in self.written:
            assert kept_somewhere(self.edge, data), data
        shutil.rmtree(self.edge.folder)


def test_whatever_people_do_a_resume_and_a_minute_end_at_the_live_manifest_and_nothing_foreign_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    Volume.make = tmp_path_factory
    run_state_machine_as_test(
        Volume,
        settings=settings(
            max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
