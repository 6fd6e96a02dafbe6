"""A whole volume that is put back to an older snapshot: it comes back to the head, and nobody has to do anything for it."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.fakes.world import skill
from tests.puller.running import Slow, serving
from tests.puller.test_main import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    with serving(tmp_path) as built:
        yield built


def take_back(slow: Slow) -> None:
    """Put the older copy of the whole volume in its place, as a restore of the platform's does."""
    restored = slow.folder / "restored"
    shutil.copytree(slow.folder / "snapshot", restored, symlinks=True)
    slow.data.rename(slow.folder / "replaced")
    for _ in range(100):
        try:
            restored.rename(slow.data)
        except OSError:  # a puller that runs meanwhile has made folders of its own there
            shutil.rmtree(slow.data, ignore_errors=True)
        else:
            return
    pytest.fail("the older copy could not be put in place")


@pytest.fixture
def taken_back(slow: Slow) -> Slow:
    """A volume at 1-2, and a snapshot of it at 1-1."""
    assert slow.once().returncode == 0
    shutil.copytree(slow.data, slow.folder / "snapshot", symlinks=True)
    slow.world.deploy(skill("a", "Two.", other="2"), skill("c", "Two."))
    return slow


@pytest.mark.parametrize("also_new", [False, True])
def test_a_volume_that_was_taken_back_while_nobody_looked_comes_back_to_the_head_without_an_operator(
    taken_back: Slow, *, also_new: bool
) -> None:
    assert taken_back.once().returncode == 0
    take_back(taken_back)
    if also_new:
        taken_back.world.deploy(skill("a", "Three."), skill("d"))
    assert taken_back.once().returncode == 0
    assert taken_back.files() == taken_back.wanted()
    assert taken_back.reports[-1]["state"] == "READY"


def test_a_volume_that_is_taken_back_under_a_running_puller_comes_back_with_the_next_deployment(
    taken_back: Slow,
) -> None:
    taken_back.world.deploy(skill("a", "Two."), skill("b", "One.", notes="n"), skill("c", "Two."))
    with taken_back.puller() as process:
        wait_until(taken_back.is_installed)
        take_back(taken_back)
        taken_back.world.deploy(skill("a", "Three."), skill("b", "Three.", notes="3"), skill("c", "Three."))
        wait_until(taken_back.is_installed)
        assert taken_back.reports[-1]["state"] == "READY"
        assert process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_volume_that_is_taken_back_under_a_running_puller_comes_back_with_its_restart(
    taken_back: Slow, number: int
) -> None:
    with taken_back.puller() as process:
        wait_until(taken_back.is_installed)
        take_back(taken_back)
        process.send_signal(number)
        process.wait(timeout=20)
    assert taken_back.once().returncode == 0
    assert taken_back.files() == taken_back.wanted()
    assert taken_back.once("--verify").returncode == 0


def test_a_volume_that_is_taken_back_under_a_running_puller_comes_back_by_itself(taken_back: Slow) -> None:
    with taken_back.puller():
        wait_until(taken_back.is_installed)
        take_back(taken_back)
        wait_until(taken_back.is_whole)


def test_a_skill_that_was_removed_does_not_come_back_for_ever_with_an_older_snapshot(taken_back: Slow) -> None:
    with taken_back.puller():
        wait_until(taken_back.is_installed)
        take_back(taken_back)
        taken_back.world.deploy(skill("a", "Three."), skill("c", "Three."))
        wait_until(
            lambda: (taken_back.skills / "c.md").exists() and b"Three" in (taken_back.skills / "c.md").read_bytes()
        )
    taken_back.once()
    taken_back.world.deploy(skill("a", "Four."), skill("c", "Three."))
    assert taken_back.once().returncode == 0
    assert taken_back.files() == taken_back.wanted()
