"""Going back: whatever is killed, refused or out of reach meanwhile, it ends at the files from before, and stays there."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT
from shared.puller import prove
from shared.puller.report import Result
from tests.fakes.release_transport import refusal
from tests.fakes.world import World, skill
from tests.puller.edge import Quick
from tests.puller.gateway import KILLS, LOSES, Proving
from tests.puller.test_crash import FOREIGN, Counted, Killed

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

FORMER = (
    skill("kept", "Same."),
    skill("updated", "One.", old="1", both="1") | {"updated/x": b"f"},
    skill("gone", extra="x"),
)


def prepared(folder: Path, *, max_bytes: int | None = 10**9, former: bool = True) -> Proving:
    """A volume on which the next deployment adds, updates and removes, and kills the gateway."""
    edge = Proving(folder, World(), max_bytes=max_bytes)
    if former:
        edge.world.deploy(*FORMER)
        edge.look()
        edge.world.clock.move(2.0)
    else:
        edge.gateway.look()
    (edge.skills / "mine").mkdir()
    (edge.skills / "mine" / "note").write_bytes(FOREIGN)
    (edge.skills / "note.txt").write_bytes(FOREIGN)
    new = skill("updated", KILLS, both="2", new="1") | {"updated/x/y": b"g"}
    edge.world.deploy(skill("kept", "Same."), new, skill("added"))
    return edge


def before(*, former: bool = True) -> dict[str, bytes]:
    parts = {path: data for part in FORMER for path, data in part.items()} if former else {}
    flat = {f"{path.partition('/')[0]}.md": data for path, data in parts.items() if path.endswith("/SKILL.md")}
    return {**parts, **flat, "mine/note": FOREIGN, "note.txt": FOREIGN}


def is_held(edge: Proving, *, former: bool = True) -> bool:
    state = edge.follower.state
    as_before = (state.deployment, state.proving, state.unfinished) == ("1-1" if former else None, None, ())
    return as_before and state.failed is not None and edge.files() == before(former=former)


def clean(folder: Path, *, max_bytes: int | None = 10**9, former: bool = True) -> int:
    """How many changes of the disk it takes to install, to prove in vain, and to go back."""
    edge = prepared(folder, max_bytes=max_bytes, former=former)
    edge.calls = Counted(0, Killed)
    edge.restart()
    assert edge.look() is Result.HELD
    assert is_held(edge, former=former)
    return edge.calls.done


def test_the_first_installation_of_all_goes_back_to_nothing(tmp_path: Path) -> None:
    edge = prepared(tmp_path, former=False)
    assert edge.look() is Result.HELD
    assert is_held(edge, former=False)
    assert edge.follower.state.installed is None
    report = edge.function.reports[-1]
    assert (report["outcome"], report["deployment"], report["manifest"]) == ("held", None, None)
    edge.restart()
    assert edge.look() is Result.HELD
    edge.world.deploy(skill("updated", "Mended."))
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted() | {"mine/note": FOREIGN, "note.txt": FOREIGN}


def test_a_removed_skill_comes_back_after_its_rest(tmp_path: Path) -> None:
    edge = Proving(tmp_path)
    edge.world.deploy(skill("a", "One."), skill("back"))
    edge.look()
    times: dict[str, list[float]] = {"gone": [], "there": []}

    def watch() -> None:
        times["there" if (edge.skills / "back").exists() else "gone"].append(edge.world.clock.monotonic())

    edge.gateway.on_look = watch
    edge.world.deploy(skill("a", KILLS))
    edge.look()
    assert (edge.skills / "back" / "SKILL.md").exists()
    assert times["there"][-1] - times["gone"][0] >= 2.0


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("former", [False, True])
def test_a_kill_at_any_change_of_the_disk_ends_at_the_former_files(
    tmp_path: Path, *, after: bool, former: bool
) -> None:
    total = clean(tmp_path / "clean", former=former)
    assert total > 50
    for at in range(1, total + 1, 2):
        edge = prepared(tmp_path / f"{at}", former=former)
        edge.calls = Counted(at, Killed, after=after)
        with suppress(Killed):
            edge.restart()
            edge.look()
        edge.calls = Quick()
        edge.restart()
        assert edge.look() is Result.HELD, f"killed at change {at} of {total}"
        assert is_held(edge, former=former), f"killed at change {at} of {total}"
        assert edge.outcomes()[-1] == ("held", *(("1-1", "1-2") if former else (None, "1-1")))
        edge.restart()
        assert edge.look() is Result.HELD
        assert is_held(edge, former=former)


def test_two_kills_in_a_row_end_there_too(tmp_path: Path) -> None:
    total = clean(tmp_path / "clean")
    for at in range(1, total + 1, 7):
        edge = prepared(tmp_path / f"{at}")
        for again in (at, 11):
            edge.calls = Counted(again, Killed)
            with suppress(Killed):
                edge.restart()
                edge.look()
        edge.calls = Quick()
        edge.restart()
        assert edge.look() is Result.HELD
        assert is_held(edge), f"killed at change {at} of {total}"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_at_any_change_ends_there_at_the_next_look(tmp_path: Path, code: int) -> None:
    total = clean(tmp_path / "clean")
    for at in range(1 + (code == errno.EROFS), total + 1, 2):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = Counted(at, lambda: OSError(code, "the disk refuses"))
        edge.restart()
        results = [edge.look(), edge.look()]
        assert results in [[Result.FAILED, Result.HELD], [Result.HELD, Result.HELD]], f"refused at {at} of {total}"
        assert is_held(edge), f"refused at change {at} of {total}"


def test_a_disk_that_goes_on_refusing_is_told_with_what_failed(tmp_path: Path) -> None:
    edge = prepared(tmp_path)
    edge.gateway.on_look = lambda: setattr(edge.calls, "at", 10**6 if edge.gateway.looks < 3 else edge.calls.done + 1)  # type: ignore[attr-defined]
    edge.calls = Counted(0, lambda: OSError(errno.ENOSPC, "full"))
    edge.restart()
    assert edge.look() is Result.FAILED
    edge.gateway.on_look = lambda: None
    edge.calls.at = 0
    assert edge.look() is Result.HELD
    assert is_held(edge)


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_and_then_another_deployment_leave_nothing_behind(tmp_path: Path, *, after: bool) -> None:
    total = clean(tmp_path / "clean")
    for at in range(1, total + 1, 11):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = Counted(at, Killed, after=after)
        with suppress(Killed):
            edge.restart()
            edge.look()
        edge.calls = Quick()
        edge.world.deploy(skill("kept", "New."), skill("updated", "Mended."))
        edge.restart()
        assert edge.look() is Result.INSTALLED, f"killed at change {at} of {total}"
        assert edge.files() == edge.wanted() | {"mine/note": FOREIGN, "note.txt": FOREIGN}
        assert edge.follower.state.failures == ()


def test_a_kill_and_then_another_that_fails_ends_at_the_files_that_were_proved(tmp_path: Path) -> None:
    total = clean(tmp_path / "clean")
    for at in range(1, total + 1, 11):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = Counted(at, Killed)
        with suppress(Killed):
            edge.restart()
            edge.look()
        edge.calls = Quick()
        edge.world.deploy(skill("kept", "New."), skill("updated", KILLS))
        edge.restart()
        assert edge.look() is Result.HELD, f"killed at change {at} of {total}"
        assert is_held(edge), f"killed at change {at} of {total}"
        assert edge.outcomes()[-1] == ("held", "1-1", "1-3")


# While nobody can be asked


def cut_off(edge: Proving, *, at_look: int) -> None:
    """From that look at the gateway on, the release function gives nothing."""

    def fault(request: httpx.Request) -> httpx.Response | None:
        del request
        return refusal(503, "BUSY") if edge.gateway.looks >= at_look else None

    edge.function.fault = fault
    edge.gateway.looks = 0


def test_it_goes_back_from_the_backup_while_the_release_function_is_out_of_reach(tmp_path: Path) -> None:
    edge = prepared(tmp_path)
    cut_off(edge, at_look=2)
    assert edge.look() is Result.HELD
    assert is_held(edge)
    edge.function.fault = lambda _: None
    edge.look()
    assert edge.outcomes()[-1] == ("held", "1-1", "1-2")


def test_a_proof_that_was_cut_short_goes_on_and_back_while_it_is_out_of_reach(tmp_path: Path) -> None:
    total = clean(tmp_path / "clean")
    back = 0
    for at in range(1, total + 1, 7):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = Counted(at, Killed)
        with suppress(Killed):
            edge.restart()
            edge.look()
        edge.calls = Quick()
        edge.restart()
        begun = edge.follower.state.proving is not None and edge.follower.state.deployment == "1-2"
        edge.function.fault = lambda _: refusal(503, "BUSY")
        assert edge.look() is Result.UNREACHABLE
        back += begun
        assert not begun or is_held(edge), f"killed at change {at} of {total}"
    assert back > 3


def test_without_backups_it_goes_back_as_soon_as_the_content_can_be_had(tmp_path: Path) -> None:
    edge = prepared(tmp_path, max_bytes=None)
    cut_off(edge, at_look=2)
    assert edge.look() is Result.UNREACHABLE
    assert edge.look() is Result.UNREACHABLE
    assert edge.follower.state.failed is not None
    edge.restart()
    assert edge.look() is Result.UNREACHABLE
    edge.function.fault = lambda _: None
    assert edge.look() is Result.HELD
    assert is_held(edge)
    assert edge.outcomes()[-1] == ("held", "1-1", "1-2")


def test_where_what_was_there_is_lost_everywhere_a_newer_deployment_still_goes_on(tmp_path: Path) -> None:
    edge = prepared(tmp_path, max_bytes=None)
    lost = edge.world.pointer.history[0][1]
    cut_off(edge, at_look=2)
    edge.look()
    archives = {item.archive for item in edge.world.manifest.skills.values()}

    def fault(request: httpx.Request) -> httpx.Response | None:
        name = request.url.path.removeprefix("/v1/objects/")
        is_lost = request.url.path.startswith("/v1/objects/") and name not in archives | {manifest}
        return refusal(404, "OBJECT_MISSING") if is_lost else None

    edge.world.deploy(skill("kept", "Same."), skill("updated", "Mended."))
    manifest = edge.world.pointer.manifest.sha256
    archives |= {item.archive for item in edge.world.manifest.skills.values()}
    assert lost not in archives
    edge.function.fault = fault
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted() | {"mine/note": FOREIGN, "note.txt": FOREIGN}


def test_what_is_refused_now_keeps_nothing_from_going_back(tmp_path: Path) -> None:
    edge = Proving(tmp_path)
    edge.world.deploy(*FORMER)
    edge.look()
    old = edge.world.store.get(CURRENT)
    edge.world.deploy(skill("kept", KILLS))
    edge.gateway.stops_at = edge.gateway.looks + 3
    assert edge.look() is Result.FAILED
    edge.gateway.stops_at = None
    new = edge.world.store.get(CURRENT)
    assert old is not None
    assert new is not None
    edge.world.store.put(CURRENT, old.data, if_generation=new.generation)
    edge.restart()
    assert edge.look() is Result.REFUSED
    assert edge.follower.state.deployment == "1-1"
    assert (edge.skills / "kept" / "SKILL.md").read_bytes() == FORMER[0]["kept/SKILL.md"]


# Asked to end


@pytest.mark.parametrize("text", [KILLS, LOSES, "Fine."])
def test_asked_to_end_during_the_proof_it_ends_at_once_and_goes_on_at_the_next_start(tmp_path: Path, text: str) -> None:
    edge = Proving(tmp_path)
    edge.world.deploy(skill("a", "One."), skill("b"))
    edge.look()
    edge.world.clock.move(2.0)
    edge.gateway.lag = 4.0
    edge.world.deploy(skill("a", text))
    edge.gateway.stops_at = edge.gateway.looks + 4
    assert edge.seconds(edge.look) < 1.0
    assert edge.outcomes()[-1] == ("failed", "1-2", None)
    assert edge.function.reports[-1]["reasons"] == ["STOPPED"]
    assert edge.follower.state.proving is not None
    edge.gateway.stops_at = None
    edge.restart()
    assert edge.look() is (Result.CURRENT if text == "Fine." else Result.HELD)
    assert edge.follower.state.proving is None
    assert edge.follower.state.deployment == ("1-2" if text == "Fine." else "1-1")


@pytest.mark.parametrize("number", range(1, 12))
def test_asked_to_end_at_whichever_look_the_end_is_the_same(tmp_path: Path, number: int) -> None:
    edge = prepared(tmp_path)
    edge.restart()
    edge.gateway.stops_at = edge.gateway.looks + number
    edge.look()
    edge.gateway.stops_at = None
    edge.restart()
    assert edge.look() is Result.HELD
    assert is_held(edge)


def test_asked_to_end_while_it_goes_back_the_next_start_goes_on(tmp_path: Path) -> None:
    total = clean(tmp_path / "clean")
    for at in range(1, total + 1, 13):
        edge = prepared(tmp_path / f"{at}")
        edge.calls = counted = Counted(0, Killed)
        edge.stopping = lambda at=at, counted=counted: counted.done >= at  # type: ignore[misc]
        edge.restart()
        edge.look()
        edge.calls = Quick()
        edge.stopping = bool
        edge.restart()
        assert edge.look() is Result.HELD, f"asked at change {at} of {total}"
        assert is_held(edge), f"asked at change {at} of {total}"


# While it is held


def test_a_repair_that_is_cut_short_while_something_is_held_is_completed(tmp_path: Path) -> None:
    for at in range(1, 30):
        edge = prepared(tmp_path / f"{at}")
        edge.look()
        (edge.skills / "updated" / "x").unlink()
        (edge.skills / "kept.md").write_bytes(b"other")
        edge.calls = Counted(at, Killed)
        with suppress(Killed):
            edge.restart()
            edge.look()
        edge.calls = Quick()
        edge.restart()
        assert edge.look() is Result.HELD
        assert is_held(edge), f"killed at change {at}"


def test_a_kill_in_the_next_install_behind_a_failure_is_completed_and_not_taken_back_first(tmp_path: Path) -> None:
    edge = prepared(tmp_path)
    edge.look()
    edge.world.deploy(skill("kept", "Same."), skill("updated", "Two."), skill("more"))
    at = 1
    while "1-3" not in str(edge.follower.state.proving):
        edge.calls = Counted(at, Killed)
        with suppress(Killed):
            edge.restart()
            edge.look()
        edge.calls = Quick()
        edge.restart()
        at += 5
    edge.calls = counted = Counted(0, Killed)
    edge.restart()
    edge.function.fault = lambda _: refusal(503, "BUSY")
    edge.look()
    assert counted.done <= 2, "nothing of it is touched while nobody can be asked"
    edge.function.fault = lambda _: None
    assert edge.look() is Result.INSTALLED
    assert edge.outcomes()[-1] == ("installed", "1-3", None)


def test_the_next_proof_is_the_next_deployments_own(tmp_path: Path) -> None:
    edge = prepared(tmp_path)
    edge.look()
    edge.world.deploy(skill("kept", "Same."), skill("updated", "Two."))
    assert edge.seconds(edge.look) < prove.SETTLING_SECONDS + 2.5
    assert edge.outcomes()[-1] == ("installed", "1-3", None)
