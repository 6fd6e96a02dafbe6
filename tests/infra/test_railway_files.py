"""What the gateway's repository takes over for Railway: lines of its Dockerfile, railway.json, variables, README's steps."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dockerfile_parse import DockerfileParser

from shared.config import Settings, load_settings
from tests.fakes.world import skill
from tests.infra.container import PYTHON, RAILWAY, ROOT, Container
from tests.infra.test_puller_package import FILE, MISSING
from tests.puller.test_main import Served

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAGMENT = (RAILWAY / "Dockerfile.fragment").read_text()
PAGE = (RAILWAY / "README.md").read_text()
INSTALLED = "/opt/skill-sync"
APT_LISTS = "/var/lib/apt/lists"
HEALTH = "/healthz"
OURS = {"GATEWAY_STOP_SECONDS": "10", "PULLER_LONGEST_PAUSE_SECONDS": "60"}
THEIRS = {"PORT", "OPENCLAW_GATEWAY_PORT"}
STOP_SECONDS = 10
# The image's own, where this is Debian; another one may lie where only root can read it.
DEBIANS = next(path for path in (Path("/usr/bin/python3.11"), PYTHON) if path.exists())
MAY_CHANGE_OWNERS = os.geteuid() == 0 and DEBIANS.is_relative_to("/usr")

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="a container's file system is imitated")
packaged = pytest.mark.skipif(
    (not FILE.exists() and not os.environ.get("CI")) or sys.version_info[:2] != (3, 11), reason=MISSING
)


def dockerfile(base: str = "node:22-bookworm") -> str:
    return f"FROM {base}\n{FRAGMENT}"


@pytest.fixture
def parsed(tmp_path: Path) -> list[dict[str, str]]:
    """The fragment's instructions, as a parser of Dockerfiles reads them."""
    path = tmp_path / "Dockerfile"
    path.write_text(dockerfile())
    found = DockerfileParser(str(path)).structure
    return [each for each in found if each["instruction"] not in {"COMMENT", "FROM"}]


def taken_over() -> list[str]:
    """What README's step copies into the gateway's repository."""
    [copied] = re.findall(r"^ +cp (.+) \S+/skill-sync/$", PAGE, re.MULTILINE)
    return copied.split()


class Build:
    """The fragment's lines carried out below a folder that stands for the image's root."""

    def __init__(self, folder: Path, instructions: list[dict[str, str]]) -> None:
        self.root = folder / "root"
        self.context = folder / "context"
        self.programs = folder / "programs"
        self._instructions = instructions
        for made in (self.root, self.context, self.programs):
            made.mkdir()
        for name in ("sh", "rm", "chmod", "env", "dirname"):
            (self.programs / name).symlink_to(str(shutil.which(name)))

    def program(self, name: str, script: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def take_over(self) -> None:
        """Put the files where README's step puts them."""
        (self.context / "skill-sync").mkdir()
        for source in taken_over():
            shutil.copy(ROOT / source, self.context / "skill-sync")

    def copy(self) -> None:
        [value] = [each["value"] for each in self._instructions if each["instruction"] == "COPY"]
        mode, *sources, target = value.split()
        folder = self.root / target.strip("/")
        folder.mkdir(parents=True)
        for source in sources:
            shutil.copy(self.context / source, folder)
            (folder / Path(source).name).chmod(int(mode.removeprefix("--chmod="), 8))

    def run(self, number: int) -> subprocess.CompletedProcess[str]:
        """Carry out one of the RUN lines."""
        script = [each["value"] for each in self._instructions if each["instruction"] == "RUN"][number]
        for path in (INSTALLED, APT_LISTS):
            script = script.replace(path, f"{self.root}{path}")
        return subprocess.run(
            ["/bin/sh", "-c", script],
            cwd="/",
            env={"PATH": str(self.programs), "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def build(tmp_path: Path, parsed: list[dict[str, str]]) -> Build:
    folder = tmp_path / "build"
    folder.mkdir()
    return Build(folder, parsed)


def test_the_fragment_has_these_instructions_and_ends_as_the_image_was(parsed: list[dict[str, str]]) -> None:
    told = [(each["instruction"], each["value"]) for each in parsed]
    assert [name for name, _ in told] == ["ARG", "USER", "RUN", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"]
    assert told[0][1] == "GATEWAY_USER=root"
    assert told[5][1] == "${GATEWAY_USER}"
    assert json.loads(told[6][1]) == [f"{INSTALLED}/entrypoint.sh"]
    assert "18789" in json.loads(told[7][1])


def test_what_is_copied_is_what_readmes_step_brings(parsed: list[dict[str, str]]) -> None:
    [value] = [each["value"] for each in parsed if each["instruction"] == "COPY"]
    _, *sources, _ = value.split()
    assert [f"skill-sync/{Path(each).name}" for each in taken_over()] == sources
    assert os.access(RAILWAY / "entrypoint.sh", os.X_OK)


@pytest.mark.parametrize("tool", ["hadolint", "shellcheck"])
def test_the_linter_finds_nothing(tool: str, tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(dockerfile())
    # Braces around every variable are a matter of taste; where errors of `[` and `wait` go is decided in each place.
    taste = "--exclude=SC2250,SC2310,SC2312"
    arguments = {
        "hadolint": ["--no-color", "--failure-threshold", "style", path],
        "shellcheck": ["--shell=sh", "--enable=all", taste, RAILWAY / "entrypoint.sh"],
    }
    program = Path(sys.executable).parent / tool
    done = subprocess.run([program, *arguments[tool]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@on_linux
@packaged
def test_the_images_lines_make_a_container_whose_puller_installs_as_the_volumes_owner(
    parsed: list[dict[str, str]],
) -> None:
    # Not in pytest's own folder, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory(prefix="skill-sync-railway-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        build = built(folder, parsed)
        (folder / "life").mkdir()
        (folder / "world").mkdir()
        for served in serving(folder / "world"):
            with Container(folder / "life", place=build.root / INSTALLED.strip("/")) as container:
                container.program("python3", f'exec {DEBIANS} "$@"')
                owner = 1000 if MAY_CHANGE_OWNERS else os.geteuid()
                os.chown(container.volume, owner, -1)
                settings = served.environment(SKILLS_DIR=str(container.volume / "skills"))
                settings |= {"BACKUP_DIR": str(container.volume / "backups"), "HOME": "/nonexistent"}
                container.start(**{key: value for key, value in settings.items() if key not in {"PATH", "PYTHONPATH"}})
                file = container.volume / "skills" / "a" / "SKILL.md"
                container.wait_until(file.exists)
                assert file.read_bytes() == served.world.live()["a"]["SKILL.md"]
                assert file.stat().st_uid == owner
                served.world.deploy(skill("a", "Two."))
                container.wait_until(lambda: file.read_bytes() == skill("a", "Two.")["a/SKILL.md"])  # noqa: B023
                container.tell("end", "5")
                assert container.ended() == 5
                assert not container.lines("The puller ended")


def built(folder: Path, parsed: list[dict[str, str]]) -> Build:
    build = Build(folder, parsed)
    build.program("python3", f'exec {DEBIANS} "$@"')
    build.take_over()
    assert (build.run(0).returncode, build.run(0).stderr) == (0, "")
    build.copy()
    done = build.run(1)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return build


def serving(folder: Path) -> Iterator[Served]:
    served = Served(folder)
    served.world.clock.moment = datetime.now(UTC)
    served.world.deploy(skill("a"))
    with served.server:
        yield served


@on_linux
def test_an_image_with_another_python_fails_to_build_and_says_why(build: Build) -> None:
    other = "import sys; sys.version_info = (3, 13, 1, 'final', 0); sys.version = '3.13.1'; exec(sys.argv[1])"
    build.program("python3", f'exec {PYTHON} -c "{other}" "$2"')
    done = build.run(1)
    assert done.returncode == 1
    assert done.stderr == "skill-sync needs Python 3.11, this is 3.13.1\n"


@on_linux
def test_an_image_without_python_gets_debians(build: Build) -> None:
    log, lists = build.root / "apt", build.root / APT_LISTS.strip("/")
    lists.mkdir(parents=True)
    (lists / "index").write_text("x")
    build.program("apt-get", f'echo "$@" >>{log}')
    assert build.run(0).returncode == 0
    assert log.read_text().splitlines() == ["update", "install --yes --no-install-recommends python3"]
    assert not (lists / "index").exists()


@on_linux
@packaged
def test_a_puller_that_cannot_be_unpacked_fails_the_build(build: Build) -> None:
    build.program("python3", f'exec {PYTHON} "$@"')
    build.take_over()
    (build.context / "skill-sync" / FILE.name).write_bytes(FILE.read_bytes()[:-1000])
    build.copy()
    assert build.run(1).returncode != 0


def variables() -> tuple[dict[str, str], dict[str, str]]:
    """What the template sets, and what it names behind a #."""
    text = (RAILWAY / "gateway.env.example").read_text()
    given = dict(re.findall(r"^([A-Z_0-9]+)=(.*)$", text, re.MULTILINE))
    return given, dict(re.findall(r"^# ([A-Z_0-9]+)=(.*)$", text, re.MULTILINE))


def test_the_template_names_every_setting_of_this_side_and_nothing_else() -> None:
    given, named = variables()
    side = {each.metadata["name"] for each in fields(Settings) if each.metadata["side"] in {"volume", "both"}}
    assert not set(given) & set(named)
    assert set(given) | set(named) == side | set(OURS) | THEIRS


def test_the_template_gives_what_has_no_default_and_shows_the_defaults_as_they_are() -> None:
    given, named = variables()
    defaults = {each.metadata["name"]: each.metadata["default"] for each in fields(Settings)} | OURS
    shown = {name: value for name, value in named.items() if defaults[name] is not None}
    assert shown == {name: defaults[name] for name in shown}
    assert set(named) - set(shown) == {"PULLER_PORT"}
    load_settings({**given, **named}).need("RELEASE_URL", "PULLER_ID", "PULLER_KEY", "TRUST_ANCHOR")


def test_the_health_check_asks_the_gateways_port() -> None:
    given, _ = variables()
    deploy = json.loads((RAILWAY / "railway.json").read_text())["deploy"]
    assert given["PORT"] == given["OPENCLAW_GATEWAY_PORT"] == "18789"
    assert deploy["healthcheckPath"] == HEALTH
    assert given["GATEWAY_PROBE"] == f"http://127.0.0.1:18789{HEALTH}"


def test_railway_restarts_whatever_ended_and_waits_longer_than_the_entrypoint() -> None:
    config = json.loads((RAILWAY / "railway.json").read_text())
    deploy = config["deploy"]
    assert config["build"]["builder"] == "DOCKERFILE"
    assert deploy["restartPolicyType"] == "ALWAYS"
    assert deploy["overlapSeconds"] == 0
    # Both as numbers: Railway refuses the file where they are text.
    assert isinstance(deploy["drainingSeconds"], int)
    assert deploy["drainingSeconds"] > STOP_SECONDS
    # A start command would take the entrypoint's place.
    assert "startCommand" not in deploy
    assert load_settings({}).skills_dir.is_relative_to(deploy["requiredMountPath"])


def test_the_entrypoints_own_defaults_are_those_that_the_template_shows() -> None:
    script = (RAILWAY / "entrypoint.sh").read_text()
    for name, default in OURS.items():
        assert f'$(whole "${{{name}-}}" {default})' in script
