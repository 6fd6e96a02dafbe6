"""Proof of reload with real gateways: the real puller over HTTP beside chokidar in Node and watchdog in Python."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.puller.probe_url import UrlProbe
from shared.puller.report import Result
from tests.fakes.clock import FakeClock
from tests.fakes.world import skill
from tests.infra.gateways import MODULES, MOLTBOT, wait_until
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
SPEED = 5.0
"""The puller's clock runs so much faster, so that its deadlines are over sooner; the gateways live by the real one."""


class FastClock(FakeClock):
    """A clock that runs, and pauses that are pauses."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.monotonic(), tz=UTC)

    def monotonic(self) -> float:
        began = self.moment.timestamp()
        return began + (time.time() - began) * SPEED

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / SPEED)


class GatewayProcess:
    """A gateway that can be killed, stopped and started again on the port that it had."""

    def __init__(self, kind: str, scene: Path, folder: Path) -> None:
        self._kind = kind
        self._scene = scene
        self._folder = folder
        self._log = scene / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        scene.mkdir()
        if kind != "watchdog":
            for file in (*MOLTBOT.glob("*.mjs"), HERE / "gateway.mjs"):
                shutil.copy(file, scene)
            (scene / "node_modules").mkdir()
            (scene / "node_modules" / "chokidar").symlink_to(MODULES / kind)
            (scene / "node_modules" / "yaml").symlink_to(MODULES / "yaml")
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/health?check=skills"

    def start(self) -> None:
        python, node = [sys.executable, str(HERE / "gateway_process.py")], ["node", str(self._scene / "gateway.mjs")]
        command = python if self._kind == "watchdog" else node
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, str(self._folder), str(self.port)],
                cwd=self._scene,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "REFUSES": "{x: 1,"},
            )
        wait_until(lambda: "port " in self._log.read_text(), "the gateway")
        lines = self._log.read_text().splitlines()
        self.port = int(next(line.removeprefix("port ") for line in lines if line.startswith("port ")))

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def listed(self) -> set[str]:
        return {each["id"] for each in httpx.get(self.url, timeout=5.0).json()["skills"]}

    def close(self) -> None:
        self.signal(signal.SIGKILL)


@pytest.fixture(params=["chokidar-4", "chokidar-5", "watchdog"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Edge, GatewayProcess]]:
    """A volume with a proved deployment, and the gateway that proved it."""
    if request.param != "watchdog" and not (MODULES / request.param).exists():
        assert not os.environ.get("CI"), "`make test` installs chokidar"
        pytest.skip("chokidar is not installed")
    edge = Edge(tmp_path / "volume", max_bytes=10**9)
    edge.world.clock = FastClock()
    edge.world.clock.moment = datetime.now(tz=UTC)
    edge.world.deploy(skill("a", "One."), skill("b", "One."), skill("gone"))
    gateway = GatewayProcess(request.param, tmp_path / "gateway", edge.skills)
    try:
        edge.probe = UrlProbe(gateway.url, seconds=1.0)
        edge.restart()
        assert edge.look() is Result.INSTALLED
        yield edge, gateway
    finally:
        gateway.close()


def refused(name: str) -> dict[str, bytes]:
    """A skill that the rules let pass, and that YAML 1.2 as the Node gateway reads it does not: a flow not indented."""
    text = f"---\nname: {name}\ndescription: Does it.\nversion: 2.0.0\nmetadata: {{x: 1,\ny: 2}}\n---\nText.\n"
    return {f"{name}/SKILL.md": text.encode()}


def after_install(edge: Edge, act: Callable[[], None]) -> None:
    """Do something as soon as the live files have changed."""
    touch = edge.calls.touch

    def touched(fd: int) -> None:
        touch(fd)
        act()

    edge.calls.touch = touched  # type: ignore[method-assign]


def test_a_good_push_is_proved_within_a_second_or_two(scene: tuple[Edge, GatewayProcess]) -> None:
    edge, gateway = scene
    began = time.monotonic()
    edge.world.deploy(skill("a", "Two."), skill("b", "One."), skill("new"))
    assert edge.look() is Result.INSTALLED
    assert time.monotonic() - began < 5.0
    assert edge.follower.state.proving is None
    assert gateway.listed() == {"a", "b", "new"}


def test_what_the_gateway_refuses_goes_back_and_the_rest_goes_on(scene: tuple[Edge, GatewayProcess]) -> None:
    edge, gateway = scene
    before = edge.files()
    edge.world.deploy(refused("a"), skill("b", "Two."), skill("new"))
    assert "a" not in edge.world.withheld(), "the rules let it pass"
    assert edge.look() is Result.HELD
    assert edge.files() == before
    assert edge.function.reports[-1]["reasons"] == ["reload_unproved"]
    assert edge.function.reports[-1]["failed"]["skills"] == ["a"]  # type: ignore[index]
    wait_until(lambda: gateway.listed() == {"a", "b", "gone"}, "what was before")
    edge.world.poll()
    assert edge.look() is Result.INSTALLED
    edge.world.deploy(skill("a", "Mended."), skill("b", "Three."), skill("newer"))
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    assert gateway.listed() == {"a", "b", "gone", "newer"}


def test_one_that_dies_of_an_install_has_its_files_back_when_it_stands_up(scene: tuple[Edge, GatewayProcess]) -> None:
    edge, gateway = scene
    before = edge.files()
    after_install(edge, lambda: gateway.signal(signal.SIGKILL))
    edge.world.deploy(skill("a", "Two."), skill("b", "One."), skill("new"))
    assert edge.look() is Result.HELD
    assert edge.files() == before
    assert edge.function.reports[-1]["reasons"] == ["gateway_unhealthy", "gateway_down"]
    gateway.start()
    assert gateway.listed() == {"a", "b", "gone"}
    del edge.calls.touch  # type: ignore[method-assign]
    edge.world.poll()
    assert edge.look() is Result.INSTALLED


def test_one_that_hangs_behind_an_install_fails_it(scene: tuple[Edge, GatewayProcess]) -> None:
    edge, gateway = scene
    before = edge.files()
    after_install(edge, lambda: gateway.signal(signal.SIGSTOP))
    edge.world.deploy(skill("a", "Two."))
    assert edge.look() is Result.HELD
    assert edge.files() == before
    gateway.signal(signal.SIGCONT)
    wait_until(lambda: gateway.listed() == {"a", "b", "gone"}, "what was before")


def test_one_that_hangs_for_a_moment_only_is_no_failure(scene: tuple[Edge, GatewayProcess]) -> None:
    edge, gateway = scene
    after_install(edge, lambda: gateway.signal(signal.SIGSTOP))
    sleep, woken = edge.world.clock.sleep, []

    def wake(seconds: float) -> None:
        gateway.signal(signal.SIGCONT)
        woken.append(seconds)
        sleep(seconds)

    edge.world.clock.sleep = wake  # type: ignore[method-assign]
    edge.world.deploy(skill("a", "Two."), skill("b", "One."))
    assert edge.look() is Result.INSTALLED
    assert woken
    assert edge.follower.state.proving is None


@pytest.mark.parametrize("stopped", [False, True])
def test_one_that_was_down_before_is_proved_when_it_comes_back(
    scene: tuple[Edge, GatewayProcess], *, stopped: bool
) -> None:
    edge, gateway = scene
    gateway.signal(signal.SIGSTOP if stopped else signal.SIGKILL)
    edge.world.deploy(skill("a", "Two."), skill("b", "One."), skill("new"))
    assert edge.look() is Result.UNPROVED
    assert edge.files() == edge.wanted()
    assert edge.function.reports[-1]["reasons"] == ["gateway_down"]
    if stopped:
        gateway.signal(signal.SIGCONT)
    else:
        gateway.start()

    def proved() -> bool:
        edge.look()
        return edge.follower.state.proving is None

    wait_until(proved, "the proof")
    assert edge.files() == edge.wanted()
    assert gateway.listed() == {"a", "b", "new"}
