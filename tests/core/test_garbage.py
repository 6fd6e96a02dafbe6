"""What is garbage, and whose objects stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.garbage import archives_named, is_due, kept_deployments, sort_out, with_claim
from shared.core.manifest import manifest_bytes
from shared.core.names import object_name, timestamp
from shared.core.summary import Summary, parse_summary, summary_bytes
from shared.errors import InputError
from shared.ports import StoredName
from tests.core.samples import NOW, a_live_skill, a_manifest, a_pointer, a_withheld, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.model import Pointer

A_MOMENT = timedelta(milliseconds=1)
MONTH = timedelta(days=30)


def listed(number: int, age: timedelta, *, name: str = "") -> StoredName:
    return StoredName(name=name or object_name(digest(number)), generation=7, size=10, updated_at=NOW - age)


def deployed(*ages: timedelta) -> list[Pointer]:
    """Deployments of these ages, the newest first."""
    newest = a_pointer()
    return [replace(newest, seq=len(ages) - place, deployed_at=timestamp(NOW - age)) for place, age in enumerate(ages)]


def kept(pointers: list[Pointer]) -> list[int]:
    return [pointer.seq for pointer in kept_deployments(pointers, NOW)]


@pytest.mark.parametrize(
    ("age", "is_named", "is_garbage"),
    [
        (MONTH + A_MOMENT, False, True),
        (MONTH, False, False),
        (timedelta(0), False, False),
        (-timedelta(days=1), False, False),
        (MONTH + A_MOMENT, True, False),
        (timedelta(days=3000), True, False),
    ],
)
def test_garbage_is_older_than_thirty_days_and_named_by_nothing(
    age: timedelta, *, is_named: bool, is_garbage: bool
) -> None:
    entry = listed(1, age)
    found = sort_out([entry], {digest(1)} if is_named else set(), NOW)
    assert found.garbage == ((entry,) if is_garbage else ())
    assert found.named + found.young + len(found.garbage) == 1


@pytest.mark.parametrize("name", ["objects/notes.txt", "objects/" + "A" * 64, "objects/x/" + "a" * 64])
def test_what_has_no_digest_for_a_name_is_not_ours_to_delete(name: str) -> None:
    assert sort_out([listed(1, 10 * MONTH, name=name)], set(), NOW).garbage == ()


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(-40, 400)), max_size=40),
    st.sets(st.integers(0, 30), max_size=20),
)
def test_of_any_listing_exactly_what_is_old_and_unnamed_is_garbage(
    rows: list[tuple[int, int]], named: set[int]
) -> None:
    entries = [listed(number, timedelta(days=days)) for number, days in rows]
    found = sort_out(entries, {digest(number) for number in named}, NOW)
    expected = [entry for entry, (number, days) in zip(entries, rows, strict=True) if number not in named and days > 30]
    assert list(found.garbage) == expected
    assert found.named + found.young + len(found.garbage) == len(rows)


def test_the_last_sixteen_deployments_stay_however_old_they_are() -> None:
    assert kept(deployed(*(timedelta(days=100 + place) for place in range(20)))) == list(range(20, 4, -1))


def test_what_was_live_at_any_time_of_the_last_thirty_days_stays_however_many_came_since() -> None:
    recent = [timedelta(days=1) for _ in range(25)]
    pointers = deployed(*recent, timedelta(days=29), timedelta(days=50), timedelta(days=60))
    # The one of 50 days ago was live until 29 days ago; the one before it was not.
    assert kept(pointers) == list(range(28, 1, -1))


@pytest.mark.parametrize(("age", "stays"), [(MONTH, True), (MONTH + A_MOMENT, False)])
def test_a_deployment_is_live_until_its_successor_is_deployed(age: timedelta, *, stays: bool) -> None:
    recent = [timedelta(days=1) for _ in range(20)]
    assert (1 in kept(deployed(*recent, age, timedelta(days=90)))) == stays


def test_no_more_deployments_are_read_than_it_takes() -> None:
    taken: list[int] = []

    def history() -> Iterator[Pointer]:
        for pointer in deployed(*(timedelta(days=100) for _ in range(50))):
            taken.append(pointer.seq)
            yield pointer

    assert len(list(kept_deployments(history(), NOW))) == 16
    assert len(taken) == 17


@given(st.lists(st.integers(0, 200), max_size=60))
def test_whatever_the_history_every_deployment_that_must_stay_stays(days: list[int]) -> None:
    pointers = deployed(*(timedelta(days=number) for number in sorted(days)))
    found = kept(pointers)
    for place, pointer in enumerate(pointers):
        ended = sorted(days)[place - 1] if place else 0
        assert (pointer.seq in found) == (place < 16 or ended <= 30)


def test_a_manifest_names_the_archives_of_all_its_live_skills() -> None:
    manifest = a_manifest(
        a_live_skill("a", 1), a_live_skill("b", 2), a_live_skill("twin", 2), withheld=(a_withheld("a", 9),)
    )
    assert archives_named(manifest_bytes(manifest), 3) == {digest(1), digest(2)}
    assert archives_named(manifest_bytes(manifest), None) == {digest(1), digest(2)}


def test_a_manifest_without_skills_names_nothing() -> None:
    assert archives_named(manifest_bytes(a_manifest()), 0) == set()


def test_what_a_skill_calls_itself_cannot_hide_or_add_an_archive() -> None:
    name = '"b":{"archive":{"sha256":"' + digest(3) + '"'
    manifest = a_manifest(a_live_skill("a", 1, name=name, version='x"},"c":{"archive":{"sha256":"'))
    assert archives_named(manifest_bytes(manifest), 1) == {digest(1)}


@pytest.mark.parametrize("skills", [0, 2])
def test_a_manifest_with_another_number_of_skills_than_was_signed_is_not_believed(skills: int) -> None:
    with pytest.raises(InputError, match="MANIFEST_INVALID"):
        archives_named(manifest_bytes(a_manifest(a_live_skill("a", 1))), skills)


@pytest.mark.parametrize(
    ("data", "skills"),
    [
        (b"", 0),
        (b"{}", None),
        (manifest_bytes(a_manifest(a_live_skill())).replace(b'"archive":{', b'"archive": {'), None),
        (manifest_bytes(a_manifest(a_live_skill())).replace(b'"sha256":"', b'"sha256":"X'), None),
    ],
    ids=["empty", "no manifest", "not canonical", "no digest"],
)
def test_what_is_not_as_we_write_manifests_is_refused_sooner_than_to_miss_an_archive(
    data: bytes, skills: int | None
) -> None:
    with pytest.raises(InputError):
        archives_named(data, skills)


@pytest.mark.parametrize(
    ("hours", "due"), [(0, False), (23, False), (24, True), (500, True), (-23, False), (-24, True), (-9000, True)]
)
def test_a_collection_is_due_a_day_after_the_last_claim_and_no_wrong_clock_stops_it_for_longer(
    hours: int, *, due: bool
) -> None:
    claimed = with_claim(Summary(), NOW - timedelta(hours=hours), "t")
    assert is_due(parse_summary(summary_bytes(claimed)), NOW) == due


def test_a_claim_that_cannot_be_read_is_none() -> None:
    assert is_due(Summary(), NOW)
    assert is_due(parse_summary(summary_bytes(replace(Summary(), gc={"at": "soon"}))), NOW)
