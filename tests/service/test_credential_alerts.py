"""Over the whole life of a credential: who is told, when, and how often."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.credential_notes import Use, with_uses
from shared.core.names import timestamp
from shared.service import rotation
from shared.service.context import Deadline
from shared.service.housekeeping import keep_house
from shared.service.rotation_bench import Bench
from shared.service.summary_store import change_summary
from tests.fakes.world import in_order, skill
from tests.service.test_alerting import Told

if TYPE_CHECKING:
    from shared.service.context import Context

NAME = "GITHUB_WEBHOOK_SECRET"
OLD, NEW = "aaaaaaaa", "bbbbbbbb"
DUE, OPEN = "1 credential is due", "1 rotation is not at its end"
HALF_A_DAY = 43_200.0


class Installation(Told):
    """A world that holds one credential, polled for twice a day."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: tuple[str, ...] = (OLD,)
        self.trust = replace(self.trust, issued_at=timestamp(self.clock.now()))  # its keys are new
        self.deploy(skill("a"))

    @property
    def context(self) -> Context:
        return replace(super().context, held={NAME: self.accepted})

    def pass_by(self, days: float) -> list[str]:
        """Let days go by; returns what was said of credentials meanwhile."""
        before = len(self.titles)
        for _ in range(round(days * 2)):
            self.clock.move(HALF_A_DAY)
            keep_house(self.context, Deadline(self.clock, 1.0))
            self.poll()
        return [title for title in self.titles[before:] if title.removeprefix("recovered: ") in {DUE, OPEN}]

    def bench(self) -> Bench:
        return Bench(
            store=self.store,
            trust=self.trust,
            clock=self.clock,
            together=in_order,
            poll_seconds=300.0,
            held={NAME: self.accepted},
        )

    def verified(self) -> None:
        rotation.begin(self.bench(), NAME)
        self.accepted = (NEW, OLD)
        self.clock.move(60)
        use = Use(name=NAME, fingerprint=NEW, accepted=self.accepted)
        change_summary(self.store, lambda summary: with_uses(summary, [use], timestamp(self.clock.now())))
        rotation.verify(self.bench(), NAME, "", 1.0)


def test_each_threshold_is_told_once_what_is_overdue_daily_and_the_rotation_ends_it() -> None:
    world = Installation()
    assert world.pass_by(15) == []
    assert world.pass_by(2) == [DUE]
    assert world.pass_by(5) == []
    assert world.pass_by(2) == [DUE]
    assert world.pass_by(5) == []
    assert world.pass_by(1) == [DUE]
    assert world.pass_by(4) == [DUE] * 4
    assert "overdue for 3 days" in world.outbox.bodies()[-1]
    world.verified()
    world.clock.move(600)
    rotation.finish(world.bench(), NAME)
    world.accepted = (NEW,)
    assert world.pass_by(3) == [f"recovered: {DUE}"]
    assert OLD in world.outbox.bodies()[-1]


def test_a_rotation_that_is_left_lying_is_told_after_a_day_and_its_end_too() -> None:
    world = Installation()
    world.verified()
    assert world.pass_by(0.5) == []
    assert world.pass_by(3) == [OPEN]
    rotation.finish(world.bench(), NAME)
    assert world.pass_by(1) == [f"recovered: {OPEN}"]
    assert world.pass_by(2) == [OPEN]  # the old value is still accepted
    world.accepted = (NEW,)
    assert world.pass_by(1) == [f"recovered: {OPEN}"]
