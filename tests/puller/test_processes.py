"""Real puller processes: asked to end at any time, killed, two at once, cut off from the release function."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.fakes.world import skill
from tests.git_server import Fault, GitServer
from tests.puller.running import Slow, ended, serving
from tests.puller.test_main import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    with serving(tmp_path) as built:
        yield built


# Asked to end


def test_asked_to_end_during_slow_downloads_it_ends_soon_with_nothing_changed_and_the_next_start_completes(
    slow: Slow,
) -> None:
    with slow.puller() as process:
        wait_until(slow.is_installed)
        before = slow.files()
        slow.seconds = 0.1
        slow.world.deploy(skill("a", "Two."), *(skill(f"s{number}", "Two.") for number in range(100)))
        slow.server.forget()
        wait_until(lambda: slow.asked("v1/objects/") > 10)
        assert ended(process) == 0
    assert slow.files() == before
    assert slow.asked("v1/objects/") < 100
    slow.seconds = 0.0
    assert slow.once().returncode == 0
    assert slow.files() == slow.wanted()


def test_asked_to_end_while_a_download_is_silent_it_ends_soon(slow: Slow) -> None:
    with slow.puller() as process:
        wait_until(slow.is_installed)
        slow.world.deploy(skill("a", "Two."))
        archive = slow.world.manifest.skills["a"].archive
        slow.server.fail(Fault(match=archive, cut=0, then="stall", times=99))
        wait_until(lambda: slow.asked(archive) > 0)
        assert ended(process) == 0


def test_asked_to_end_while_the_pointer_does_not_come_it_ends_soon(slow: Slow) -> None:
    with slow.puller() as process:
        wait_until(slow.is_installed)
        slow.server.forget()
        slow.server.fail(Fault(match="current", cut=0, then="stall", times=99))
        wait_until(lambda: slow.asked("current") > 1)
        assert ended(process) == 0


def test_asked_to_end_between_two_steps_it_ends_soon_and_the_next_start_completes(slow: Slow) -> None:
    slow.world.deploy(skill("a"), skill("z"))
    with slow.puller() as process:
        wait_until(slow.is_installed)
        slow.world.deploy(skill("a"))
        wait_until(slow.is_installed)
        # The name that has just gone must rest for two seconds: an install that can be met in its middle.
        slow.world.deploy(skill("a", "Two."), skill("m"), skill("z"))
        digest = slow.world.pointer.manifest.sha256
        wait_until(lambda: slow.asked(digest) > 0)
        assert ended(process) == 0
    assert set(slow.files()) - set(slow.wanted()) == set(), "nothing but whole files of ours"
    assert slow.once().returncode == 0
    assert slow.files() == slow.wanted()
    assert slow.once("--verify").returncode == 0


def test_asked_to_end_again_and_again_it_still_gets_there(slow: Slow) -> None:
    for number in range(4):
        slow.world.deploy(*(skill(f"s{each}", f"Text {number}.", notes="n") for each in range(number, number + 30)))
        with slow.puller() as process:
            text = skill(f"s{number}", f"Text {number}.")[f"s{number}/SKILL.md"]
            file = slow.skills / f"s{number}.md"
            wait_until(lambda file=file, text=text: file.exists() and file.read_bytes() == text)  # type: ignore[misc]
            assert ended(process) == 0
    assert slow.once().returncode == 0
    assert slow.files() == slow.wanted()


# Two at once


def test_a_second_puller_is_turned_away_and_may_start_once_the_first_was_killed(slow: Slow) -> None:
    with slow.puller() as first:
        wait_until(slow.is_installed)
        second = slow.once()
        assert second.returncode == 75
        assert "Another puller holds this volume" in second.stdout
        assert first.poll() is None
        slow.world.deploy(skill("a", "Two."))
        wait_until(slow.is_installed)
        first.send_signal(signal.SIGKILL)
        first.wait(timeout=20)
    slow.world.deploy(skill("a", "Three."))
    with slow.puller():
        wait_until(slow.is_installed)


def test_of_several_that_start_at_once_one_follows_and_the_others_change_nothing(slow: Slow) -> None:
    with slow.puller() as one, slow.puller() as two, slow.puller() as three:
        pullers = (one, two, three)
        wait_until(lambda: sum(each.poll() is None for each in pullers) == 1)
        assert sorted(each.poll() or 0 for each in pullers) == [0, 75, 75]
        wait_until(slow.is_installed)


# Cut off


def test_a_release_function_that_goes_away_and_comes_back_is_followed_again(slow: Slow) -> None:
    with slow.puller() as process:
        wait_until(slow.is_installed)
        before, port = slow.files(), int(slow.server.url("").rsplit(":", 1)[1].rstrip("/"))
        slow.server.__exit__()
        slow.world.deploy(skill("a", "Two."), skill("c"))
        wait_until(lambda: "The release function gave nothing" in slow.log())
        assert slow.files() == before
        slow.server = GitServer(slow.folder, routes=slow._answer, port=port)
        slow.server.__enter__()
        wait_until(slow.is_installed)
        assert process.poll() is None


def test_a_release_function_that_breaks_off_every_answer_for_a_while_is_followed_again(slow: Slow) -> None:
    with slow.puller() as process:
        wait_until(slow.is_installed)
        slow.server.fail(Fault(cut=-20, match="v1/", times=3))
        slow.world.deploy(skill("a", "Two."), skill("c"))
        wait_until(slow.is_installed)
        assert process.poll() is None
