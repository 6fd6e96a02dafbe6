"""Looking again and again until asked to end; settings are read afresh before each look, and no fault ends the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import log
from shared.errors import ConfigError
from shared.puller.build import check, open_follower
from shared.puller.report import Result

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import httpx

    from shared.config import Settings
    from shared.ports import Clock
    from shared.puller.follow import Follower
    from shared.puller.server import StatusServer

REOPEN_SECONDS = 10.0
"""Between two tries to open a volume that cannot be used."""


class Loop:
    """Follows until asked to end.

    Args:
        read: Reads the settings as they are now.
        clock: For pauses.
        stop: Set when the process was asked to end.
        status: Told which follower is at work; None where nobody asks.
        transport: What carries the requests; None is the network.
        pause: Waits so many seconds between two looks, or less when there is a reason; None waits by the clock.
    """

    def __init__(
        self,
        read: Callable[[], Settings],
        clock: Clock,
        stop: threading.Event,
        *,
        status: StatusServer | None = None,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        self._read = read
        self._clock = clock
        self._stop = stop
        self._status = status
        self._transport = transport
        self._pause = pause or clock.sleep
        self._fault = ""

    def run(self, settings: Settings) -> None:
        """Look until asked to end; with other settings a new follower takes over.

        Args:
            settings: To begin with; they are checked here.

        Raises:
            ConfigError: these settings are missing or wrong. Wrong ones that come later are logged and not taken.
            ConflictError: `LOCKED`, another puller holds this volume.
        """
        while not self._stop.is_set():
            try:
                with open_follower(settings, self._clock, self._stop, self._transport) as follower:
                    log.info("The puller follows", url=settings.release_url, folder=settings.skills_dir)
                    self._show(follower, settings)
                    settings = self._follow(follower, settings)
            except OSError as error:
                log.error("The volume cannot be used", code=f"OS_{error.errno}", detail=str(error))
                self._show(None, settings)
                self._clock.sleep(REOPEN_SECONDS)
                settings = self._fresh(settings)

    def _show(self, follower: Follower | None, settings: Settings) -> None:
        if self._status is not None:
            self._status.show(follower, settings.pull_interval_seconds)

    def _follow(self, follower: Follower, settings: Settings) -> Settings:
        while not self._stop.is_set():
            if not follower.is_on_its_volume():
                log.warning("Another state stands on the volume than was written last: it is opened anew")
                return settings
            look(follower)
            self._pause(follower.pause_seconds(settings.pull_interval_seconds))
            fresh = self._fresh(settings)
            if fresh != settings:
                log.info("The settings have changed")
                return fresh
        return settings

    def _fresh(self, settings: Settings) -> Settings:
        try:
            fresh = self._read()
            if fresh != settings:  # those at work were checked, which costs a signature
                check(fresh)
        except ConfigError as error:
            # A secret that is being replaced may be missing or half written for a moment.
            if error.message != self._fault:
                log.error("The new settings cannot be used; the old ones stay", code=error.code, detail=error.message)
            self._fault = error.message
            return settings
        self._fault = ""
        return fresh


def look(follower: Follower) -> Result:
    """Look once; a fault that nobody foresaw is logged and ends nothing."""
    try:
        return follower.look()
    except Exception as error:  # noqa: BLE001 - the outermost edge: what is installed must be served on
        log.unexpected(error)
        return Result.FAILED
