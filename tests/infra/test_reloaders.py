"""The gateway's side, one suite for all watchers: what the real puller writes is what is loaded, and nothing is lost."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from shared.puller.probe import make_probe
from shared.puller.proof import Change, Verdict, judge, listed_before
from tests.fakes.world import skill
from tests.infra.gateways import (
    MODULES,
    Gateway,
    NodeGateway,
    PythonGateway,
    served,
    skills,
    wait_until,
    watcher_module,
)
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MISSING = "chokidar is not installed; `make test` installs it (npm install --prefix tests/node)"
KINDS = ("chokidar-4", "chokidar-5", "watchdog")


@pytest.fixture(params=KINDS)
def open_gateway(
    request: pytest.FixtureRequest, tmp_path: Path, record_property: Callable[[str, object], None]
) -> Iterator[Callable[[Edge], Gateway]]:
    """Starts a gateway on a volume; ends it behind the test."""
    record_property("adapter", request.param)
    opened: list[Gateway] = []
    if request.param != "watchdog" and not (MODULES / request.param).exists():
        assert not os.environ.get("CI"), MISSING
        pytest.skip(MISSING)

    def start(edge: Edge) -> Gateway:
        if request.param == "watchdog":
            opened.append(PythonGateway(edge.skills))
        else:
            scene = tmp_path / "gateway"
            scene.mkdir()
            opened.append(NodeGateway(scene, edge.skills, request.param))
        return opened[-1]

    yield start
    for gateway in opened:
        gateway.close()


def deployed(folder: Path, *parts: dict[str, bytes], layouts: tuple[str, ...] = ("tree", "flat")) -> Edge:
    edge = Edge(folder / "volume", layouts=layouts)
    edge.world.deploy(*parts)
    edge.look()
    return edge


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def agrees(gateway: Gateway, edge: Edge) -> bool:
    """Whether exactly the live skills are loaded, with the bytes that were published."""
    live = {key: digest(files["SKILL.md"]) for key, files in edge.world.live().items()}
    return live == {key: each["digest"] for key, each in skills(gateway).items()}


def test_what_is_there_is_loaded_with_name_version_and_digest(
    tmp_path: Path, open_gateway: Callable[[Edge], Gateway]
) -> None:
    edge = deployed(tmp_path, skill("a"), skill("b", version=None))
    gateway = open_gateway(edge)
    found = gateway.health()
    assert (found["ok"], found["count"]) == (True, 2)
    assert found["skills"][0] == {
        "id": "a",
        "name": "a",
        "version": "1.0.0",
        "digest": digest(edge.world.live()["a"]["SKILL.md"]),
        "error": None,
    }
    assert (found["skills"][1]["id"], found["skills"][1]["version"]) == ("b", None)
    assert any(line.startswith(f"[SkillWatcher] Watching {edge.skills}") for line in gateway.lines())


@pytest.mark.parametrize("layouts", [("tree",), ("flat",), ("tree", "flat")])
def test_each_skill_is_loaded_once_in_every_layout(
    tmp_path: Path, open_gateway: Callable[[Edge], Gateway], layouts: tuple[str, ...]
) -> None:
    edge = deployed(tmp_path, skill("a"), skill("b"), layouts=layouts)
    gateway = open_gateway(edge)
    assert [each["id"] for each in gateway.health()["skills"]] == ["a", "b"]
    edge.world.deploy(skill("a", "Two."), skill("c"))
    edge.look()
    wait_until(lambda: agrees(gateway, edge), "the next deployment")
    assert [each["id"] for each in gateway.health()["skills"]] == ["a", "c"]


def test_what_the_puller_adds_changes_and_removes_is_followed_and_told(
    tmp_path: Path, open_gateway: Callable[[Edge], Gateway]
) -> None:
    edge = deployed(tmp_path, skill("a"), skill("b", note="1"))
    gateway = open_gateway(edge)
    for parts in (
        (skill("a", "Two."), skill("b", note="1")),
        (skill("a", "Two."), skill("b", note="2")),
        (skill("a", "Two."), skill("b", note="2"), skill("c")),
        (skill("c"),),
        (skill("c"), skill("a", "Three.")),
    ):
        edge.world.deploy(*parts)
        edge.look()
        wait_until(lambda: agrees(gateway, edge), f"{sorted(edge.world.live())}")
    told = [line for line in gateway.lines() if line.startswith("[SkillWatcher] Skill changed: ")]
    for expected in ("a (changed)", "c (added)", "b (removed)", "a (removed)", "a (added)"):
        assert f"[SkillWatcher] Skill changed: {expected}" in told


def test_the_pullers_probe_proves_the_reload_of_every_change(
    tmp_path: Path, open_gateway: Callable[[Edge], Gateway]
) -> None:
    edge = deployed(tmp_path, skill("a"), skill("b"), skill("c"))
    gateway = open_gateway(edge)
    with served(gateway) as url:
        probe = make_probe(url)
        before = probe.look()
        assert {each.id: each.digest for each in before.skills or ()} == {
            key: digest(files["SKILL.md"]) for key, files in edge.world.live().items()
        }
        edge.world.deploy(skill("a", "Two."), skill("b"), skill("d"))
        new = {key: digest(files["SKILL.md"]) for key, files in edge.world.live().items()}
        changes = [Change(id=key, names=frozenset({key}), digest=new.get(key)) for key in "acd"]
        known = listed_before(before, changes, others={"b"})
        assert judge(known, probe.look(), changes, others={"b"}) == Verdict(
            failures=(("reload_unproved", "a"),), pending=("c", "d")
        )
        edge.look()
        wait_until(lambda: judge(known, probe.look(), changes, others={"b"}).certain, "the proof")


def test_no_skill_is_ever_missing_while_the_puller_updates_it(
    tmp_path: Path, open_gateway: Callable[[Edge], Gateway]
) -> None:
    edge = deployed(tmp_path, skill("a"), skill("b"))
    gateway = open_gateway(edge)
    stop, seen = threading.Event(), set[tuple[str, ...]]()

    def sample() -> None:
        while not stop.is_set():
            seen.add(tuple(sorted(skills(gateway))))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        for number in range(40):
            edge.world.deploy(skill("a", f"Number {number}."), skill("b"))
            edge.look()
            time.sleep(0.02)
        wait_until(lambda: agrees(gateway, edge), "the last deployment")
    finally:
        stop.set()
        sampler.join()
    assert seen == {("a", "b")}


def test_a_file_that_turns_bad_keeps_its_last_good_version_and_says_so(
    tmp_path: Path, open_gateway: Callable[[Edge], Gateway]
) -> None:
    edge = deployed(tmp_path, skill("a"))
    gateway = open_gateway(edge)
    good = skills(gateway)["a"]["digest"]
    (edge.skills / "a" / "SKILL.md").write_bytes(b"---\nname: a\ndescription: broken: here\n---\n")
    wait_until(lambda: skills(gateway)["a"]["error"] is not None, "the error")
    assert skills(gateway)["a"]["digest"] == good
    (edge.skills / "a" / "SKILL.md").write_bytes(b"---\nname: a\ndescription: whole again\n---\n")
    wait_until(lambda: skills(gateway)["a"]["error"] is None, "the mend")
    assert skills(gateway)["a"]["digest"] != good


BAD: dict[str, bytes] = {
    "no frontmatter": b"# a\n",
    "not closed": b"---\nname: a\ndescription: d\n",
    "no description": b"---\nname: a\n---\n",
    "no name": b"---\ndescription: d\n---\n",
    "not UTF-8": b"---\nname: a\ndescription: \xff\n---\n",
    "nothing": b"",
    "too large": b"---\nname: a\ndescription: d\n---\n" + b"x" * 300_000,
    "a list": b"---\n- a\n---\n",
}


def test_nothing_that_is_bad_is_loaded_nor_takes_the_gateway_down(
    tmp_path: Path, open_gateway: Callable[[Edge], Gateway]
) -> None:
    edge = deployed(tmp_path, skill("good"))
    gateway = open_gateway(edge)
    for number, data in enumerate(BAD.values()):
        folder = edge.skills / f"bad-{number}"
        folder.mkdir()
        (folder / "SKILL.md").write_bytes(data)
    (edge.skills / "link").mkdir()
    (edge.skills / "link" / "SKILL.md").symlink_to(edge.skills / "good" / "SKILL.md")
    (edge.skills / "Not A Skill.md").write_bytes(skill("x")["x/SKILL.md"])
    (edge.skills / "notes.txt").write_text("notes")
    (edge.skills / "late").mkdir()
    (edge.skills / "late" / "SKILL.md").write_bytes(skill("late")["late/SKILL.md"])
    wait_until(lambda: "late" in skills(gateway), "the last of them")
    assert set(skills(gateway)) == {"good", "late"}


def test_a_file_that_is_written_slowly_is_never_dropped_and_ends_as_it_was_written(
    tmp_path: Path, open_gateway: Callable[[Edge], Gateway]
) -> None:
    edge = deployed(tmp_path, skill("a"))
    gateway = open_gateway(edge)
    whole = skill("a", "Slowly " + "x" * 50_000)["a/SKILL.md"]
    with (edge.skills / "a" / "SKILL.md").open("wb") as stream:  # in place, as the puller never does
        for start in range(0, len(whole), 10_000):
            stream.write(whole[start : start + 10_000])
            stream.flush()
            time.sleep(0.1)
            assert "a" in skills(gateway)
    wait_until(lambda: skills(gateway)["a"]["digest"] == digest(whole), "the whole file")


def test_a_writer_that_removes_before_it_writes_loses_nothing(
    tmp_path: Path, open_gateway: Callable[[Edge], Gateway]
) -> None:
    edge = deployed(tmp_path, skill("a"), layouts=("tree",))
    gateway = open_gateway(edge)
    path = edge.skills / "a" / "SKILL.md"
    for number in range(5):
        data = skill("a", f"Number {number}.")["a/SKILL.md"]
        path.unlink()
        time.sleep(0.05)
        assert "a" in skills(gateway)
        path.write_bytes(data)
        wait_until(lambda data=data: skills(gateway)["a"]["digest"] == digest(data), f"number {number}")  # type: ignore[misc]


def test_a_folder_that_goes_takes_its_skill_along(tmp_path: Path, open_gateway: Callable[[Edge], Gateway]) -> None:
    edge = deployed(tmp_path, skill("a"), skill("b"), layouts=("tree",))
    gateway = open_gateway(edge)
    shutil.rmtree(edge.skills / "a")
    wait_until(lambda: set(skills(gateway)) == {"b"}, "the removal")


def test_two_hundred_skills_at_once_are_all_loaded(tmp_path: Path, open_gateway: Callable[[Edge], Gateway]) -> None:
    edge = deployed(tmp_path, skill("s0"))
    gateway = open_gateway(edge)
    edge.world.deploy(*(skill(f"s{number}") for number in range(200)))
    edge.look()
    wait_until(lambda: agrees(gateway, edge), "all of them")


def test_node_answers_nothing_else(tmp_path: Path, open_gateway: Callable[[Edge], Gateway]) -> None:
    gateway = open_gateway(deployed(tmp_path, skill("a")))
    if isinstance(gateway, NodeGateway):
        answer = gateway.get("/health?check=skills")
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-store")
        assert [gateway.get(path).status_code for path in ("/health", "/", "/health?check=x")] == [404] * 3


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/SKILL.md", "a"),
        ("a.md", "a"),
        ("a", "a"),
        ("a/README.md", None),
        ("a/b/SKILL.md", None),
        ("A.md", None),
        (".reload", None),
        ("a.txt", None),
        ("-a.md", None),
        ("a/SKILL.md/x", None),
    ],
)
def test_only_a_skills_own_file_is_anybodys(path: str, expected: str | None) -> None:
    assert watcher_module().id_of(path) == expected
