"""Modes on the volume and in backups are the manifest's, whatever umask the puller was started with."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.core.archive import pack
from shared.core.canonical import digest_of
from shared.core.git_objects import blob_id
from shared.core.manifest import manifest_bytes
from shared.core.names import CURRENT, object_name
from shared.core.pointer import sign_pointer
from shared.model import FileEntry, ManifestRef, SkillFile
from tests.fakes.world import SIGNER, World, skill
from tests.puller.running import Slow, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPT = "a/scripts/deep/run.sh"


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    with serving(tmp_path) as built:
        yield built


def let_a_script_be_executable(world: World) -> None:
    """Put a skill live whose script is executable: what the fakes' repositories do not have."""
    contents = {
        "SKILL.md": (b"---\nname: x\ndescription: x\n---\n", False),
        "scripts/deep/run.sh": (b"#!/bin/sh\n", True),
    }
    files = [
        SkillFile(path=path, executable=executable, blob=blob_id(data), data=data)
        for path, (data, executable) in contents.items()
    ]
    archive = pack(files)
    entry = replace(
        world.manifest.skills["a"],
        archive=digest_of(archive),
        archive_size=len(archive),
        files=tuple(
            FileEntry(path=each.path, mode=0o755 if each.executable else 0o644, blob=each.blob, size=len(each.data))
            for each in files
        ),
    )
    data = manifest_bytes(replace(world.manifest, skills={**world.manifest.skills, "a": entry}))
    for item in (archive, data):
        world.store.put(object_name(digest_of(item)), item, if_generation=0)
    reference = ManifestRef(sha256=digest_of(data), size=len(data), skills=len(world.manifest.skills))
    stored = world.store.get(CURRENT)
    assert stored is not None
    envelope = sign_pointer(replace(world.pointer, manifest=reference), SIGNER)
    world.store.put(CURRENT, envelope, if_generation=stored.generation)


def modes(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


@pytest.mark.parametrize("umask", [0o077, 0o000, 0o777])
def test_modes_are_the_manifests_whatever_the_umask_after_adding_and_updating_and_in_backups(
    slow: Slow, umask: int
) -> None:
    slow.data.mkdir(mode=0o755)
    old = os.umask(umask)
    try:
        assert slow.once().returncode == 0
        slow.world.deploy(skill("a", "Two."), skill("b", "Two."))
        let_a_script_be_executable(slow.world)
        assert slow.once().returncode == 0
    finally:
        os.umask(old)
    found = modes(slow.skills)
    assert {path for path, mode in found.items() if mode == 0o755} == {"a", "a/scripts", "a/scripts/deep", "b", SCRIPT}
    assert {mode for path, mode in found.items() if path.endswith((".md", ".txt", ".reload"))} == {0o644}
    assert found["a/SKILL.md"] == 0o644
    kept = modes(slow.data / "backups" / "skills" / "1-2")
    assert {kept[path] for path in ("a/SKILL.md", "b/SKILL.md", "a.md")} == {0o644}
    assert {kept[path] for path in ("a", "b")} == {0o755}
