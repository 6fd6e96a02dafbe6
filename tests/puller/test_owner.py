"""Whose files a puller writes that was started as root."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from shared.puller.owner import run_as_owner
from tests.puller.test_main import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


def test_it_stays_who_it_is_where_the_volume_is_its_own(tmp_path: Path) -> None:
    before = (os.geteuid(), os.getegid(), os.getgroups())
    run_as_owner(tmp_path)
    run_as_owner(tmp_path / "missing" / "skills")
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


SCRIPT = """
import sys
from pathlib import Path
from shared.puller.owner import run_as_owner
from tests.fakes.world import skill
from tests.puller.edge import Edge

folder = Path(sys.argv[1])
edge = Edge(folder / "warm", max_bytes=2**30)  # imports all that this user's Python may be the only one to read
edge.world.deploy(skill("a"))
edge.look()
run_as_owner(folder / "data" / "skills")
edge = Edge(folder / "data", edge.world, max_bytes=2**30)
print(edge.look().value)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_started_as_root_it_writes_everything_as_the_owner_of_the_volume(tmp_path: Path) -> None:
    volume = tmp_path / "data"
    (volume / "skills").mkdir(parents=True)
    (volume / "backups").mkdir()
    for path in (volume, *volume.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    closed = [path for path in (tmp_path, *tmp_path.parents) if path.stat().st_mode & 0o1 == 0]
    for path in closed:
        path.chmod(path.stat().st_mode | 0o1)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for path in closed:
        path.chmod(path.stat().st_mode & ~0o1)
    assert done.stdout.splitlines()[-1:] == ["installed"], done.stderr
    found = [path.lstat() for path in volume.rglob("*")]
    assert len(found) > 5
    assert {(each.st_uid, each.st_gid) for each in found} == {(NOBODY, NOBODY)}
