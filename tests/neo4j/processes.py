"""How a Neo4j server is run here: as a Java process from the fetched artifacts, or as a container of the official image."""

from __future__ import annotations

import subprocess
import uuid
from typing import TYPE_CHECKING, Protocol

from tests.stage import end, free_port

if TYPE_CHECKING:
    from pathlib import Path

LOG_CHARS = 2_000
CONTAINER_SECONDS = 100.0
# Little memory, only Bolt, nothing reported to anybody, and no wait for calm before it stops.
SETTINGS = {
    "server.http.enabled": "false",
    "server.https.enabled": "false",
    "server.memory.heap.max_size": "256m",
    "server.memory.pagecache.size": "32m",
    "dbms.usage_report.enabled": "false",
    "db.tx_log.preallocate": "false",
    "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
}
# A server for seconds: the quick compiler alone, and the collector that needs no threads.
JAVA_OPTIONS = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
MAIN_CLASS = "org.neo4j.server.CommunityEntryPoint"


class Runner(Protocol):
    """Runs one server. Nothing is promised about when it answers."""

    port: int

    def start(self) -> None:
        """Start it on its data."""

    def runs(self) -> bool:
        """Whether it has not ended."""

    def stop(self) -> None:
        """Let it end in order, and wait for the end."""

    def kill(self) -> None:
        """End it at once, and wait for the end."""

    def remove(self) -> None:
        """End it at once and leave nothing running or installed."""

    def told(self) -> str:
        """The end of what it logged."""


class JavaProcess:
    """A process of its own.

    Args:
        java: The command.
        jars: The folder of the artifacts.
        folder: Where its data, settings and logs lie.
        options: For Java.
    """

    def __init__(self, java: str, jars: Path, folder: Path, options: tuple[str, ...] = JAVA_OPTIONS) -> None:
        self.port = free_port()
        self._folder = folder
        self._command = [java, *options, "-cp", f"{jars}/*", MAIN_CLASS]
        self._command += [f"--home-dir={folder}", f"--config-dir={folder}/conf"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        conf = self._folder / "conf" / "neo4j.conf"
        conf.parent.mkdir(exist_ok=True)
        place = f"127.0.0.1:{self.port}"
        bolt = {"server.bolt.listen_address": place, "server.bolt.advertised_address": place}
        conf.write_text("".join(f"{name}={value}\n" for name, value in (SETTINGS | bolt).items()))
        with (self._folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log)

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        if self._process is not None:
            end(self._process)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def remove(self) -> None:
        # Nobody reads the data again, so nobody waits for an orderly end.
        self.kill()

    def told(self) -> str:
        logs = [self._folder / "output.log", self._folder / "logs" / "neo4j.log"]
        return "\n".join(log.read_text(errors="replace")[-LOG_CHARS:] for log in logs if log.exists())


class Container:
    """A container of an image, whose data live as long as it does.

    Args:
        image: The image with its tag.
    """

    def __init__(self, image: str) -> None:
        self.port = free_port()
        self._image = image
        self._name = f"skill-sync-tests-{uuid.uuid4().hex}"
        self._created = False

    def start(self) -> None:
        if not self._created:
            self._created = True
            _docker(*create_arguments(self._name, self._image, self.port))
        _docker("start", self._name)

    def runs(self) -> bool:
        return self._created and _docker("inspect", "--format", "{{.State.Running}}", self._name).strip() == "true"

    def stop(self) -> None:
        _docker("stop", self._name)

    def kill(self) -> None:
        if self.runs():
            _docker("kill", self._name)

    def remove(self) -> None:
        if self._created:
            _docker("rm", "--force", "--volumes", self._name)

    def told(self) -> str:
        return _docker("logs", self._name)[-LOG_CHARS:]


def create_arguments(name: str, image: str, port: int) -> list[str]:
    """Say how docker makes the container: a setting is a variable, `.` written as `_` and `_` as `__`.

    Source: https://neo4j.com/docs/operations-manual/5/docker/ref-settings/
    """
    inside = {"server.bolt.advertised_address": f"127.0.0.1:{port}"}
    arguments = ["create", "--name", name, "--publish", f"127.0.0.1:{port}:7687"]
    for setting, value in (SETTINGS | inside).items():
        variable = setting.replace("_", "__").replace(".", "_")
        arguments += ["--env", f"NEO4J_{variable}={value}"]
    return [*arguments, image]


def _docker(*arguments: str) -> str:
    run = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=CONTAINER_SECONDS)
    if run.returncode:
        raise RuntimeError(f"docker {arguments[0]}: {run.stderr.strip()}")
    return run.stdout + run.stderr
