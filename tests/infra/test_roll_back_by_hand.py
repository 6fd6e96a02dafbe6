"""What operations.md says of a rollback by hand, with the page's own line, on a volume whose minutes pass at once."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from shared.puller.follow import Result
from shared.puller.upkeep import REPAIR, REPORT
from tests.fakes.world import skill
from tests.infra.page_stack import section_of
from tests.infra.runbook_page import commands
from tests.puller.drifting import WORK, a_minute, told
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from pathlib import Path

SECTION = "Roll back by hand"
(COPY,) = [each.text for each in commands("operations.md", SECTION) if each.text.startswith("cp ")]


@pytest.fixture(params=[REPAIR, REPORT])
def edge(request: pytest.FixtureRequest, tmp_path: Path) -> Edge:
    """1-2 changed a, removed `old` and added `new`; each of DRIFT's settings."""
    built = Edge(tmp_path, max_bytes=10**9)
    built.drift = request.param
    built.restart()
    built.world.deploy(skill("a", "One."), skill("b"), skill("old"))
    built.look()
    a_minute(built)
    built.world.deploy(skill("a", "Two."), skill("b"), skill("new"))
    built.look()
    a_minute(built)
    return built


def copy_back(edge: Edge, bad: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "BACKUP_DIR": str(edge.backups), "SKILLS_DIR": str(edge.skills), "BAD": bad}
    subprocess.run(["sh", "-c", COPY], env=environment, check=True, timeout=30)


def text(edge: Edge, path: str) -> bytes | None:
    return edge.files().get(path)


ONE, TWO, THREE = (skill("a", word)["a/SKILL.md"] for word in ("One.", "Two.", "Three."))


def test_it_is_kept_over_a_restart_and_over_deployments_that_leave_the_skill_alone(edge: Edge) -> None:
    copy_back(edge, "1-2")
    a_minute(edge)
    assert set(edge.follower.state.kept) == {"a"}
    assert ("a/SKILL.md", "changed", "kept") in told(edge)
    edge.restart()
    edge.world.deploy(skill("a", "Two."), skill("b", "Two."), skill("new"))
    edge.look()
    a_minute(edge)
    assert text(edge, "a/SKILL.md") == ONE


def test_it_ends_with_the_skills_next_version(edge: Edge) -> None:
    copy_back(edge, "1-2")
    a_minute(edge)
    edge.world.deploy(skill("a", "Three."), skill("b"), skill("new"))
    assert edge.look() is Result.INSTALLED
    assert text(edge, "a/SKILL.md") == THREE


def test_a_copy_takes_nothing_away_and_what_it_brings_back_of_a_removed_skill_stays(edge: Edge) -> None:
    copy_back(edge, "1-2")
    a_minute(edge)
    assert text(edge, "new/SKILL.md") is not None
    assert text(edge, "old/SKILL.md") is not None
    edge.world.deploy(skill("a", "Three."), skill("b"), skill("new"))
    edge.look()
    a_minute(edge)
    assert text(edge, "old/SKILL.md") is not None


def test_the_rollback_by_command_makes_it_stick_and_takes_the_added_skill_away(edge: Edge) -> None:
    copy_back(edge, "1-2")
    a_minute(edge)
    edge.world.roll_back("1-1")
    edge.look()
    a_minute(edge)
    assert edge.follower.state.kept == {}
    assert edge.files() == edge.wanted()
    edge.world.poll()
    edge.look()
    assert text(edge, "a/SKILL.md") == ONE
    assert text(edge, "new/SKILL.md") is None


def test_an_added_skill_that_is_removed_by_hand_comes_back_only_where_edits_are_repaired(edge: Edge) -> None:
    (edge.skills / "new" / "SKILL.md").unlink()
    a_minute(edge)
    repairs = ("new/SKILL.md", "missing", "repaired") in told(edge)
    assert (text(edge, "new/SKILL.md") is not None) is repairs
    assert repairs or ("new/SKILL.md", "missing", "reported") in told(edge)


def test_an_edit_is_no_restore_and_is_kept_aside_where_it_is_repaired(edge: Edge) -> None:
    (edge.skills / "a" / "SKILL.md").write_bytes(WORK)
    a_minute(edge)
    assert edge.follower.state.kept == {}
    aside = [path.read_bytes() for path in (edge.backups / "drift").rglob("*") if path.is_file()]
    repaired = text(edge, "a/SKILL.md") == TWO
    assert (WORK in aside) is repaired is (("a/SKILL.md", "changed", "repaired") in told(edge))


def test_the_section_says_all_of_this() -> None:
    section = " ".join(section_of("operations.md", SECTION).split())
    for words in ("does not stick by itself", "A copy deletes nothing", "`DRIFT=repair` and `DRIFT=report` alike"):
        assert words in section
