from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.case import Verdict
from shared.core.decide import GUARD_LEAST, MAX_FINDINGS_NOTED, Decision, Occasion, decide, to_judge
from shared.core.rules import ValidationPolicy
from shared.model import LiveSkill, Reason, SkillId, Withheld
from tests.core.line import BAD, PER_SKILL, STEPS, TOGETHER, WARN, Line, head_of, numbered, tree, verdict, walk
from tests.core.samples import NO_MANIFEST, a_live_skill, a_manifest, at_head, commit

# Publishing and removing


def test_what_is_new_or_changed_is_published_and_what_is_gone_is_removed() -> None:
    line = Line().push(a=1, b=2, c=3)
    assert line.decision.published == ("a", "b", "c")
    line.push(a=1, b=20, d=4)
    assert line.live == {"a": 1, "b": 20, "d": 4}
    assert (line.decision.published, line.decision.removed, line.decision.withheld) == (("b", "d"), ("c",), ())
    assert line.judged == ["b", "d"]


def test_an_unchanged_skill_is_neither_judged_nor_touched() -> None:
    line = Line().push(a=1)
    before = line.manifest
    line.push(a=1)
    assert (line.judged, line.manifest) == ([], before)


def test_what_was_judged_is_counted_and_warned_about() -> None:
    found = head_of(a=1, b=2, c=3)
    occasion = Occasion(
        commit=commit(1), new_head=True, release={}, rejudge=False, policy=PER_SKILL, rules="r1", root=""
    )
    verdicts = {
        SkillId("a"): verdict("a", 1, bad=False, warn=True),
        SkillId("b"): verdict("b", 2, bad=True),
        SkillId("c"): verdict("c", 3, bad=False),
    }
    decision = decide(NO_MANIFEST, found, verdicts, occasion)
    assert decision.judged == 3
    assert decision.warnings == {"a": (WARN,)}


def test_a_folder_that_moved_with_the_same_tree_is_not_judged_and_only_its_path_changes() -> None:
    line = Line().push(a=1)
    moved = {SkillId("a"): at_head(key="a", path="skills/a", tree=tree(1))}
    occasion = Occasion(
        commit=commit(2), new_head=True, release={}, rejudge=False, policy=PER_SKILL, rules="r1", root=""
    )
    assert to_judge(line.manifest, moved, occasion) == []
    decision = decide(line.manifest, moved, {}, occasion)
    assert decision.manifest == a_manifest(a_live_skill("a", 1, path="skills/a"))
    assert (decision.published, decision.removed, decision.withheld) == ((), (), ())


def test_a_withheld_folder_that_moved_stays_withheld_and_only_its_path_changes() -> None:
    line = Line(bad={2}).push(a=1).push(a=2)
    moved = {SkillId("a"): at_head(key="a", path="skills/a", tree=tree(2))}
    occasion = Occasion(
        commit=commit(3), new_head=True, release={}, rejudge=False, policy=PER_SKILL, rules="r1", root=""
    )
    decision = decide(line.manifest, moved, {}, occasion)
    assert decision.manifest.withheld[SkillId("a")] == replace(line.manifest.withheld[SkillId("a")], path="skills/a")
    assert (decision.published, decision.withheld) == ((), ())


# Rejection


def test_a_rejected_version_leaves_the_last_good_one_live() -> None:
    line = Line(bad={2}).push(a=1, b=1).push(a=2, b=3)
    assert line.live == {"a": 1, "b": 3}
    assert line.held == {"a": (2, "rejected")}
    assert [item.findings for item in line.decision.withheld] == [(BAD,)]


def test_a_rejected_new_skill_stays_absent() -> None:
    line = Line(bad={2}).push(a=2)
    assert (line.live, line.held) == ({}, {"a": (2, "rejected")})


def test_the_same_tree_is_not_judged_or_reported_again_until_it_changes() -> None:
    line = Line(bad={2, 3}).push(a=1).push(a=2)
    line.push(a=2, b=1)
    assert (line.judged, line.decision.withheld) == (["b"], ())
    line.push(a=3, b=1)
    assert line.judged == ["a"]
    assert [item.tree for item in line.decision.withheld] == [tree(3)]
    line.push(a=4, b=1)
    assert (line.live, line.held) == ({"a": 4, "b": 1}, {})


def test_a_head_that_goes_back_to_what_is_live_ends_the_rejection() -> None:
    line = Line(bad={2}).push(a=1).push(a=2).push(a=1)
    assert (line.live, line.held, line.judged) == ({"a": 1}, {}, [])


def test_a_rejected_skill_that_is_removed_at_head_goes_with_its_last_good_version() -> None:
    line = Line(bad={2}).push(a=1).push(a=2).push()
    assert (line.live, line.held, line.decision.removed) == ({}, {}, ("a",))


def test_only_so_many_findings_are_noted() -> None:
    occasion = Occasion(
        commit=commit(1), new_head=True, release={}, rejudge=False, policy=PER_SKILL, rules="r1", root=""
    )
    many = Verdict(findings=(BAD,) * (MAX_FINDINGS_NOTED + 5), candidate=None)
    decision = decide(NO_MANIFEST, head_of(a=1), {SkillId("a"): many}, occasion)
    assert len(decision.manifest.withheld[SkillId("a")].findings) == MAX_FINDINGS_NOTED


def test_a_rejected_version_in_another_folder_leaves_the_live_ones_path_as_it_was() -> None:
    line = Line().push(a=1)
    moved = {SkillId("a"): at_head(key="a", path="skills/a", tree=tree(2))}
    occasion = Occasion(
        commit=commit(2), new_head=True, release={}, rejudge=False, policy=PER_SKILL, rules="r1", root=""
    )
    after = decide(line.manifest, moved, {SkillId("a"): verdict("a", 2, bad=True)}, occasion).manifest
    assert (after.skills[SkillId("a")].path, after.withheld[SkillId("a")].path) == ("a", "skills/a")


# Release


def test_a_release_is_bound_to_the_tree_that_the_person_saw() -> None:
    line = Line().push(a=1).push(a=2).roll_back(a_manifest(a_live_skill("a", 1)))
    line.see({"a": 2}, release={"a": 1})
    assert (line.live, line.held) == ({"a": 1}, {"a": (2, "rolled_back")})
    line.see({"a": 2}, release={"a": 2})
    assert (line.live, line.held) == ({"a": 2}, {})


def test_a_release_never_overrides_the_rules() -> None:
    line = Line(bad={2}).push(a=1).push(a=2).see({"a": 2}, release={"a": 2})
    assert line.judged == ["a"]
    assert (line.live, line.held, line.decision.withheld) == ({"a": 1}, {"a": (2, "rejected")}, ())


def test_a_released_version_that_the_rules_refuse_is_rejected_from_then_on() -> None:
    line = Line().push(a=1).push(a=2).roll_back(a_manifest(a_live_skill("a", 1)))
    line.bad = {2}
    line.see({"a": 2}, release={"a": 2})
    assert (line.live, line.held) == ({"a": 1}, {"a": (2, "rejected")})


def test_a_release_lets_go_of_nothing_else() -> None:
    line = Line().push(a=1, b=1).push(a=2, b=2).roll_back(a_manifest(a_live_skill("a", 1), a_live_skill("b", 1)))
    line.see({"a": 2, "b": 2}, release={"a": 2})
    assert (line.live, line.held) == ({"a": 2, "b": 1}, {"b": (2, "rolled_back")})


# The deletion guard: more than half of the skills, and at least five, gone in one push


@pytest.mark.parametrize(
    ("skills", "gone", "guarded"),
    [
        *[(4, 4, False), (5, 4, False), (5, 5, True), (8, 5, True), (9, 5, True), (10, 5, False)],
        *[(11, 5, False), (11, 6, True), (12, 6, False), (100, 50, False), (100, 51, True)],
    ],
)
def test_the_deletion_guard_holds_exactly_from_its_bounds_on(skills: int, gone: int, *, guarded: bool) -> None:
    line = Line().push(**numbered(skills))
    kept = dict(list(numbered(skills).items())[gone:])
    line.push(**kept)
    assert len(line.live) == (skills if guarded else skills - gone)
    assert set(line.held.values()) == ({(None, "deletion_guard")} if guarded else set())
    assert len(line.decision.removed) == (0 if guarded else gone)


def test_the_guard_holds_deletions_only() -> None:
    line = Line().push(**numbered(6)).push(s5=60, new=7)
    assert line.decision.published == ("new", "s5")
    assert {key: reason for key, (_, reason) in line.held.items()} == dict.fromkeys(
        ["s0", "s1", "s2", "s3", "s4"], "deletion_guard"
    )


def test_the_guard_does_not_count_what_was_never_live() -> None:
    line = Line(bad={666}).push(**numbered(6))
    line.push(**numbered(5), **{f"new{number}": 666 for number in range(9)})
    assert set(line.live) == {f"s{number}" for number in range(5)}


def test_a_guarded_deletion_notes_where_the_skill_stood() -> None:
    line = Line().push(**numbered(5)).push()
    assert {item.path for item in line.manifest.withheld.values()} == {f"s{number}" for number in range(5)}


def test_guarded_deletions_stay_live_through_later_pushes_until_a_person_releases_them() -> None:
    line = Line().push(**numbered(8)).push(s7=8).push(s7=80).push(s7=80, x=1)
    assert len(line.live) == 9
    line.see({"s7": 80, "x": 1}, release={f"s{number}": None for number in range(6)})
    assert (line.live, line.held) == ({"s6": 7, "s7": 80, "x": 1}, {"s6": (None, "deletion_guard")})
    assert len(line.decision.removed) == 6


def test_a_guarded_skill_that_comes_back_is_no_longer_withheld() -> None:
    line = Line().push(**numbered(5)).push().push(s0=1, s1=20)
    assert line.live == numbered(5, s1=20)
    assert line.held == {f"s{number}": (None, "deletion_guard") for number in (2, 3, 4)}


def test_the_guard_counts_only_what_this_push_removes() -> None:
    line = Line().push(**numbered(12)).push(**dict(list(numbered(12).items())[6:]))
    assert len(line.live) == 6
    line.push(**dict(list(numbered(12).items())[10:]))
    assert len(line.live) == 2, "four gone are below the least"
    assert GUARD_LEAST == 5


# Rollback


def test_a_rollback_withholds_what_differs_and_sticks_through_unrelated_pushes() -> None:
    line = Line().push(a=1, b=1)
    first = line.manifest
    line.push(a=2, b=1).roll_back(first)
    assert (line.live, line.held) == ({"a": 1, "b": 1}, {"a": (2, "rolled_back")})
    assert line.decision.published == ("a",)
    line.push(a=2, b=3, c=1)
    assert line.live == {"a": 1, "b": 3, "c": 1}
    assert line.judged == ["b", "c"]


def test_a_rollback_yields_when_the_skill_itself_changes() -> None:
    line = Line().push(a=1)
    first = line.manifest
    line.push(a=2).roll_back(first).push(a=3)
    assert (line.live, line.held) == ({"a": 3}, {})


def test_a_rollback_is_not_undone_by_judging_again() -> None:
    line = Line().push(a=1)
    first = line.manifest
    line.push(a=2).roll_back(first).see({"a": 2}, rejudge=True, rules="r2")
    assert (line.live, line.judged) == ({"a": 1}, [])


def test_a_rollback_takes_away_what_was_absent_then_and_keeps_it_away() -> None:
    line = Line().push(a=1)
    first = line.manifest
    line.push(a=1, b=1).roll_back(first)
    assert (line.live, line.held, line.decision.removed) == ({"a": 1}, {"b": (1, "rolled_back")}, ("b",))
    line.push(a=1, b=1, c=1)
    assert line.live == {"a": 1, "c": 1}
    line.push(a=1, b=2, c=1)
    assert line.live == {"a": 1, "b": 2, "c": 1}


def test_a_rollback_brings_back_what_is_gone_now_until_it_changes_at_head() -> None:
    line = Line().push(a=1, b=1)
    first = line.manifest
    line.push(a=1).roll_back(first)
    assert (line.live, line.held) == ({"a": 1, "b": 1}, {"b": (None, "rolled_back")})
    line.push(a=2)
    assert line.live == {"a": 2, "b": 1}
    line.push(a=2, b=5)
    assert (line.live, line.held) == ({"a": 2, "b": 5}, {})


def test_a_rollback_to_the_same_manifest_changes_nothing() -> None:
    for line in (Line().push(a=1), Line(bad={2}).push(a=1, b=2).push(a=2, b=2)):
        before = line.manifest
        assert line.roll_back(before).manifest == before
        assert line.decision == Decision(manifest=before)


def test_a_rollback_and_one_forward_again_end_where_they_began() -> None:
    line = Line().push(a=1, b=1)
    first = line.manifest
    line.push(a=2, c=1)
    second = line.manifest
    line.roll_back(first).roll_back(second)
    assert (line.live, line.held) == ({"a": 2, "c": 1}, {})


def test_a_rejection_stays_noted_through_a_rollback_that_does_not_touch_the_skill() -> None:
    line = Line(bad={2}).push(a=1, b=1)
    first = line.manifest
    line.push(a=2, b=1)
    rejected = line.manifest.withheld
    line.push(a=2, b=3).roll_back(first)
    assert line.held == {"a": (2, "rejected"), "b": (3, "rolled_back")}
    assert line.manifest.withheld[SkillId("a")] == rejected[SkillId("a")]


def test_a_live_version_that_fails_newer_rules_stays_noted_through_a_rollback() -> None:
    line = Line().push(a=1, b=1)
    first = line.manifest
    line.push(a=1, b=2)
    line.bad = {1}
    line.see({"a": 1, "b": 2}, rejudge=True, rules="r2").roll_back(first)
    assert line.held == {"a": (1, "rejected"), "b": (2, "rolled_back")}


def test_a_rollback_keeps_to_the_rules_that_the_live_manifest_was_judged_by() -> None:
    line = Line().push(a=1)
    first = line.manifest
    line.push(a=2).see({"a": 2}, rejudge=True, rules="r2").roll_back(first)
    assert line.manifest.rules == "r2"


# All or nothing


def together(**trees: int) -> Line:
    return Line(policy=TOGETHER, bad={666, 667}).push(**trees)


def test_with_all_or_nothing_one_rejected_skill_holds_all_that_its_push_changed() -> None:
    line = together(a=1, b=1, c=1, d=1).push(a=666, b=2, c=1, e=1)
    assert line.live == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert line.held == {"a": (666, "rejected"), "b": (2, "together"), "d": (None, "together"), "e": (1, "together")}
    assert (line.decision.published, line.decision.removed) == ((), ())


def test_what_waited_together_is_published_once_the_rejected_one_is_mended() -> None:
    line = together(a=1, b=1, d=1).push(a=666, b=2).push(a=3, b=2)
    assert (line.live, line.held) == ({"a": 3, "b": 2}, {})


@pytest.mark.parametrize("mended", [{"a": 1, "b": 2}, {"b": 2}], ids=["put back", "taken away"])
def test_what_waited_is_published_when_the_rejected_one_is_withdrawn(mended: dict[str, int]) -> None:
    line = together(a=1, b=1).push(a=666, b=2).push(**mended)
    assert (line.live, line.held) == (mended, {})


def test_an_unrelated_push_in_between_goes_through_and_what_waits_goes_on_waiting() -> None:
    line = together(a=1, b=1, c=1).push(a=666, b=2, c=1).push(a=666, b=2, c=3)
    assert line.live == {"a": 1, "b": 1, "c": 3}
    assert line.held == {"a": (666, "rejected"), "b": (2, "together")}
    assert line.decision.withheld == ()
    line.push(a=666, b=2, c=3)
    assert line.live == {"a": 1, "b": 1, "c": 3}
    line.push(a=4, b=2, c=3)
    assert line.live == {"a": 4, "b": 2, "c": 3}


def test_a_second_attempt_that_fails_too_keeps_the_others_waiting_whatever_is_pushed_then() -> None:
    line = together(a=1, b=1).push(a=666, b=2).push(a=667, b=2).push(a=667, b=2, c=1)
    assert line.live == {"a": 1, "b": 1, "c": 1}
    line.push(a=5, b=2, c=1)
    assert line.live == {"a": 5, "b": 2, "c": 1}


def test_what_waits_goes_on_waiting_when_it_changes_itself() -> None:
    line = together(a=1, b=1).push(a=666, b=2).push(a=666, b=3)
    assert line.held == {"a": (666, "rejected"), "b": (3, "together")}
    line.push(a=666, b=3, c=1)
    assert line.live == {"a": 1, "b": 1, "c": 1}


def test_another_broken_push_does_not_let_go_of_what_waits_for_the_first() -> None:
    line = together(a=1, b=1, c=1).push(a=666, b=2, c=1).push(a=666, b=2, c=667)
    line.push(a=666, b=2, c=5)
    assert line.live == {"a": 1, "b": 1, "c": 5}
    line.push(a=6, b=2, c=5)
    assert line.live == {"a": 6, "b": 2, "c": 5}


def test_what_waits_is_judged_again_at_a_new_head_only() -> None:
    line = together(a=1, b=1).push(a=666, b=2)
    assert line.see({"a": 666, "b": 2}).judged == []
    assert line.push(a=666, b=2).judged == ["b"]


def test_of_two_rejected_skills_the_one_that_is_mended_goes_live_and_the_rest_of_their_push_waits() -> None:
    line = together(a=1, b=1, c=1).push(a=666, b=667, c=2).push(a=3, b=667, c=2)
    assert line.live == {"a": 3, "b": 1, "c": 1}
    line.push(a=3, b=4, c=2)
    assert line.live == {"a": 3, "b": 4, "c": 2}


def test_only_a_rejection_keeps_others_waiting() -> None:
    line = together(**numbered(6), a=1, b=1).push(a=666, b=2)
    assert {reason for _, reason in line.held.values()} == {"rejected", "together", "deletion_guard"}
    line.push(a=3, b=2)
    assert (line.live["a"], line.live["b"]) == (3, 2)
    assert {reason for _, reason in line.held.values()} == {"deletion_guard"}


def test_a_person_may_release_what_waits() -> None:
    line = together(a=1, b=1).push(a=666, b=2).see({"a": 666, "b": 2}, release={"b": 2})
    assert (line.live, line.held) == ({"a": 1, "b": 2}, {"a": (666, "rejected")})


def test_a_release_of_what_is_still_rejected_holds_nothing_else() -> None:
    line = together(a=1, b=1).push(a=666, b=1)
    line.pushes += 1
    line.see({"a": 666, "b": 2}, new_head=True, release={"a": 666})
    assert (line.live, line.held) == ({"a": 1, "b": 2}, {"a": (666, "rejected")})


def test_judging_an_old_rejection_again_holds_nothing_of_a_new_push() -> None:
    line = together(a=1, b=1).push(a=666, b=1)
    line.pushes += 1
    line.see({"a": 666, "b": 2}, new_head=True, rejudge=True, rules="r2")
    assert line.live == {"a": 1, "b": 2}


def test_judging_again_keeps_what_waits_waiting_for_the_same_push() -> None:
    line = together(a=1, b=1).push(a=666, b=2)
    line.pushes += 1
    line.see({"a": 666, "b": 2}, new_head=True, rejudge=True, rules="r2")
    assert line.live == {"a": 1, "b": 1}
    assert line.push(a=666, b=2).live == {"a": 1, "b": 1}
    assert {item.commit for item in line.manifest.withheld.values()} == {commit(2)}


def test_a_live_version_that_fails_newer_rules_holds_nothing_of_a_push() -> None:
    line = together(a=1, b=1)
    line.bad.add(1)
    line.pushes += 1
    line.see({"a": 1, "b": 2}, new_head=True, rejudge=True, rules="r2")
    assert (line.live, line.held) == ({"a": 1, "b": 2}, {"a": (1, "rejected")})


def test_what_did_not_change_is_not_held_when_all_is_judged_again_with_a_broken_push() -> None:
    line = together(a=1, b=1)
    line.pushes += 1
    line.see({"a": 1, "b": 666}, new_head=True, rejudge=True, rules="r2")
    assert (line.live, line.held) == ({"a": 1, "b": 1}, {"b": (666, "rejected")})


def test_when_the_policy_is_given_up_what_waited_is_published_by_judging_again() -> None:
    line = together(a=1, b=1).push(a=666, b=2)
    line.policy = PER_SKILL
    line.see({"a": 666, "b": 2}, rejudge=True, rules="r2")
    assert (line.live, line.held) == ({"a": 1, "b": 2}, {"a": (666, "rejected")})


def test_the_deletion_guard_still_holds_what_waited_together() -> None:
    line = together(**numbered(6), a=1).push(a=666)
    assert {reason for _, reason in line.held.values()} == {"rejected", "deletion_guard"}
    line.push(a=7)
    assert len(line.live) == 7


# Judging again


def test_judging_again_looks_at_what_is_live_or_rejected_and_only_when_asked() -> None:
    line = Line(bad={2}).push(a=1, b=2)
    assert line.see({"a": 1, "b": 2}).judged == []
    assert line.manifest.rules == "r1"
    line.bad = {1}
    line.see({"a": 1, "b": 2}, rejudge=True, rules="r2")
    assert line.judged == ["a", "b"]
    assert (line.live, line.held) == ({"a": 1, "b": 2}, {"a": (1, "rejected")})
    assert line.decision.published == ("b",)
    assert line.manifest.rules == "r2"


def test_a_new_head_alone_does_not_claim_that_all_was_judged_by_the_current_rules() -> None:
    line = Line().push(a=1)
    line.pushes += 1
    line.see({"a": 2}, new_head=True, rules="r2")
    assert line.manifest.rules == "r1"


def test_a_manifest_of_withheld_skills_alone_does_not_claim_it_either() -> None:
    line = Line(bad={1}).push(a=1)
    line.pushes += 1
    line.see({"a": 1, "b": 2}, new_head=True, rules="r2")
    assert line.manifest.rules == "r1"


def test_a_live_version_that_fails_newer_rules_is_published_again_only_when_it_passes() -> None:
    line = Line().push(a=1)
    line.bad = {1}
    line.see({"a": 1}, rejudge=True, rules="r2")
    assert line.push(a=1).judged == []
    line.bad = set()
    line.see({"a": 1}, rejudge=True, rules="r3")
    assert (line.live, line.held, line.decision.published) == ({"a": 1}, {}, ())


# Whatever happens


@given(STEPS, st.sampled_from(ValidationPolicy), st.sets(st.integers(1, 4), max_size=2))
def test_live_is_the_head_or_a_former_live_version_and_every_difference_is_noted(
    steps: list[tuple[dict[str, int], str]], policy: ValidationPolicy, bad: set[int]
) -> None:
    walk(Line(policy=policy, bad=bad), steps)


AGAIN = st.fixed_dictionaries({"new_head": st.booleans(), "rejudge": st.booleans()})


@given(STEPS, st.sampled_from(ValidationPolicy), st.sets(st.integers(1, 4), max_size=2), AGAIN)
def test_deciding_again_on_its_own_result_changes_nothing(
    steps: list[tuple[dict[str, int], str]],
    policy: ValidationPolicy,
    bad: set[int],
    again: dict[str, bool],
) -> None:
    line = Line(policy=policy, bad=bad)
    head, _ = walk(line, steps)
    line.pushes += 1
    line.see(head, rules="r9", **again)
    once = line.manifest
    line.see(head, rules="r9", **again)
    assert line.manifest == once
    assert (line.decision.published, line.decision.removed, line.decision.withheld) == ((), (), ())


@given(STEPS, st.sampled_from(ValidationPolicy), st.randoms())
def test_the_order_of_skills_never_matters(
    steps: list[tuple[dict[str, int], str]],
    policy: ValidationPolicy,
    random,  # noqa: ANN001 - hypothesis's own
) -> None:
    one, other = Line(policy=policy, bad={1}), Line(policy=policy, bad={1})
    walk(one, steps)
    shuffled = [(dict(random.sample(list(trees.items()), len(trees))), what) for trees, what in steps]
    walk(other, shuffled)
    assert one.decision == other.decision


@given(STEPS, st.sets(st.integers(1, 4), max_size=2))
def test_with_all_or_nothing_nothing_of_a_broken_push_is_published(
    steps: list[tuple[dict[str, int], str]], bad: set[int]
) -> None:
    line = Line(policy=TOGETHER, bad=bad)
    for trees, _ in steps:
        former = line.manifest
        line.push(**trees)
        if any(
            item.reason is Reason.REJECTED and item.commit == commit(line.pushes) for item in line.decision.withheld
        ):
            assert line.manifest.skills == former.skills


def test_the_types_of_a_decision_are_those_of_the_manifest() -> None:
    line = Line(bad={2}).push(a=1, b=2)
    assert all(isinstance(skill, LiveSkill) for skill in line.manifest.skills.values())
    assert all(isinstance(item, Withheld) for item in line.decision.withheld)
