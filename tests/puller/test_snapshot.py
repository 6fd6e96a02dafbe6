"""Backups: the complete set as it stood before a deployment, brought back by a plain `cp -r`, made while nothing is urgent."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from shared.puller.follow import Result
from tests.fakes.world import skill
from tests.puller.edge import Edge
from tests.puller.test_crash import Counted, Killed, Quick

if TYPE_CHECKING:
    from pathlib import Path

PLENTY = 2**30
DAY = 86_400.0


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path, max_bytes=PLENTY)


def deploy(edge: Edge, *parts: dict[str, bytes]) -> dict[str, bytes]:
    """Deploy and install, and return what the skills folder held before."""
    before = edge.files()
    edge.world.deploy(*parts)
    assert edge.look() is Result.INSTALLED
    return before


def backup(edge: Edge, name: str) -> dict[str, bytes]:
    folder = edge.backups / name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names_of(edge: Edge) -> list[str]:
    """The backups, oldest first, but the one that is being held ready."""
    found = [path.name for path in edge.backups.iterdir() if path.name[0] != "."]
    return sorted(found, key=lambda name: [int(each) for each in name.split("-")])


def test_each_deployment_has_the_set_as_it_stood_before_it(edge: Edge) -> None:
    deploy(edge, skill("a", "One.", note="n"), skill("b"))
    second = deploy(edge, skill("a", "Two.", note="n"), skill("c"))
    third = deploy(edge, skill("a", "Two."))
    assert names_of(edge) == ["1-2", "1-3"]
    assert backup(edge, "1-2") == second
    assert backup(edge, "1-3") == third
    assert set(second) == {"a/SKILL.md", "a/note.txt", "a.md", "b/SKILL.md", "b.md"}


def test_it_is_brought_back_by_a_plain_copy(edge: Edge) -> None:
    deploy(edge, skill("a", "One."), skill("b"))
    before = edge.files()
    deploy(edge, skill("a", "Two."), skill("b", "Two."))
    subprocess.run(f"cp -r {edge.backups}/1-2/* {edge.skills}/", shell=True, check=True)  # noqa: S602 - as the runbook has it
    assert edge.files() == before


def test_nothing_is_copied_in_the_path_of_an_install(edge: Edge) -> None:
    deploy(edge, skill("a", "One."), skill("b"))
    edge.world.deploy(skill("a", "Two."), skill("b"))
    renamed: list[str] = []

    class Watching(Quick):
        def create(self, name: str, flags: int, fd: int) -> int:
            if not edge.function.reports or edge.function.reports[-1]["deployment"] != "1-2":
                renamed.append(name)
            return super().create(name, flags, fd)

    edge.calls = Watching()
    edge.restart()
    edge.look()
    # Before the report: two staged files, the states and the notes; no copy of what stood there.
    assert sorted(name for name in renamed if name.endswith(".md")) == ["SKILL.md", "a.md"]
    assert (edge.backups / ".next" / "a" / "SKILL.md").read_bytes() == edge.files()["a/SKILL.md"]


def test_what_did_not_change_is_one_file_in_all_copies_and_never_the_live_one(edge: Edge) -> None:
    for number in range(4):
        deploy(edge, skill("a", f"Number {number}."), skill("same"))
    inodes = {(edge.backups / name / "same" / "SKILL.md").stat().st_ino for name in ("1-2", "1-3", "1-4", ".next")}
    assert len(inodes) == 1
    live = edge.skills / "same" / "SKILL.md"
    assert live.stat().st_ino not in inodes
    assert live.stat().st_nlink == 1
    assert len({(edge.backups / name / "a.md").read_bytes() for name in ("1-2", "1-3", "1-4")}) == 3


def test_a_copy_that_somebody_damaged_is_not_passed_on(edge: Edge) -> None:
    deploy(edge, skill("a", "One."), skill("same"))
    deploy(edge, skill("a", "Two."), skill("same"))
    good = edge.files()["same/SKILL.md"]
    (edge.backups / "1-2" / "same" / "SKILL.md").write_bytes(b"damaged")
    deploy(edge, skill("a", "Three."), skill("same"))
    deploy(edge, skill("a", "Four."), skill("same"))
    assert (edge.backups / "1-4" / "same" / "SKILL.md").read_bytes() == good


def test_a_foreign_file_on_one_of_our_paths_is_in_the_copy_as_it_stood(edge: Edge) -> None:
    deploy(edge, skill("a", "One."), skill("b"))
    (edge.skills / "a.md").write_bytes(b"a person's work")
    before = deploy(edge, skill("a", "Two."), skill("b"))
    assert backup(edge, "1-2") == before
    assert before["a.md"] == b"a person's work"


def test_a_file_of_ours_that_is_gone_is_not_in_the_copy(edge: Edge) -> None:
    deploy(edge, skill("a"), skill("b"))
    (edge.skills / "b.md").unlink()
    edge.restart()
    edge.look()
    assert (edge.skills / "b.md").exists(), "repaired"
    deploy(edge, skill("a", "Two."), skill("b"))
    assert "b.md" in backup(edge, "1-2")


def test_two_deployments_on_each_others_heels_have_a_copy_each(edge: Edge) -> None:
    before = [deploy(edge, skill("a", "One."))]
    for text in ("Two.", "Three."):
        notes = edge.folder / ".skill-sync" / "snapshots.json"
        notes.unlink(missing_ok=True)  # nothing was held ready
        edge.restart()
        before.append(deploy(edge, skill("a", text)))
    assert [backup(edge, name) for name in ("1-2", "1-3")] == before[1:]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"handed": {"1-2": "x"}}', b'{"ready": [], "handed": {}}'])
def test_notes_that_are_damaged_cost_a_copy_and_nothing_else(edge: Edge, damage: bytes) -> None:
    deploy(edge, skill("a", "One."))
    (edge.folder / ".skill-sync" / "snapshots.json").write_bytes(damage)
    edge.restart()
    before = deploy(edge, skill("a", "Two."))
    assert backup(edge, "1-2") == before


def test_backups_are_kept_for_thirty_days_and_the_last_ten_in_any_case(edge: Edge) -> None:
    for number in range(15):
        deploy(edge, skill("a", f"Number {number}."))
        edge.world.clock.move(DAY)
        edge.world.poll()
    assert len(names_of(edge)) == 14
    edge.world.clock.move(40 * DAY)
    edge.world.poll()
    deploy(edge, skill("a", "Later."))
    assert names_of(edge) == [f"1-{number}" for number in range(7, 17)]


def test_the_oldest_go_first_when_the_bytes_do_not_suffice(tmp_path: Path) -> None:
    edge = Edge(tmp_path, max_bytes=75_000)
    for number in range(12):
        deploy(edge, skill("a", f"{number} " + "x" * 5_000), skill("same", "y" * 10_000))
    kept = names_of(edge)
    assert kept[-1] == "1-12"
    assert 1 < len(kept) < 6
    assert kept == [f"1-{number}" for number in range(13 - len(kept), 13)]


def test_the_newest_is_kept_whatever_it_takes(tmp_path: Path) -> None:
    edge = Edge(tmp_path, max_bytes=1)
    for number in range(4):
        deploy(edge, skill("a", f"{number}"))
    assert names_of(edge) == ["1-4"]


def test_what_is_not_a_backup_is_never_thrown_away(tmp_path: Path) -> None:
    edge = Edge(tmp_path, max_bytes=1)
    (edge.backups / "mine").mkdir(parents=True)
    for number in range(4):
        deploy(edge, skill("a", f"{number}"))
    assert (edge.backups / "mine").is_dir()


def test_a_backup_that_cannot_be_made_keeps_nothing_from_being_installed(
    edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(edge, skill("a", "One."))
    (edge.folder / "backups").rename(edge.folder / "aside")
    (edge.folder / "backups").write_text("a file where the folder was")
    edge.world.deploy(skill("a", "Two."))
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    assert '"message": "The backup cannot be made"' in capsys.readouterr().out


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_any_change_of_the_disk_leaves_whole_backups_or_none(tmp_path: Path, *, after: bool) -> None:
    for at in range(1, 120, 2):
        edge = Edge(tmp_path / f"{at}", max_bytes=PLENTY)
        deploy(edge, skill("a", "One.", note="n"), skill("b"))
        second = edge.files()
        edge.world.deploy(skill("a", "Two."), skill("c"))
        edge.calls = Counted(at, Killed, after=after)
        with suppress(Killed):
            edge.restart()
            edge.look()
        edge.calls = Quick()
        edge.restart()
        edge.look()
        third = edge.files()
        deploy(edge, skill("c", "Three."))
        assert edge.files() == edge.wanted()
        whole = {name: backup(edge, name) for name in names_of(edge)}
        assert whole["1-3"] == third, f"killed at {at}"
        assert whole["1-2"] == second, f"killed at {at}"


@pytest.mark.parametrize("thing", ["gone", "a link", "a folder"])
def test_a_backup_that_somebody_took_apart_costs_a_copy_and_nothing_else(edge: Edge, thing: str) -> None:
    deploy(edge, skill("a", "One."), skill("same"))
    deploy(edge, skill("a", "Two."), skill("same"))
    victim = edge.backups / "1-2" / "same" / "SKILL.md"
    victim.unlink()
    if thing == "a link":
        victim.symlink_to("/etc/hostname")
    elif thing == "a folder":
        victim.mkdir()
    before = deploy(edge, skill("a", "Three."), skill("same"))
    assert backup(edge, "1-3") == before
    before = deploy(edge, skill("a", "Four."), skill("same"))
    assert backup(edge, "1-4") == before
