from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.manifest import manifest_bytes, parse_manifest
from shared.core.manifest_view import Difference, ManifestView, differences, together
from shared.errors import InputError
from shared.model import FileEntry, LiveSkill, SkillId
from tests.core.samples import a_live_skill, a_manifest, a_withheld, git_id

if TYPE_CHECKING:
    from pathlib import Path

NASTY = ("foo},", '"},"a":{"archive":', '}},"withheld":{', '\\"skills":{', '},"b":{"archive":{', "ü", "x" * 900)


@st.composite
def skills(draw: st.DrawFn, key: str) -> LiveSkill:
    """A skill whose texts look like the structure around them."""
    paths = draw(st.lists(st.sampled_from(["SKILL.md", "foo},", "a}},b", 'q"}', "d/e"]), unique=True, max_size=3))
    files = tuple(FileEntry(path=path, mode=0o644, blob=git_id(draw(st.integers(1, 3))), size=7) for path in paths)
    return a_live_skill(key, draw(st.integers(1, 3)), name=draw(st.sampled_from(["n", *NASTY])), files=files)


@st.composite
def views(draw: st.DrawFn) -> ManifestView:
    """Manifests of the same few ids, so that pairs of them share entries, and ids that are beginnings of others."""
    ids = draw(st.sets(st.sampled_from(["a", "a-b", "aa", "b", "withheld", "skills", "z"])))
    live = [draw(skills(key)) for key in sorted(ids)]
    held = draw(st.sets(st.sampled_from(["withheld", "skills", "a", *NASTY])))
    return ManifestView(manifest_bytes(a_manifest(*live, withheld=tuple(a_withheld(key, 1) for key in sorted(held)))))


def loaded(view: ManifestView) -> dict[SkillId, LiveSkill]:
    return parse_manifest(bytes(view.data)).skills


@given(views())
def test_a_view_reads_what_the_whole_manifest_says(view: ManifestView) -> None:
    whole = parse_manifest(bytes(view.data))
    assert list(view.skills()) == [whole.skills[key] for key in sorted(whole.skills)]
    assert (view.head().withheld, view.head().repo, view.head().skills) == (whole.withheld, whole.repo, {})
    for key in ("a", "a-b", "aa", "b", "withheld", "c"):
        assert view.find(SkillId(key)) == whole.skills.get(SkillId(key))


@given(views(), views())
def test_differences_are_exactly_those_of_the_loaded_manifests(old: ManifestView, new: ManifestView) -> None:
    before, after = loaded(old), loaded(new)
    expected = [
        Difference(key, before.get(key), after.get(key))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]
    assert list(differences(old, new)) == expected
    assert list(differences(None, new)) == [Difference(key, None, after[key]) for key in sorted(after)]


@given(st.lists(views(), min_size=1, max_size=3))
def test_manifests_are_read_side_by_side(several: list[ManifestView]) -> None:
    each = [loaded(view) for view in several]
    expected = {key: tuple(one.get(key) for one in each) for key in sorted({key for one in each for key in one})}
    assert list(together(several)) == list(expected.items())


def many(count: int, changed: int = -1) -> bytes:
    live = [a_live_skill(f"skill-{number:04d}", 2 if number == changed else 1) for number in range(count)]
    return manifest_bytes(a_manifest(*live))


@pytest.mark.parametrize("changed", [0, 1, 499, 500, 998, 999])
def test_one_change_among_many_is_found_wherever_it_is(changed: int) -> None:
    found = list(differences(ManifestView(many(1000)), ManifestView(many(1000, changed))))
    assert [(each.id, each.old != each.new) for each in found] == [(f"skill-{changed:04d}", True)]


@pytest.mark.parametrize("large", [0, 1, 50, 99])
def test_each_skill_is_found_wherever_it_is_and_whatever_stands_between(large: int) -> None:
    files = tuple(FileEntry(path=f"f{number:04d}", mode=0o644, blob=git_id(1), size=7) for number in range(500))
    keys = [SkillId(f"s-{number:03d}") for number in range(100)]
    view = ManifestView(
        manifest_bytes(
            a_manifest(*(a_live_skill(key, 1, files=files[: 500 if at == large else 1]) for at, key in enumerate(keys)))
        )
    )
    assert [view.find(key) for key in keys] == list(view.skills())
    for absent in ("a", "s-050-x", "s-1", "z"):
        assert view.find(SkillId(absent)) is None


def test_a_skill_is_found_though_nobody_has_checked_the_order_yet() -> None:
    data = many(100)
    view = ManifestView(data.replace(b'"skill-0099":', b'"aaaaa-0099":'))
    assert view.position(SkillId("aaaaa-0099")) is not None


def test_a_mapped_file_reads_like_bytes(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(many(50))
    with (tmp_path / "m").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert len(list(ManifestView(data).skills())) == 50
        assert len(list(differences(ManifestView(data), ManifestView(many(50, 3))))) == 1


TWO = manifest_bytes(a_manifest(a_live_skill("a"), a_live_skill("b")))
ENTRY = ManifestView(TWO).text(ManifestView(TWO).first)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        TWO[:-40],
        TWO.replace(b'"skills":{', b'"skills": {'),
        TWO.replace(b'"b":{"archive"', b'"a":{"archive"'),
        TWO.replace(b'"b":{"archive"', b'"0":{"archive"'),
        TWO.replace(b'"b":{"archive"', b'"B":{"archive"'),
        TWO.replace(b'"b":{"archive"', b'"..":{"archive"'),
        TWO.replace(b'"tree":', b'"tree":1,"tree":', 1),
        TWO.replace(b'"path":"a"', b'"path":"a","x":{"y":{}},"c":' + ENTRY, 1),
        TWO.replace(b'"path":"a"', b'"path":"a","x":{"y":{}},"withheld":{}', 1),
        TWO.replace(b'},"b":', b'} ,"b":'),
        TWO.replace(b'},"b":', b'}"b":'),
        TWO.replace(b'"withheld":{}', b'"withheld":{},"withheld":{}'),
        TWO + b"x",
    ],
)
def test_what_is_no_canonical_manifest_is_refused(data: bytes) -> None:
    """Whole, and as the successor of a good one: what was not read must be the same as in that one."""

    def read(old: ManifestView | None) -> None:
        view = ManifestView(data)
        view.head()
        list(differences(old, view))

    for old in (None, ManifestView(TWO), ManifestView(many(3))):
        with pytest.raises(InputError):
            read(old)
