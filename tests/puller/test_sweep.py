"""Every file's numbers are looked at once a minute, however many there are and whatever is deployed meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.manifest import manifest_bytes
from shared.core.manifest_view import ManifestView
from shared.model import FileEntry, SkillId
from shared.puller.calls import Calls
from shared.puller.files import Root
from shared.puller.sweep import Print, Sweep, share_of, with_folders
from tests.core.samples import a_live_skill, a_manifest, git_id
from tests.puller.drifting import write_unseen

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable
    from pathlib import Path

LAYOUTS = ("tree", "flat")
FILES = ("SKILL.md", "deep/er/x")
MINUTE = 60.0


def view_of(*keys: str) -> ManifestView:
    files = tuple(FileEntry(path=path, mode=0o644, blob=git_id(1), size=1) for path in FILES)
    return ManifestView(manifest_bytes(a_manifest(*(a_live_skill(key, 1, files=files) for key in keys))))


def numbered(count: int) -> list[str]:
    return [f"skill-{number:03d}" for number in range(count)]


@pytest.fixture
def skills(tmp_path: Path) -> Path:
    """A skills folder with two skills that did not change for an hour."""
    for key in ("a", "b"):
        (tmp_path / key / "deep" / "er").mkdir(parents=True)
        for path in FILES:
            (tmp_path / key / path).write_bytes(b"x")
        (tmp_path / f"{key}.md").write_bytes(b"x")
    return tmp_path


def at_rest(taken: Print) -> Print:
    """The same numbers, an hour later."""
    return Print(taken.numbers, taken.age + 3600.0)


def settled(folder: Path, *keys: str) -> Sweep:
    sweep = Sweep(Root(folder, Calls()))
    for key in keys:
        sweep.is_right(SkillId(key), at_rest(sweep.take(paths_of(key))))
    return sweep


def paths_of(key: str) -> list[str]:
    return [f"{key}.md", *(f"{key}/{path}" for path in FILES)]


def suspects(sweep: Sweep, *keys: str, share: float = 1.0) -> list[str]:
    return list(sweep.suspects(view_of(*keys), LAYOUTS, share))


def test_what_was_never_right_is_suspect_and_what_is_as_it_was_is_not(skills: Path) -> None:
    assert suspects(Sweep(Root(skills, Calls())), "a", "b") == ["a", "b"]
    sweep = settled(skills, "a", "b")
    assert suspects(sweep, "a", "b") == []
    sweep.forget()
    assert suspects(sweep, "a", "b") == ["a", "b"]


@pytest.mark.parametrize("path", ["b/SKILL.md", "b/deep/er/x", "b.md"])
@pytest.mark.parametrize("act", ["write", "write unseen", "chmod", "link", "unlink", "touch", "replace"])
def test_whatever_becomes_of_a_file_shows(skills: Path, path: str, act: str) -> None:
    sweep, file = settled(skills, "a", "b"), skills / path
    if act == "write":
        file.write_bytes(b"longer")
    elif act == "write unseen":
        write_unseen(file, b"y")
    elif act == "chmod":
        file.chmod(0o600)
    elif act == "link":
        os.link(file, skills / "second")
    elif act == "unlink":
        file.unlink()
    elif act == "touch":
        os.utime(file)
    else:
        write_unseen(file, b"y")
        other = skills / "other"
        other.write_bytes(b"x")
        other.replace(file)
    assert suspects(sweep, "a", "b") == ["b"]


@pytest.mark.parametrize("folder", ["b", "b/deep", "b/deep/er"])
def test_a_name_that_comes_into_a_folder_shows(skills: Path, folder: str) -> None:
    sweep = settled(skills, "a", "b")
    (skills / folder / "new").touch()
    assert suspects(sweep, "a", "b") == ["b"]


def test_numbers_that_were_taken_before_a_change_show_it_though_they_are_remembered_after_it(skills: Path) -> None:
    sweep = settled(skills, "a", "b")
    taken = at_rest(sweep.take(paths_of("b")))
    (skills / "b.md").write_bytes(b"later")
    sweep.is_right(SkillId("b"), taken)
    assert suspects(sweep, "a", "b") == ["b"]


def test_what_changed_within_the_same_tick_is_not_trusted(skills: Path) -> None:
    sweep = settled(skills, "a", "b")
    taken = sweep.take(paths_of("b"))
    sweep.is_right(SkillId("b"), Print(taken.numbers, 0.001))
    assert suspects(sweep, "a", "b") == ["b"]
    sweep.is_right(SkillId("b"), Print(taken.numbers, -7200.0))
    assert suspects(sweep, "a", "b") == [], "the clock may be two hours wrong"


def test_the_layouts_that_are_not_written_are_not_looked_at(skills: Path) -> None:
    view = view_of("a")
    for layouts, path in ((("tree",), "a.md"), (("flat",), "a/SKILL.md")):
        sweep = Sweep(Root(skills, Calls()))
        paths = [each for each in paths_of("a") if each.endswith(".md") == ("flat" in layouts) or "/" in each]
        paths = [each for each in paths if ("/" in each) == ("tree" in layouts)]
        sweep.is_right(SkillId("a"), at_rest(sweep.take(paths)))
        (skills / path).write_bytes(b"changed")
        assert sweep.suspects(view, layouts, 1.0) == []


def test_the_folders_that_lead_to_a_file_are_looked_at_too() -> None:
    assert with_folders(["a/x/y", "a.md"]) == ["a", "a.md", "a/x", "a/x/y"]


def test_no_skill_is_nothing_to_look_at(skills: Path) -> None:
    for share in (0.0, 0.3, 1.0):
        assert suspects(Sweep(Root(skills, Calls())), share=share) == []


def longest_gaps(
    folder: Path, sets: Iterable[list[str]], pauses: Iterable[float], watched: Iterable[str]
) -> dict[str, float]:
    """How long at most each of these skills went without a look: one look a pause, at the next of these sets of skills."""
    sweep = Sweep(Root(folder, Calls()))
    now, last = 0.0, dict.fromkeys(watched, 0.0)
    gaps = dict(last)
    for keys, pause in zip(sets, pauses, strict=False):
        now += pause
        for key in suspects(sweep, *keys, share=share_of(pause)):
            if key in gaps:
                gaps[key] = max(gaps[key], now - last[key])
                last[key] = now
    return {key: max(gap, now - last[key]) for key, gap in gaps.items()}


@pytest.mark.parametrize("pause", [0.5, 2.0, 5.0, 9.9, 10.0, 20.0, 25.0, 30.0, 45.0, 60.0])
def test_every_skill_is_looked_at_once_a_minute_whatever_the_pace(tmp_path: Path, pause: float) -> None:
    keys = numbered(150)
    looks = int(300 / pause)
    gaps = longest_gaps(tmp_path, [keys] * looks, [pause] * looks, keys)
    assert max(gaps.values()) <= MINUTE


def test_every_skill_is_looked_at_once_a_minute_though_the_next_one_is_removed_in_every_look(tmp_path: Path) -> None:
    keys = numbered(120)
    sweep = Sweep(Root(tmp_path, Calls()))
    gone, now, last = "", 0.0, dict.fromkeys(keys, 0.0)
    for _ in range(150):
        now += 2.0
        here = [key for key in keys if key != gone]
        looked = suspects(sweep, *here, share=share_of(2.0))
        for key in looked:
            assert now - last[key] <= MINUTE
            last[key] = now
        gone = keys[(keys.index(looked[-1]) + 1) % len(keys)]  # the very one where the round was to go on
        last[gone] = now  # it is installed anew when it comes back
    assert min(last.values()) > now - MINUTE


@settings(max_examples=30)
@given(rng=st.randoms(use_true_random=False))
def test_every_skill_that_stays_is_looked_at_once_a_minute_in_whatever_is_deployed(
    tmp_path_factory: pytest.TempPathFactory, rng: random.Random
) -> None:
    stays = numbered(20)
    others = [f"other-{number:02d}" for number in range(20)] + [f"z-{number:02d}" for number in range(5)]
    sets = [sorted([*stays, *rng.sample(others, 12)]) for _ in range(90)]
    gaps = longest_gaps(tmp_path_factory.mktemp("skills"), sets, [2.0] * 90, stays)
    assert max(gaps.values()) <= MINUTE


def test_how_many_skills_were_looked_at_is_told(skills: Path) -> None:
    sweep = settled(skills, "a", "b")
    suspects(sweep, "a", "b")
    assert sweep.looked_at == 2


def test_a_folder_that_is_gone_is_an_error_and_no_news_of_each_file(skills: Path) -> None:
    with pytest.raises(FileNotFoundError):
        suspects(Sweep(Root(skills / "gone", Calls())), "a")
