from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.discover import discover
from shared.model import Kind, SkillId, TreeEntry
from tests.core.samples import an_entry


def listing(*paths: str, **kinds: Kind) -> list[TreeEntry]:
    """A tree with these files and the folders that they need; a folder's id is its own path."""
    folders = {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}
    files = [
        an_entry(path, path.encode(), kind=kinds.get(path.rsplit("/", 1)[-1].split(".")[0], Kind.FILE))
        for path in paths
    ]
    return sorted(
        [*files, *(TreeEntry(path=path, kind=Kind.FOLDER, id=path) for path in folders)], key=lambda e: e.path
    )


def found(*paths: str, root: str = "") -> dict[str, str]:
    return {key: skill.path for key, skill in discover(listing(*paths), root).items()}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], {}),
        (["README.md", "docs/guide.md"], {}),
        (["a/SKILL.md"], {"a": "a"}),
        (["skills/a/SKILL.md", "skills/b/SKILL.md"], {"a": "skills/a", "b": "skills/b"}),
        (["deep/er/and/deeper/a/SKILL.md"], {"a": "deep/er/and/deeper/a"}),
        (["a/skill.md"], {"a": "a"}),
    ],
)
def test_a_skill_is_any_folder_with_a_skill_file(paths: list[str], expected: dict[str, str]) -> None:
    assert found(*paths) == expected


@pytest.mark.parametrize(
    "name", ["Skill.md", "SKILL.MD", "skill.MD", "SKILL", "SKILL.md.bak", "xSKILL.md", "skill.yaml"]
)
def test_a_file_of_almost_that_name_makes_no_skill(name: str) -> None:
    assert found(f"a/{name}") == {}


def test_a_skill_file_at_the_root_of_the_repository_makes_no_skill() -> None:
    assert found("SKILL.md", "a/SKILL.md") == {"a": "a"}


def test_a_skill_file_at_the_publish_root_makes_no_skill() -> None:
    assert found("skills/SKILL.md", "skills/a/SKILL.md", root="skills") == {"a": "skills/a"}
    assert found("x/skills/SKILL.md", "x/skills/a/SKILL.md", root="x/skills") == {"a": "x/skills/a"}


def test_the_search_does_not_go_on_inside_a_skill() -> None:
    assert found("a/SKILL.md", "a/b/SKILL.md", "a/x/y/c/SKILL.md") == {"a": "a"}


def test_a_folder_whose_name_only_begins_alike_is_not_inside() -> None:
    assert found("x/SKILL.md", "xy/SKILL.md", "x-y/z/SKILL.md") == {"x": "x", "xy": "xy", "z": "x-y/z"}


def test_only_what_lies_below_the_publish_root_is_searched() -> None:
    paths = ["a/SKILL.md", "skills/b/SKILL.md", "skills-old/c/SKILL.md", "x/skills/d/SKILL.md"]
    assert found(*paths, root="skills") == {"b": "skills/b"}
    assert found(*paths, root="skill") == {}
    assert found(*paths, root="Skills") == {}


def test_of_one_id_at_two_paths_the_shallower_wins_and_names_the_others() -> None:
    skills = discover(listing("z/a/SKILL.md", "a/SKILL.md", "b/c/a/SKILL.md", "y/a/SKILL.md"), "")
    assert {key: (skill.path, skill.shadowed) for key, skill in skills.items()} == {"a": ("a", ("y/a", "z/a", "b/c/a"))}


def test_of_two_paths_of_the_same_depth_the_first_in_order_wins() -> None:
    assert found("x/a/SKILL.md", "b/a/SKILL.md") == {"a": "b/a"}


def test_a_skill_has_its_folders_tree_id_and_all_files_below_relative_to_it() -> None:
    skill = discover(listing("s/a/SKILL.md", "s/a/x/y.txt", "s/a/x/z/w", "s/b.txt", "s/ab/q"), "")[SkillId("a")]
    assert skill.tree == "s/a"
    assert sorted(entry.path for entry in skill.entries) == ["SKILL.md", "x/y.txt", "x/z/w"]


def test_both_spellings_in_one_folder_are_one_skill_with_both_files() -> None:
    skills = discover(listing("a/SKILL.md", "a/skill.md"), "")
    assert sorted(entry.path for entry in skills[SkillId("a")].entries) == ["SKILL.md", "skill.md"]


def test_a_folder_or_submodule_named_like_a_skill_file_makes_no_skill() -> None:
    assert found("a/SKILL.md/x") == {}
    assert discover(listing("a/SKILL.md", "a/x", SKILL=Kind.SUBMODULE), "") == {}


@pytest.mark.parametrize("kind", [Kind.EXECUTABLE, Kind.SYMLINK])
def test_a_link_as_skill_file_makes_a_skill_that_the_rules_then_refuse(kind: Kind) -> None:
    # Were it none, the skill would be removed; refused, its last good version stays.
    assert list(discover(listing("a/SKILL.md", SKILL=kind), "")) == ["a"]


NAMES = st.sampled_from(["a", "b", "ab", "SKILL.md", "skill.md", "x.txt"])
PATHS = st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=12)


@given(PATHS, st.sampled_from(["", "a", "a/b"]))
def test_every_file_belongs_to_at_most_one_skill_and_no_skill_lies_in_another(paths: set[str], root: str) -> None:
    files = [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
    skills = discover(listing(*files), root).values()
    owned = [f"{skill.path}/{entry.path}" for skill in skills for entry in skill.entries]
    assert len(owned) == len(set(owned))
    assert set(owned) <= set(files)
    roots = [path for skill in skills for path in (skill.path, *skill.shadowed)]
    assert not any(one.startswith(f"{other}/") for one in roots for other in roots)
    assert all(path.startswith(f"{root}/") for path in roots if root)


@given(PATHS, st.randoms())
def test_the_order_of_the_listing_does_not_matter(paths: set[str], random) -> None:  # noqa: ANN001 - hypothesis's own
    files = [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
    entries = listing(*files)
    shuffled = random.sample(entries, len(entries))
    one, other = discover(entries, ""), discover(shuffled, "")
    assert {key: (skill.path, set(skill.entries)) for key, skill in one.items()} == {
        key: (skill.path, set(skill.entries)) for key, skill in other.items()
    }
