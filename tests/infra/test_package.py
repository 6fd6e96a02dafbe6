"""The zip that the cloud runs: the same bytes for the same files, nothing else inside, and it runs alone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.functions.cloud import whole_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKER = ROOT / "infra" / "package.py"
FRAMEWORK = Path(sys.executable).parent / "functions-framework"


@pytest.fixture(scope="module")
def package() -> Callable[[Path, Path], str]:
    spec = importlib.util.spec_from_file_location("skill_sync_package", PACKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    packed: Callable[[Path, Path], str] = module.package
    return packed


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project as small as can be, with what does not belong into its package."""
    root = tmp_path / "project"
    for name, text in {
        "functions/main.py": "x = 1\n",
        "shared/dashboard/page.html": "<p>\n",
        "requirements.txt": "httpx\n",
        "shared/__pycache__/a.pyc": "old",
        "shared/left.pyc": "old",
        "shared/.secret.env": "KEY=1",
        "functions/.cache/x": "x",
        "tests/test_a.py": "x",
        "README.md": "x",
        ".env": "KEY=1",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_same_files_make_the_same_bytes_whenever_and_wherever_they_were_written(
    package: Callable[[Path, Path], str], project: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / "project"
    for name in ("shared/dashboard/page.html", "requirements.txt", "functions/main.py"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes((project / name).read_bytes())
        (other / name).chmod(0o600)
        os.utime(other / name, (0, 0))
    first, second = package(project, tmp_path / "1.zip"), package(other, tmp_path / "2.zip")
    assert first == second
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_one_changed_letter_makes_another_digest(
    package: Callable[[Path, Path], str], project: Path, tmp_path: Path
) -> None:
    before = package(project, tmp_path / "a.zip")
    (project / "functions" / "main.py").write_text("x = 2\n")
    assert package(project, tmp_path / "a.zip") != before


def test_only_the_functions_their_code_and_requirements_are_packed_as_plain_files(
    package: Callable[[Path, Path], str], project: Path, tmp_path: Path
) -> None:
    package(project, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == [
        "functions/main.py",
        "requirements.txt",
        "shared/dashboard/page.html",
    ]
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_a_link_among_the_files_is_refused_and_leaves_the_former_package(
    package: Callable[[Path, Path], str], project: Path, tmp_path: Path
) -> None:
    package(project, tmp_path / "out" / "a.zip")
    before = (tmp_path / "out" / "a.zip").read_bytes()
    (project / "shared" / "elsewhere.py").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match="symbolic link"):
        package(project, tmp_path / "out" / "a.zip")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.zip"]
    assert (tmp_path / "out" / "a.zip").read_bytes() == before


def test_a_project_without_its_functions_is_refused(
    package: Callable[[Path, Path], str], project: Path, tmp_path: Path
) -> None:
    shutil.rmtree(project / "functions")
    with pytest.raises(FileNotFoundError, match="functions"):
        package(project, tmp_path / "a.zip")


def test_this_projects_package_holds_every_tracked_file_of_the_functions_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PACKER, tmp_path / "a.zip"], check=True, capture_output=True, cwd=tmp_path)
    listed = subprocess.run(
        ["git", "ls-files", "functions", "shared", "requirements.txt"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == sorted(listed.stdout.splitlines())


def test_the_package_alone_serves_the_app_under_the_bare_framework_command(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PACKER, tmp_path / "a.zip"], check=True, capture_output=True, cwd=tmp_path)
    unpack(tmp_path / "a.zip", tmp_path / "workspace")
    (tmp_path / "elsewhere").mkdir()
    with served(tmp_path / "workspace", tmp_path / "elsewhere") as url:
        health = first_answer(url + "/health")
        assert (health.status_code, health.json()["services"]["poller"]["status"]) == (503, "never")
        assert httpx.get(url + "/api/skills", headers={"x-api-key": "b" * 40}).status_code == 401


def unpack(package: Path, folder: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(archive.read(name))


@contextmanager
def served(workspace: Path, folder: Path) -> Iterator[str]:
    """Start the bare command as the buildpack does; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    source = workspace / "functions" / "main.py"
    command = [FRAMEWORK, "--source", source, "--target", "app", "--host", "127.0.0.1", "--port", str(port)]
    settings = whole_settings(folder / "origin", folder / "objects.db")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **settings}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def first_answer(url: str) -> httpx.Response:
    """Call until the server is up."""
    until = time.monotonic() + 30
    while True:
        try:
            return httpx.get(url, timeout=10)
        except httpx.TransportError:
            assert time.monotonic() < until, "the function did not come up"
