"""Messages to people through apprise, behind the `Alert` port: each address has a thread, and nobody waits longer than allowed.

Apprise knows what Slack, Discord, mail and a hundred others want. It is loaded when there is something to send: it takes a
third of a second. Sockets have time limits of their own below ours, so that what is given up ends soon by itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from shared import log
from shared.core.alert_kinds import Tone
from shared.core.plain_text import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apprise import Apprise, AppriseAsset, NotifyBase

    from shared.core.letters import Letter

_MARGIN_SECONDS: Final = 0.2
"""What is left of the time for a thread to come to its end after its socket gave up."""
_LEAST_SOCKET_SECONDS: Final = 0.1
_THREADS: Final = "alert-"
_TYPES: Final = {Tone.ERROR: "failure", Tone.WARNING: "warning", Tone.RECOVERY: "success"}
_TALKATIVE: Final = ("urllib3.connectionpool", "urllib3.connection", "requests_oauthlib.oauth1_auth")


class AppriseAlert:
    """Sends to each address.

    Args:
        urls: Where to, as apprise writes addresses; they hold secrets, and are never logged.
    """

    def __init__(self, urls: Iterable[str]) -> None:
        self._urls = {fingerprint(url): url for url in urls}
        self._running: dict[str, threading.Thread] = {}
        self._is_prepared = False

    @property
    def addresses(self) -> frozenset[str]:
        """The fingerprints of all addresses."""
        return frozenset(self._urls)

    def prepare(self) -> None:
        """Find out which addresses apprise does not know, once, and log their numbers in the setting."""
        if self._is_prepared:
            return
        self._is_prepared = True
        try:
            unknown = [number for number, url in enumerate(self._urls.values(), start=1) if _service(url, 1.0) is None]
        except Exception as error:  # noqa: BLE001 - an edge: what only prepares must not fail
            log.warning("The addresses in ALERT_URLS were not checked", kind=type(error).__name__)
            return
        if unknown:
            log.error("ALERT_URLS holds addresses that apprise does not know", numbers=unknown)

    def __call__(self, letters: Sequence[Letter], seconds: float) -> list[frozenset[str]]:
        """Send to all addresses side by side, wait for what comes to its end in time, and say who was reached."""
        until = time.monotonic() + seconds
        reached: dict[int, set[str]] = defaultdict(set)
        threads = {address: self._start(address, letters, until, reached) for address in self._urls}
        for address, thread in threads.items():
            if thread is None:
                continue
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                log.warning("An alert was given up", address=address, waited_seconds=seconds)
        return [frozenset(reached[number]) for number in range(len(letters))]

    def _start(
        self, address: str, letters: Sequence[Letter], until: float, reached: dict[int, set[str]]
    ) -> threading.Thread | None:
        mine = [(number, letter) for number, letter in enumerate(letters) if address in letter.to]
        former = self._running.get(address)
        if not mine or (former is not None and former.is_alive()):
            return None  # one that still hangs would only be joined by another one

        def run() -> None:
            for number, letter in mine:
                if not _send(self._urls[address], address, letter, until - time.monotonic()):
                    return  # the others would only wait as long
                reached[number].add(address)

        thread = threading.Thread(target=run, name=f"{_THREADS}{address}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no thread to be had
            log.warning("An alert was not sent", address=address, kind=type(error).__name__)
            return None
        self._running[address] = thread
        return thread


def _send(url: str, address: str, letter: Letter, seconds: float) -> bool:
    if seconds <= 0:
        return False
    try:
        # New for each letter: an old one sleeps between two messages, up to five seconds for mail.
        service = _service(url, seconds)
        if service is not None and _deliver(service, letter):
            return True
        log.warning("An alert was not taken", address=address, is_known=service is not None)
    except Exception as error:  # noqa: BLE001 - the edge of the thread: an address must not take anything down with it
        log.warning("An alert was not sent", address=address, kind=type(error).__name__)
    return False


def _deliver(service: NotifyBase, letter: Letter) -> bool:
    sender = _sender()
    sender.add(service)
    # As plain text: each service then escapes what it would else interpret.
    return bool(sender.notify(letter.body, title=letter.title, notify_type=_TYPES[letter.tone], body_format="text"))


def _service(url: str, seconds: float) -> NotifyBase | None:
    from apprise import Apprise  # noqa: PLC0415 - heavy, and needed only here

    service = Apprise.instantiate(url, asset=_asset())
    if service is not None:
        limit = max(_LEAST_SOCKET_SECONDS, seconds - _MARGIN_SECONDS)
        # Whatever the address asks for: a redirect would carry what we say, and its secrets, to somebody else.
        service.redirects = False
        service.socket_connect_timeout = min(service.socket_connect_timeout, limit)
        service.socket_read_timeout = min(service.socket_read_timeout, limit)
    return service


def _sender() -> Apprise:
    from apprise import Apprise  # noqa: PLC0415 - as above

    return Apprise(asset=_asset())


@lru_cache(maxsize=1)
def _asset() -> AppriseAsset:
    from apprise import AppriseAsset  # noqa: PLC0415 - as above

    _silence()
    return AppriseAsset(
        app_id="skill-sync",
        app_desc="skill-sync",
        app_url="",
        # In this very thread, and without a time limit of its own: else it leaves threads that hold up the end of the process.
        async_mode=False,
        service_timeout=0,
        http_redirects=False,
        # Nothing is kept on disk, and no key is made there.
        storage_mode="memory",
        pgp_autogen=False,
        pem_autogen=False,
    )


def _silence() -> None:
    """Keep foreign loggers from writing what they know of an address: we log its fingerprint."""
    logging.getLogger("apprise").disabled = True
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_not_ours)


def _not_ours(record: logging.LogRecord) -> bool:
    return not (record.threadName or "").startswith(_THREADS)
