"""The verdict on a reload: what proves it, what fails it, and that nothing is ever undone on a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.puller.proof import Change, Verdict, judge, listed_before
from shared.puller.sighting import Listed, Sighting, unwell

OLD, NEW, OTHER = "0" * 64, "1" * 64, "2" * 64
UNWELL = ("gateway_unreachable", "gateway_timeout", "gateway_status", "gateway_not_ok", "gateway_command_failed")


def seen(*skills: Listed) -> Sighting:
    return Sighting(healthy=True, skills=skills)


def listed(skill: str | None, name: str | None = None, digest: str | None = None) -> Listed:
    return Listed(id=skill, name=name, digest=digest)


def change(skill: str, *names: str, digest: str | None = NEW) -> Change:
    return Change(id=skill, names=frozenset({skill, *names}), digest=digest)


A = change("a", "Notes")
GONE = change("a", "Notes", digest=None)
UNTOLD = Sighting(healthy=True)
PROVED = Verdict(certain=True)
NOTHING = Verdict()
PENDING = Verdict(pending=("a",))
LOST = Verdict(failures=(("skill_lost", "a"),))
STALE = Verdict(failures=(("reload_unproved", "a"),))
WAS, WAS_NOT, UNKNOWN = frozenset({"a"}), frozenset[str](), None

# What was known before, what is seen now, what changed, and the verdict.
ONE: dict[str, tuple[frozenset[str] | None, Sighting, Change, Verdict]] = {
    "listed with the new digest": (WAS, seen(listed("a", "Notes", NEW)), A, PROVED),
    "new, and listed with the new digest": (WAS_NOT, seen(listed("a", "Notes", NEW)), A, PROVED),
    "listed with the old digest": (WAS, seen(listed("a", "Notes", OLD)), A, STALE),
    "listed with the old digest, and it is not known what was before": (UNKNOWN, seen(listed("a", "A", OLD)), A, STALE),
    "listed without a digest": (WAS, seen(listed("a", "Notes")), A, NOTHING),
    "listed twice, once with the new digest": (WAS, seen(listed("a", "A", OLD), listed("a", "A", NEW)), A, PROVED),
    "listed twice, never with the new digest": (WAS, seen(listed("a", "A", OLD), listed("a", "A", OTHER)), A, STALE),
    "listed no longer": (WAS, seen(listed("b", "B", NEW)), A, LOST),
    "not one is listed any longer": (WAS, seen(), A, LOST),
    "nothing is told any longer": (WAS, UNTOLD, A, LOST),
    "new, and not listed": (WAS_NOT, seen(listed("b", "B", NEW)), A, PENDING),
    "not listed, and it is not known what was before": (UNKNOWN, seen(), A, PENDING),
    "nothing was ever told": (UNKNOWN, UNTOLD, A, NOTHING),
    "removed, and listed no longer": (WAS, seen(listed("b", "B", OLD)), GONE, PROVED),
    "removed, and still listed": (WAS, seen(listed("a", "Notes", OLD)), GONE, PENDING),
    "removed, and still listed by its name": (WAS, seen(listed(None, "Notes")), GONE, PENDING),
    "removed, and nothing is told": (WAS, UNTOLD, GONE, NOTHING),
    # Gateways that tell skills by name
    "by its name, with the new digest": (WAS, seen(listed(None, "Notes", NEW)), A, PROVED),
    "by its name, with the old digest": (WAS, seen(listed(None, "Notes", OLD)), A, STALE),
    "by its name, without a digest": (WAS, seen(listed(None, "Notes")), A, NOTHING),
    "by its id in place of a name": (WAS, seen(listed(None, "a", NEW)), A, PROVED),
    "by its name in place of an id": (WAS, seen(listed("Notes", None, OLD)), A, STALE),
    "two of its name, one new": (WAS, seen(listed(None, "Notes", NEW), listed(None, "Notes", OTHER)), A, PROVED),
    "two of its name, neither new": (WAS, seen(listed(None, "Notes", OLD), listed(None, "Notes", OTHER)), A, PENDING),
    # Others of the same name
    "its own entry counts, not its namesake's": (
        WAS,
        seen(listed("a", "Notes", OLD), listed("x", "Notes", NEW)),
        A,
        STALE,
    ),
    "a stranger of its name": (WAS, seen(listed("x", "Notes", OTHER)), A, PENDING),
    "a known skill of its name": (WAS, seen(listed("other", "Notes", OTHER)), A, LOST),
    "new, and a known skill of its name": (WAS_NOT, seen(listed("other", "Notes", OTHER)), A, PENDING),
    "removed, and a known skill of its name": (WAS, seen(listed("other", "Notes", OTHER)), GONE, PROVED),
    "a known skill whose id is its name": (WAS, seen(listed("other", "B", OTHER)), change("a", "other"), LOST),
}


@pytest.mark.parametrize("case", ONE)
def test_one_changed_skill_is_judged_by_the_rules(case: str) -> None:
    before, now, changed, verdict = ONE[case]
    assert judge(before, now, [changed], others={"other"}) == verdict


@pytest.mark.parametrize("code", UNWELL)
@pytest.mark.parametrize("before", [WAS, WAS_NOT, UNKNOWN])
def test_a_gateway_that_is_not_well_fails_the_deployment_as_a_whole(code: str, before: frozenset[str] | None) -> None:
    verdict = Verdict(failures=(("gateway_unhealthy", ""),))
    assert judge(before, unwell(code, "why"), [A, change("b")]) == judge(before, unwell(code, "why"), []) == verdict


def test_a_look_that_was_broken_off_says_nothing() -> None:
    assert judge(WAS, unwell("gateway_look_stopped", "ends"), [A]) == NOTHING


@pytest.mark.parametrize("now", [UNTOLD, seen()])
def test_where_nothing_changed_a_healthy_gateway_is_all(now: Sighting) -> None:
    assert judge(None, now, []) == PROVED


def test_each_changed_skill_is_judged_alone() -> None:
    now = seen(listed("b", "B", OLD), listed("c", "C", NEW), listed("e", "E", OLD))
    changes = [A, change("b"), change("c"), change("d"), change("e", digest=None)]
    assert judge(frozenset("abce"), now, changes) == Verdict(
        failures=(("skill_lost", "a"), ("reload_unproved", "b")), pending=("d", "e")
    )


def test_a_renamed_skill_is_its_new_id_and_not_its_old_one() -> None:
    new = change("new", "Notes")
    changes = [GONE, new]
    before = listed_before(seen(listed("a", "Notes", OLD)), changes)
    assert before == {"a"}
    assert judge(before, seen(listed("new", "Notes", NEW)), changes) == PROVED
    assert judge(before, seen(listed("a", "Notes", OLD)), changes) == Verdict(pending=("a", "new"))
    assert judge(before, seen(), changes) == Verdict(pending=("new",))


def test_two_changed_skills_of_one_name_are_told_apart_by_their_ids() -> None:
    changes = [A, change("b", "Notes", digest=OTHER)]
    assert judge(frozenset("ab"), seen(listed("a", "Notes", NEW), listed("b", "Notes", OTHER)), changes) == PROVED
    assert judge(frozenset("ab"), seen(listed("a", "Notes", NEW)), changes) == Verdict(failures=(("skill_lost", "b"),))


BEFORE: dict[str, tuple[Sighting, frozenset[str]]] = {
    "by its id": (seen(listed("a", "X", OLD)), WAS),
    "by its old name": (seen(listed(None, "Notes")), WAS),
    "by a stranger's entry": (seen(listed("x", "Notes")), WAS),
    "not by a known skill's": (seen(listed("other", "Notes")), WAS_NOT),
    "not at all": (seen(listed("b", "B")), WAS_NOT),
    "by nothing": (UNTOLD, WAS_NOT),
    "by a gateway that is down": (unwell("gateway_timeout", "why"), WAS_NOT),
}


@pytest.mark.parametrize("case", BEFORE)
def test_what_was_listed_before_is_told_by_the_same_rules(case: str) -> None:
    before, expected = BEFORE[case]
    assert listed_before(before, [A], others={"other"}) == expected


def test_ten_thousand_changes_are_judged_at_once() -> None:
    changes = [change(f"s{number}", "Same") for number in range(10_000)]
    now = seen(*(listed(f"s{number}", "Same", NEW) for number in range(10_000)))
    assert judge(listed_before(now, changes), now, changes) == PROVED


# A gateway that works, for any deployment

IDS = st.sampled_from("abcdef")
SKILLS = st.dictionaries(IDS, st.tuples(st.sampled_from(["x", "y", "a", "b"]), st.sampled_from([OLD, NEW, OTHER])))
"""By id: the declared name, and the digest."""
WAYS = [{"id"}, {"id", "name"}, {"name"}, {"id", "digest"}, {"id", "name", "digest"}, {"name", "digest"}]
TOLD = st.sampled_from(WAYS)
"""What a gateway tells of each skill."""


def told(skills: dict[str, tuple[str, str]], how: set[str]) -> Sighting:
    return seen(
        *(
            Listed(
                id=skill if "id" in how else None,
                name=name if "name" in how else None,
                digest=digest if "digest" in how else None,
            )
            for skill, (name, digest) in skills.items()
        )
    )


def deployed(old: dict[str, tuple[str, str]], new: dict[str, tuple[str, str]]) -> tuple[list[Change], set[str]]:
    changed = sorted(skill for skill in {*old, *new} if old.get(skill) != new.get(skill))
    changes = [
        change(skill, *(side[skill][0] for side in (old, new) if skill in side), digest=new.get(skill, ("", None))[1])
        for skill in changed
    ]
    return changes, {*old, *new} - set(changed)


@given(SKILLS, SKILLS, TOLD)
def test_a_gateway_that_takes_everything_over_is_never_failed(
    old: dict[str, tuple[str, str]], new: dict[str, tuple[str, str]], how: set[str]
) -> None:
    changes, others = deployed(old, new)
    before = listed_before(told(old, how), changes, others=others)
    verdict = judge(before, told(new, how), changes, others=others)
    assert verdict.failures == ()
    if "id" in how:
        assert verdict.pending == ()
        assert verdict.certain == ("digest" in how or not set(new) & {each.id for each in changes})


@given(SKILLS, SKILLS, st.sets(IDS), st.sampled_from([way for way in WAYS if "id" in way]))
def test_by_ids_exactly_what_was_not_taken_over_is_named(
    old: dict[str, tuple[str, str]], new: dict[str, tuple[str, str]], missed: set[str], how: set[str]
) -> None:
    changes, others = deployed(old, new)
    loaded = {skill: new[skill] for skill in set(new) - missed} | {skill: old[skill] for skill in set(old) & missed}
    before = listed_before(told(old, how), changes, others=others)
    verdict = judge(before, told(loaded, how), changes, others=others)
    missing = [each for each in changes if each.id in missed]
    stale = {each.id for each in missing if each.digest and each.id in old and old[each.id][1] != each.digest}
    assert {skill for _, skill in verdict.failures} == (stale if "digest" in how else set())
    assert set(verdict.pending) == {each.id for each in missing if each.digest is None or each.id not in old}


@given(SKILLS, SKILLS, SKILLS, TOLD, st.randoms())
def test_a_verdict_is_one_of_its_kinds_and_depends_on_no_order(
    old: dict[str, tuple[str, str]],
    new: dict[str, tuple[str, str]],
    loaded: dict[str, tuple[str, str]],
    how: set[str],
    random: object,
) -> None:
    changes, others = deployed(old, new)
    before = listed_before(told(old, how), changes, others=others)
    now = told(loaded, how)
    verdict = judge(before, now, changes, others=others)
    failed = {skill for _, skill in verdict.failures}
    assert not failed & set(verdict.pending)
    assert failed | set(verdict.pending) <= {each.id for each in changes}
    assert not verdict.certain or verdict == PROVED
    assert {skill for code, skill in verdict.failures if code == "skill_lost"} <= before
    shuffled = list(now.skills or ())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert judge(before, seen(*shuffled), changes, others=others) == verdict
