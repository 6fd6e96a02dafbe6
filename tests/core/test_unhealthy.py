from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.rules import ValidationPolicy
from shared.core.unhealthy import can_be_undone, failed_deployments, standing, undo
from shared.model import Action, Reason, SkillId, Trigger
from tests.core.line import STEPS, TOGETHER, Line, failure_of, tree, walk
from tests.core.samples import NO_MANIFEST, a_live_skill, a_manifest, a_pointer, a_withheld, commit, digest

if TYPE_CHECKING:
    from shared.model import Manifest

LIVE = a_pointer(5)


def through(*heads: dict[str, int], **options: object) -> tuple[Line, list[Manifest]]:
    """A line after these pushes, and all its manifests; the n-th push made the n-th."""
    line = Line(**options)
    return line, [NO_MANIFEST, *(line.push(**head).manifest for head in heads)]


# Which deployments a report may name


def failed(deployment: object = "1-4", manifest: object = digest(4)) -> dict[str, object]:
    return {"failed": {"deployment": deployment, "manifest": manifest, "skills": []}}


def test_only_what_the_live_pointer_vouches_for_can_have_failed() -> None:
    assert list(failed_deployments([failed()], LIVE)) == [(4,)]
    assert list(failed_deployments([failed("1-5", digest(5))], LIVE)) == [(5,)], "the live one itself"


def test_several_pullers_may_name_the_same_or_different_ones() -> None:
    assert list(failed_deployments([failed(), failed("1-2", digest(2)), {}, failed()], LIVE)) == [(2,), (4,)]


@pytest.mark.parametrize(
    "report",
    [
        *[{}, {"failed": None}, {"failed": "1-4"}, {"failed": []}, {"failed": {}}],
        *[failed(name) for name in (None, 4, "1-5", "2-4", "1-04", "1-4 ", "1-6", "../1-4")],
        *[failed("1-4", name) for name in (None, 4, digest(5), "", digest(4).upper())],
    ],
)
def test_whatever_else_stands_there_names_nothing(report: dict[str, object]) -> None:
    assert list(failed_deployments([report], LIVE)) == []


def test_what_is_older_than_the_pointers_history_is_not_undone() -> None:
    live = a_pointer(20)
    assert list(failed_deployments([failed("1-3", digest(3)), failed()], live)) == [(4,)]


def test_what_was_never_tried_alone_is_named_behind_what_failed_and_nothing_goes_back_to_it() -> None:
    report = {**failed("1-5", digest(5)), "deployment": "1-2", "failed_before": [failed()["failed"]]}
    assert failed_deployments([report], LIVE) == {(4, 5, 3): frozenset({3, 4, 5})}
    assert failed_deployments([{**failed(), "deployment": "1-2"}], LIVE) == {(4,): frozenset({3, 4})}, "not yet tried"


@pytest.mark.parametrize("standing", [None, "", 7, "0-9", "2-1", "1-12", "1-20"])
def test_a_puller_that_was_away_for_long_or_has_nothing_names_only_what_failed(standing: object) -> None:
    report = {**failed("1-20", digest(20)), "deployment": standing}
    assert failed_deployments([report], a_pointer(20)) in (
        {(20,): frozenset({20})},
        {(20, *range(13, 20)): frozenset(range(13, 21))},
    )
    assert (len(next(iter(failed_deployments([report], a_pointer(20))))) > 1) is (standing == "1-12")


# Which deployments are undone


@pytest.mark.parametrize(
    ("action", "undone"),
    [(Action.DEPLOY, True), (Action.RELEASE, True), (Action.ROLLBACK, False), (Action.RECOVER, False)],
)
def test_what_a_person_or_a_recovery_put_back_is_not_undone(action: Action, *, undone: bool) -> None:
    assert can_be_undone(replace(LIVE, action=action), NO_MANIFEST, NO_MANIFEST) is undone


@pytest.mark.parametrize(("epoch", "undone"), [(1, True), (2, False)])
def test_the_first_deployment_is_undone_unless_nobody_knows_what_it_followed(epoch: int, *, undone: bool) -> None:
    first = replace(a_pointer(1), epoch=epoch)
    assert can_be_undone(first, NO_MANIFEST, NO_MANIFEST) is undone


@pytest.mark.parametrize(
    ("changes", "undone"),
    [
        ({}, False),
        ({"trigger": Trigger.WEBHOOK}, True),
        ({"commit": commit(6)}, True),
        ({"action": Action.RELEASE, "trigger": Trigger.MANUAL}, True),
    ],
)
def test_what_went_back_is_not_brought_forward_again(changes: dict[str, object], *, undone: bool) -> None:
    went_back = replace(LIVE, **{"trigger": Trigger.POLLING, "commit": LIVE.previous_commit, **changes})
    assert can_be_undone(went_back, NO_MANIFEST, NO_MANIFEST) is undone


@pytest.mark.parametrize("news", [{"rules": "r2"}, {"root": "skills"}])
def test_what_new_rules_or_a_new_root_published_at_the_same_head_is_undone(news: dict[str, str]) -> None:
    polled = replace(LIVE, trigger=Trigger.POLLING, commit=LIVE.previous_commit)
    assert can_be_undone(polled, NO_MANIFEST, replace(NO_MANIFEST, **news))


# What goes back


def test_a_changed_skill_goes_back_a_new_one_goes_away_and_a_removed_one_comes_back() -> None:
    line, past = through({"a": 1, "gone": 1, "same": 1}, {"a": 2, "new": 2, "same": 1})
    line.fail(past, 2)
    assert line.live == {"a": 1, "gone": 1, "same": 1}
    assert line.held == {"a": (2, "unhealthy"), "gone": (None, "unhealthy"), "new": (2, "unhealthy")}
    assert (line.decision.published, line.decision.removed) == (("a", "gone"), ("new",))
    assert [item.id for item in line.decision.withheld] == ["a", "gone", "new"]
    assert {item.commit for item in line.decision.withheld} == {commit(2)}
    assert {key: item.path for key, item in line.manifest.withheld.items()} == {key: key for key in line.held}


def test_it_sticks_until_the_skill_itself_changes() -> None:
    line, past = through({"a": 1, "gone": 1}, {"a": 2, "new": 2})
    line.fail(past, 2).push(a=2, new=2, other=1)
    assert line.live == {"a": 1, "gone": 1, "other": 1}
    line.push(a=3, new=3, gone=3)
    assert (line.live, line.held) == ({"a": 3, "new": 3, "gone": 3}, {})


def test_the_first_deployment_that_fails_leaves_nothing_however_many_it_were() -> None:
    line, past = through({f"s{number}": 1 for number in range(9)})
    line.fail(past, 1)
    assert (line.live, set(line.held.values())) == ({}, {(1, "unhealthy")})


def test_an_older_failure_undoes_nothing_newer() -> None:
    line, past = through({"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 2}, {"a": 3, "b": 2})
    assert standing(failure_of(past, 2)) == ["b"]
    line.fail(past, 2)
    assert (line.live, line.held) == ({"a": 3, "b": 1}, {"b": (2, "unhealthy")})


def test_what_changed_and_came_back_meanwhile_is_newer_too() -> None:
    line, past = through({"a": 1}, {"a": 2}, {"a": 3}, {"a": 2})
    line.fail(past, 2)
    assert (line.live, line.held) == ({"a": 2}, {})


def test_what_a_person_released_is_not_undone_by_the_same_failure_again() -> None:
    line, past = through({"a": 1}, {"a": 2})
    past.append(line.fail(past, 2).manifest)
    past.append(line.see({"a": 2}, release={"a": 2}).manifest)
    assert line.live == {"a": 2}
    assert line.fail(past, 2).live == {"a": 2}
    line.fail(past, 4)
    assert (line.live, line.held) == ({"a": 1}, {"a": (2, "unhealthy")}), "the release itself failed"


def test_several_failures_are_undone_at_once_and_the_same_one_once() -> None:
    line, past = through({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2, "b": 2})
    line.fail(past, 2, 3, 2)
    assert (line.live, line.held) == ({"a": 1, "b": 1}, {"a": (2, "unhealthy"), "b": (2, "unhealthy")})


def test_a_deployment_that_only_withheld_has_nothing_to_take_back() -> None:
    line, past = through({"a": 1}, {"a": 2}, bad={2})
    assert line.fail(past, 2).manifest == past[2]


def test_a_skill_whose_folder_only_moved_has_not_changed() -> None:
    before, moved = a_manifest(a_live_skill("a", 1)), a_manifest(a_live_skill("a", 1, path="skills/a"))
    assert standing(failure_of([NO_MANIFEST, before, moved], 2)) == []
    assert standing(failure_of([NO_MANIFEST, before, moved], 1)) == ["a"]


def test_a_skill_that_is_spared_stays_with_its_note() -> None:
    line, past = through({"a": 1, "b": 1}, {"a": 2, "b": 2})
    decision = undo(line.manifest, [failure_of(past, 2)], commit(2), {SkillId("a")})
    assert {key: skill.tree for key, skill in decision.manifest.skills.items()} == {"a": tree(2), "b": tree(1)}
    assert set(decision.manifest.withheld) == {"b"}


@pytest.mark.parametrize("reason", Reason)
def test_a_note_that_is_there_already_stays(reason: Reason) -> None:
    note = a_withheld("a", 3, reason=reason)
    now = a_manifest(a_live_skill("a", 2), withheld=(note,))
    past = [NO_MANIFEST, a_manifest(a_live_skill("a", 1)), a_manifest(a_live_skill("a", 2)), now]
    decision = undo(now, [failure_of(past, 2)], commit(9), frozenset())
    assert decision.manifest == a_manifest(a_live_skill("a", 1), withheld=(note,))
    assert decision.withheld == ()


@pytest.mark.parametrize(("reason", "stays"), [(Reason.TOGETHER, False), (Reason.REJECTED, True)])
def test_a_head_that_went_back_itself_waits_no_longer_but_stays_rejected(reason: Reason, *, stays: bool) -> None:
    note = a_withheld("a", 1, reason=reason)
    now = a_manifest(a_live_skill("a", 2), withheld=(note,))
    past = [NO_MANIFEST, a_manifest(a_live_skill("a", 1)), a_manifest(a_live_skill("a", 2)), now]
    after = undo(now, [failure_of(past, 2)], commit(9), frozenset()).manifest
    assert after == a_manifest(a_live_skill("a", 1), withheld=(note,) if stays else ())


def test_a_new_skill_that_failed_after_its_deletion_was_guarded_is_simply_gone() -> None:
    note = a_withheld("a", None, reason=Reason.DELETION_GUARD)
    new, now = a_manifest(a_live_skill("a", 2)), a_manifest(a_live_skill("a", 2), withheld=(note,))
    after = undo(now, [failure_of([NO_MANIFEST, NO_MANIFEST, new, now], 2)], commit(9), frozenset()).manifest
    assert after == NO_MANIFEST


def test_rules_and_root_stay_those_of_what_is_live() -> None:
    line, past = through({"a": 1}, {"a": 2})
    past.append(line.see({"a": 2}, rejudge=True, rules="r2").manifest)
    assert line.fail(past, 2).manifest.rules == "r2"


# Whatever happens


@given(STEPS, st.sampled_from(ValidationPolicy), st.sets(st.integers(1, 4), max_size=2), st.data())
def test_whatever_came_before_only_what_nobody_touched_since_goes_back_and_only_once(
    steps: list[tuple[dict[str, int], str]], policy: ValidationPolicy, bad: set[int], data: st.DataObject
) -> None:
    line = Line(policy=policy, bad=bad)
    head, past = walk(line, steps)
    number = data.draw(st.integers(1, len(past) - 1))
    trees = [{key: int(skill.tree, 16) for key, skill in manifest.skills.items()} for manifest in past]
    former = line.live
    line.fail(past, number)
    for key in former.keys() | line.live.keys() | trees[number].keys():
        left = [at.get(key) for at in trees[number:]]
        touched = len(set(left)) > 1 or trees[number - 1].get(key) == left[0]
        assert line.live.get(key) == (former.get(key) if touched else trees[number - 1].get(key))
    undone = line.manifest
    assert line.fail([*past, undone], number).manifest == undone
    back = {key for key in former.keys() | line.live.keys() if former.get(key) != line.live.get(key)}
    line.push(**head)
    assert all(line.live.get(key) != former.get(key) for key in back), "the same head brings nothing of it back"


def test_with_all_or_nothing_what_goes_back_holds_nothing_of_the_next_push() -> None:
    line, past = through({"a": 1, "b": 1}, {"a": 2, "b": 1}, policy=TOGETHER)
    line.fail(past, 2).push(a=2, b=2)
    assert (line.live, line.held) == ({"a": 1, "b": 2}, {"a": (2, "unhealthy")})
