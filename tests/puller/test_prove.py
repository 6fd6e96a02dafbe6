"""Proof of reload: what the gateway says behind an install decides whether it stays; nobody is blamed for another's fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.model import SkillId
from shared.puller import prove
from shared.puller.report import Result
from tests.fakes.release_transport import refusal
from tests.fakes.world import bad_skill, skill
from tests.puller.gateway import DIGESTS, KILLS, LOSES, NAMES, NOTHING, STALE, Proving

if TYPE_CHECKING:
    from pathlib import Path

GOOD = (skill("a", "One."), skill("b", "One."), skill("gone"))


def proving(folder: Path, *, tells: str = DIGESTS, layouts: tuple[str, ...] = ("tree", "flat")) -> Proving:
    """A volume with a deployment that is proved."""
    edge = Proving(folder, tells=tells, layouts=layouts)
    edge.world.deploy(*GOOD)
    assert edge.look() is Result.INSTALLED
    edge.world.clock.move(2.0)
    edge.function.reports.clear()
    return edge


def bad_push(edge: Proving, text: str = KILLS) -> None:
    """Change one skill for the worse, add one, and remove one."""
    edge.world.deploy(skill("a", text), skill("b", "One."), skill("new"))


def is_as_before(edge: Proving) -> bool:
    wanted = {f"{key}{end}": data for part in GOOD for path, data in part.items() for key, end in names(edge, path)}
    return edge.files() == wanted


def names(edge: Proving, path: str) -> list[tuple[str, str]]:
    key = path.partition("/")[0]
    return [(key, {"tree": "/SKILL.md", "flat": ".md"}[layout]) for layout in edge.layouts]


# What holds


def test_a_good_install_is_proved_at_once_where_digests_are_told(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    assert edge.seconds(edge.look) < 0.5
    assert edge.outcomes() == [("installed", "1-2", None)]
    assert edge.follower.state.proving is None


@pytest.mark.parametrize("tells", [NAMES, NOTHING])
def test_without_digests_a_gateway_must_have_had_the_time_to_notice(tmp_path: Path, tells: str) -> None:
    edge = proving(tmp_path, tells=tells)
    edge.world.deploy(skill("a", "Two."), skill("b", "One."), skill("gone"))
    assert prove.SETTLING_SECONDS <= edge.seconds(edge.look) <= prove.SETTLING_SECONDS + 1.5
    assert edge.outcomes() == [("installed", "1-2", None)]


def test_of_a_look_that_takes_long_only_its_beginning_is_sure(tmp_path: Path) -> None:
    edge = proving(tmp_path, tells=NAMES)
    edge.gateway.slow = 4.0
    edge.world.deploy(skill("a", "Two."), skill("b", "One."), skill("gone"))
    edge.gateway.looks = 0
    edge.look()
    assert edge.gateway.looks == 3, "one before the install, one that may show what was before, one that proves"


def test_a_gateway_that_takes_long_to_answer_is_not_asked_anew_before_every_install(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.slow = 4.0
    edge.world.clock.move(61)
    edge.look()
    edge.gateway.looks = 0
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    edge.look()
    assert edge.gateway.looks == 1


def test_a_gateway_that_reloads_late_is_waited_for(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.lag = 8.0
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    assert 8.0 <= edge.seconds(edge.look) < 10.0
    assert edge.outcomes() == [("installed", "1-2", None)]


def test_a_skill_that_the_gateway_never_lists_holds_nothing_up_for_ever(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.world.deploy(*GOOD, skill("refused", LOSES))
    assert edge.seconds(edge.look) <= prove.PENDING_SECONDS + 1.5
    assert edge.outcomes() == [("installed", "1-2", None)]


def test_what_changes_no_skill_needs_no_proof(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.is_down = True
    edge.world.deploy(*GOOD, bad_skill("z"))
    assert edge.world.withheld() == {"z": "rejected"}
    assert edge.look() is Result.INSTALLED
    assert edge.follower.state.proving is None


def test_a_move_in_the_repository_hides_no_change_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prove, "MOST_CHANGES", 1)
    edge = Proving(tmp_path)
    edge.world.root = "one"
    edge.world.deploy({f"one/{path}": data for part in GOOD for path, data in part.items()})
    edge.look()
    edge.world.root = "two"
    edge.world.deploy({f"two/{path}": data for part in (*GOOD, skill("z", KILLS)) for path, data in part.items()})
    edge.world.poll()
    assert edge.look() is Result.HELD


# What fails


@pytest.mark.parametrize("layouts", [("tree",), ("flat",), ("tree", "flat")])
@pytest.mark.parametrize(
    ("text", "tells", "reason", "lost"),
    [
        (KILLS, DIGESTS, "gateway_unhealthy", []),
        (KILLS, NOTHING, "gateway_unhealthy", []),
        (LOSES, DIGESTS, "skill_lost", ["a"]),
        (LOSES, NAMES, "skill_lost", ["a"]),
        (STALE, DIGESTS, "reload_unproved", ["a"]),
    ],
)
def test_what_is_not_healed_by_the_deadline_goes_back_to_exactly_what_was(
    tmp_path: Path, layouts: tuple[str, ...], text: str, tells: str, reason: str, lost: list[str]
) -> None:
    edge = proving(tmp_path, tells=tells, layouts=layouts)
    bad_push(edge, text)
    (edge.skills / "note").write_text("a person's")
    manifest = edge.world.pointer.manifest.sha256
    spent = edge.seconds(lambda: edge.look() is Result.HELD)
    assert prove.PROOF_SECONDS <= spent < prove.PROOF_SECONDS + 6.0
    (edge.skills / "note").unlink()
    assert is_as_before(edge)
    state = edge.follower.state
    assert (state.deployment, state.manifest, state.proving) == ("1-1", edge.world.pointer.history[0][1], None)
    report = edge.function.reports[-1]
    assert (report["outcome"], report["deployment"], report["reasons"]) == ("held", "1-1", [reason])
    assert report["failed"] == {"deployment": "1-2", "manifest": manifest, "reasons": [reason], "skills": lost}
    assert report["failed_before"] == []
    assert edge.gateway.look().healthy


def test_a_failing_deployment_is_never_tried_again_whatever_begins_anew(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    bad_push(edge)
    edge.look()
    edge.function.reports.clear()
    for _ in range(3):
        assert edge.look() is Result.HELD
        edge.restart()
        assert edge.look() is Result.HELD
        edge.world.clock.move(400)
        assert edge.look() is Result.HELD
        assert is_as_before(edge)
    assert {each[:3] for each in edge.outcomes()} == {("held", "1-1", "1-2")}
    assert len(edge.outcomes()) == 6, "once behind each restart, and by the heartbeat"


def test_an_operator_may_have_it_tried_again(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.hangs = True
    edge.gateway.on_look = lambda: setattr(edge.gateway, "hangs", (edge.skills / "new").exists())
    bad_push(edge, "Two.")
    assert edge.look() is Result.HELD
    edge.gateway.on_look = lambda: None
    edge.gateway.hangs = False
    (edge.folder / ".skill-sync" / "resume").touch()
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()


def test_any_other_deployment_goes_on(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    bad_push(edge)
    edge.look()
    edge.world.deploy(skill("a", "Mended."), skill("b", "One."))
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    assert edge.outcomes()[-1] == ("installed", "1-3", None)


def test_the_same_content_that_a_person_releases_is_tried_again(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    bad_push(edge, STALE)
    edge.look()
    edge.world.poll()
    assert edge.look() is Result.INSTALLED
    edge.world.release("a", "gone", "new")
    assert edge.world.pointer.manifest.sha256 != edge.follower.state.manifest
    assert edge.look() is Result.HELD
    assert edge.outcomes()[-1] == ("held", "1-3", "1-4")
    assert is_as_before(edge)


def test_each_deployment_that_fails_is_told_at_once_though_it_fails_for_the_same_reason(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    bad_push(edge)
    edge.look()
    edge.world.deploy(skill("a", KILLS), skill("b", "Two."))
    edge.look()
    assert edge.outcomes() == [("held", "1-1", "1-2"), ("held", "1-1", "1-3")]
    before = edge.function.reports[-1]["failed_before"]
    assert [each["deployment"] for each in before] == ["1-2"]  # type: ignore[attr-defined]


def test_a_gateway_that_is_down_for_a_moment_only_is_no_failure(tmp_path: Path) -> None:
    edge = proving(tmp_path)

    def wake() -> None:
        edge.gateway.is_down = 3 < edge.gateway.looks < 8

    edge.gateway.looks = 0
    edge.gateway.on_look = wake
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    assert edge.look() is Result.INSTALLED


# Who was down before


def test_a_gateway_that_was_down_before_is_waited_for_and_nothing_is_put_back(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.is_down = True
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    assert edge.seconds(edge.look) < 3.0, "nobody waits long for what is down"
    assert edge.look() is Result.UNPROVED
    assert edge.files() == edge.wanted()
    assert edge.reports() == [("unproved", "1-2", ["gateway_down"])]
    edge.world.clock.move(600)
    assert edge.look() is Result.UNPROVED
    edge.gateway.is_down = False
    edge.world.clock.move(prove.AGAIN_SECONDS)
    assert edge.look() is Result.CURRENT
    assert edge.reports()[-1] == ("current", "1-2", [])
    assert edge.follower.state.proving is None


@pytest.mark.parametrize("tells", [NAMES, NOTHING])
def test_one_that_comes_back_is_proved_by_names_or_health_too(tmp_path: Path, tells: str) -> None:
    edge = proving(tmp_path, tells=tells)
    edge.gateway.is_down = True
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    assert edge.look() is Result.UNPROVED
    edge.gateway.is_down = False
    edge.world.clock.move(prove.AGAIN_SECONDS)
    assert edge.seconds(edge.look) < prove.PENDING_SECONDS + 1.5
    assert edge.look() is Result.CURRENT


def test_one_that_died_a_minute_ago_was_down_before_though_the_last_look_saw_it_well(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.is_down = True
    edge.world.clock.move(30)
    edge.look()
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    assert edge.look() is Result.UNPROVED
    assert edge.files() == edge.wanted()


def test_one_that_comes_back_and_does_not_take_it_over_is_no_excuse(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.is_down = True
    bad_push(edge, STALE)
    assert edge.look() is Result.UNPROVED
    edge.gateway.is_down = False
    edge.world.clock.move(prove.AGAIN_SECONDS)
    assert edge.look() is Result.HELD
    assert is_as_before(edge)


def test_one_that_is_down_is_not_asked_at_every_look(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.is_down = True
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    edge.look()
    edge.gateway.looks = 0
    for _ in range(10):
        edge.world.clock.move(2.0)
        edge.look()
    assert edge.gateway.looks == 2


def test_one_that_stays_down_when_the_files_are_back_is_told(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.on_look = lambda: setattr(
        edge.gateway, "is_down", edge.gateway.is_down or (edge.skills / "new").exists()
    )
    bad_push(edge)
    assert edge.look() is Result.HELD
    assert is_as_before(edge)
    assert edge.reports() == [("held", "1-1", ["gateway_unhealthy", "gateway_down"])]
    edge.gateway.is_down = False
    edge.world.clock.move(61)
    edge.look()
    edge.look()
    assert edge.reports()[-1] == ("held", "1-1", ["gateway_unhealthy"])


# One behind the other


def test_behind_one_that_is_not_proved_it_goes_back_to_what_was_proved(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.is_down = True
    edge.world.deploy(skill("a", "Two."), skill("b", "One."), skill("gone"), skill("z", LOSES))
    assert edge.look() is Result.UNPROVED
    edge.gateway.is_down = False
    bad_push(edge)
    edge.world.clock.move(1.0)
    assert edge.look() is Result.HELD
    assert is_as_before(edge)
    assert edge.outcomes()[-1] == ("held", "1-1", "1-3")


def test_an_install_that_never_began_leaves_the_outstanding_proof_as_it_is(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.is_down = True
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    edge.look()
    before = edge.follower.state.proving
    edge.world.deploy(skill("a", "Three."), skill("b", "One."))
    archive = edge.world.manifest.skills[SkillId("a")].archive
    edge.function.fault = lambda request: refusal(503, "BUSY") if archive in request.url.path else None
    assert edge.look() is Result.UNREACHABLE
    assert edge.follower.state.proving == before
    edge.gateway.is_down = False
    edge.world.clock.move(prove.AGAIN_SECONDS)
    edge.look()
    assert edge.follower.state.proving is None, "the proof goes on whoever does not answer"


@pytest.mark.parametrize("later", [True, False])
def test_a_refreshed_pointer_changes_nothing_of_it(tmp_path: Path, *, later: bool) -> None:
    edge = proving(tmp_path)
    bad_push(edge)
    assert edge.look() is Result.HELD
    edge.world.deploy(skill("a", KILLS), skill("b", "One."), skill("new"), {"README.md": b"x"})
    assert edge.world.pointer.deployment == "1-2"
    if later:
        edge.restart()
    assert edge.look() is Result.HELD
    assert is_as_before(edge)


# Who can be asked


def test_without_a_probe_nothing_is_proved_and_nothing_goes_back(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.probe = None
    edge.restart()
    edge.look()
    bad_push(edge)
    edge.gateway.looks = 0
    assert edge.look() is Result.INSTALLED
    assert (edge.gateway.looks, edge.follower.state.proving) == (0, None)


def test_a_probe_that_is_taken_away_takes_the_outstanding_proof_along(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    edge.gateway.is_down = True
    bad_push(edge)
    assert edge.look() is Result.UNPROVED
    edge.probe = None
    edge.restart()
    assert edge.look() is Result.CURRENT
    assert edge.files() == edge.wanted()
    edge.probe = edge.gateway
    edge.restart()
    assert edge.look() is Result.CURRENT
    assert edge.files() == edge.wanted()


def test_what_failed_stays_away_when_the_probe_is_taken_away(tmp_path: Path) -> None:
    edge = proving(tmp_path)
    bad_push(edge)
    edge.look()
    edge.probe = None
    edge.restart()
    assert edge.look() is Result.HELD
    assert is_as_before(edge)
