"""Nudges over HTTP, behind the `Nudge` port: all pullers at once, and the caller never waits longer than 2 seconds.

Tasks of one event loop are cut off to the moment, whatever the other side does: it may hang, drip, or never end. The loop
has its own thread, which is given up if it still looks for a host's name then: nothing can cut that off.
"""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from shared import log
from shared.adapters.lean_httpx import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

TOTAL_SECONDS: Final = 2.0
"""How long a caller waits at most."""
CONNECT_SECONDS: Final = 1.0
_TIDYING_SECONDS: Final = 0.2
"""What is left of the total for the loop to close what it cut off."""
_RETRIES: Final = 1


class HttpNudge:
    """Posts the envelope to each address.

    Args:
        urls: Where to.
        seconds: How long all of it may take.
    """

    def __init__(self, urls: Sequence[str], *, seconds: float = TOTAL_SECONDS) -> None:
        self._urls = tuple(urls)
        self._seconds = seconds

    def __call__(self, envelope: bytes) -> None:
        """Send it, wait for what comes back in time, and log what went wrong."""
        try:
            run = log.carried(partial(self._run, envelope))
            thread = threading.Thread(target=run, name="nudge", daemon=True)
            thread.start()
            thread.join(self._seconds)
        except RuntimeError as error:  # no thread to be had
            log.warning("Pullers were not nudged", error=type(error).__name__)
            return
        if thread.is_alive():
            log.warning("A nudge was given up", waited_seconds=self._seconds)

    def _run(self, envelope: bytes) -> None:
        try:
            asyncio.run(self._post_all(envelope))
        except Exception as error:  # noqa: BLE001 - the edge of the thread: a nudge never fails a deployment
            log.warning("Pullers were not nudged", error=type(error).__name__)

    async def _post_all(self, envelope: bytes) -> None:
        limit = max(0.0, self._seconds - _TIDYING_SECONDS)
        transport = httpx.AsyncHTTPTransport(retries=_RETRIES)
        timeout = httpx.Timeout(limit, connect=min(CONNECT_SECONDS, limit))
        async with httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False) as client:
            await asyncio.gather(*(self._post(client, url, envelope, limit) for url in self._urls))

    async def _post(self, client: httpx.AsyncClient, url: str, envelope: bytes, limit: float) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "skill-sync"}
        try:
            # The status is all that matters: of the body nothing is read, be it as long as it likes.
            async with (
                asyncio.timeout(limit),
                client.stream("POST", url, content=envelope, headers=headers) as response,
            ):
                if not response.is_success:
                    log.warning("A nudge was not taken", host=_host(url), status=response.status_code)
        except Exception as error:  # noqa: BLE001 - an edge too: one address must not keep the others from being told
            log.warning("A nudge did not arrive", host=_host(url), error=type(error).__name__)


def _host(url: str) -> str:
    # Not the whole address: a path may hold a secret.
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return ""
