"""A puller that is killed, or whose disk refuses, at any single change of the disk: the next start ends as a clean run does."""

from __future__ import annotations

import errno
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.names import CURRENT
from shared.puller.follow import Result
from tests.fakes.release_transport import refusal
from tests.fakes.world import World, skill
from tests.puller.edge import Edge, Quick, skill_sets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shared.ports import StoredObject

STEPS = (
    *("create", "write", "mode", "sync", "sync_disk", "rename", "link"),
    *("make_folder", "unlink", "remove_folder", "touch"),
)


class Killed(BaseException):
    """The process is gone: nothing of it runs on, not even what catches errors."""


class Counted(Quick):
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
        skill("kept", "Same."),
        skill("updated", "One.", old="1", both="1") | {"updated/x": b"f"},
        skill("gone"),
        skill("stays"),
    )
    return world


def change(world: World) -> None:
    new = skill("updated", "Two.", both="2", new="1") | {"updated/x/y": b"g"}
    world.deploy(skill("kept", "Same."), new, skill("added") | {"added/deep/er": b"h"})


FOREIGN = b"a person's work"


def clean_install(tmp_path: Path) -> tuple[Edge, int]:
    """A volume after an install that nothing disturbed, and how many changes of the disk that took."""
    edge = prepared(tmp_path / "clean")
    edge.calls = Counted(0, Killed)
    edge.restart()
    edge.look()
    assert edge.files() == edge.wanted() | {"stays/note": FOREIGN}
    kept = {
        str(path.relative_to(edge.backups)): path.read_bytes() for path in edge.backups.rglob("*") if path.is_file()
    }
    assert kept == dict.fromkeys(["1-2/added/deep", "1-2/added.md", "1-2/updated/both.txt"], FOREIGN)
    return edge, edge.calls.done


def prepared(folder: Path) -> Edge:
    """A volume on which the next install adds, updates, removes, and meets foreign files in every way."""
    edge = Edge(folder, before_and_after())
    edge.look()
    (edge.skills / "added").mkdir()
    for path in ("added/deep", "added.md", "updated/both.txt", "stays/note"):
        (edge.skills / path).write_bytes(FOREIGN)
    (edge.skills / ".reload").unlink()
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
    clean, total = clean_install(tmp_path)
    assert total > 50
    # What change 1 leaves when a kill follows it is what change 2 finds when a kill comes instead of it: every second
    # change, once before it and once after it, is every state that there is.
    for at in range(1, total + 1, 2):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = Counted(at, Killed, after=after)
        with pytest.raises(Killed):
            start_and_look(edge)
        lives(edge)
        edge.calls = Quick()
        start_and_look(edge)
        assert edge.snapshot() == clean.snapshot(), f"killed at change {at} of {total}"
        assert edge.reports()[-1][:2] in {("installed", "1-2"), ("current", "1-2")}
        assert edge.function.reports[-1]["displaced"] == clean.function.reports[-1]["displaced"]


def test_a_kill_before_yet_another_deployment_leaves_nothing_foreign_and_nothing_forgotten(tmp_path: Path) -> None:
    _, total = clean_install(tmp_path)
    for at in range(1, total + 1, 3):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = Counted(at, Killed)
        with pytest.raises(Killed):
            start_and_look(edge)
        edge.calls = Quick()
        edge.world.deploy(skill("updated", "Three."))
        start_and_look(edge)
        here = edge.files()
        assert {path for path, data in here.items() if data != FOREIGN} == set(edge.wanted()), f"killed at {at}"
        kept = [path.read_bytes() for path in edge.backups.rglob("*") if path.is_file()]
        assert set(kept) <= {FOREIGN}, "only what is foreign is kept"
        for path in ("added/deep", "added.md", "updated/both.txt", "stays/note"):
            assert here.get(path) == FOREIGN or list(edge.backups.glob(f"*/{path}")), f"{path} lost, killed at {at}"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_at_any_change_is_reported_and_the_next_look_goes_on(tmp_path: Path, code: int) -> None:
    clean, total = clean_install(tmp_path)
    for at in range(1 + (code == errno.EROFS), total + 1, 2):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = Counted(at, lambda: OSError(code, "the disk refuses"))
        edge.restart()
        results = [edge.look(), edge.look()]
        lives(edge)
        assert edge.snapshot() == clean.snapshot(), f"refused at change {at} of {total}"
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
    edge.calls = Quick()
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


def cut_short(edge: Edge, at: int) -> None:
    """Kill the next install at that change of the disk, and restart."""
    edge.calls = Counted(at, Killed)
    edge.restart()
    with suppress(Killed):
        edge.look()
    edge.calls = Quick()
    edge.restart()


def taken_back(edge: Edge, old: StoredObject | None) -> None:
    """Put an older pointer in the place of the live one."""
    new = edge.world.store.get(CURRENT)
    assert old is not None
    assert new is not None
    edge.world.store.put(CURRENT, old.data, if_generation=new.generation)


@pytest.mark.parametrize("at", range(4, 60, 3))
def test_an_install_that_was_cut_short_is_completed_though_what_is_offered_now_is_refused(
    tmp_path: Path, at: int
) -> None:
    edge = Edge(tmp_path)
    edge.world.deploy(skill("a", "One."), skill("b", "One."))
    edge.look()
    old = edge.world.store.get(CURRENT)
    edge.world.deploy(skill("a", "Two."), skill("b", "Two."))
    cut_short(edge, at)
    interrupted = edge.follower.state.installing is not None
    taken_back(edge, old)
    edge.look()
    texts = {data.splitlines()[-1] for data in edge.files().values()}
    assert len(texts) == 1
    assert not interrupted or texts == {b"Two."}
    assert edge.follower.state.installing is None


def test_while_it_cannot_be_completed_the_refusal_is_still_told(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.world.deploy(skill("a", "One."))
    edge.look()
    old = edge.world.store.get(CURRENT)
    edge.world.deploy(skill("a", "Two."), skill("b", "Two."))
    at = 1
    while edge.follower.state.installing is None:
        cut_short(edge, at)
        at += 1
    taken_back(edge, old)
    edge.function.fault = lambda request: refusal(503, "BUSY") if "/v1/objects/" in request.url.path else None
    assert edge.look() is Result.REFUSED
    assert edge.follower.standing.reasons == ("mismatch_detected",)
    edge.function.fault = lambda _: None
    edge.look()
    assert edge.follower.state.installing is None
    assert edge.follower.standing.reasons == ("mismatch_detected",)
