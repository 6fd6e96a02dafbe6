"""`python -m shared.puller`: follows the release function and keeps the skills folder as the live manifest has it."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from shared import log
from shared.config import current_settings
from shared.core.trust import parse_trust
from shared.errors import ConfigError
from shared.puller.client import TIMEOUT, ReleaseClient
from shared.puller.clock import StoppableClock
from shared.puller.files import Calls
from shared.puller.follow import Follower, Result
from shared.puller.install import Installer, Volume, open_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from shared.config import Settings

EXIT_REFUSED = 1
EXIT_UNREACHABLE = 69
EXIT_LOCKED = 75
EXIT_CONFIG = 78
_EXITS = {Result.REFUSED: EXIT_REFUSED, Result.FAILED: EXIT_REFUSED, Result.UNREACHABLE: EXIT_UNREACHABLE}
_HELP = """exit codes: 0 current or installed (--once), or ended by SIGTERM or SIGINT; 1 what is offered was refused or the
install failed; 69 the release function cannot be reached; 75 another puller holds this volume; 78 a setting is missing
or wrong (named in the log)."""


def main(arguments: list[str] | None = None) -> int:
    """Run the puller.

    Args:
        arguments: What stands behind the program's name; None takes them from the process.

    Returns:
        The exit status, as `--help` tells.
    """
    parser = argparse.ArgumentParser(prog="python -m shared.puller", description=__doc__, epilog=_HELP)
    parser.add_argument("--once", action="store_true", help="look at the pointer once and end")
    once = parser.parse_args(arguments).once
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopper(stop))
    try:
        settings = current_settings()
        settings.need("RELEASE_URL", "PULLER_ID", "PULLER_KEY", "TRUST_ANCHOR")
        volume = open_volume(settings.skills_dir, settings.backup_dir, Calls())
        with _locked(volume), _http(settings) as http:
            return _run(_follower(settings, volume, http, stop), settings, stop, once=once)
    except ConfigError as error:
        log.error("The puller cannot start", code=error.code, detail=error.message)
        return EXIT_CONFIG
    except BlockingIOError:
        log.error("Another puller holds this volume", code="LOCKED")
        return EXIT_LOCKED
    except OSError as error:
        log.error("The volume cannot be used", code=f"OS_{error.errno}", detail=str(error))
        return EXIT_REFUSED


def _run(follower: Follower, settings: Settings, stop: threading.Event, *, once: bool) -> int:
    if once:
        return _EXITS.get(follower.look(), 0)
    log.info("The puller follows", url=settings.release_url, folder=settings.skills_dir)
    while not stop.is_set():
        follower.look()
        stop.wait(follower.pause_seconds(settings.pull_interval_seconds))
    log.info("The puller ends")
    return 0


def _follower(settings: Settings, volume: Volume, http: httpx.Client, stop: threading.Event) -> Follower:
    clock = StoppableClock(stop)
    client = ReleaseClient(http, clock)
    # The one place where the puller learns whom to trust: pinned by hand today, the start of a signed chain later.
    trust = parse_trust(str(settings.trust_anchor))
    return Follower(volume, client, Installer(volume, client, clock, settings.skills_layout), trust, clock)


def _http(settings: Settings) -> httpx.Client:
    headers = {"Authorization": f"Bearer {settings.puller_key}", "Accept-Encoding": "identity"}
    try:
        return httpx.Client(
            base_url=str(settings.release_url), headers=headers, timeout=TIMEOUT, follow_redirects=False
        )
    except (httpx.InvalidURL, ValueError):
        raise ConfigError("CONFIG_INVALID", "RELEASE_URL must be an http or https URL") from None


@contextmanager
def _locked(volume: Volume) -> Iterator[None]:
    # The kernel lets go of the lock when the process ends, however it ends: no lock file can be left behind.
    fd = os.open(volume.own.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def _stopper(stop: threading.Event) -> Callable[[int, FrameType | None], None]:
    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    return ask


if __name__ == "__main__":
    sys.exit(main())
