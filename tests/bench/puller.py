"""How fast the real puller is with many skills, and what it costs while nothing happens: first installs beside `cp -r`,
deployments that change one skill, an idle while. What the figures mean is left to `puller_measures`.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

import httpx

from shared.puller.sweep import ROUND_SECONDS
from tests.bench.puller_measures import Change, Idle, Install, Measured
from tests.bench.release_world import ANCHOR
from tests.stage import ROOT, end, free_port, peak_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE_SECONDS = 300.0
"""For any one thing that is waited for."""
PULL_INTERVAL_SECONDS = 0.5
PACKAGED_FOR = (3, 11)
_QUIET_SECONDS, _QUIET_SHARE = 1.0, 0.05
"""A puller is at rest once it takes less than this share of a core for that long."""
_LOOKED = re.compile(r"^skill_sync_puller_looks_total\{[^}]*\} (\d+)$", re.MULTILINE)
_SWEPT = re.compile(r"^skill_sync_puller_sweep_seconds_total (\S+)$", re.MULTILINE)
_UNCHANGED, _REPORT = "GET /v1/current 304", "POST /v1/report 204"


def measure(
    folder: Path,
    *,
    skills: int = 10_000,
    installs: int = 3,
    changes: int = 20,
    round_seconds: float = ROUND_SECONDS + 5.0,
    idle_seconds: float = 20.0,
) -> Measured:
    """Measure everything, one thing after the other.

    Args:
        folder: An empty folder on the filesystem that counts.
        skills: How many, three files each.
        installs: How many first installs, each beside a copy.
        changes: How many deployments, each changing one skill.
        round_seconds: How long to wait before that: in its first round the sweep reads what was just installed.
        idle_seconds: How long nothing happens.
    """
    found: list[Install] = []
    peaks: list[float] = []
    with _release(skills) as release:
        for number in range(installs - 1):
            with Puller(folder / f"{number}", release) as puller:
                found.append(_install(puller))
                peaks.append(puller.peak_memory_mb())
            shutil.rmtree(folder / f"{number}")
        with Puller(folder / "last", release) as puller:
            found.append(_install(puller))
            changed = [_change(puller, release, number * 37 % skills) for number in range(changes)]
            puller.rest()
            threading.Event().wait(round_seconds)
            idle = _idle(puller, release, idle_seconds)
            peaks.append(puller.peak_memory_mb())
    return Measured(skills=skills, installs=found, changes=changed, idle=idle, peak_memory_mb=max(peaks))


class Puller:
    """A puller process on a fresh volume; a context manager that ends it.

    Args:
        folder: Becomes the volume, with the log in it.
        release: Where it pulls from.
    """

    def __init__(self, folder: Path, release: httpx.Client) -> None:
        self.folder = folder
        self._log = folder / "puller.log"
        self._status = f"http://127.0.0.1:{free_port()}"
        self._environment = {
            "PATH": os.environ["PATH"],
            "SHIV_ROOT": str(folder),  # where the packaged one unpacks itself
            "PYTHONPATH": str(ROOT),
            "RELEASE_URL": str(release.base_url).rstrip("/"),
            "PULLER_ID": "bench",
            "PULLER_KEY": "k" * 40,
            "TRUST_ANCHOR": ANCHOR,
            "SKILLS_DIR": str(folder / "skills"),
            "BACKUP_DIR": str(folder / "backups" / "skills"),
            "PULL_INTERVAL_SECONDS": str(PULL_INTERVAL_SECONDS),
            "PULLER_PORT": self._status.rpartition(":")[2],
        }

    def __enter__(self) -> Self:
        self.folder.mkdir()
        _flush(self.folder)
        self.started = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(_command(), env=self._environment, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def installed(self, deployment: str) -> dict[str, object]:
        """Wait for the puller's word that a deployment is installed, and return all that it says of it."""
        mark, found = f'"deployment": "{deployment}"', list[dict[str, object]]()

        def is_there() -> bool:
            lines = self._log.read_text().splitlines()
            found.extend(json.loads(line) for line in lines if mark in line and '"Installed deployment"' in line)
            return bool(found)

        wait_for(is_there, f"deployment {deployment}; see {self._log}", self._process)
        return found[0]

    def rest(self) -> None:
        """Wait until the puller is done with all that follows an install."""
        last = [0.0, float("-inf")]  # when, and the CPU seconds then

        def is_quiet() -> bool:
            now, used = time.monotonic(), self.cpu_seconds()
            if now - last[0] < _QUIET_SECONDS:
                return False
            quiet = used - last[1] < _QUIET_SHARE * (now - last[0])
            last[:] = [now, used]
            return quiet

        wait_for(is_quiet, "a puller at rest", self._process)

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process with all its threads, to the nanosecond (clock_getcpuclockid(3))."""
        clock = ctypes.c_int()
        if ctypes.CDLL(None).clock_getcpuclockid(self._process.pid, ctypes.byref(clock)) != 0:
            raise ProcessLookupError(self._process.pid)
        return time.clock_gettime(clock.value)

    def metrics(self) -> tuple[int, float | None]:
        """Return how often it has looked, and the CPU seconds of its sweep; None when it does not tell these."""
        text = httpx.get(f"{self._status}/metrics", timeout=10.0).raise_for_status().text
        swept = _SWEPT.search(text)
        return sum(map(int, _LOOKED.findall(text))), None if swept is None else float(swept[1])

    def peak_memory_mb(self) -> float:
        """Return the most memory that the process has held so far, in MB (10^6 bytes)."""
        return peak_bytes(self._process.pid) / 1e6


def wait_for(holds: Callable[[], bool], what: str, process: subprocess.Popen[bytes]) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it never held.
        ChildProcessError: the process that should bring it about is gone.
    """
    until, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while not holds():
        if process.poll() is not None:
            raise ChildProcessError(f"ended with {process.returncode}; expected {what}")
        if time.monotonic() > until:
            raise TimeoutError(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
        pause.wait(0.005)


@contextmanager
def _release(skills: int) -> Iterator[httpx.Client]:
    with ExitStack() as stack:
        command = [sys.executable, "-m", "tests.bench.release_server", str(skills)]
        process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        stack.callback(process.kill)
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        yield stack.enter_context(httpx.Client(base_url=url, timeout=60.0))


def _install(puller: Puller) -> Install:
    word = puller.installed("1-1")
    seconds = time.monotonic() - puller.started
    puller.rest()
    copy = puller.folder / "copy"
    _flush(puller.folder)
    started = time.monotonic()
    subprocess.run(["cp", "-r", puller.folder / "skills", copy], check=True, timeout=PATIENCE_SECONDS)
    copied = time.monotonic()
    _flush(copy)
    flushed = time.monotonic()
    shutil.rmtree(copy)
    return Install(
        seconds=seconds,
        fetching_ms=_number(word, "fetching_ms"),
        copy_seconds=copied - started,
        synced_copy_seconds=flushed - started,
    )


def _change(puller: Puller, release: httpx.Client, number: int) -> Change:
    # As after a push in real life: what followed the last install (its backup) is over.
    unchanged = _counts(release).get(_UNCHANGED, 0)
    process = puller._process
    wait_for(lambda: _counts(release).get(_UNCHANGED, 0) > unchanged, "a look that finds nothing", process)
    word = puller.installed(release.post(f"/bench/change/{number}").raise_for_status().json()["deployment"])
    return Change(took_ms=_number(word, "took_ms"), fetching_ms=_number(word, "fetching_ms"))


def _idle(puller: Puller, release: httpx.Client, seconds: float) -> Idle:
    asked, (looks, swept) = _counts(release), puller.metrics()
    started, cpu = time.monotonic(), puller.cpu_seconds()
    threading.Event().wait(seconds)
    took, used = time.monotonic() - started, puller.cpu_seconds() - cpu
    now, (looks_now, swept_now) = _counts(release), puller.metrics()
    new = {what: count - asked.get(what, 0) for what, count in now.items()}
    return Idle(
        seconds=took,
        looks=looks_now - looks,
        requests=sum(new.values()),
        not_modified=new.get(_UNCHANGED, 0),
        reports=new.get(_REPORT, 0),
        cpu_seconds=used,
        sweep_seconds=None if swept is None or swept_now is None else swept_now - swept,
    )


def _command() -> list[str]:
    """Return what runs on a volume's host: the packaged puller where this is the Python that it is made for."""
    packaged = ROOT / "dist" / "skill-sync-puller.pyz"
    fits = packaged.exists() and sys.version_info[:2] == PACKAGED_FOR
    # As on that host, with nothing but the standard library beside it.
    return [sys.executable, "-I", "-S", str(packaged)] if fits else [sys.executable, "-m", "shared.puller"]


def _counts(release: httpx.Client) -> dict[str, int]:
    return dict(release.get("/bench/counts").raise_for_status().json())


def _number(word: dict[str, object], key: str) -> float | None:
    value = word.get(key)
    return float(value) if isinstance(value, int | float) else None


def _flush(folder: Path) -> None:
    """Let nothing that was written before weigh on what is measured next."""
    subprocess.run(["sync", "-f", folder], check=True, timeout=PATIENCE_SECONDS)
