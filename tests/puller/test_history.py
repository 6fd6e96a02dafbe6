"""What is remembered of earlier contents, over crashes, damage, and years."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from shared.model import BlobId, SkillId
from shared.puller import history as module
from shared.puller.files import Root
from shared.puller.history import History
from tests.puller.edge import Quick
from tests.puller.test_crash import Counted, Killed

if TYPE_CHECKING:
    from pathlib import Path

A, B = SkillId("a"), SkillId("b")


def blob(number: int) -> BlobId:
    return BlobId(f"{number:040x}")


def of(history: History, key: SkillId) -> dict[str, set[BlobId]]:
    return {path: set(blobs) for path, blobs in history.of([key])[key].items()}


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(Root(tmp_path, Quick()))


def test_nothing_is_remembered_of_nothing(history: History, tmp_path: Path) -> None:
    history.note([])
    assert list(tmp_path.iterdir()) == []
    assert history.of([A, B]) == {A: {}, B: {}}
    assert history.of([]) == {}


def test_contents_are_told_by_skill_and_path_in_both_layouts(history: History) -> None:
    history.note([("a/SKILL.md", blob(1)), ("a.md", blob(1)), ("b/SKILL.md", blob(2)), ("a-b/SKILL.md", blob(3))])
    history.note([("a/SKILL.md", blob(4)), ("a/name with spaces", blob(5))])
    assert of(history, A) == {
        "a/SKILL.md": {blob(1), blob(4)},
        "a.md": {blob(1)},
        "a/name with spaces": {blob(5)},
    }
    assert history.of([A, B])[B] == {"b/SKILL.md": frozenset({blob(2)})}


@pytest.mark.parametrize("after", [False, True])
def test_a_line_that_a_crash_cut_off_takes_no_other_with_it(tmp_path: Path, *, after: bool) -> None:
    for at in range(1, 4):
        own = tmp_path / f"{at}"
        own.mkdir()
        with suppress(Killed):
            History(Root(own, Counted(at, Killed, after=after))).note([("a/SKILL.md", blob(1))])
        file = own / "history"
        if file.exists():
            file.write_bytes(file.read_bytes()[:-20])
        history = History(Root(own, Quick()))
        history.note([("a/SKILL.md", blob(2)), ("a.md", blob(3))])
        assert of(history, A) == {"a/SKILL.md": {blob(2)}, "a.md": {blob(3)}}


def test_damage_and_paths_that_lead_out_are_never_matched(history: History, tmp_path: Path) -> None:
    lines = [b"", b"\xff\xff", b"only-one-word", b"%s a/../../etc" % blob(1).encode(), b"%s /a/x" % blob(1).encode()]
    (tmp_path / "history").write_bytes(b"\n".join(lines) + b"\n")
    assert of(history, A) == {}
    history.note([("a.md", blob(2))])
    assert of(history, A) == {"a.md": {blob(2)}}


def test_what_is_told_again_and_again_takes_no_room_and_what_is_newest_stays(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 2000)
    history.note([("b.md", blob(7))])
    for _ in range(100):
        history.note([("a.md", blob(1)), ("a.md", blob(2))])
        assert (tmp_path / "history").stat().st_size < 2200
    assert of(history, A) == {"a.md": {blob(1), blob(2)}}
    assert of(history, B) == {"b.md": {blob(7)}}, "it has room beside what was told twice"
    for number in range(100, 200):
        history.note([("a.md", blob(number))])
        assert (tmp_path / "history").stat().st_size < 2200
    remembered = of(history, A)["a.md"]
    assert {blob(number) for number in range(185, 200)} <= remembered
    assert blob(100) not in remembered
