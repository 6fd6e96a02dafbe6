"""Accusations and repairs under a trust that is no longer the newest, with evidence that is forged, lost or late."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from shared.core.canonical import canonical_bytes
from shared.core.names import CURRENT, SUMMARY, object_name, puller_name
from shared.errors import PausedError, UnavailableError, UnverifiedError
from shared.model import SkillId
from tests.fakes.breaking_store import BreakingStore, Killed
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import TRUST, World, skill
from tests.puller.edge import Edge
from tests.service.test_rewinds import SECOND, Down, forget, overwrite, read, report, three

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shared.model import CommitSha

BOTH = {**TRUST.signer_keys, SECOND.key_id: SECOND.public_key}


class DiesBehindThePointer(BreakingStore):
    """The pointer moved; record and summary were never written."""

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        generation = super().put(name, data, if_generation=if_generation)
        if name == CURRENT:
            raise Killed
        return generation


def another(world: World) -> World:
    """A second instance over the same store and repository."""
    other = World(store=world.store, repository=world.repository)
    other.clock = world.clock
    return other


def meanwhile(world: World, act: Callable[[], None]) -> MemorySource:
    """A source during whose first answer another instance acts."""

    class Slow(MemorySource):
        done = False

        def head(self, known: CommitSha | None) -> CommitSha:
            found = super().head(known)
            if not self.done:
                self.done = True
                act()
            return found

    return Slow(world.repository)


# The trust that a call began under is not the newest any more


def test_a_poll_that_began_before_an_epoch_accuses_nobody() -> None:
    world = three().world
    other = another(world)

    def act() -> None:
        other.bump()
        other.store = DiesBehindThePointer(world.store)
        with suppress(Killed):
            other.poll()
        other.store = world.store

    world.push(skill("a", "Four."), skill("b"))
    world.source = meanwhile(world, act)
    with suppress(PausedError):
        world.poll()
    world.source = MemorySource(world.repository)
    world.poll()
    assert world.survey().state.reasons == ()


def test_a_poll_that_began_before_a_rotation_takes_back_nothing_that_the_new_signer_deployed() -> None:
    past = three()
    world = past.world
    report(world, past.pointers[2])
    other = another(world)

    def act() -> None:
        world.operate(signer_keys=BOTH)
        other.look_at_trust()
        other.signer = SECOND
        other.roll_back("1-1")

    world.push(skill("a", "Four."), skill("b"))
    world.source = meanwhile(world, act)
    with suppress(PausedError, UnverifiedError):
        world.poll()
    assert other.withheld().get("a") == "rolled_back"


def test_an_instance_that_starts_cold_and_far_behind_accuses_nobody() -> None:
    world = three().world
    for _ in range(33):
        world.operate()
    world.bump()
    world.look_at_trust()
    world.look_at_trust()
    store, world.store = world.store, DiesBehindThePointer(world.store)
    with suppress(Killed):
        world.poll()
    world.store = store
    cold = another(world)  # begins at the pinned version
    for _ in range(2):
        with suppress(PausedError):
            cold.poll()
    assert cold.survey().state.reasons == ()


# Records of a history that was lost


def test_a_fork_is_not_followed_because_the_lost_records_vouch_for_it(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    world = edge.world
    copy: dict[str, bytes] = {}
    for text in ("One.", "Two.", "Three."):
        world.deploy(skill("a", text))
        edge.look()
        if text == "Two.":
            copy = {name: read(world, name) for name in (CURRENT, SUMMARY, puller_name("edge"))}
    for name, data in copy.items():  # yesterday's copy is laid over the bucket: records and objects of today stay
        overwrite(world, name, data)
    for number in range(20):  # the volume is away
        world.push(skill("a", f"Fork {number}."))
        with suppress(PausedError):
            world.poll()
        world.clock.move(61)
    edge.look()
    assert world.survey().state.reasons == ("mismatch_detected",)
    assert world.pointer.seq == 2
    assert b"Three." in edge.files()["a/SKILL.md"]


def test_a_webhook_that_deploys_a_number_twice_pauses_everything_behind_it() -> None:
    past = three()
    world = past.world
    for name, data in ((CURRENT, past.pointers[1]), (SUMMARY, past.summaries[1])):
        overwrite(world, name, data)
    world.deploy(skill("a", "Fork."), skill("b"))  # 1-3 once more; nobody has looked thoroughly yet
    with pytest.raises(PausedError) as caught:
        world.deploy(skill("a", "Fork 2."), skill("b"))
    assert caught.value.reasons == ("monotonic_violation",)
    evidence = json.loads(read(world, "pauses/1-monotonic_violation.json"))
    assert evidence["remembered_by"] == "record"
    world.bump(ack=1, incident="INC-1")
    world.poll()
    assert world.survey().state.reasons == ()


# A recovery keeps what was decided


@pytest.mark.parametrize("source_is_down", [False, True])
def test_one_lost_archive_neither_takes_anything_back_nor_releases_what_was_rolled_back(
    *, source_is_down: bool
) -> None:
    past = three()
    world = past.world
    report(world, past.pointers[0], puller="old")  # a puller that is long gone
    world.deploy(skill("a", "Bad."), skill("b"))
    world.roll_back("1-3")
    world.deploy(skill("a", "Bad."), skill("b", "New."))
    assert (world.texts()["a"], world.withheld()) == ("Three.", {"a": "rolled_back"})
    forget(world, object_name(world.manifest.skills[SkillId("b")].archive))
    world.bump()
    if source_is_down:
        world.source = Down(world.repository)
        with pytest.raises(UnavailableError):
            world.poll()
        assert world.survey().state.reasons == ("epoch_pending_republish",)
        return
    world.poll()
    assert (world.texts()["a"], world.withheld()) == ("Three.", {"a": "rolled_back"})


def rotated_at_once(**changes: object) -> World:
    """A signer is added and the old one revoked before anything was signed anew, as a leaked key may ask for."""
    world = three().world
    world.roll_back("1-1")
    world.operate(signer_keys=BOTH)
    world.operate(signer_keys={SECOND.key_id: SECOND.public_key}, **changes)
    world.look_at_trust()
    world.signer = SECOND
    return world


@pytest.mark.parametrize(
    "removed", [(), (CURRENT,), (CURRENT, SUMMARY)], ids=["all there", "pointer gone", "both gone"]
)
def test_after_a_signer_was_revoked_too_early_a_new_epoch_trusts_its_content_no_more_but_what_it_withheld(
    removed: tuple[str, ...],
) -> None:
    world = rotated_at_once(epoch=2)
    forget(world, *removed)
    world.poll()
    assert world.pointer.deployment == "2-1"
    assert world.texts() == {"b": "Text."}  # judged and fetched anew
    assert world.withheld() == {"a": "rolled_back"}


def test_without_a_new_epoch_the_operator_is_told_to_open_one() -> None:
    world = rotated_at_once()
    with pytest.raises(UnverifiedError, match="operator epoch bump"):
        world.poll()
    world.bump()
    world.poll()
    assert world.survey().state.reasons == ()


# Latches that nothing signed stands behind


@pytest.mark.parametrize("epoch", [1, 2, 999_999_999])
def test_a_latch_that_anybody_wrote_into_the_summary_ends_with_the_next_poll(epoch: int) -> None:
    past = three()
    world = past.world
    summary = json.loads(past.summaries[2])
    summary["latches"] = [{"reason": "mismatch_detected", "epoch": epoch, "since": "2026-11-21T12:00:00.000Z"}]
    overwrite(world, SUMMARY, canonical_bytes(summary))
    world.poll()
    assert world.survey().state.reasons == ()
    world.deploy(skill("a", "Four."), skill("b"))
    assert world.texts()["a"] == "Four."


@pytest.mark.parametrize("evidence", [b"", b"{", b"{}", b'{"store": "*", "remembered": 7}', b'{"remembered": "e30="}'])
def test_evidence_that_nobody_signed_is_none(evidence: bytes) -> None:
    past = three()
    world = past.world
    summary = json.loads(past.summaries[2])
    summary["latches"] = [{"reason": "mismatch_detected", "epoch": 1, "since": "2026-11-21T12:00:00.000Z"}]
    overwrite(world, SUMMARY, canonical_bytes(summary))
    overwrite(world, "pauses/1-mismatch_detected.json", evidence)
    world.poll()
    assert world.summary.latches == ()


def test_evidence_outlives_a_rotation_of_the_signer() -> None:
    past = three()
    world = past.world
    overwrite(world, CURRENT, past.pointers[1])
    with pytest.raises(PausedError):
        world.poll()
    overwrite(world, CURRENT, past.pointers[2])
    world.operate(signer_keys=BOTH)
    world.operate(signer_keys={SECOND.key_id: SECOND.public_key})
    world.look_at_trust()
    world.signer = SECOND
    assert "mismatch_detected" in world.survey().state.reasons


# Clocks


def test_a_clock_that_was_wrong_once_is_right_again_with_the_next_epoch(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.world.deploy(skill("a", "One."))
    edge.look()
    edge.world.clock.move(86_400 * 365)
    edge.world.deploy(skill("a", "Two."))
    edge.world.clock.move(-86_400 * 365)
    edge.look()
    assert edge.follower.standing.reasons == ("clock_skew",)
    edge.world.bump()
    edge.world.poll()
    edge.look()
    assert edge.follower.standing.reasons == ()
    assert b"Two." in edge.files()["a/SKILL.md"]
