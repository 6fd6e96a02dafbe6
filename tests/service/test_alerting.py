"""What people are told, and when: over the whole cloud side in memory, with a clock of our own."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import pytest

from shared.core.alert_book import LEASE
from shared.core.names import ALERTS, CURRENT, SUMMARY, timestamp
from shared.core.summary import parse_summary, summary_bytes
from shared.errors import PausedError, UnavailableError
from shared.service.afterwards import SECONDS, WEBHOOK_SECONDS
from shared.service.alerting import LEAST_SECONDS
from tests.core.test_letters import SAFE, SPELT
from tests.core.test_plain_text import HOSTILE
from tests.fakes.breaking_store import BreakingStore, Killed
from tests.fakes.memory_source import MemoryRepository, MemorySource
from tests.fakes.memory_store import MemoryStore
from tests.fakes.outbox import CHAT, OPS, Outbox
from tests.fakes.world import World, bad_skill, skill

if TYPE_CHECKING:
    from collections.abc import Callable

WITHHELD = "1 skill withheld by the rules"


class Told(World):
    """A world in which somebody is told."""

    def __init__(self, *addresses: str, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.outbox = Outbox(*addresses)
        self.alert = self.outbox

    @property
    def titles(self) -> list[str]:
        return self.outbox.titles()

    def polls(self, *, minutes: float = 5.0, times: int = 1) -> None:
        for _ in range(times):
            self.clock.move(60 * minutes)
            self.poll()


class Down:
    """A source that does not answer."""

    def __init__(self, code: str = "SOURCE_UNAVAILABLE") -> None:
        self.code = code

    def head(self, known: object) -> str:
        del known
        raise UnavailableError(self.code, "down")


def down(world: World, code: str = "SOURCE_UNAVAILABLE") -> None:
    world.source = Down(code)  # type: ignore[assignment]


def up(world: World) -> None:
    world.source = MemorySource(world.repository)


# Withheld


def test_a_push_with_a_rejected_skill_is_told_once_and_its_fix_once() -> None:
    world = Told()
    world.deploy(skill("a"), skill("b"))
    assert world.titles == []
    world.deploy(skill("a"), bad_skill("b"))
    assert world.titles == [WITHHELD]
    world.polls(times=5)
    world.deploy(skill("a", "Another text."), bad_skill("b"))
    assert world.titles == [WITHHELD]
    world.deploy(skill("a"), skill("b", "Mended."))
    assert world.titles == [WITHHELD, f"recovered: {WITHHELD}"]
    world.polls(times=3)
    assert len(world.titles) == 2
    assert world.store.get(ALERTS) is not None
    assert "recovered after 25 min" in world.outbox.bodies()[-1]


def test_another_bad_version_is_told_and_does_not_look_like_a_recovery() -> None:
    world = Told()
    world.deploy(bad_skill("b"))
    world.deploy({"b/SKILL.md": b"another bad text"})
    assert world.titles == [WITHHELD] * 2
    world.polls()
    world.deploy(skill("b"))
    assert world.titles == [WITHHELD] * 2 + [f"recovered: {WITHHELD}"]


def test_many_skills_at_once_are_one_message() -> None:
    world = Told()
    world.deploy(*(bad_skill(f"s{number:03}") for number in range(120)))
    assert world.titles == ["120 skills withheld by the rules"]
    (body,) = world.outbox.bodies()
    assert "\nand 31 more\n" in body
    assert body.count("\n- ") == 20
    world.polls(times=2)
    world.deploy(skill("s000"), *(bad_skill(f"s{number:03}") for number in range(1, 120)))
    assert world.titles[1:] == [f"recovered: {WITHHELD}"]


def test_the_deletion_guard_is_told_once_and_its_release_too() -> None:
    world = Told()
    world.deploy(*(skill(f"s{number}") for number in range(9)))
    world.deploy(skill("s0"))
    assert world.titles == ["8 deletions wait for a person"]
    world.polls(times=3)
    world.release(*(f"s{number}" for number in range(1, 9)))
    assert world.titles[1:] == ["recovered: 8 deletions wait for a person"]


def test_a_rollback_is_a_persons_own_doing() -> None:
    world = Told()
    world.deploy(skill("a"))
    world.deploy(skill("a", "Newer."))
    world.roll_back("1-1")
    assert world.withheld() == {"a": "rolled_back"}
    world.polls(times=2)
    assert world.titles == []


def test_what_failed_its_health_check_is_told_and_so_is_what_was_taken_back() -> None:
    world = Told()
    world.deploy(skill("a"))
    world.deploy(skill("a", "Newer."))
    world.fails("1-2", "a")
    world.polls(minutes=1)
    assert world.titles == ["failed health check at 1 puller", "1 skill taken back"]
    assert "edge is held, deployment 1-2: gateway_unhealthy" in world.outbox.bodies()[0]
    world.report()
    world.polls(minutes=3)
    world.report()
    world.polls(minutes=3)
    assert world.titles[2:] == ["recovered: failed health check at 1 puller"]
    world.deploy(skill("a", "Mended."))
    assert world.titles[3:] == ["recovered: 1 skill taken back"]


@pytest.mark.parametrize("name", [text for text in HOSTILE if text and "/" not in text and text != "\ud800"])
def test_a_skill_may_be_called_as_it_likes_and_says_nothing_by_it(name: str) -> None:
    world = Told()
    world.deploy({f"{name[:200]}/SKILL.md": b"bad"})
    if world.withheld():
        (letter,) = world.outbox.taken[OPS]
        assert SAFE.fullmatch(letter.title + letter.body)
        assert not SPELT.search(letter.title + letter.body)


def test_nothing_that_somebody_pushed_is_repeated() -> None:
    world = Told()
    world.deploy(
        {
            "b/SKILL.md": b"---\nname: b\ndescription: INJECTED words\n---\nAKIAIOSFODNN7EXAMPLE INJECTED",
            "b/INJECTED.md": b"x",
        }
    )
    assert "INJECTED" not in "".join(world.outbox.bodies())


# Failures, pauses, silence


def test_a_failed_sync_is_told_once_by_whoever_meets_it_first() -> None:
    world = Told()
    world.deploy(skill("a"))
    down(world)
    with pytest.raises(UnavailableError):
        world.deploy(skill("a", "Newer."))
    assert world.titles == ["deployment failed"]
    assert "- SOURCE_UNAVAILABLE\n" in world.outbox.bodies()[0]
    for _ in range(4):
        with pytest.raises(UnavailableError):
            world.polls(minutes=4)
    assert world.titles[1:] == []
    up(world)
    world.polls()
    world.polls()
    assert world.titles[1:] == ["recovered: deployment failed"]


def test_a_source_that_comes_and_goes_is_told_once() -> None:
    world = Told()
    world.deploy(skill("a"))
    for _ in range(6):
        down(world)
        with pytest.raises(UnavailableError):
            world.polls()
        up(world)
        world.polls()
    assert world.titles == ["deployment failed"]


def test_a_pointer_that_nobody_can_renew_is_told_before_it_expires() -> None:
    world = Told()
    world.deploy(skill("a"))
    down(world)
    for _ in range(7):
        with pytest.raises(UnavailableError):
            world.polls()
    assert world.titles == ["deployment failed", "the pointer is not renewed", "the pointer is not renewed"]
    assert ["expires at" in body for body in world.outbox.bodies()] == [False, True, False]
    up(world)
    world.polls(times=3)
    assert sorted(world.titles[3:]) == ["recovered: deployment failed", "recovered: the pointer is not renewed"]


def test_a_pause_is_told_by_the_poll_that_is_paused() -> None:
    world = Told()
    world.deploy(skill("a"))
    old = world.store.get(CURRENT)
    world.deploy(skill("a", "Newer."))
    assert old is not None
    now = world.store.get(CURRENT)
    assert now is not None
    world.store.put(CURRENT, old.data, if_generation=now.generation)
    for _ in range(9):
        with pytest.raises(PausedError):
            world.polls()
    assert world.titles == ["paused"]
    assert "- mismatch_detected\n" in world.outbox.bodies()[0]
    world.bump()
    world.polls()
    assert world.titles == ["paused", "recovered: paused"]


def test_a_webhook_that_is_paused_tells_it_too() -> None:
    world = Told()
    world.deploy(skill("a"))
    silent = world.alert
    world.alert = None
    old = world.store.get(CURRENT)
    world.deploy(skill("a", "Newer."))
    now = world.store.get(CURRENT)
    assert old is not None
    assert now is not None
    world.store.put(CURRENT, old.data, if_generation=now.generation)
    world.alert = silent
    with pytest.raises(PausedError):
        world.deploy(skill("a", "Newest."))
    assert world.titles == ["paused"]


def test_a_puller_that_falls_silent_is_told_by_the_poll() -> None:
    world = Told()
    world.deploy(skill("a"))
    world.report()
    world.polls(minutes=4)
    world.polls(minutes=2)
    assert world.titles == ["1 puller is silent"]
    world.report()
    world.polls(minutes=1)
    assert len(world.titles) == 1
    world.report()
    world.polls(minutes=3)
    assert world.titles[1:] == ["recovered: 1 puller is silent"]


def test_a_stale_poller_is_told_by_a_report_and_its_recovery_by_the_poll() -> None:
    world = Told()
    world.deploy(skill("a"))
    world.polls()
    for _ in range(30):
        world.clock.move(60)
        world.report()
    assert world.titles == ["no poll has finished for three intervals"]
    world.polls(minutes=1)
    world.report()
    world.polls(minutes=3)
    assert world.titles[1:] == ["recovered: no poll has finished for three intervals"]


def test_a_stale_poller_is_told_by_a_webhook() -> None:
    world = Told()
    world.deploy(skill("a"))
    world.polls()
    world.clock.move(16 * 60)
    world.deploy(skill("a", "Newer."))
    assert world.titles == ["no poll has finished for three intervals"]


# Drift


def drift(world: World, *, at: str | None = None, puller: str = "edge") -> None:
    files = [{"path": "a/SKILL.md", "what": "changed", "action": "repaired"}]
    world.report(puller, drift=files, at=at or timestamp(world.clock.now()))


def test_drift_is_told_once_an_event() -> None:
    world = Told()
    world.deploy(skill("a"))
    world.polls()
    drift(world)
    for _ in range(12):
        world.report()
        world.polls(minutes=4)
    assert world.titles == ["installed files were changed at 1 volume"]
    drift(world)
    drift(world, puller="other")
    world.polls(minutes=1)
    assert world.titles[1:] == ["installed files were changed 2 times"]
    assert "SKILL" not in "".join(world.outbox.bodies())


def test_drift_of_a_puller_whose_clock_is_off_is_told_once_too() -> None:
    world = Told()
    world.deploy(skill("a"))
    world.polls()
    for minutes in (-10, 10):
        drift(world, at=timestamp(world.clock.now() + timedelta(minutes=minutes)))
        for _ in range(10):
            world.report()
            world.polls(minutes=4)
    assert world.titles == ["installed files were changed at 1 volume"] * 2


def test_drift_that_was_written_late_is_told_by_its_announcement() -> None:
    world = Told()
    world.deploy(skill("a"))
    world.polls(times=20)
    name = "events/2026-11-21/120000.000-drift-edge.json"
    event = {"puller": "edge", "at": "2026-11-21T12:00:00.000Z", "files": [{"what": "missing", "action": "kept"}]}
    world.store.put(name, json.dumps(event).encode(), if_generation=0)
    at = timestamp(world.clock.now())
    announcement = f"events/{at[:10]}/{at[11:23].replace(':', '')}-late-0123456789abcdef.json"
    world.store.put(announcement, json.dumps({"kind": "late", "event": name}).encode(), if_generation=0)
    world.polls(times=8)
    assert world.titles == ["installed files were changed at 1 volume"]
    assert "at edge: 1 missing and kept" in world.outbox.bodies()[0]


def test_more_drift_than_one_poll_reads_is_told_by_the_next_ones() -> None:
    world = Told()
    world.deploy(skill("a"))
    world.polls()
    world.clock.move(3600)
    for number in range(50):
        drift(world, puller=f"p{number:02}", at=timestamp(world.clock.now() - timedelta(minutes=50 - number)))
    world.alert = None
    world.poll()
    world.alert = world.outbox
    for _ in range(5):
        world.poll()
    counts = [title for title in world.titles if "changed" in title]
    assert counts == [f"installed files were changed {number} times" for number in (20, 20, 10)]


# Whom it costs what


def calls_of(world: World, run: object) -> list[str]:
    kept, store = world.store, BreakingStore(world.store)
    world.store = store
    run()  # type: ignore[operator]
    world.store = kept
    return store.calls


@pytest.mark.parametrize("bad", [False, True])
def test_a_plain_webhook_costs_no_request_more_for_alerts(*, bad: bool) -> None:
    calls = []
    for alert in (None, Outbox()):
        world = World()
        world.alert = alert
        rest = bad_skill("b") if bad else skill("b")
        world.deploy(skill("a"), rest)
        world.clock.move(300)
        world.poll()
        calls.append(calls_of(world, lambda world=world, rest=rest: world.deploy(skill("a", "Newer."), rest)))  # type: ignore[misc]
    assert calls[0] == calls[1]


def test_an_unchanged_webhook_costs_no_request_more_either() -> None:
    calls = []
    for alert in (None, Outbox()):
        world = World()
        world.alert = alert
        world.deploy(skill("a"))
        push = world.push(skill("a"))
        world.poll()
        calls.append(calls_of(world, lambda world=world, push=push: world.webhook(push)))  # type: ignore[misc]
    assert calls[0] == calls[1]


def test_a_report_costs_one_read_more() -> None:
    calls = []
    for alert in (None, Outbox()):
        world = World()
        world.deploy(skill("a"))
        world.alert = alert
        calls.append(calls_of(world, world.report))
    assert calls[1] == [*calls[0], f"get {SUMMARY}"]


def test_a_poll_without_news_writes_nothing() -> None:
    world = Told()
    world.deploy(skill("a"), bad_skill("b"))
    world.polls()
    calls = calls_of(world, world.poll)
    assert not [call for call in calls if call.startswith("put") and "alerts" in call]
    assert calls.count(f"get {ALERTS}") == 1


def test_messages_get_so_much_time_as_their_caller_has() -> None:
    world = Told()
    world.deploy(bad_skill("a"))
    world.webhook(world.push(bad_skill("a"), bad_skill("b")), seconds=2.0)
    world.clock.move(60)
    world.push(bad_skill("c"))
    world.poll()
    assert world.outbox.seconds[:3] == [WEBHOOK_SECONDS, 2.0, SECONDS]
    world.webhook(world.push(bad_skill("d")), seconds=LEAST_SECONDS / 2)
    assert world.outbox.calls == 3, "what is left of the time is too little: the poll tells it"
    world.poll()
    assert world.outbox.calls == 4


# What goes wrong


def test_a_delivery_that_fails_is_made_up_for_by_the_next_poll() -> None:
    world = Told()
    world.outbox.dead = {OPS}
    outcome = world.deploy(skill("a"), bad_skill("b"))
    assert (outcome.published[0][0], world.titles) == ("a", [])
    world.outbox.dead = set()
    world.poll()
    assert world.titles == [WITHHELD]


def test_an_address_that_failed_is_told_later_and_the_other_not_again() -> None:
    world = Told(OPS, CHAT)
    world.outbox.dead = {CHAT}
    world.deploy(bad_skill("b"))
    world.polls()
    world.outbox.dead = set()
    world.polls(times=2)
    assert world.outbox.titles(OPS) == world.outbox.titles(CHAT) == [WITHHELD]


def test_two_polls_at_once_send_one_message() -> None:
    world = Told()
    world.alert = None
    world.deploy(bad_skill("b"))
    world.alert = world.outbox
    world.outbox.meanwhile = world.poll  # type: ignore[assignment]
    world.poll()
    assert world.titles == [WITHHELD]


class Between(BreakingStore):
    """Lets something run before the first write of the book."""

    def __init__(self, world: World, run: Callable[[], object]) -> None:
        super().__init__(world.store)
        self._world, self._kept, self._before = world, world.store, [run]

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        if name == ALERTS and self._before:
            self._world.store = self._kept
            self._before.pop()()
        return super().put(name, data, if_generation=if_generation)


def test_a_poll_that_is_overtaken_tells_nothing_again() -> None:
    world = Told()
    world.alert = None
    world.deploy(bad_skill("b"))
    world.alert = world.outbox
    world.store = Between(world, world.poll)
    world.poll()
    assert world.titles == [WITHHELD]


def test_a_claim_of_the_same_things_at_the_same_moment_is_not_taken_for_ones_own() -> None:
    world = Told()
    world.alert = None
    world.deploy(bad_skill("b"))
    world.alert = world.outbox

    def claims_and_sends_slowly() -> None:
        world.outbox.meanwhile = crash
        with suppress(Killed):
            world.poll()

    world.store = Between(world, claims_and_sends_slowly)
    world.poll()
    assert world.outbox.calls == 1


def crash() -> NoReturn:
    raise Killed


def test_a_crash_between_claim_and_delivery_loses_nothing() -> None:
    world = Told()
    world.outbox.meanwhile = crash
    with pytest.raises(Killed):
        world.deploy(bad_skill("b"))
    world.poll()
    assert world.titles == [], "the claim still holds"
    world.clock.move(LEASE.total_seconds())
    world.poll()
    assert world.titles == [WITHHELD]


@pytest.mark.parametrize("at", range(1, 40))
@pytest.mark.parametrize("after", [False, True])
def test_a_store_that_fails_anywhere_never_fails_a_poll_for_the_sake_of_an_alert(at: int, *, after: bool) -> None:
    world = Told()
    world.alert = None
    world.deploy(skill("a"), bad_skill("b"))
    before = len(calls_of(world, world.poll))
    world.alert = world.outbox
    store = BreakingStore(world.store, at=before + at, after=after)
    kept, world.store = world.store, store
    world.poll()
    world.store = kept
    world.polls(times=2)
    assert set(world.titles) == {WITHHELD}
    assert len(world.titles) <= 2, "twice only where it could not be written down that it arrived"


def test_a_fault_of_ours_never_fails_a_deployment(capsys: pytest.CaptureFixture[str]) -> None:
    world = Told()

    def fault() -> None:
        raise ZeroDivisionError

    world.outbox.meanwhile = fault
    assert world.deploy(skill("a"), bad_skill("b")).deployment == "1-1"
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_what_a_deployment_withheld_is_told_even_if_it_could_not_write_that_down() -> None:
    world = Told()
    world.deploy(skill("a"), skill("b"))
    push = world.push(skill("a"), bad_skill("b"))
    kept, store = world.store, BreakingStore(world.store, fault=Killed)
    world.store = store
    put = store.put

    def killed_at_the_summary(name: str, data: bytes, *, if_generation: int) -> int:
        return crash() if name == SUMMARY else put(name, data, if_generation=if_generation)

    store.put = killed_at_the_summary  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.webhook(push)
    world.store = kept
    assert (world.pointer.deployment, world.summary.newest) == ("1-2", (1, 1))
    world.poll()
    assert world.titles == [WITHHELD]
    assert "since deployment 1-2" in world.outbox.bodies()[0]


def test_a_damaged_book_tells_what_lasts_once_more() -> None:
    world = Told()
    world.deploy(bad_skill("b"))
    stored = world.store.get(ALERTS)
    assert stored is not None
    world.store.put(ALERTS, b"damaged", if_generation=stored.generation)
    world.polls(times=3)
    assert world.titles == [WITHHELD] * 2


def test_a_lost_summary_looks_like_no_recovery() -> None:
    world = Told()
    world.deploy(bad_skill("b"))
    stored = world.store.get(SUMMARY)
    assert stored is not None
    cleared = replace(parse_summary(stored.data), withheld={})
    world.store.put(SUMMARY, summary_bytes(cleared), if_generation=stored.generation)
    world.polls(times=3)
    assert world.titles == [WITHHELD]
    world.deploy(bad_skill("b"), skill("c"))
    world.polls(times=3)
    assert world.titles == [WITHHELD]


def test_a_store_that_is_down_is_told_nobody_and_fails_nothing_else() -> None:
    world = Told(store=MemoryStore(), repository=MemoryRepository())
    world.deploy(skill("a"))
    kept = world.store

    class Dead(MemoryStore):
        def get(self, name: str) -> None:  # type: ignore[override]
            raise UnavailableError("STORE_UNAVAILABLE", name)

    world.store = Dead()
    with pytest.raises(UnavailableError) as caught:
        world.poll()
    assert caught.value.code == "STORE_UNAVAILABLE"
    world.store = kept
    assert world.titles == []
