"""The order of steps, from what stands on the disk to what shall stand there: tables, no disk."""

from __future__ import annotations

import pytest

from shared.model import BlobId, SkillId
from shared.puller.layout import RELOAD, Wanted, ancestors, top
from shared.puller.look import Seen, Thing
from shared.puller.plan import (
    Add,
    Delete,
    Displace,
    Keep,
    Open,
    Prune,
    Remove,
    Replace,
    Situation,
    Step,
    Touch,
    announce,
    displaced_by,
    make_plan,
    to_stage,
)

RELOADED = Touch(RELOAD)
FOLDER = Seen(thing=Thing.FOLDER, mode=0o755, links=2)
LINK = Seen(thing=Thing.LINK, mode=0o777, links=1)


def plan(
    wanted: str,
    known: str,
    disk: str,
    extra: dict[str, Seen] | None = None,
    *,
    resting: str = "",
) -> list[Step]:
    """Plan from words `path=content`; folders on the disk follow from the files in them."""
    seen = {path: a_file(content) for path, content in pairs(disk)}
    seen |= {folder: FOLDER for path in [*seen, *(extra or {})] for folder in ancestors(path)}
    steps = make_plan(
        Situation(
            wanted={path: a_wanted(path, content) for path, content in pairs(wanted)},
            known={path: frozenset(BlobId(each) for each in content.split("|")) for path, content in pairs(known)},
            seen=seen | (extra or {}),
            resting=resting.split(),
        )
    )
    return [*steps, *(announce((extra or {}).get(RELOAD)) if steps else ())]


def pairs(text: str) -> list[tuple[str, str]]:
    return [(path, content) for path, _, content in (word.partition("=") for word in text.split())]


def a_file(content: str, mode: int = 0o644, links: int = 1) -> Seen:
    return Seen(thing=Thing.FILE, mode=mode, links=links, blob=BlobId(content))


def a_wanted(path: str, content: str) -> Wanted:
    return Wanted(skill=SkillId(top(path)), source=path, blob=BlobId(content), mode=0o644, size=1)


V1 = "a/SKILL.md=1 a/old=1 a/both=1 a.md=1"
V2 = "a/SKILL.md=2 a/new=2 a/both=2 a.md=2"


def test_nothing_to_do_is_no_step_at_all() -> None:
    assert plan(V1, V1, V1) == []
    assert plan("", "", "own/x=1 own.md=1") == []


def test_a_new_skill_is_one_complete_folder() -> None:
    assert plan("a/SKILL.md=1 a/x/y=1", "", "") == [Add("a"), RELOADED]


@pytest.mark.parametrize(
    "wanted", ["", "a.md=1", "a/SKILL.md=1 a/x/y=1 a.md=1 b/SKILL.md=1 b.md=1 a-b/SKILL.md=1 a-b.md=1"]
)
@pytest.mark.parametrize("known", ["", V1, "c/SKILL.md=1 c.md=1"])
@pytest.mark.parametrize("resting", ["", "a", "a b a.md"])
def test_where_nothing_stands_the_short_way_plans_what_the_general_rules_do(
    wanted: str, known: str, resting: str
) -> None:
    beside = {"own": FOLDER}  # what is nobody's business takes the short way away
    assert plan(wanted, known, "", resting=resting) == plan(wanted, known, "", beside, resting=resting)


def test_an_update_replaces_resources_then_the_skill_file_and_only_then_deletes() -> None:
    steps = plan(V2, V1, V1)
    order = [steps.index(step) for step in (Replace("a/both"), Replace("a/SKILL.md"), Delete("a/old"), RELOADED)]
    assert order == sorted(order)


def test_a_new_folder_of_resources_is_renamed_in_whole() -> None:
    assert plan("a/SKILL.md=1 a/x/y/z=1 a/x/w=1", "a/SKILL.md=1", "a/SKILL.md=1") == [Add("a/x"), RELOADED]


def test_removals_come_first_and_names_that_rest_come_last() -> None:
    steps = plan(
        "a/SKILL.md=1 b/SKILL.md=2 c/SKILL.md=1", "b/SKILL.md=1 z/SKILL.md=1", "b/SKILL.md=1 z/SKILL.md=1", resting="a"
    )
    assert steps == [Remove("z"), Replace("b/SKILL.md"), Add("c"), Add("a"), RELOADED]


def test_the_reload_mark_is_last_and_a_foreign_thing_on_it_is_displaced() -> None:
    assert plan("a.md=1", "", "", {RELOAD: LINK}) == [Replace("a.md"), Displace(RELOAD), RELOADED]


@pytest.mark.parametrize("seen", [a_file("1", mode=0o600), a_file("1", links=2)])
def test_right_content_with_a_wrong_mode_or_a_second_link_is_written_anew_and_not_foreign(seen: Seen) -> None:
    assert plan("a.md=1", "", "", {"a.md": seen}) == [Replace("a.md"), RELOADED]


def test_a_folder_of_ours_that_was_locked_is_opened_first_and_a_foreign_one_is_let_be() -> None:
    shut = Seen(thing=Thing.FOLDER, mode=0o700, links=2)
    assert plan("a/x/y=2", "a/x/y=1", "a/x/y=1 a/own/z=1", {"a/x": shut, "a/own": shut}) == [
        Open("a/x"),
        Replace("a/x/y"),
        RELOADED,
    ]


def test_content_decides_what_is_ours_not_the_path() -> None:
    assert plan("a.md=2", "a.md=1", "a.md=1") == [Replace("a.md"), RELOADED]
    assert plan("a.md=2", "a.md=1|3", "a.md=3") == [Replace("a.md"), RELOADED]
    assert plan("a.md=2", "a.md=1", "a.md=other") == [Keep("a.md"), Replace("a.md"), RELOADED]
    assert plan("", "a.md=1", "a.md=1") == [Delete("a.md"), RELOADED]
    assert plan("", "a.md=1", "a.md=other") == [Displace("a.md"), RELOADED]


def test_a_file_that_becomes_a_folder_and_a_folder_that_becomes_a_file_make_way_first() -> None:
    assert plan("a/x/y=2", "a/x=1", "a/x=1") == [Delete("a/x"), Add("a/x"), RELOADED]
    assert plan("a/x=2", "a/x/y/z=1", "a/x/y/z=1") == [
        Delete("a/x/y/z"),
        Prune("a/x/y"),
        Prune("a/x"),
        Replace("a/x"),
        RELOADED,
    ]


def test_a_folder_with_anything_foreign_in_it_is_displaced_whole_where_a_file_must_stand() -> None:
    assert plan("a/x=2", "a/x/y=1", "a/x/y=1 a/x/own=1") == [Displace("a/x"), Replace("a/x"), RELOADED]
    assert plan("a/x=2", "a/k=1", "a/k=1", {"a/x": FOLDER})[0] == Displace("a/x")


@pytest.mark.parametrize("thing", [LINK, a_file("other"), Seen(thing=Thing.OTHER, mode=0o644, links=1)])
def test_what_stands_where_a_folder_must_be_is_displaced_and_the_name_rests(thing: Seen) -> None:
    assert plan("a/SKILL.md=1 b/SKILL.md=1", "", "", {"a": thing}) == [Displace("a"), Add("b"), Add("a"), RELOADED]
    assert plan("a/SKILL.md=1 a/x/y=1", "", "a/SKILL.md=1", {"a/x": thing}) == [Displace("a/x"), Add("a/x"), RELOADED]


def test_a_removed_skill_that_was_replaced_by_something_else_is_left_alone() -> None:
    assert plan("", "a/SKILL.md=1", "", {"a": LINK}) == []
    assert plan("", "a/SKILL.md=1 a/x=1", "", {"a/SKILL.md": LINK, "a": FOLDER}) == []


def test_a_removed_skill_with_foreign_files_loses_its_skill_file_first_and_keeps_its_folder() -> None:
    assert plan("", "a/A=1 a/SKILL.md=1 a/x/y=1", "a/A=1 a/SKILL.md=1 a/x/y=1 a/own=1") == [
        Delete("a/SKILL.md"),
        Delete("a/A"),
        Delete("a/x/y"),
        Prune("a/x"),
        RELOADED,
    ]


def test_an_edited_file_does_not_hold_up_the_removal_of_its_skill() -> None:
    assert plan("", "a/SKILL.md=1 a/x=1", "a/SKILL.md=edited a/x=1") == [Displace("a/SKILL.md"), Remove("a"), RELOADED]


def test_a_folder_that_a_crash_left_empty_is_removed() -> None:
    assert plan("a/SKILL.md=1", "a/SKILL.md=1 a/x/y=1", "a/SKILL.md=1", {"a/x": FOLDER}) == [Prune("a/x"), RELOADED]
    assert plan("", "a/SKILL.md=1", "", {"a": FOLDER}) == [Remove("a"), RELOADED]


def test_what_must_be_staged_follows_from_the_steps() -> None:
    steps = [Add("a"), Add("b/x"), Replace("c.md"), Keep("c.md"), Displace("d")]
    wanted = ["a/SKILL.md", "a/x/y", "b/SKILL.md", "b/x/y", "c.md", "d.md"]
    assert to_stage(steps, wanted) == {"a/SKILL.md", "a/x/y", "b/x/y", "c.md"}
    assert displaced_by(steps) == ["c.md", "d"]
