"""Hostile archives and manifests, properly signed as a broken or taken-over publisher would: nothing of them is installed."""

from __future__ import annotations

import os
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.core.archive import MAX_ARCHIVE_BYTES, pack
from shared.core.canonical import digest_of
from shared.core.manifest import manifest_bytes
from shared.core.names import CURRENT, object_name
from shared.core.pointer import lineage, sign_pointer
from shared.core.states import Condition
from shared.model import Digest, ManifestRef, SkillId
from shared.puller.follow import Result
from tests.core.archives import HOSTILE, MIB, VALID, bomb, member, skill_file, tar_of
from tests.fakes.world import SIGNER, skill
from tests.puller.edge import Edge

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable
    from pathlib import Path

    from shared.model import LiveSkill, Pointer

SKILL = b"---\nname: a\ndescription: Is what it should be.\n---\n"


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """A volume that follows 1-1, beside things of somebody else's that nothing may touch."""
    built = Edge(tmp_path / "data")
    built.world.deploy(skill("a", "One.", notes="n"), skill("b"))
    built.look()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "SKILL.md").write_text("somebody else's")
    built.function.reports.clear()
    return built


def everything(edge: Edge) -> dict[str, tuple[object, ...]]:
    """All files around the volume with content, mode, inode and time, but for what the puller keeps for itself."""
    found: dict[str, tuple[object, ...]] = {}
    for path in edge.folder.parent.rglob("*"):
        name, seen = str(path.relative_to(edge.folder.parent)), path.lstat()
        if ".skill-sync" not in name and path.is_file():
            found[name] = (path.read_bytes(), seen.st_mode, seen.st_ino, seen.st_nlink, seen.st_mtime_ns)
    return found


def publish(edge: Edge, change: Callable[[LiveSkill], LiveSkill], *objects: bytes, to: str = "a") -> Pointer:
    """Deploy a new version of skill a under a manifest in which this was changed, all of it signed and in the store.

    Returns:
        The pointer that it should have been.
    """
    world = edge.world
    world.deploy(skill("a", "Two."), skill("b"))
    honest = world.pointer
    skills = {key: change(each) if key == "a" else each for key, each in world.manifest.skills.items()}
    skills = {SkillId(to if key == "a" else key): each for key, each in skills.items()}
    data = manifest_bytes(replace(world.manifest, skills=skills))
    for item in (data, *objects):
        world.store.put(object_name(digest_of(item)), item, if_generation=0)
    offer(edge, replace(honest, manifest=ManifestRef(sha256=digest_of(data), size=len(data), skills=len(skills))))
    return honest


def offer(edge: Edge, pointer: Pointer) -> None:
    stored = edge.world.store.get(CURRENT)
    assert stored is not None
    edge.world.store.put(CURRENT, sign_pointer(pointer, SIGNER), if_generation=stored.generation)


def with_archive(archive: bytes) -> Callable[[LiveSkill], LiveSkill]:
    return lambda entry: replace(entry, archive=digest_of(archive), archive_size=len(archive))


def assert_refused_and_recovers(edge: Edge, honest: Pointer) -> None:
    """The look refuses, also after a restart; nothing changed; the next deployment, an honest one, is installed."""
    before, hostile = everything(edge), edge.world.pointer
    for _ in range(2):
        assert edge.look() is Result.REFUSED
        assert everything(edge) == before
        assert edge.reports()[-1] == ("refused", "1-1", ["bundle_rejected"])
        assert edge.follower.state.deployment == "1-1"
        assert edge.follower.standing.condition is Condition.PAUSED
        edge.restart()
    offer(edge, replace(honest, seq=3, history=lineage(hostile)))
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    assert edge.reports()[-1] == ("installed", "1-3", [])
    assert edge.follower.standing.condition is Condition.READY


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_changes_nothing_and_the_next_deployment_goes_on(edge: Edge, name: str) -> None:
    archive = HOSTILE[name][1] or b"\0"  # an object of no bytes cannot be named with a size
    honest = publish(edge, with_archive(archive), archive)
    assert_refused_and_recovers(edge, honest)


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    return member(name, kind, linkname=target)


THROUGH_LINKS = {
    "a link to a folder outside, then a file through it": [link("x", "../../outside", b"2"), member("x/SKILL.md")],
    "a hard link to a live file": [member("SKILL.md"), link("x", "../skills/b/SKILL.md", b"1")],
    "a skill file that is a link": [link("SKILL.md", "../../outside/SKILL.md", b"2")],
    "a device in place of the skill file": [member("SKILL.md", b"3", devmajor=1, devminor=5)],
    "the skill file twice, the second one a link": [member("SKILL.md"), link("SKILL.md", "/etc/passwd", b"2")],
}


@pytest.mark.parametrize("name", THROUGH_LINKS)
def test_no_link_or_device_ever_reaches_the_disk(edge: Edge, name: str) -> None:
    archive = tar_of(*THROUGH_LINKS[name])
    honest = publish(edge, with_archive(archive), archive)
    assert_refused_and_recovers(edge, honest)
    own = edge.folder / ".skill-sync"
    assert not [path for path in own.rglob("*") if path.is_symlink() or not (path.is_file() or path.is_dir())]


def test_a_bomb_is_refused_within_little_memory(edge: Edge) -> None:
    archive = bomb()
    honest = publish(edge, with_archive(archive), archive)
    tracemalloc.start()
    try:
        assert edge.look() is Result.REFUSED
        assert tracemalloc.get_traced_memory()[1] < 60 * MIB
    finally:
        tracemalloc.stop()
    assert_refused_and_recovers(edge, honest)


@pytest.mark.parametrize("name", ["another content", "a file more", "none at all", "an executable bit", "many others"])
def test_an_archive_that_holds_other_files_than_its_manifest_names_changes_nothing(edge: Edge, name: str) -> None:
    right = skill_file("SKILL.md", skill("a", "Two.")["a/SKILL.md"])
    archive = {
        "another content": pack([skill_file("SKILL.md", SKILL)]),
        "a file more": pack([right, skill_file("more", b"1")]),
        "none at all": pack([]),
        "an executable bit": pack([replace(right, executable=True)]),
        "many others": VALID,
    }[name]
    honest = publish(edge, with_archive(archive), archive)
    assert_refused_and_recovers(edge, honest)


def named(*paths: str) -> Callable[[LiveSkill], LiveSkill]:
    """Let the manifest name these files, each with the right content of the skill file."""
    return lambda entry: replace(entry, files=tuple(replace(entry.files[0], path=path) for path in paths))


MANIFESTS: dict[str, Callable[[LiveSkill], LiveSkill]] = {
    "a path of a parent": named("SKILL.md", "../b/SKILL.md"),
    "a path of a parent inside": named("SKILL.md", "x/../../../outside/SKILL.md"),
    "an absolute path": named("SKILL.md", "/etc/cron.d/x"),
    "a path with a backslash": named("SKILL.md", "..\\..\\x"),
    "a git hook": named("SKILL.md", ".git/hooks/post-checkout"),
    "an empty path": named("SKILL.md", ""),
    "a path with NUL": named("SKILL.md", "x\0y"),
    "paths that differ in case only": named("SKILL.md", "skill.md"),
    "a path twice": named("SKILL.md", "SKILL.md"),
    "a file that is a folder too": named("SKILL.md", "SKILL.md/x"),
    "a setuid mode": lambda entry: replace(entry, files=(replace(entry.files[0], mode=0o4755),)),
    "a mode for nobody": lambda entry: replace(entry, files=(replace(entry.files[0], mode=0o600),)),
    "a size below zero": lambda entry: replace(entry, archive_size=-1),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hostile_manifest_changes_nothing_and_the_next_deployment_goes_on(edge: Edge, name: str) -> None:
    honest = publish(edge, MANIFESTS[name])
    assert_refused_and_recovers(edge, honest)


@pytest.mark.parametrize(
    "name", ["..", ".", "", "../outside", "/etc", "a/b", ".skill-sync", ".reload", "A", "a.md", "x\0y"]
)
def test_a_skill_whose_id_is_no_slug_changes_nothing(edge: Edge, name: str) -> None:
    honest = publish(edge, lambda entry: entry, to=name)
    assert_refused_and_recovers(edge, honest)


def test_a_skill_file_that_the_archive_names_in_another_case_is_not_taken_for_it(edge: Edge) -> None:
    archive = pack([skill_file("skill.md", skill("a", "Two.")["a/SKILL.md"])])
    honest = publish(edge, with_archive(archive), archive)
    assert_refused_and_recovers(edge, honest)
    assert os.listdir(edge.skills / "a") == ["SKILL.md"]  # noqa: PTH208 - names as the disk has them


def test_an_archive_that_is_larger_than_any_can_be_is_never_asked_for(edge: Edge) -> None:
    publish(edge, lambda entry: replace(entry, archive=Digest("1" * 64), archive_size=MAX_ARCHIVE_BYTES + 1))
    edge.function.served.clear()
    assert edge.look() is Result.REFUSED
    assert edge.reports()[-1][2] == ["bundle_rejected"]
    assert f"GET /v1/objects/{'1' * 64}" not in edge.function.served
