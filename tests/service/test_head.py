"""When a head counts as settled, and what is asked of the source to know how commits stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import DeadlineError
from shared.model import CommitSha, Pointer, Standing
from shared.service.context import Deadline
from shared.service.head import PAUSES_SECONDS, HeadReader
from tests.core.samples import a_pointer
from tests.fakes.clock import FakeClock
from tests.fakes.memory_source import MemoryRepository, MemorySource
from tests.fakes.world import a_push

REPOSITORY = MemoryRepository()
FIRST, SECOND, THIRD = (REPOSITORY.commit({"n": b"%d" % number}) for number in range(3))
ASIDE = REPOSITORY.commit({"n": b"aside"}, parent=FIRST)
UNKNOWN = CommitSha("f" * 40)


class Showing(MemorySource):
    """A source that shows these heads, one a read; the last one stays."""

    def __init__(self, *heads: CommitSha) -> None:
        super().__init__(REPOSITORY)
        self._heads = list(heads)
        self.known: list[CommitSha | None] = []

    def head(self, known: CommitSha | None) -> CommitSha:
        super().head(known)
        self.known.append(known)
        return self._heads.pop(0) if len(self._heads) > 1 else self._heads[0]


def at(commit: CommitSha) -> Pointer:
    return replace(a_pointer(1), commit=commit)


def settled(
    source: Showing, pointer: Pointer | None, push: tuple[CommitSha, CommitSha] | None = None, **more: object
) -> tuple:
    clock = FakeClock()
    reader = HeadReader(source, clock, None if push is None else a_push(*push, **more))
    return reader.settled_head(pointer, Deadline(clock, 8.0)), clock.slept


def test_the_first_head_ever_is_taken_as_it_is() -> None:
    source = Showing(FIRST)
    assert settled(source, None) == (FIRST, [])
    assert (source.asked, source.known) == (["head"], [None])


def test_the_pointers_own_commit_needs_no_comparison() -> None:
    source = Showing(SECOND)
    assert settled(source, at(SECOND)) == (SECOND, [])
    assert (source.asked, source.known) == (["head"], [SECOND])


def test_an_ordinary_push_tells_how_commits_stand_and_nothing_is_compared() -> None:
    source = Showing(SECOND)
    assert settled(source, at(FIRST), (FIRST, SECOND)) == (SECOND, [])
    assert source.asked == ["head"]


@pytest.mark.parametrize("reads", [1, 2, 3])
def test_a_head_behind_the_push_is_read_again_after_half_a_second_one_and_two(reads: int) -> None:
    source = Showing(*[FIRST] * reads, SECOND)
    assert settled(source, at(FIRST), (FIRST, SECOND)) == (SECOND, list(PAUSES_SECONDS[:reads]))
    assert "compare" not in source.asked


def test_a_head_that_still_lags_then_is_taken_as_it_is() -> None:
    assert settled(Showing(FIRST), at(FIRST), (FIRST, SECOND)) == (FIRST, [0.5, 1.0, 2.0])
    assert settled(Showing(FIRST), at(THIRD)) == (FIRST, [0.5, 1.0, 2.0])


def test_a_head_behind_the_pointer_is_read_again_without_any_push() -> None:
    source = Showing(FIRST, SECOND, THIRD)
    assert settled(source, at(THIRD)) == (THIRD, [0.5, 1.0])


def test_a_head_ahead_of_an_old_push_is_settled() -> None:
    source = Showing(THIRD)
    assert settled(source, at(THIRD), (FIRST, SECOND)) == (THIRD, [])
    assert source.asked == ["head", "compare"]


def test_a_head_beside_the_pointer_is_a_rewritten_history_and_no_lag() -> None:
    assert settled(Showing(ASIDE), at(THIRD)) == (ASIDE, [])
    assert settled(Showing(ASIDE), at(THIRD), (THIRD, ASIDE), forced=True) == (ASIDE, [])


def test_a_push_that_nobody_can_place_is_waited_for_by_nobody() -> None:
    assert settled(Showing(SECOND), at(SECOND), (FIRST, UNKNOWN), forced=True) == (SECOND, [])
    assert settled(Showing(SECOND), at(UNKNOWN)) == (SECOND, [])


def test_a_forced_push_is_waited_for_while_the_head_is_where_it_began() -> None:
    source = Showing(THIRD, THIRD, ASIDE)
    assert settled(source, at(THIRD), (THIRD, ASIDE), forced=True) == (ASIDE, [0.5, 1.0])
    assert settled(Showing(THIRD), at(THIRD), (THIRD, UNKNOWN), forced=True) == (THIRD, list(PAUSES_SECONDS))


def test_a_push_that_changed_no_commit_is_waited_for_by_nobody() -> None:
    assert settled(Showing(THIRD), at(THIRD), (THIRD, THIRD), forced=True) == (THIRD, [])


def test_a_forced_push_is_not_believed_about_how_commits_stand() -> None:
    source = Showing(ASIDE)
    reader = HeadReader(source, FakeClock(), a_push(THIRD, ASIDE, forced=True))
    assert reader.standing(THIRD, ASIDE) is Standing.DIVERGED
    assert source.asked == ["compare"]


def test_a_push_is_believed_only_about_its_own_two_commits() -> None:
    source = Showing(THIRD)
    reader = HeadReader(source, FakeClock(), a_push(FIRST, SECOND))
    assert reader.standing(FIRST, SECOND) is Standing.AHEAD
    assert source.asked == []
    assert reader.standing(SECOND, FIRST) is Standing.BEHIND
    assert reader.standing(FIRST, THIRD) is Standing.AHEAD
    assert reader.standing(FIRST, FIRST) is Standing.IDENTICAL
    assert source.asked == ["compare"] * 2


def test_the_same_two_commits_are_compared_once() -> None:
    source = Showing(THIRD)
    reader = HeadReader(source, FakeClock(), None)
    assert [reader.standing(FIRST, ASIDE) for _ in range(3)] == [Standing.AHEAD] * 3
    assert source.asked == ["compare"]


def test_waiting_for_a_lagging_head_ends_with_the_time_of_the_call() -> None:
    clock = FakeClock()
    reader = HeadReader(Showing(FIRST), clock, a_push(FIRST, SECOND))
    with pytest.raises(DeadlineError):
        reader.settled_head(at(FIRST), Deadline(clock, 1.2))
    assert sum(clock.slept) == pytest.approx(1.2)
