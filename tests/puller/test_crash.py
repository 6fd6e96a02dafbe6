"""A puller that is killed, or whose disk refuses, at any single change of the disk: the next start ends as a clean run does."""

from __future__ import annotations

import errno
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.puller.files import Calls
from shared.puller.follow import Result
from tests.fakes.world import World, skill
from tests.puller.edge import Edge, skill_sets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEPS = ("create", "write", "mode", "sync", "rename", "make_folder", "unlink", "remove_folder", "touch")


class Killed(BaseException):
    """The process is gone: nothing of it runs on, not even what catches errors."""


class Counted(Calls):
    """Counts changes of the disk and ends with `fault` instead of (or right after) the chosen one."""

    def __init__(self, at: int, fault: Callable[[], BaseException], *, after: bool = False) -> None:
        self.at = at
        self.done = 0
        self.fault = fault
        self.after = after
        self.lock = threading.Lock()

    def __getattribute__(self, name: str) -> object:
        call = super().__getattribute__(name)
        if name not in STEPS:
            return call

        def counted(*arguments: object) -> object:
            with self.lock:  # archives are staged by several threads
                self.done += 1
                hit = self.done == self.at
            if hit and not self.after:
                raise self.fault()
            try:
                return call(*arguments)
            finally:
                if hit:
                    raise self.fault()

        return counted


def before_and_after() -> World:
    """A world whose second deployment adds, updates, removes, and turns files and folders into each other."""
    world = World()
    world.deploy(
        skill("kept", "Same."), skill("updated", "One.", old="1", both="1") | {"updated/x": b"f"}, skill("gone")
    )
    return world


def change(world: World) -> None:
    new = skill("updated", "Two.", both="2", new="1") | {"updated/x/y": b"g"}
    world.deploy(skill("kept", "Same."), new, skill("added") | {"added/deep/er": b"h"})


def changes_of_a_clean_install(tmp_path: Path) -> int:
    edge = prepared(tmp_path / "clean")
    edge.calls = Counted(0, Killed)
    edge.restart()
    edge.look()
    assert edge.files() == edge.wanted()
    return edge.calls.done


def prepared(folder: Path) -> Edge:
    edge = Edge(folder, before_and_after())
    edge.look()
    change(edge.world)
    return edge


def start_and_look(edge: Edge) -> None:
    edge.restart()
    edge.look()


def lives(edge: Edge) -> None:
    """Whatever happened, each SKILL.md that a gateway could read now is a whole one of some version."""
    whole = {data for text in ("One.", "Two.") for data in skill("updated", text).values()}
    for path in (edge.skills / "updated" / "SKILL.md", edge.skills / "updated.md"):
        assert path.read_bytes() in whole
    assert (edge.skills / "kept" / "SKILL.md").read_bytes() == skill("kept", "Same.")["kept/SKILL.md"]


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_any_change_of_the_disk_is_healed_by_the_next_start(tmp_path: Path, *, after: bool) -> None:
    total = changes_of_a_clean_install(tmp_path)
    assert total > 50
    for at in range(1, total + 1):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = Counted(at, Killed, after=after)
        with pytest.raises(Killed):
            start_and_look(edge)
        lives(edge)
        edge.calls = Calls()
        edge.restart()
        edge.look()
        assert edge.files() == edge.wanted(), f"killed at change {at} of {total}"
        assert edge.reports()[-1][:2] in {("installed", "1-2"), ("current", "1-2")}
        assert not edge.backups.exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_at_any_change_is_reported_and_the_next_look_goes_on(tmp_path: Path, code: int) -> None:
    total = changes_of_a_clean_install(tmp_path)
    for at in range(1, total + 1, 3):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = Counted(at, lambda: OSError(code, "the disk refuses"))
        edge.restart()
        results = [edge.look(), edge.look()]
        lives(edge)
        assert edge.files() == edge.wanted(), f"refused at change {at} of {total}"
        assert results in [[Result.FAILED, Result.INSTALLED], [Result.INSTALLED, Result.CURRENT]]
        if results[0] is Result.FAILED:
            assert ("failed", "1-1", [f"OS_{code}"]) in edge.reports()


@settings(max_examples=150)
@given(cuts=st.lists(st.tuples(skill_sets(), st.integers(1, 60)), min_size=2, max_size=4))
def test_installs_that_are_cut_short_one_after_the_other_leave_nothing_foreign_behind(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[dict[str, bytes], int]]
) -> None:
    edge = Edge(tmp_path_factory.mktemp("volume"))
    for files, at in cuts:
        edge.world.deploy(files)
        edge.calls = Counted(at, Killed)
        with suppress(Killed):
            start_and_look(edge)
    edge.calls = Calls()
    start_and_look(edge)
    assert edge.files() == edge.wanted()
    assert not edge.backups.exists()


def test_a_removed_name_waits_its_two_seconds_even_over_a_crash(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.world.deploy(skill("a"), skill("b"))
    edge.look()
    edge.world.deploy(skill("b"))
    edge.look()
    edge.world.deploy(skill("a"), skill("b"))
    edge.world.clock.slept.clear()
    edge.restart()
    edge.look()
    assert sum(edge.world.clock.slept) > 1.5
