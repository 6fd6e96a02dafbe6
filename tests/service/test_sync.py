"""What a sync makes of pushes, lost pushes, replays, lagging refs, rejections, releases, rollbacks and deletions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.core.canonical import digest_of
from shared.core.names import CURRENT, SUMMARY, object_name
from shared.core.rules import ValidationPolicy
from shared.errors import DeadlineError, NotFoundError, UnavailableError, UnverifiedError
from shared.model import CommitSha, Status, TreeEntry
from tests.fakes.breaking_store import BreakingStore
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import World, a_push, bad_skill, skill
from tests.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path


class Lagging(MemorySource):
    """A source whose refs show an older head for some reads."""

    def __init__(self, world: World, old: CommitSha, reads: int) -> None:
        super().__init__(world.repository)
        self._old = old
        self._reads = reads

    def head(self, known: CommitSha | None) -> CommitSha:
        now = super().head(known)
        self._reads -= 1
        return self._old if self._reads >= 0 else now


class Down(MemorySource):
    """A source that does not answer."""

    def head(self, known: CommitSha | None) -> CommitSha:
        del known
        raise UnavailableError("SOURCE_UNAVAILABLE", "down")


def sequence(world: World) -> list[int]:
    return [int(record.split("-")[1]) for record in world.records()]


def test_the_pointer_is_read_before_the_head() -> None:
    world = World()
    world.deploy(skill("a"))
    order: list[str] = []
    store = BreakingStore(world.store)

    class Noted(MemorySource):
        def head(self, known: CommitSha | None) -> CommitSha:
            order.extend(store.calls)
            return super().head(known)

    world.source, world.store = Noted(world.repository), store
    world.poll()
    assert f"get {CURRENT}" in order


def test_a_push_without_a_change_of_skills_refreshes_the_pointer_and_keeps_its_sequence() -> None:
    world = World()
    world.deploy(skill("a"))
    before = world.pointer
    outcome = world.deploy(skill("a"), {"README.md": b"Unrelated."})
    after = world.pointer
    assert outcome.status is None
    assert after.commit == world.repository.head
    kept = {"commit", "issued_at", "expires_at", "head_checked_at"}
    assert replace(after, **{name: getattr(before, name) for name in kept}) == before
    source = MemorySource(world.repository)
    world.source = source
    world.poll()
    assert source.asked == ["head"]


def test_a_replayed_old_push_costs_two_source_requests_and_changes_nothing() -> None:
    world = World()
    first = world.push(skill("a"))
    world.webhook(first)
    world.deploy(skill("a", "Two."))
    before = world.store.get(CURRENT)
    source = MemorySource(world.repository)
    world.source = source
    assert world.webhook(first).status is None
    assert world.store.get(CURRENT) == before
    assert source.asked == ["head", "compare"]


@pytest.mark.parametrize("reads", [1, 2, 3])
def test_refs_that_lag_behind_the_push_are_read_again_until_they_show_it(reads: int) -> None:
    world = World()
    world.deploy(skill("a"))
    old = world.repository.head
    push = world.push(skill("a", "Two."))
    world.source = Lagging(world, old, reads)
    assert world.webhook(push).status is Status.SUCCESS
    assert world.clock.slept == [0.5, 1.0, 2.0][:reads]
    assert world.texts() == {"a": "Two."}


def test_refs_that_lag_behind_the_pointer_never_move_content_back() -> None:
    world = World()
    world.deploy(skill("a"))
    old = world.repository.head
    world.deploy(skill("a", "Two."))
    world.source = Lagging(world, old, 3)
    assert world.poll().status is None
    assert world.texts() == {"a": "Two."}


def test_refs_that_lag_for_too_long_are_taken_as_they_are_and_the_next_poll_goes_on() -> None:
    world = World()
    world.deploy(skill("a"))
    old = world.repository.head
    push = world.push(skill("a", "Two."))
    world.source = Lagging(world, old, 4)
    assert world.webhook(push).status is None
    assert world.poll().status is Status.SUCCESS


def test_a_force_push_converges_and_is_recorded_with_or_without_a_change_of_skills() -> None:
    world = World()
    base = world.push(skill("a")).after
    world.poll()
    world.deploy(skill("a", "Two."))
    for text in ("Three.", "Three."):
        before = world.repository.head
        after = world.repository.commit(skill("a", text) | {"n": after_text(world)}, parent=base)
        world.webhook(a_push(before, after, forced=True))
        assert world.texts() == {"a": "Three."}
    assert ["history-rewritten" in entry.name for entry in world.store.list("events/")] == [True, True]


def after_text(world: World) -> bytes:
    return world.repository.head.encode()


def test_a_reset_to_an_older_commit_is_followed_after_the_rereads() -> None:
    world = World()
    world.deploy(skill("a"))
    old = world.repository.head
    world.deploy(skill("a", "Two."))
    world.repository.head = old
    assert world.poll().status is Status.SUCCESS
    assert world.texts() == {"a": "Text."}
    assert world.summary.deployments[-1]["history_rewritten"] is True


def test_a_rejected_skill_keeps_its_last_good_version_and_is_reported_once() -> None:
    world = World()
    world.deploy(skill("a"), skill("b"))
    outcome = world.deploy(bad_skill("a"), skill("b", "Two."))
    assert world.texts() == {"a": "Text.", "b": "Two."}
    assert [item.id for item in outcome.withheld] == ["a"]
    again = world.deploy(bad_skill("a"), skill("b", "Three."))
    assert again.withheld == ()
    assert world.events() == ["1-2-rejected"]


def test_a_push_of_which_everything_is_rejected_is_a_deployment_of_that_status() -> None:
    world = World()
    world.deploy(skill("a"))
    assert world.deploy(bad_skill("a")).status is Status.REJECTED
    assert world.deploy(bad_skill("a"), {"README.md": b"x"}).status is None
    assert world.deploy(skill("a", "Mended.")).status is Status.SUCCESS
    assert (world.texts(), world.withheld()) == ({"a": "Mended."}, {})


def test_a_removed_skill_goes() -> None:
    world = World()
    world.deploy(skill("a"), skill("b"))
    assert world.deploy(skill("b")).removed == ("a",)
    assert set(world.texts()) == {"b"}


def test_a_push_that_deletes_more_than_half_and_at_least_five_waits_for_a_person() -> None:
    world = World()
    many = [skill(f"s{number}") for number in range(9)]
    world.deploy(*many)
    outcome = world.deploy(*many[:4])
    assert (outcome.status, outcome.removed) == (Status.REJECTED, ())
    assert len(world.texts()) == 9
    assert set(world.withheld().values()) == {"deletion_guard"}
    assert world.poll().status is None
    world.release("s4", "s5")
    assert len(world.texts()) == 7
    world.deploy(*many[:4], {"README.md": b"x"})
    assert len(world.texts()) == 7


@pytest.mark.parametrize(("skills", "left"), [(8, 4), (4, 0), (9, 5)])
def test_smaller_deletions_go_through(skills: int, left: int) -> None:
    world = World()
    many = [skill(f"s{number}") for number in range(skills)]
    world.deploy(*many)
    world.deploy(*many[:left], {"README.md": b"x"})
    assert len(world.texts()) == left


def test_a_rollback_sticks_through_polls_and_other_pushes_and_yields_when_the_skill_changes() -> None:
    world = World()
    world.deploy(skill("a", "One."), skill("b", "One."))
    world.deploy(skill("a", "Two."), skill("b", "One."))
    world.roll_back("1-1")
    assert (world.texts()["a"], world.withheld()) == ("One.", {"a": "rolled_back"})
    assert (world.pointer.status, world.pointer.rolled_back_to) == (Status.ROLLED_BACK, "1-1")
    world.poll()
    world.deploy(skill("a", "Two."), skill("b", "Two."))
    assert world.texts() == {"a": "One.", "b": "Two."}
    world.deploy(skill("a", "Three."), skill("b", "Two."))
    assert (world.texts(), world.withheld()) == ({"a": "Three.", "b": "Two."}, {})


def test_a_rollback_brings_removed_skills_back_and_takes_new_ones_away() -> None:
    world = World()
    world.deploy(skill("a"), skill("gone"))
    world.deploy(skill("a"), skill("new"))
    world.roll_back("1-1")
    assert (set(world.texts()), world.withheld()) == ({"a", "gone"}, {"gone": "rolled_back", "new": "rolled_back"})
    world.deploy(skill("a"), skill("new"), {"README.md": b"x"})
    assert set(world.texts()) == {"a", "gone"}
    assert world.pointer.seq == 3
    world.release("gone", "new")
    assert (set(world.texts()), world.withheld()) == ({"a", "new"}, {})


def test_a_rollback_needs_no_source() -> None:
    world = World()
    world.deploy(skill("a", "One."))
    world.deploy(skill("a", "Two."))
    world.source = Down(world.repository)
    world.roll_back("1-1")
    assert world.texts() == {"a": "One."}


def test_rolling_back_to_what_is_live_changes_nothing_and_to_what_is_unknown_is_refused() -> None:
    world = World()
    world.deploy(skill("a"))
    assert world.roll_back("1-1").status is None
    with pytest.raises(NotFoundError, match="DEPLOYMENT_UNKNOWN"):
        world.roll_back("1-2")
    with pytest.raises(NotFoundError, match="DEPLOYMENT_UNKNOWN"):
        World().roll_back("1-1")


def test_a_rollback_to_collected_archives_is_refused_and_moves_nothing() -> None:
    world = World()
    world.deploy(skill("a", "One."))
    archive = next(iter(world.manifest.skills.values())).archive
    world.deploy(skill("a", "Two."))
    stored = world.store.get(object_name(archive))
    assert stored is not None
    world.store.delete(object_name(archive), if_generation=stored.generation)
    with pytest.raises(NotFoundError, match="OBJECT_MISSING"):
        world.roll_back("1-1")
    assert world.texts() == {"a": "Two."}


def test_what_a_deployment_brings_back_gets_a_new_generation() -> None:
    world = World()
    world.deploy(skill("a", "One."))
    archive = object_name(next(iter(world.manifest.skills.values())).archive)
    world.deploy(skill("a", "Two."))
    before = world.store.get(archive)
    world.deploy(skill("a", "One."))
    middle = world.store.get(archive)
    world.deploy(skill("a", "Two."))
    world.roll_back("1-1")
    after = world.store.get(archive)
    assert before is not None
    assert middle is not None
    assert after is not None
    assert before.generation < middle.generation < after.generation


def test_a_release_judges_again_and_never_overrides_the_rules() -> None:
    world = World()
    world.deploy(skill("a"))
    world.deploy(bad_skill("a"))
    assert world.release("a").status is None
    assert (world.texts(), world.withheld()) == ({"a": "Text."}, {"a": "rejected"})
    assert world.pointer.seq == 2


def test_a_release_of_what_is_not_withheld_is_refused() -> None:
    world = World()
    world.deploy(skill("a"))
    with pytest.raises(NotFoundError, match="NOT_WITHHELD"):
        world.release("a")


def test_all_or_nothing_holds_a_pushs_good_skills_until_its_bad_one_is_mended() -> None:
    world = World(policy=ValidationPolicy.ALL_OR_NOTHING)
    world.deploy(skill("a", "One."), skill("b", "One."))
    world.deploy(bad_skill("a"), skill("b", "Two."), skill("c"))
    assert (world.texts(), world.withheld()) == (
        {"a": "One.", "b": "One."},
        {"a": "rejected", "b": "together", "c": "together"},
    )
    world.deploy(bad_skill("a"), skill("b", "Two."), skill("c"), {"README.md": b"Unrelated."})
    assert world.texts() == {"a": "One.", "b": "One."}
    world.deploy(skill("a", "Three."), skill("b", "Two."), skill("c"))
    assert (world.texts(), world.withheld()) == ({"a": "Three.", "b": "Two.", "c": "Text."}, {})


def test_only_a_poll_judges_again_when_the_rules_change_and_a_live_skill_that_fails_stays() -> None:
    world = World()
    world.deploy(skill("big", "x" * 500), skill("small"))
    world.terms = replace(world.terms, max_skill_file_bytes=300)
    world.deploy(skill("big", "x" * 500), skill("small", "Two."))
    assert world.withheld() == {}
    world.poll()
    assert (set(world.texts()), world.withheld()) == ({"big", "small"}, {"big": "rejected"})
    seq = world.pointer.seq
    world.poll()
    assert world.pointer.seq == seq
    world.terms = replace(world.terms, max_skill_file_bytes=102_400)
    world.poll()
    assert world.withheld() == {}


def test_the_poll_keeps_the_pointer_fresh_and_nothing_else_does() -> None:
    world = World()
    push = world.push(skill("a"))
    world.webhook(push)
    issued = world.pointer.issued_at
    world.clock.move(100)
    world.poll()
    assert world.pointer.issued_at == issued
    world.clock.move(100)
    world.webhook(push)
    assert world.pointer.issued_at == issued
    world.poll()
    assert world.pointer.issued_at > issued
    assert world.pointer.seq == 1


def test_a_sync_whose_time_is_over_leaves_the_pointer_and_the_next_poll_finishes() -> None:
    world = World()
    world.deploy(skill("a"))
    before = world.store.get(CURRENT)
    push = world.push(skill("a", "Two."))

    class Slow(MemorySource):
        def listing(self, commit: CommitSha) -> list[TreeEntry]:
            world.clock.move(9)
            return super().listing(commit)

    world.source = Slow(world.repository)
    with pytest.raises(DeadlineError):
        world.webhook(push)
    assert world.store.get(CURRENT) == before
    assert world.poll().status is Status.SUCCESS


def test_a_source_that_is_down_is_noted_once_and_forgotten_by_the_next_poll_that_works() -> None:
    world = World()
    world.deploy(skill("a"))
    before = world.store.get(CURRENT)
    push = world.push(skill("a", "Two."))
    source, world.source = world.source, Down(world.repository)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="SOURCE_UNAVAILABLE"):
            world.webhook(push)
        world.clock.move(1)
    assert world.store.get(CURRENT) == before
    assert world.events() == ["failed-source_unavailable"]
    assert world.summary.poller["error"] == "SOURCE_UNAVAILABLE"
    world.source = source
    assert world.poll().status is Status.SUCCESS
    assert "error" not in world.summary.poller


def test_a_damaged_archive_is_fetched_again_when_its_skill_changes() -> None:
    world = World()
    world.deploy(skill("a", "One.", notes="n"))
    name = object_name(next(iter(world.manifest.skills.values())).archive)
    stored = world.store.get(name)
    assert stored is not None
    world.store.put(name, b"rubbish", if_generation=stored.generation)
    world.deploy(skill("a", "Two.", notes="n"))
    assert world.live()["a"]["notes.txt"] == b"n"


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"schema": "other"}', b'{"schema": "skill-sync/summary/1", "deployments": [1]}']
)
def test_a_damaged_summary_is_written_anew_from_the_records(damage: bytes) -> None:
    world = World()
    world.deploy(skill("a"))
    world.deploy(skill("a", "Two."))
    stored = world.store.get(SUMMARY)
    assert stored is not None
    lines = world.summary.deployments
    world.store.put(SUMMARY, damage, if_generation=stored.generation)
    world.poll()
    assert world.summary.deployments == lines


def test_a_pointer_that_we_did_not_sign_stops_every_sync_and_is_left_alone() -> None:
    world = World()
    world.deploy(skill("a"))
    stored = world.store.get(CURRENT)
    assert stored is not None
    world.store.put(CURRENT, stored.data.replace(b'"sig":"', b'"sig":"AAAA'), if_generation=stored.generation)
    for name in (SUMMARY, "deployments/1-1.json"):  # else the record would tell what was live
        known = world.store.get(name)
        assert known is not None
        world.store.delete(name, if_generation=known.generation)
    tampered = world.store.get(CURRENT)
    for act in (world.poll, lambda: world.roll_back("1-1")):
        with pytest.raises(UnverifiedError, match="pointer_unverifiable"):
            act()
    assert world.store.get(CURRENT) == tampered


def test_a_folder_that_moves_keeps_its_skill_live_and_fetches_nothing() -> None:
    world = World()
    world.deploy(skill("a"))
    source = MemorySource(world.repository)
    world.source = source
    world.deploy({f"skills/{path}": data for path, data in skill("a").items()})
    assert "blobs" not in source.asked
    assert world.manifest.skills[next(iter(world.manifest.skills))].path == "skills/a"


def test_objects_are_named_by_their_content() -> None:
    world = World()
    world.deploy(skill("a"), skill("b"))
    for entry in world.store.list("objects/"):
        stored = world.store.get(entry.name)
        assert stored is not None
        assert entry.name == object_name(digest_of(stored.data))


def test_the_fake_repository_lists_what_git_lists(tmp_path: Path) -> None:
    world = World()
    files = skill("a", notes="n") | {"deep/er/x": b"x", "README.md": b"r"}
    commit = world.repository.commit(files)
    repo = Repo(tmp_path / "real")
    repo.write_all(files)
    repo.commit()
    lines = repo.git("ls-tree", "-r", "-t", "HEAD").splitlines()
    real = {line.split("\t")[1]: line.split()[2] for line in lines}
    assert {entry.path: entry.id for entry in world.source.listing(commit)} == real
