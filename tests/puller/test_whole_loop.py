"""The whole loop: a push that a gateway does not stand is held, reported, taken back by the poll, and all else goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.puller import prove
from shared.puller.report import Result
from tests.fakes.world import World, skill
from tests.puller.gateway import KILLS, LOSES, NAMES, NOTHING, STALE, Proving

if TYPE_CHECKING:
    from pathlib import Path


def settled(edge: Proving, looks: int = 4) -> None:
    """Poll and look until nothing more happens."""
    for _ in range(looks):
        edge.world.clock.move(prove.AGAIN_SECONDS)
        edge.world.poll()
        edge.look()


def live_is_there(edge: Proving) -> bool:
    listed = edge.gateway.look()
    ids = {each.id for each in listed.skills or ()}
    return edge.files() == edge.wanted() and listed.healthy and ids == edge.world.live().keys()


def started(folder: Path) -> Proving:
    edge = Proving(folder)
    edge.world.deploy(skill("a", "One."), skill("b", "One."), skill("gone"))
    assert edge.look() is Result.INSTALLED
    edge.world.clock.move(2.0)
    return edge


@pytest.mark.parametrize("text", [KILLS, LOSES, STALE])
def test_what_a_bad_push_changed_is_withheld_and_the_fix_goes_live(tmp_path: Path, text: str) -> None:
    edge = started(tmp_path)
    edge.world.deploy(skill("a", text), skill("b", "One."), skill("new"))
    assert edge.look() is Result.HELD
    assert edge.world.poll().deployment == "1-3"
    assert edge.world.withheld() == dict.fromkeys(["a", "gone", "new"], "unhealthy")
    assert edge.look() is Result.INSTALLED
    assert edge.outcomes()[-1] == ("installed", "1-3", None)
    assert live_is_there(edge)
    assert edge.world.poll().status is None
    edge.world.deploy(skill("a", "Mended."), skill("b", "One."), skill("new"))
    assert edge.look() is Result.INSTALLED
    assert edge.world.texts() == {"a": "Mended.", "b": "One.", "gone": "Text."}
    assert live_is_there(edge)


def test_of_two_bad_pushes_between_two_polls_first_the_oldest_is_undone(tmp_path: Path) -> None:
    edge = started(tmp_path)
    edge.world.deploy(skill("a", KILLS), skill("b", "One."), skill("gone"))
    assert edge.look() is Result.HELD
    edge.world.deploy(skill("a", KILLS), skill("b", "Innocent."), skill("gone"))
    assert edge.look() is Result.HELD
    report = edge.function.reports[-1]
    assert [each["deployment"] for each in report["failed_before"]] == ["1-2"]  # type: ignore[attr-defined]
    edge.world.poll()
    assert edge.world.withheld() == {"a": "unhealthy"}
    edge.world.poll()
    assert edge.world.withheld() == {"a": "unhealthy"}, "before it was tried, nobody knows more"
    assert edge.look() is Result.INSTALLED
    assert edge.world.texts() == {"a": "One.", "b": "Innocent.", "gone": "Text."}
    assert live_is_there(edge)


def test_of_two_bad_pushes_that_are_both_at_fault_both_are_undone(tmp_path: Path) -> None:
    edge = started(tmp_path)
    edge.world.deploy(skill("a", KILLS), skill("b", "One."), skill("gone"))
    edge.look()
    edge.world.deploy(skill("a", KILLS), skill("b", KILLS), skill("gone"))
    edge.look()
    settled(edge)
    assert edge.world.withheld() == dict.fromkeys("ab", "unhealthy")
    assert live_is_there(edge)


@pytest.mark.parametrize("skipped", range(4))
def test_a_bad_push_that_the_puller_never_tried_alone_is_found_too(tmp_path: Path, skipped: int) -> None:
    edge = started(tmp_path)
    edge.world.deploy(skill("a", KILLS), skill("b", "One."), skill("gone"))
    for number in range(skipped):
        edge.world.deploy(skill("a", KILLS), skill("b", "One."), skill("gone"), skill("c", f"{number}"))
    edge.world.deploy(skill("a", KILLS), skill("b", "Innocent."), skill("gone"), skill("c", "0"))
    assert edge.look() is Result.HELD
    settled(edge, 6)
    assert edge.world.withheld()["a"] == "unhealthy"
    assert set(edge.world.withheld().values()) == {"unhealthy"}
    assert live_is_there(edge)
    edge.world.deploy(skill("a", "Mended."), skill("b", "Mended."), skill("gone"), skill("c", "Mended."))
    assert edge.look() is Result.INSTALLED
    assert edge.world.withheld() == {}


def test_a_bad_push_upon_one_that_was_never_proved_is_found_too(tmp_path: Path) -> None:
    edge = started(tmp_path)
    edge.gateway.is_down = True
    edge.world.deploy(skill("a", STALE), skill("b", "One."), skill("gone"))
    assert edge.look() is Result.UNPROVED
    edge.world.deploy(skill("a", STALE), skill("b", "Innocent."), skill("gone"))
    assert edge.look() is Result.UNPROVED
    edge.gateway.is_down = False
    settled(edge)
    assert edge.world.withheld()["a"] == "unhealthy"
    assert live_is_there(edge)


def test_a_puller_that_has_nothing_never_makes_anything_go_back_but_what_it_tried(tmp_path: Path) -> None:
    old = started(tmp_path / "old")
    for number in range(4):
        old.world.deploy(skill("a", f"{number}"), skill("b", f"{number}"), skill("gone"))
        old.look()
    new = Proving(tmp_path / "new", old.world, puller="new")
    new.gateway.look()
    new.gateway.on_look = lambda: setattr(new.gateway, "is_down", bool(new.files()))
    for _ in range(6):
        new.look()
        old.look()
        old.world.poll()
        old.world.clock.move(prove.AGAIN_SECONDS)
    assert old.world.texts() == {"a": "2", "b": "2", "gone": "Text."}
    assert live_is_there(old)


def test_of_two_pullers_the_one_whose_gateway_fails_decides_for_both(tmp_path: Path) -> None:
    one = started(tmp_path / "one")
    two = Proving(tmp_path / "two", one.world, puller="two")
    assert two.look() is Result.INSTALLED
    one.world.clock.move(2.0)
    two.gateway.on_look = lambda: setattr(two.gateway, "is_down", b"Two." in two.files().get("a.md", b""))
    one.world.deploy(skill("a", "Two."), skill("b", "One."), skill("gone"))
    assert (one.look(), two.look()) == (Result.INSTALLED, Result.HELD)
    one.world.poll()
    assert one.world.withheld() == {"a": "unhealthy"}
    assert (one.look(), two.look()) == (Result.INSTALLED, Result.INSTALLED)
    assert live_is_there(one)
    assert live_is_there(two)
    assert one.world.poll().status is None


@pytest.mark.parametrize("tells", [NAMES, NOTHING])
def test_a_gateway_that_tells_less_is_served_too(tmp_path: Path, tells: str) -> None:
    edge = Proving(tmp_path, World(), tells=tells)
    edge.world.deploy(skill("a", "One."), skill("b", "One."))
    edge.look()
    edge.world.clock.move(2.0)
    edge.world.deploy(skill("a", KILLS), skill("b", "Two."))
    assert edge.look() is Result.HELD
    settled(edge)
    assert edge.files() == edge.wanted()
    assert edge.world.texts() == {"a": "One.", "b": "One."}
