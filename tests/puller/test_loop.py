"""The loop over a volume: nothing ends it but being asked to, and a rotated secret needs no restart."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.config import Settings, load_settings
from shared.errors import ConfigError, ConflictError
from shared.puller.build import check, open_follower
from shared.puller.follow import Result
from shared.puller.loop import Loop, look
from tests.fakes.clock import FakeClock
from tests.fakes.release_transport import KEY
from tests.fakes.world import ANCHOR, skill
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


class Ticking(FakeClock):
    """Does something at each pause, and asks the loop to end after the last."""

    def __init__(self, stop: threading.Event, *acts: Callable[[], object]) -> None:
        super().__init__()
        self.stop = stop
        self.acts = list(acts)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.acts:
            self.acts.pop(0)()
        else:
            self.stop.set()


def loop(edge: Edge, read: Callable[[], Settings], *acts: Callable[[], object]) -> Ticking:
    """Run the loop with the settings that `read` gives first, and one act at each pause."""
    stop = threading.Event()
    clock = Ticking(stop, *acts)
    Loop(read, clock, stop, transport=edge.function.transport()).run(read())
    return clock


def environment(edge: Edge) -> dict[str, str]:
    return {
        "RELEASE_URL": "https://release.test",
        "SKILLS_DIR": str(edge.skills),
        "BACKUP_DIR": str(edge.backups),
        "PULLER_ID": "edge",
        "PULLER_KEY": KEY,
        "TRUST_ANCHOR": ANCHOR,
    }


def reading(edge: Edge, **changes: str) -> Callable[[], Settings]:
    return lambda: load_settings({**environment(edge), **changes})


def names(edge: Edge) -> set[str]:
    return {path.name for path in edge.skills.iterdir()}


def test_the_loop_follows_push_after_push(edge: Edge) -> None:
    seen: list[set[str]] = []

    def push(name: str) -> Callable[[], object]:
        return lambda: (seen.append(names(edge)), edge.world.deploy(skill(name)))

    edge.world.deploy(skill("a"))
    clock = loop(edge, reading(edge), push("b"), push("c"))
    assert seen == [{"a", "a.md", ".reload"}, {"b", "b.md", ".reload"}]
    assert names(edge) == {"c", "c.md", ".reload"}
    assert clock.slept == [2.0, 2.0, 2.0]


def test_a_key_that_is_rotated_in_its_file_is_used_at_the_next_look(edge: Edge, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("wrong" * 10)
    edge.world.deploy(skill("a"))

    def replace_key() -> None:
        assert names(edge) == set()
        file.write_text(f"{KEY}\n")

    loop(edge, reading(edge, PULLER_KEY_FILE=str(file)), replace_key)
    assert names(edge) == {"a", "a.md", ".reload"}


def test_settings_that_become_wrong_are_logged_once_and_not_taken(
    edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [reading(edge)()]

    def missing() -> Settings:
        if good:
            return good.pop()
        raise ConfigError("CONFIG_INVALID", "PULLER_KEY: No such file or directory")

    edge.world.deploy(skill("a"))
    loop(edge, missing, lambda: edge.world.deploy(skill("b")), lambda: None)
    assert (edge.skills / "b.md").exists()
    assert capsys.readouterr().out.count("the old ones stay") == 1


def test_a_volume_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "other")
    edge.skills, edge.backups = tmp_path / "data" / "skills", tmp_path / "data" / "backups"
    edge.world.deploy(skill("a"))
    (tmp_path / "data").write_text("a file where a folder must be")
    clock = loop(edge, reading(edge), (tmp_path / "data").unlink)
    assert names(edge) == {"a", "a.md", ".reload"}
    assert clock.slept[0] == 10.0


def test_a_fault_that_nobody_foresaw_ends_nothing(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.world.deploy(skill("a"))

    def fail(_: object) -> None:
        raise RuntimeError("a bug")

    edge.function.fault = fail
    assert look(edge.follower) is Result.FAILED
    assert "Unexpected error" in capsys.readouterr().out
    edge.function.fault = lambda _: None
    assert look(edge.follower) is Result.INSTALLED


def test_a_second_puller_on_one_volume_is_turned_away_and_the_lock_is_given_back(edge: Edge) -> None:
    settings, stop = reading(edge)(), threading.Event()
    with open_follower(settings, FakeClock(), stop):
        second = open_follower(settings, FakeClock(), stop)
        with pytest.raises(ConflictError, match="LOCKED"):
            second.__enter__()
    with open_follower(settings, FakeClock(), stop):
        pass


@pytest.mark.parametrize("steps", range(6))
def test_asked_to_end_it_ends_between_two_steps_and_the_next_start_completes(tmp_path: Path, steps: int) -> None:
    clean, edge = Edge(tmp_path / "clean"), Edge(tmp_path / "stopped")
    for each in (clean, edge):
        each.world.deploy(skill("a", notes="n"), skill("b"))
    clean.look()
    asked = iter([False] * steps)
    edge.stopping = lambda: next(asked, True)
    edge.restart()
    assert edge.look() is Result.FAILED
    assert edge.reports() == [("failed", None, ["STOPPED"])]
    edge.stopping = bool
    edge.restart()
    assert edge.look() is Result.INSTALLED
    assert edge.snapshot() == clean.snapshot()


GOOD = {"RELEASE_URL": "https://release.test", "PULLER_ID": "p", "PULLER_KEY": KEY, "TRUST_ANCHOR": ANCHOR}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"RELEASE_URL": ""}, "RELEASE_URL"),
        ({"RELEASE_URL": "ftp://release.test"}, "RELEASE_URL"),
        ({"RELEASE_URL": "release.test"}, "RELEASE_URL"),
        ({"RELEASE_URL": "https://u:p@release.test"}, "RELEASE_URL"),
        ({"RELEASE_URL": "https://[::1"}, "RELEASE_URL"),
        ({"PULLER_KEY": "two\nlines"}, "PULLER_KEY"),
        ({"PULLER_KEY": "schlüssel"}, "PULLER_KEY"),
        ({"TRUST_ANCHOR": "{}"}, "TRUST_ANCHOR"),
        ({"TRUST_ANCHOR": ""}, "TRUST_ANCHOR"),
        ({"PULLER_ID": ""}, "PULLER_ID"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, str], named: str) -> None:
    check(load_settings(GOOD))
    with pytest.raises(ConfigError, match=named):
        check(load_settings({**GOOD, **change}))


def test_a_backup_folder_that_the_gateway_would_load_is_refused(edge: Edge) -> None:
    settings = replace(reading(edge)(), backup_dir=edge.skills / "backups")
    with pytest.raises(ConfigError, match="BACKUP_DIR"), open_follower(settings, FakeClock(), threading.Event()):
        pass
