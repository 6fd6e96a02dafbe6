"""Many installs one after the other: no reader ever meets half a file, nothing is left over, nothing grows without bound."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.core.states import Condition
from shared.puller.follow import Result
from tests.fakes.world import skill
from tests.puller.edge import Edge
from tests.puller.reader import is_whole, whole

if TYPE_CHECKING:
    from tests.fakes.memory_source import Files

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600.0
MAX_BYTES = 60_000


def proving(name: str, number: int, size: int) -> Files:
    """A skill whose SKILL.md proves that it is whole; `size` in words of its text."""
    head = f"---\nname: {name}\ndescription: Does {name}.\n---\n"
    return {f"{name}/SKILL.md": whole(head + f"{number} " * size), f"{name}/notes.txt": f"{number}".encode()}


def version(number: int) -> Files:
    """Two skills that stay, one of them updated each time and one each third time; others that come and go."""
    files = proving("always", number, 3000) | proving("often", number // 3, 10)
    if number % 2:
        files |= proving("odd", number, 500)
    if number % 5 < 2:
        files |= proving("rare", number // 5, 2000)
    return files


def test_the_reader_tells_whole_files_from_others() -> None:
    data = whole("text")
    assert is_whole(data)
    assert not any(is_whole(each) for each in (b"", data[:-1], data[:3], data + b"x", b"x" + data))


def test_a_reader_meets_no_missing_empty_or_half_file_during_a_thousand_installs(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.world.deploy(version(0))
    edge.look()
    command = [sys.executable, "-m", "tests.puller.reader", edge.skills, "always", "often"]
    reader = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        for number in range(1, 1001):
            edge.world.deploy(version(number))
            assert edge.look() is Result.INSTALLED
        told, _ = reader.communicate(timeout=60)
    finally:
        reader.kill()
        reader.wait()
    seen = json.loads(told)
    assert seen["faults"] == []
    assert seen["rounds"] > 100
    assert seen["contents"] > 100, "it must have read while installs went on"
    assert edge.files() == edge.wanted()


def anything(rng: random.Random) -> Files:
    """A set of skills unlike the one before: some new, some gone, some changed, files where folders were."""
    files: Files = {}
    for name in rng.sample("abcdefgh", rng.randrange(1, 8)):
        files |= skill(name, f"Text {rng.randrange(3)}.")
        for path in rng.sample(["x", "y", "deep/er", "deep/est"], 2):
            files[f"{name}/{path}"] = bytes([rng.randrange(3)]) * 100
        if rng.random() < 0.3:
            files |= {f"{name}/z/inside": b"z"} if rng.random() < 0.5 else {f"{name}/z": b"z"}
    return files


def disk_bytes(folder: Path) -> int:
    """What the files below take, each counted once however many names it has."""
    found = {each.stat().st_ino: each.stat().st_size for each in folder.rglob("*") if each.is_file()}
    return sum(found.values())


def own_files(edge: Edge) -> set[str]:
    own = edge.folder / ".skill-sync"
    manifests = list(own.glob("manifests/*"))
    assert len(manifests) <= 3, "what is installed, and what the backups go back to"
    return {str(path.relative_to(own)) for path in own.rglob("*") if path not in manifests}


def test_two_hundred_deployments_in_a_row_end_as_a_clean_install_of_the_last_one(tmp_path: Path) -> None:
    rng = random.Random(200)
    edge = Edge(tmp_path / "long", max_bytes=MAX_BYTES)
    edge.world.deploy(skill("a"))
    edge.look()
    early: set[str] = set()
    for number in range(1, 200):
        edge.world.clock.move(12 * HOUR)
        edge.world.deploy(anything(rng))
        assert edge.look() in {Result.INSTALLED, Result.CURRENT}
        assert edge.files() == edge.wanted(), f"after deployment {number}"
        if number <= 40:
            early |= own_files(edge)
        if number % 20 == 0:
            assert disk_bytes(edge.backups) <= MAX_BYTES
    clean = Edge(tmp_path / "clean", edge.world)
    clean.look()
    assert modes(edge) == modes(clean)
    assert edge.follower.standing.condition is Condition.READY
    assert own_files(edge) <= early, "nothing that an install leaves adds up"
    assert 10 <= len([path for path in edge.backups.iterdir() if path.name.startswith("1-")]) <= 100


def modes(edge: Edge) -> dict[str, object]:
    """Everything in the skills folder with its mode, the reload mark and empty folders too."""
    return {path: each for path, each in edge.snapshot().items() if path.startswith("skills/")}


@pytest.mark.parametrize("restarts", [False, True])
def test_forth_and_back_between_two_sets_leaves_no_trace(tmp_path: Path, *, restarts: bool) -> None:
    edge = Edge(tmp_path)
    one, two = skill("a", "One.", notes="1") | skill("b"), skill("a", "Two.", other="2") | {"a/deep/er": b"x"}
    found = set()
    for number in range(20):
        edge.world.deploy(two if number % 2 else one)
        if restarts:
            edge.restart()
        edge.look()
        found.add(json.dumps({path: str(each) for path, each in edge.snapshot().items()}, sort_keys=True))
    assert len(found) == 2
