"""What can be done to the store, and the one state and reason that the functions end in."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from shared.core.canonical import canonical_bytes
from shared.core.names import CURRENT, SUMMARY, object_name, puller_name, trust_name
from shared.core.pointer import sign_pointer
from shared.core.states import next_action
from shared.errors import PausedError, SkillSyncError, UnavailableError, UnverifiedError
from shared.model import Action, ManifestRef, Reason, SkillId
from shared.service import recovery_status
from shared.service.serving import Sender, accept_report
from tests.fakes.breaking_store import BreakingStore
from tests.fakes.memory_source import MemorySource
from tests.fakes.trusted import a_signer
from tests.fakes.world import SIGNER, World, bad_skill, skill

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model import CommitSha


READY, DEGRADED, PAUSED = "READY", "DEGRADED", "PAUSED"
STRANGER, SECOND = a_signer(9), a_signer(10)


def read(world: World, name: str) -> bytes:
    stored = world.store.get(name)
    assert stored is not None
    return stored.data


def overwrite(world: World, name: str, data: bytes) -> None:
    stored = world.store.get(name)
    world.store.put(name, data, if_generation=0 if stored is None else stored.generation)


def forget(world: World, *names: str) -> None:
    for name in names:
        stored = world.store.get(name)
        if stored is not None:
            world.store.delete(name, if_generation=stored.generation)


def report(world: World, envelope: bytes, *, puller: str = "edge", **more: object) -> None:
    """A puller says that it has accepted this."""
    document = {"outcome": "current", "reasons": [], "floor": base64.b64encode(envelope).decode()} | more
    accept_report(world.store, world.trust, Sender(puller=puller, key="0" * 8), document, world.clock.now())


@dataclass
class Past:
    """What the store held after each of three deployments."""

    world: World
    pointers: list[bytes] = field(default_factory=list)
    summaries: list[bytes] = field(default_factory=list)


def three() -> Past:
    past = Past(World())
    for text in ("One.", "Two.", "Three."):
        past.world.deploy(skill("a", text), skill("b"))
        past.pointers.append(read(past.world, CURRENT))
        past.summaries.append(read(past.world, SUMMARY))
    return past


def signed(past: Past, **changes: object) -> bytes:
    return sign_pointer(replace(past.world.pointer, **changes), SIGNER)  # type: ignore[arg-type]


def records(past: Past) -> list[str]:
    return [entry.name for entry in past.world.store.list("deployments/")]


@dataclass(frozen=True)
class Row:
    name: str
    act: Callable[[Past], object] = field(repr=False)
    state: str
    reasons: tuple[str, ...]
    polls: bool


ROWS: list[Row] = []


def row(state: str, *reasons: str, polls: bool = True) -> Callable[[Callable[[Past], object]], object]:
    """Add a function to the table: what its act ends in after a poll; `polls`: whether that poll succeeds."""

    def add(act: Callable[[Past], object]) -> object:
        ROWS.append(Row(act.__name__.replace("_", " "), act, state, reasons, polls))
        return act

    return add


@row(READY)
def nothing_at_all(_: Past) -> None:
    return


@row(PAUSED, "mismatch_detected", polls=False)
def the_pointer_alone_taken_back(past: Past) -> None:
    overwrite(past.world, CURRENT, past.pointers[1])


@row(PAUSED, "mismatch_detected", polls=False)
def the_store_taken_back_and_a_puller_that_remembers(past: Past) -> None:
    overwrite(past.world, CURRENT, past.pointers[1])
    overwrite(past.world, SUMMARY, past.summaries[1])
    report(past.world, past.pointers[2])


@row(READY)
def the_store_taken_back_and_nobody_who_remembers(past: Past) -> None:
    overwrite(past.world, CURRENT, past.pointers[1])
    overwrite(past.world, SUMMARY, past.summaries[1])
    forget(past.world, "deployments/1-3.json")


@row(PAUSED, "mismatch_detected", polls=False)
def the_store_taken_back_and_a_record_that_is_left(past: Past) -> None:
    overwrite(past.world, CURRENT, past.pointers[1])
    overwrite(past.world, SUMMARY, past.summaries[1])


@row(PAUSED, "mismatch_detected", polls=False)
def the_store_emptied_and_a_puller_that_remembers(past: Past) -> None:
    forget(past.world, CURRENT, SUMMARY)
    report(past.world, past.pointers[0])


@row(PAUSED, "mismatch_detected", polls=False)
def the_pointer_gone_and_its_record_there(past: Past) -> None:
    forget(past.world, CURRENT)


@row(READY)
def the_store_emptied_and_nobody_who_remembers(past: Past) -> None:
    forget(past.world, CURRENT, SUMMARY, *records(past))


@row(PAUSED, "mismatch_detected", polls=False)
def pointer_and_summary_gone_and_the_records_there(past: Past) -> None:
    forget(past.world, CURRENT, SUMMARY)


@row(PAUSED, "monotonic_violation", polls=False)
def another_manifest_under_the_same_number(past: Past) -> None:
    report(past.world, past.pointers[2])
    other = replace(past.world.pointer.manifest, sha256=past.world.pointer.history[0][1])
    overwrite(past.world, CURRENT, signed(past, manifest=other))


@row(PAUSED, "monotonic_violation", polls=False)
def a_fork_that_has_overtaken_what_a_puller_accepted(past: Past) -> None:
    overwrite(past.world, CURRENT, past.pointers[1])
    overwrite(past.world, SUMMARY, past.summaries[1])
    forget(past.world, "deployments/1-3.json")
    past.world.clock.move(60)
    for text in ("Fork.", "Fork 2."):
        past.world.deploy(skill("a", text), skill("b"))
    report(past.world, past.pointers[2])


@row(PAUSED, "monotonic_violation", polls=False)
def an_epoch_that_the_service_raised_itself(past: Past) -> None:
    overwrite(past.world, CURRENT, signed(past, epoch=2))


@row(PAUSED, "wrong_channel", polls=False)
def a_pointer_of_another_channel(past: Past) -> None:
    overwrite(past.world, CURRENT, signed(past, channel="staging"))


@row(PAUSED, "wrong_channel", polls=False)
def a_pointer_of_another_repository(past: Past) -> None:
    overwrite(past.world, CURRENT, signed(past, repo="octo/other"))


@row(READY)
def rubbish_in_place_of_the_pointer(past: Past) -> None:
    overwrite(past.world, CURRENT, b"rubbish")


@row(READY)
def a_strangers_pointer_and_a_puller_that_remembers_ours(past: Past) -> None:
    report(past.world, past.pointers[2])
    overwrite(past.world, CURRENT, sign_pointer(past.world.pointer, STRANGER))
    forget(past.world, SUMMARY)


@row(DEGRADED, "pointer_unverifiable", polls=False)
def rubbish_in_place_of_the_pointer_and_nobody_who_remembers(past: Past) -> None:
    overwrite(past.world, CURRENT, b"rubbish")
    forget(past.world, SUMMARY, *records(past))


@row(READY)
def rubbish_in_place_of_pointer_and_summary_and_the_records_there(past: Past) -> None:
    overwrite(past.world, CURRENT, b"rubbish")
    overwrite(past.world, SUMMARY, b"rubbish")


@row(PAUSED, "mismatch_detected", polls=False)
def a_rewind_that_is_undone_by_hand(past: Past) -> None:
    the_pointer_alone_taken_back(past)
    with pytest.raises(PausedError):
        past.world.poll()
    overwrite(past.world, CURRENT, past.pointers[2])


@row(PAUSED, "mismatch_detected", polls=False)
def a_rewind_whose_latch_was_lost_with_the_summary(past: Past) -> None:
    the_store_taken_back_and_a_puller_that_remembers(past)
    with pytest.raises(PausedError):
        past.world.poll()
    overwrite(past.world, SUMMARY, past.summaries[1])


@row(READY)
def a_rewind_and_a_new_epoch(past: Past) -> None:
    the_store_taken_back_and_a_puller_that_remembers(past)
    with pytest.raises(PausedError):
        past.world.poll()
    past.world.bump()


@row(PAUSED, "epoch_pending_republish", "monotonic_violation", polls=False)
def a_violation_and_a_new_epoch_that_does_not_acknowledge_it(past: Past) -> None:
    another_manifest_under_the_same_number(past)
    with pytest.raises(PausedError):
        past.world.poll()
    past.world.bump()


@row(READY)
def a_violation_and_a_new_epoch_that_acknowledges_it(past: Past) -> None:
    another_manifest_under_the_same_number(past)
    with pytest.raises(PausedError):
        past.world.poll()
    past.world.bump(ack=1, incident="INC-1")


@row(READY)
def a_violation_that_is_acknowledged_later(past: Past) -> None:
    a_violation_and_a_new_epoch_that_does_not_acknowledge_it(past)
    past.world.operate(ack=1, incident="INC-1")


@row(PAUSED, "mismatch_detected", polls=False)
def a_store_taken_back_into_an_older_epoch(past: Past) -> None:
    past.world.bump()
    past.world.poll()
    report(past.world, read(past.world, CURRENT))
    overwrite(past.world, CURRENT, past.pointers[2])


@row(PAUSED, "mismatch_detected", polls=False)
def trust_and_store_taken_back_together(past: Past) -> None:
    report(past.world, sign_pointer(replace(past.world.pointer, epoch=2, seq=1, history=()), SIGNER))


@row(READY)
def trust_taken_back_and_uploaded_again(past: Past) -> None:
    past.world.bump()
    past.world.poll()
    second = read(past.world, CURRENT)
    envelope = read(past.world, trust_name(2))
    forget(past.world, trust_name(2))
    overwrite(past.world, CURRENT, past.pointers[2])
    past.world.trust = replace(past.world.trust, version=1, epoch=1)
    report(past.world, second)
    with pytest.raises(PausedError):
        past.world.poll()
    past.world.store.put(trust_name(2), envelope, if_generation=0)
    with pytest.raises(PausedError):  # the puller's memory is of this epoch again, and the store stands behind it
        past.world.poll()
    past.world.bump()


@row(DEGRADED, "trust_invalid")
def a_trust_that_is_rubbish_blocks_nothing(past: Past) -> None:
    past.world.store.put(trust_name(2), b"half a docum", if_generation=0)


@row(DEGRADED, "trust_expired")
def a_trust_that_has_expired_blocks_nothing(past: Past) -> None:
    past.world.operate(expires_at="2026-01-02T00:00:00.000Z")


@row(READY)
def an_epoch_opened_without_any_need(past: Past) -> None:
    past.world.bump()


@row(READY)
def three_epochs_opened_before_anybody_polls(past: Past) -> None:
    for _ in range(3):
        past.world.bump()


# What nobody signed accuses nobody


@row(READY)
def a_floor_that_a_puller_made_up(past: Past) -> None:
    report(past.world, b"{}")


@row(READY)
def a_floor_that_a_stranger_signed(past: Past) -> None:
    report(past.world, sign_pointer(replace(past.world.pointer, seq=99), STRANGER))


@row(READY)
def a_floor_by_a_signer_that_is_revoked(past: Past) -> None:
    ahead = signed(past, seq=99)
    past.world.operate(signer_keys={**past.world.trust.signer_keys, SECOND.key_id: SECOND.public_key})
    past.world.signer = SECOND
    past.world.clock.move(200)
    past.world.poll()
    past.world.operate(signer_keys={SECOND.key_id: SECOND.public_key})
    past.world.look_at_trust()
    report(past.world, ahead)


@row(READY)
def a_floor_of_another_repository(past: Past) -> None:
    report(past.world, signed(past, repo="octo/other", seq=99))


@row(READY)
def a_floor_that_is_no_text(past: Past) -> None:
    overwrite(past.world, puller_name("edge"), canonical_bytes({"id": "edge", "floor": {"envelope": 7}}))


@row(READY)
def a_report_that_is_rubbish(past: Past) -> None:
    overwrite(past.world, puller_name("edge"), b"[")


@row(READY)
def a_summary_that_names_what_never_was(past: Past) -> None:
    summary = json.loads(past.summaries[2])
    summary["deployments"].append({**summary["deployments"][-1], "id": "1-99"})
    overwrite(past.world, SUMMARY, canonical_bytes(summary))


@row(READY)
def a_summary_that_names_a_record_of_another_number(past: Past) -> None:
    a_summary_that_names_what_never_was(past)
    past.world.store.put("deployments/1-99.json", past.pointers[1], if_generation=0)


@row(READY)
def a_puller_that_was_away_for_twenty_deployments(past: Past) -> None:
    report(past.world, past.pointers[0])
    for number in range(20):
        past.world.deploy(skill("a", f"Number {number}."), skill("b"))


@row(READY)
def a_pointer_that_has_expired(past: Past) -> None:
    past.world.clock.move(7200)


@row(DEGRADED, "clock_skew")
def an_instance_whose_clock_is_an_hour_slow(past: Past) -> None:
    past.world.clock.move(-3600)


@row(READY)
def a_signer_that_is_rotated(past: Past) -> None:
    both = {**past.world.trust.signer_keys, SECOND.key_id: SECOND.public_key}
    past.world.operate(signer_keys=both)
    past.world.look_at_trust()
    past.world.signer = SECOND
    past.world.clock.move(200)
    past.world.poll()
    past.world.operate(signer_keys={SECOND.key_id: SECOND.public_key})


def test_each_row_has_a_name_of_its_own() -> None:
    assert len({each.name for each in ROWS}) == len(ROWS)


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_each_change_of_the_store_ends_in_one_state(case: Row) -> None:
    past = three()
    world = past.world
    case.act(past)
    world.push(skill("a", "Four."), skill("b"))
    if case.polls:
        world.poll()
        assert b"Four." in world.live()["a"]["SKILL.md"]
    else:
        objects = world.store.list("objects/")
        before = world.store.get(CURRENT)
        with pytest.raises((PausedError, UnverifiedError)):
            world.poll()
        with pytest.raises((PausedError, UnverifiedError)):
            world.webhook(world.push(skill("a", "Five."), skill("b")))
        assert world.store.get(CURRENT) == before
        assert world.store.list("objects/") == objects
    found = world.survey()
    assert (found.state.condition.value, found.state.reasons) == (case.state, case.reasons)


# What is written down, and what is told


def test_a_pause_is_written_down_once_with_both_sides_and_refuses_every_call_with_the_reasons() -> None:
    past = three()
    world = past.world
    the_store_taken_back_and_a_puller_that_remembers(past)
    generations = set()
    for _ in range(3):
        with pytest.raises(PausedError) as caught:
            world.poll()
        generations.add(world.store.get(SUMMARY).generation)  # type: ignore[union-attr]
        world.clock.move(60)
    assert len(generations) == 1
    assert caught.value.reasons == ("mismatch_detected",)
    assert "epoch bump" in caught.value.next_action
    evidence = json.loads(read(world, "pauses/1-mismatch_detected.json"))
    assert base64.b64decode(evidence["store"]) == past.pointers[1]
    assert base64.b64decode(evidence["remembered"]) == past.pointers[2]
    assert evidence["remembered_by"] == "puller edge"
    events = [entry.name for entry in world.store.list("events/") if "dr-observed" in entry.name]
    assert len(events) == 1
    told = json.loads(read(world, events[0]))
    assert (told["kind"], told["party"], told["remembered"], told["store"]) == (
        "dr.observed",
        "functions",
        "1-3",
        "1-2",
    )
    for act in (lambda: world.roll_back("1-1"), lambda: world.release("a")):
        with pytest.raises(PausedError):
            act()


def test_the_state_names_what_is_served_and_that_nothing_may_be_deployed() -> None:
    past = three()
    the_store_taken_back_and_a_puller_that_remembers(past)
    found = past.world.survey()
    assert recovery_status.operational_state(found) == {
        "state": "PAUSED",
        "since": "2026-11-21T12:00:00.000Z",
        "reasons": ["mismatch_detected"],
        "serving": "1-2",
        "deploys_allowed": False,
    }
    told = recovery_status.dr_state(found, past.world.trust, [{"key_id": SIGNER.key_id}])
    assert (told["match_status"], told["store"]["deployment"]) == ("mismatch_detected", "1-2")  # type: ignore[index]
    parties = {(each["party"], each["deployment"]) for each in told["remembered"]}  # type: ignore[attr-defined]
    assert parties == {("puller edge", "1-3"), ("record", "1-2"), ("record", "1-3")}
    assert [(each["reason"], each["epoch"]) for each in told["pauses"]] == [("mismatch_detected", 1)]  # type: ignore[attr-defined]
    assert recovery_status.boot(found)["first_failed"] == 6


def test_a_healthy_store_matches_and_every_gate_is_passed() -> None:
    past = three()
    report(past.world, past.pointers[2])
    found = past.world.survey()
    told = recovery_status.dr_state(found, past.world.trust, [])
    assert (told["match_status"], told["next_action"]) == ("match", "none")
    assert recovery_status.boot(found)["ready"]


def test_before_the_first_deployment_nothing_is_known_and_nothing_is_wrong() -> None:
    found = World().survey()
    assert recovery_status.dr_state(found, World().trust, [])["match_status"] == "unknown"
    assert recovery_status.operational_state(found)["serving"] is None
    boot = recovery_status.boot(found)
    assert (boot["ready"], boot["gates"][3]["status"]) == (True, "warn")  # type: ignore[index]


def test_when_the_trust_was_rewound_too_the_operator_is_told_to_upload_it_again() -> None:
    past = three()
    trust_and_store_taken_back_together(past)
    found = past.world.survey()
    action = next_action(found.state, found.latches, past.world.trust, remembered_epoch=2)
    assert "operator trust push" in action
    assert recovery_status.dr_state(found, past.world.trust, [])["next_action"] == action


# Recovery in a new epoch


class Down(MemorySource):
    """A source that does not answer."""

    def head(self, known: CommitSha | None) -> CommitSha:
        raise UnavailableError("SOURCE_UNAVAILABLE", f"no answer, {known} is known")


def test_a_new_epoch_begins_with_what_was_live_without_asking_the_source_and_then_converges() -> None:
    world = three().world
    world.roll_back("1-1")
    rolled_back = world.manifest
    world.bump()
    world.source = Down(world.repository)
    with pytest.raises(UnavailableError):
        world.poll()
    assert (world.pointer.deployment, world.pointer.action, world.pointer.previous) == ("2-1", Action.RECOVER, "1-4")
    assert world.manifest == rolled_back
    assert world.manifest.withheld[SkillId("a")].reason is Reason.ROLLED_BACK
    world.source = MemorySource(world.repository)
    world.deploy(skill("a", "Four."), skill("b"))
    assert (world.pointer.deployment, world.pointer.history) == ("2-2", ((1, world.pointer.history[0][1]),))


def test_of_a_rewound_store_the_newest_manifest_that_a_puller_remembers_is_gone_on_from() -> None:
    past = three()
    world = past.world
    world.deploy(skill("a", "Three."), bad_skill("b"))
    newest = world.manifest
    report(world, read(world, CURRENT))
    overwrite(world, CURRENT, past.pointers[1])
    overwrite(world, SUMMARY, past.summaries[1])
    world.bump()
    world.poll()
    assert world.pointer.deployment == "2-1"
    assert world.manifest == newest  # with what it withholds


def test_what_the_newest_manifest_has_lost_is_fetched_again_and_nothing_else() -> None:
    world = three().world
    archive = world.manifest.skills[SkillId("a")].archive
    forget(world, object_name(archive))
    for number in (1, 2):  # no older manifest is complete either
        forget(world, object_name(world.pointer.history[number - 1][1]))
    world.bump()
    world.source = source = MemorySource(world.repository)
    world.poll()
    assert world.pointer.deployment == "2-1"
    assert source.blobs_asked == ["a/SKILL.md"]
    assert set(world.live()) == {"a", "b"}
    assert b"Three." in world.live()["a"]["SKILL.md"]


def test_the_recovery_is_told_once() -> None:
    world = three().world
    world.bump()
    for _ in range(3):
        world.poll()
        world.clock.move(400)
    events = [entry.name for entry in world.store.list("events/") if "dr-recovered" in entry.name]
    assert len(events) == 1
    assert json.loads(read(world, events[0]))["epoch"] == 2


def test_a_puller_that_follows_into_the_new_epoch_is_told_once_too() -> None:
    past = three()
    world = past.world
    report(world, past.pointers[2], outcome="refused", state="PAUSED", reasons=["mismatch_detected"])
    world.bump()
    world.poll()
    for _ in range(2):
        report(world, read(world, CURRENT), outcome="installed", state="READY")
    kinds = [json.loads(read(world, entry.name)) for entry in world.store.list("events/")]
    told = sorted(each["kind"] for each in kinds if each.get("party") == "edge")
    assert told == ["dr.observed", "dr.recovered_boot"]


@pytest.mark.parametrize("at", range(1, 40))
def test_a_recovery_that_is_cut_short_anywhere_ends_well(at: int) -> None:
    world = three().world
    world.bump()
    world.push(skill("a", "Four."), skill("b"))
    store = world.store
    world.store = BreakingStore(store, at=at)
    with suppress(SkillSyncError):
        world.poll()
    world.store = store
    world.poll()
    assert world.survey().state.condition.value == READY
    assert (world.pointer.epoch, b"Four." in world.live()["a"]["SKILL.md"]) == (2, True)


def test_a_report_that_races_with_a_deployment_is_no_false_alarm() -> None:
    # The pointer is read, then another instance deploys and a puller installs and reports that, then the reports are read.
    past = three()
    world = past.world
    other = World(store=world.store, repository=world.repository)
    other.clock = world.clock

    class Racing(BreakingStore):
        def list(self, prefix: str, *, after: str = "", limit: int = 1000):  # noqa: ANN202 - as the store's
            if prefix == "pullers/" and other.pointer.seq == 3:
                other.deploy(skill("a", "Four."), skill("b"))
                report(other, read(other, CURRENT))
            return super().list(prefix, after=after, limit=limit)

    world.store = Racing(world.store)
    world.poll()
    assert world.survey().state.condition.value == READY
    assert not world.store.list("pauses/")


def test_a_stale_trust_accuses_nobody() -> None:
    # An instance that has not looked at the trust yet meets a pointer of the next epoch.
    world = three().world
    stale = world.trust
    world.bump()
    world.poll()
    world.trust = stale
    context = world.context
    from shared.service.live import read_live  # noqa: PLC0415 - used here only

    with pytest.raises(PausedError):
        read_live(context)
    assert not world.store.list("pauses/")


def test_a_rollback_reaches_back_into_an_older_epoch() -> None:
    world = three().world
    world.bump()
    world.poll()
    world.roll_back("1-1")
    assert b"One." in world.live()["a"]["SKILL.md"]
    assert world.pointer.deployment == "2-2"


def test_a_record_by_a_revoked_signer_is_rolled_back_to_only_where_the_history_names_it() -> None:
    world = three().world
    forged = replace(
        world.pointer, seq=1, history=(), manifest=ManifestRef(sha256=world.pointer.history[1][1], size=1, skills=2)
    )
    a_signer_that_is_rotated(Past(world))
    world.look_at_trust()
    world.roll_back("1-2")
    assert b"Two." in world.live()["a"]["SKILL.md"]
    overwrite(world, "deployments/1-1.json", sign_pointer(forged, SIGNER))
    with pytest.raises(UnverifiedError, match="revoked"):
        world.roll_back("1-1")
