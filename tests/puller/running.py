"""Real puller processes on one volume, over a release function whose objects may take their time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.fakes.world import skill
from tests.puller.test_main import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.git_server import Received, Reply

ENDS_WITHIN_SECONDS = 5.0
"""What a platform leaves a process after SIGTERM is twice that."""


class Slow(Served):
    """Every object takes so long (seconds) on its way."""

    seconds = 0.0

    def _answer(self, received: Received) -> Reply:
        if self.seconds and received.path.startswith("v1/objects/"):
            self.server.stopping.wait(self.seconds)
        return super()._answer(received)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def skills(self) -> Path:
        return self.data / "skills"

    def log(self) -> str:
        return (self.folder / "puller.log").read_text()

    def asked(self, part: str) -> int:
        """How often something was asked for."""
        return sum(part in exchange.received.path for exchange in self.server.log)

    @contextmanager
    def puller(self, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / "puller.log").open("ab") as log:
            command = [sys.executable, "-m", "shared.puller"]
            environment = self.environment(**changes)
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=20)

    def files(self) -> dict[str, bytes]:
        """What stands in the skills folder, without the reload mark."""
        found = {path.relative_to(self.skills).as_posix(): path for path in self.skills.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if name != ".reload"}

    def wanted(self) -> dict[str, bytes]:
        live = self.world.live()
        tree = {f"{key}/{path}": data for key, files in live.items() for path, data in files.items()}
        return tree | {f"{key}.md": files["SKILL.md"] for key, files in live.items()}

    def is_whole(self) -> bool:
        """Whether all that is live is there and nothing else, also while a puller is at work."""
        try:
            return self.files() == self.wanted()
        except FileNotFoundError:
            return False  # it has just been moved

    def is_installed(self) -> bool:
        """Whether all that is live is there, and the puller has said so."""
        if not self.is_whole():
            return False
        return any(
            each["outcome"] in {"installed", "current"} and each["deployment"] == self.world.pointer.deployment
            for each in self.reports
        )


@contextmanager
def serving(folder: Path) -> Iterator[Slow]:
    """A release function with two skills live, and an empty volume."""
    built = Slow(folder)
    # Real pullers have the real time.
    built.world.clock.moment = datetime.now(UTC)
    built.world.deploy(skill("a", "One."), skill("b", "One.", notes="n"))
    built.server.__enter__()
    try:
        yield built
    finally:
        built.server.__exit__()  # which may be another one by then


def ended(process: subprocess.Popen[bytes]) -> int:
    """Ask a process to end; returns its exit status, which must come soon."""
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    status = process.wait(timeout=60)
    assert time.monotonic() - started < ENDS_WITHIN_SECONDS
    return status
