"""The puller as one file (`make puller`): it runs on a bare Python without pip, packages or this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.puller.test_main import Served, served, wait_until

__all__ = ["served"]
FILE = Path(__file__).resolve().parents[2] / "dist" / "skill-sync-puller.pyz"
BARE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
MISSING = "the packaged puller is not there; `make test` makes it on Linux (make puller)"

pytestmark = pytest.mark.skipif(
    (not FILE.exists() and not os.environ.get("CI")) or sys.version_info[:2] != (3, 11), reason=MISSING
)


class Packaged:
    """The one file, run by a Python that finds nothing else."""

    def __init__(self, served: Served, home: Path) -> None:
        self.served = served
        settings = {name: value for name, value in served.environment().items() if name != "PYTHONPATH"}
        self.environment = {**settings, "HOME": str(home)}
        self.command = [str(BARE), "-I", "-S", str(FILE)]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            cwd=self.served.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def packaged(served: Served, tmp_path: Path) -> Packaged:
    assert FILE.exists(), MISSING
    home = tmp_path / "home"
    home.mkdir()
    return Packaged(served, home)


def test_it_installs_and_verifies_as_the_module_does(packaged: Packaged) -> None:
    assert packaged.run("--check").returncode == 0
    done = packaged.run("--once")
    assert done.returncode == 0, done.stderr
    skills = packaged.served.folder / "data" / "skills"
    assert (skills / "a" / "SKILL.md").read_bytes() == packaged.served.world.live()["a"]["SKILL.md"]
    assert packaged.run("--verify").returncode == 0
    assert packaged.served.reports[-1]["outcome"] == "installed"


def test_it_follows_until_it_is_asked_to_end(packaged: Packaged) -> None:
    process = subprocess.Popen(
        packaged.command, cwd=packaged.served.folder, env=packaged.environment, stdout=subprocess.DEVNULL
    )
    wait_until((packaged.served.folder / "data" / "skills" / "a" / "SKILL.md").exists)
    process.terminate()
    assert process.wait(20) == 0


def test_it_tells_its_exit_codes(packaged: Packaged) -> None:
    assert "75 another puller" in packaged.run("--help").stdout.replace("\n", " ")
    packaged.environment["TRUST_ANCHOR"] = "{}"
    assert packaged.run("--once").returncode == 78


def test_it_holds_what_the_puller_needs_and_nothing_heavier() -> None:
    with zipfile.ZipFile(FILE) as archive:
        names = archive.namelist()
    tops = {name.split("/")[1] for name in names if name.startswith("site-packages/")}
    assert {"shared", "httpx", "cryptography"} <= tops
    assert not tops & {"yaml", "flask", "google", "dulwich", "neo4j", "rich", "functions_framework", "urllib3"}
    parts = {name.split("/")[2] for name in names if name.startswith("site-packages/shared/")}
    assert not parts & {"adapters", "service", "cli", "wiring.py", "web.py"}
    assert not [name for name in names if "__pycache__" in name]
