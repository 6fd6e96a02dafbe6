"""A volume whose clock is two hours wrong: pointers are doubted, nothing is lost, no rest of two seconds becomes hours."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT, parse_timestamp, timestamp
from shared.core.pointer import sign_pointer
from shared.core.states import Condition
from shared.puller.follow import Result
from tests.fakes.clock import FakeClock
from tests.fakes.world import SIGNER, World, skill
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from pathlib import Path

WRONG = timedelta(hours=2)
DAY = timedelta(days=1)


class WrongClock(FakeClock):
    """Tells a time of day that is wrong by `wrong`; its monotonic time goes on as ever, as on a real host."""

    wrong = timedelta(0)

    def now(self) -> datetime:
        return self.moment + self.wrong


class Host(Edge):
    """A volume on a host whose clock can be set wrong; the functions, and what tests do to them, have the right time."""

    def __init__(self, folder: Path) -> None:
        world = World()
        self.clock = world.clock = WrongClock()
        self.wrong = timedelta(0)
        super().__init__(folder, world, max_bytes=2**30)

    def look(self) -> Result:
        self.clock.wrong = self.wrong
        try:
            return super().look()
        finally:
            self.clock.wrong = timedelta(0)

    def restart(self) -> None:
        self.clock.wrong = getattr(self, "wrong", timedelta(0))
        try:
            super().restart()
        finally:
            self.clock.wrong = timedelta(0)


def lasting(host: Host) -> None:
    """Let the live pointer hold for a day, as one does where polls are hours apart."""
    stored, pointer = host.world.store.get(CURRENT), host.world.pointer
    assert stored is not None
    expires = timestamp(parse_timestamp(pointer.issued_at) + DAY)
    host.world.store.put(
        CURRENT, sign_pointer(replace(pointer, expires_at=expires), SIGNER), if_generation=stored.generation
    )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    built = Host(tmp_path)
    built.world.deploy(skill("a", "One."), skill("b"))
    built.look()
    return built


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(("wrong", "reason"), [(-WRONG, "clock_skew"), (WRONG, "pointer_expired")])
def test_with_a_wrong_clock_what_is_installed_stays_and_with_a_right_one_all_goes_on(
    host: Host, wrong: timedelta, reason: str, *, restarts: bool
) -> None:
    before = host.files()
    host.world.deploy(skill("a", "Two."), skill("c"))
    host.wrong = wrong
    for _ in range(3):
        assert host.look() is Result.REFUSED
        assert host.follower.standing.condition is Condition.DEGRADED
        assert host.follower.standing.reasons == (reason,)
        assert host.files() == before
        if restarts:
            host.restart()
    assert ("refused", "1-1", [reason]) in host.reports()
    host.wrong = timedelta(0)
    if restarts:
        host.restart()
    assert host.look() is Result.INSTALLED
    assert host.files() == host.wanted()
    assert host.follower.standing.condition is Condition.READY
    assert host.follower.state.latches == (), "a clock alone accuses nobody"


@pytest.mark.parametrize(("wrong", "reason"), [(-WRONG, "clock_skew"), (WRONG, "pointer_expired")])
def test_an_empty_volume_with_a_wrong_clock_stays_empty_until_the_clock_is_right(
    tmp_path: Path, wrong: timedelta, reason: str
) -> None:
    host = Host(tmp_path)
    host.world.deploy(skill("a"))
    host.wrong = wrong
    assert host.look() is Result.REFUSED
    assert host.follower.standing.reasons == (reason,)
    assert host.files() == {}
    host.wrong = timedelta(0)
    assert host.look() is Result.INSTALLED
    assert host.files() == host.wanted()


def test_four_minutes_are_no_reason_to_doubt_anything(host: Host) -> None:
    for number, minutes in enumerate((-4, 4)):
        host.wrong = timedelta(minutes=minutes)
        host.world.deploy(skill("a", f"Number {number}."))
        assert host.look() is Result.INSTALLED
        assert host.follower.standing.condition is Condition.READY


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("wrong", [-WRONG, WRONG, -timedelta(days=400), timedelta(days=400)])
def test_a_clock_that_jumps_never_makes_a_rest_longer_than_its_two_seconds(
    host: Host, wrong: timedelta, *, restarts: bool
) -> None:
    host.world.deploy(skill("b"))
    host.look()  # a goes, and its name rests
    host.world.deploy(skill("a", "Two."), skill("b"))
    pointer = host.world.pointer
    # What is offered must be believed by the clock as it is then; only the rest may be at odds with it.
    moved = {"issued_at": host.clock.now() + wrong, "expires_at": host.clock.now() + wrong + DAY}
    stored = host.world.store.get(CURRENT)
    assert stored is not None
    dated = replace(pointer, **{name: timestamp(at) for name, at in moved.items()})
    host.world.store.put(CURRENT, sign_pointer(dated, SIGNER), if_generation=stored.generation)
    host.wrong = wrong
    if restarts:
        host.restart()
    host.clock.slept.clear()
    assert host.look() is Result.INSTALLED
    assert host.files() == host.wanted()
    assert sum(host.clock.slept) <= 2.0


def test_a_name_that_was_removed_under_a_fast_clock_rests_two_seconds_and_no_hours_under_the_right_one(
    host: Host,
) -> None:
    host.world.deploy(skill("b"))
    lasting(host)
    host.wrong = WRONG
    assert host.look() is Result.INSTALLED
    host.world.deploy(skill("a", "Two."), skill("b"))
    host.wrong = timedelta(0)
    for restart in (False, True):
        if restart:
            host.restart()
        host.clock.slept.clear()
        assert host.look() in {Result.INSTALLED, Result.CURRENT}
        assert host.files() == host.wanted()
        assert sum(host.clock.slept) <= 2.0


def test_a_clock_that_was_fast_once_throws_no_backup_away(host: Host) -> None:
    for number in range(12):
        host.world.deploy(skill("a", f"Number {number}."))
        host.look()
    kept = {path.name for path in host.backups.iterdir()}
    host.world.deploy(skill("a", "Under a fast clock."))
    lasting(host)
    host.wrong = WRONG
    assert host.look() is Result.INSTALLED
    assert kept <= {path.name for path in host.backups.iterdir()}
    host.wrong = timedelta(0)
    host.world.deploy(skill("a", "Under the right clock again."))
    assert host.look() is Result.INSTALLED
    assert kept <= {path.name for path in host.backups.iterdir()}
    assert host.files() == host.wanted()
