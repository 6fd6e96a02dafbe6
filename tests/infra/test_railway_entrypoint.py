"""The gateway's container on Railway: gateway and puller side by side, and neither can take the other down."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from shared.config import Settings
from tests.infra.container import Container, arguments_of, environment_of
from tests.infra.stand_in_gateway import TERMINATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the entrypoint runs in Linux containers, and /proc is read"
)

RESTARTED = "The puller ended, and is started again"
FOLLOWS = """
import signal, sys, time
def stop(*_):
    print("the puller was asked to end", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("the puller runs", flush=True)
while True:
    time.sleep(60)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("the puller runs", flush=True)
while True:
    time.sleep(60)
"""
CRASHES = 'import sys; print("the puller runs", flush=True); sys.exit(3)'
SHELLS = [
    pytest.param(command, marks=pytest.mark.skipif(shutil.which(command[0]) is None, reason=f"no {command[0]} here"))
    for command in (("dash",), ("bash", "--posix"), ("busybox", "sh"))
]


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Callable[[str], Container]]:
    made: list[Container] = []

    def make(puller: str) -> Container:
        made.append(Container(tmp_path, puller))
        return made[-1]

    yield make
    for each in made:
        with each:
            pass


def quick_pauses(container: Container) -> Path:
    """Pauses are noted, and take no time."""
    noted = container.folder / "pauses"
    real = shutil.which("sleep")
    container.program("sleep", f'echo "$1" >>{noted}; exec {real} 0.01')
    return noted


@pytest.mark.parametrize("status", [0, 3, 137])
def test_the_gateways_end_ends_the_container_with_its_status(
    container: Callable[[str], Container], status: int
) -> None:
    built = container(FOLLOWS)
    built.start()
    built.wait_until(lambda: "the puller runs" in built.out())
    built.tell("end", str(status))
    assert built.ended() == status
    assert "the puller was asked to end" in built.out()
    assert built.lines("The gateway ended")[0]["status"] == status


def test_a_gateway_that_is_killed_ends_the_container_as_a_shell_tells_it(
    container: Callable[[str], Container],
) -> None:
    built = container(FOLLOWS)
    built.start()
    os.kill(built.gateway(), signal.SIGKILL)
    assert built.ended() == 128 + signal.SIGKILL


@pytest.mark.parametrize(("command", "status"), [([], 64), (["/nowhere/gateway"], 127)])
def test_a_gateway_that_cannot_be_started_ends_the_container(
    container: Callable[[str], Container], command: list[str], status: int
) -> None:
    built = container(FOLLOWS)
    built.start(command=command)
    assert built.ended() == status


def test_a_puller_that_crashes_is_started_again_after_growing_bounded_pauses(
    container: Callable[[str], Container],
) -> None:
    built = container(CRASHES)
    pauses = quick_pauses(built)
    built.start(PULLER_LONGEST_PAUSE_SECONDS="6")
    gateway = built.gateway()
    built.wait_until(lambda: len(built.lines(RESTARTED)) >= 6)
    assert pauses.read_text().split()[:5] == ["1", "2", "4", "6", "6"]
    assert [line["pause_seconds"] for line in built.lines(RESTARTED)[:5]] == [1, 2, 4, 6, 6]
    assert {line["status"] for line in built.lines(RESTARTED)} == {3}
    assert built.gateway() == gateway
    assert gateway in built.processes()
    built.tell("end", "0")
    assert built.ended() == 0


def test_after_a_run_as_long_as_the_longest_pause_the_pauses_begin_anew(
    container: Callable[[str], Container],
) -> None:
    built = container(CRASHES)
    pauses = quick_pauses(built)
    clock = built.folder / "clock"
    clock.write_text("0")
    built.program("date", f"now=$(($(cat {clock}) + 60)); echo $now >{clock}; echo $now")
    built.program("cat", f'exec {shutil.which("cat")} "$@"')
    built.start(PULLER_LONGEST_PAUSE_SECONDS="60")
    built.wait_until(lambda: len(built.lines(RESTARTED)) >= 4)
    assert set(pauses.read_text().split()) == {"1"}


def test_a_puller_that_is_killed_is_started_again_and_the_gateway_notices_nothing(
    container: Callable[[str], Container],
) -> None:
    built = container(FOLLOWS)
    quick_pauses(built)
    built.start()
    gateway = built.gateway()
    built.wait_until(lambda: built.out().count("the puller runs") == 1)
    os.kill(puller_of(built), signal.SIGKILL)
    built.wait_until(lambda: built.out().count("the puller runs") == 2)
    assert built.lines(RESTARTED)[0]["status"] == 128 + signal.SIGKILL
    assert built.gateway() == gateway
    assert gateway in built.processes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_reaches_both_and_the_gateways_answer_counts(
    container: Callable[[str], Container], number: int
) -> None:
    both_are_asked(container(FOLLOWS), number)


@pytest.mark.parametrize("shell", SHELLS)
def test_other_shells_pass_a_signal_on_as_well(container: Callable[[str], Container], shell: tuple[str, ...]) -> None:
    both_are_asked(container(FOLLOWS), signal.SIGTERM, shell)


def both_are_asked(built: Container, number: int, shell: tuple[str, ...] = ()) -> None:
    built.start(shell=shell)
    built.wait_until(lambda: "the puller runs" in built.out())
    built.signal(number)
    assert built.ended() == TERMINATED
    assert "the gateway was asked to end" in built.out()
    assert "the puller was asked to end" in built.out()


@pytest.mark.parametrize(("puller", "ways", "status"), [(FOLLOWS, ("--deaf",), 137), (DEAF, (), TERMINATED)])
def test_whoever_does_not_end_in_time_is_killed(
    container: Callable[[str], Container], puller: str, ways: tuple[str, ...], status: int
) -> None:
    built = container(puller)
    built.start(*ways, GATEWAY_STOP_SECONDS="1")
    built.wait_until(lambda: "the puller runs" in built.out())
    built.signal(signal.SIGTERM)
    assert built.ended() == status


def test_a_signal_ends_the_pause_between_two_pullers(container: Callable[[str], Container]) -> None:
    built = container(CRASHES)
    real = shutil.which("sleep")
    built.program("sleep", f"exec {real} 600")
    built.start()
    built.wait_until(lambda: built.lines(RESTARTED))
    built.signal(signal.SIGTERM)
    assert built.ended() == TERMINATED


def test_without_python_the_gateway_runs_and_the_log_says_what_is_missing(
    container: Callable[[str], Container],
) -> None:
    built = container(FOLLOWS)
    quick_pauses(built)
    (built.programs / "python3").unlink()
    built.start()
    built.wait_until(lambda: len(built.lines(RESTARTED)) >= 2)
    assert built.lines(RESTARTED)[0]["status"] == 127
    assert "python3" in built.err()
    built.tell("end", "0")
    assert built.ended() == 0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"SKILLS_DIR": "{volume}/nowhere/skills"}, "that folder is not there"),
        ({"RAILWAY_SERVICE_ID": "x"}, "attach the volume"),
        ({"RAILWAY_SERVICE_ID": "x", "RAILWAY_VOLUME_MOUNT_PATH": "/elsewhere"}, "attach the volume"),
        ({"RAILWAY_SERVICE_ID": "x", "RAILWAY_VOLUME_MOUNT_PATH": "{volume}/ski"}, "attach the volume"),
    ],
)
def test_without_its_volume_the_puller_writes_nothing_and_the_gateway_runs(
    container: Callable[[str], Container], settings: dict[str, str], told: str
) -> None:
    built = container(FOLLOWS)
    quick_pauses(built)
    built.start(**{name: value.format(volume=built.volume) for name, value in settings.items()})
    built.wait_until(lambda: len(built.lines("SKILLS_DIR")) >= 2)
    assert told in built.lines("SKILLS_DIR")[0]["message"]
    assert "the puller runs" not in built.out()
    assert not list(built.volume.iterdir())
    assert built.gateway() in built.processes()


def test_on_the_services_own_volume_the_puller_runs(container: Callable[[str], Container]) -> None:
    built = container(FOLLOWS)
    built.start(RAILWAY_SERVICE_ID="x", RAILWAY_VOLUME_MOUNT_PATH=str(built.volume))
    built.wait_until(lambda: "the puller runs" in built.out())


def test_no_secret_is_in_the_list_of_processes_or_with_the_gateway(container: Callable[[str], Container]) -> None:
    names = [f.metadata["name"] for f in fields(Settings) if f.metadata["secret"] and f.metadata["side"] != "cloud"]
    secrets = {f"{name}{ending}": f"secret-of-{name}" for name in names for ending in ("", "_FILE")}
    built = container(FOLLOWS)
    built.start(OPENCLAW_KEY="the gateway's own", **secrets)
    built.wait_until(lambda: "the puller runs" in built.out())
    assert names
    assert not [pid for pid in built.processes() if "secret-of" in arguments_of(pid)]
    gateway = environment_of(built.gateway())
    assert not set(gateway) & set(secrets)
    assert gateway["OPENCLAW_KEY"] == "the gateway's own"
    assert set(secrets) <= set(environment_of(puller_of(built)))


@pytest.mark.parametrize("shell", SHELLS)
def test_what_the_gateway_leaves_behind_does_not_stay_a_zombie(
    container: Callable[[str], Container], shell: tuple[str, ...]
) -> None:
    built = container(FOLLOWS)
    built.start("--orphan", shell=shell)
    orphan = int((built.folder / "told" / "orphan.pid").read_text())
    assert orphan in built.processes()
    built.tell("orphan-may-end")
    built.wait_until(lambda: orphan not in built.processes())
    assert "Z" not in built.processes().values()


def test_both_write_to_the_containers_output_and_errors(container: Callable[[str], Container]) -> None:
    built = container('import sys; print("puller out", flush=True); sys.exit("puller err")')
    built.start()
    built.wait_until(lambda: built.lines(RESTARTED))
    assert "the gateway is up" in built.out()
    assert "puller out" in built.out()
    assert "the gateway can complain" in built.err()
    assert "puller err" in built.err()


@pytest.mark.parametrize("value", ["soon", "-1"])
def test_a_number_that_is_none_counts_as_not_set(container: Callable[[str], Container], value: str) -> None:
    built = container(CRASHES)
    pauses = quick_pauses(built)
    built.start(PULLER_LONGEST_PAUSE_SECONDS=value)
    built.wait_until(lambda: len(built.lines(RESTARTED)) >= 8)
    assert pauses.read_text().split()[:7] == ["1", "2", "4", "8", "16", "32", "60"]


def puller_of(container: Container) -> int:
    """The process id of the puller."""
    [found] = [pid for pid in container.processes() if "puller.pyz" in arguments_of(pid) and pid != container.pid]
    return found
