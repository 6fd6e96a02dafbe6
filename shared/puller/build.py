"""Builds a follower from settings: folders, lock, HTTP client and trust, each checked before anything is changed."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from shared import log
from shared.core.trust import first_trust
from shared.errors import ConfigError, ConflictError, InputError, UnverifiedError
from shared.puller.client import TIMEOUT, ReleaseClient
from shared.puller.files import Calls, Root
from shared.puller.follow import Follower
from shared.puller.install import Installer, open_volume
from shared.puller.look import look
from shared.puller.snapshot import Snapshots
from shared.puller.state import read_state
from shared.puller.trust import VolumeTrust

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from shared.config import Settings
    from shared.model import Trust
    from shared.ports import Clock
    from shared.puller.install import Volume

_LOCK = "lock"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def anchor_of(settings: Settings) -> Trust:
    """Read the pinned trust.

    Raises:
        ConfigError: `TRUST_ANCHOR_INVALID`.
    """
    try:
        return first_trust(str(settings.trust_anchor).encode("utf-8", "replace"))
    except UnverifiedError as error:
        raise ConfigError("TRUST_ANCHOR_INVALID", f"TRUST_ANCHOR: {error.message}") from None


def check(settings: Settings) -> None:
    """Make sure that a puller can be built from these settings, without touching disk or network.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    settings.need("RELEASE_URL", "PULLER_ID", "PULLER_KEY", "TRUST_ANCHOR")
    anchor_of(settings)
    try:
        url = httpx.URL(str(settings.release_url))
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise ConfigError(
            "CONFIG_INVALID", "RELEASE_URL: expected an http or https URL without user, query or fragment"
        )
    key = str(settings.puller_key)
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError("CONFIG_INVALID", "PULLER_KEY: expected one line of visible ASCII characters")


@contextmanager
def open_follower(
    settings: Settings, clock: Clock, stop: threading.Event, transport: httpx.BaseTransport | None = None
) -> Iterator[Follower]:
    """Open the volume, alone, and what is needed to follow.

    Args:
        settings: As they are now.
        clock: For dates and pauses.
        stop: Set when the process was asked to end.
        transport: What carries the requests; None is the network.

    Raises:
        ConfigError: a setting is missing or wrong.
        ConflictError: `LOCKED`, another puller holds this volume.
        OSError: the volume cannot be used now.
    """
    check(settings)
    volume = open_volume(settings.skills_dir, settings.backup_dir, Calls())
    with _locked(volume), _http(settings, transport) as http:
        client = ReleaseClient(http, clock)
        installer = Installer(volume, client, clock, settings.skills_layout, stop.is_set)
        trust = VolumeTrust(volume.own, anchor_of(settings), clock)
        snapshots = Snapshots(volume, clock, settings.backup_max_bytes)
        yield Follower(volume, client, installer, trust, clock, snapshots)


@contextmanager
def open_client(
    settings: Settings, clock: Clock, transport: httpx.BaseTransport | None = None
) -> Iterator[ReleaseClient]:
    """Open what asks the release function, and nothing else.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    check(settings)
    with _http(settings, transport) as http:
        yield ReleaseClient(http, clock)


def compare(settings: Settings) -> list[tuple[str, str]]:
    """Compare the volume with what was installed; nothing is changed and no lock is taken.

    Returns:
        Each path that differs, with `missing` or `changed`.

    Raises:
        ConfigError: `STATE_UNREADABLE`, nothing was ever installed here, or what is remembered is damaged.
    """
    own = Root(settings.skills_dir.resolve().parent / ".skill-sync", Calls())
    try:
        state = read_state(own)
    except (OSError, InputError, ValueError):
        raise ConfigError("STATE_UNREADABLE", f"{own.path} holds no state that can be read") from None
    seen = look(Root(settings.skills_dir.resolve(), Calls()), state.installed)
    return [
        (path, "missing" if path not in seen else "changed")
        for path, blob in sorted(state.installed.items())
        if path not in seen or seen[path].blob != blob
    ]


def _http(settings: Settings, transport: httpx.BaseTransport | None) -> httpx.Client:
    url = httpx.URL(str(settings.release_url))
    if url.scheme == "http" and url.host not in _LOOPBACK:
        log.warning("RELEASE_URL is not https: the puller's key can be read on the way", host=url.host)
    headers = {"Authorization": f"Bearer {settings.puller_key}", "Accept-Encoding": "identity"}
    return httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT, follow_redirects=False, transport=transport)


@contextmanager
def _locked(volume: Volume) -> Iterator[None]:
    # The kernel lets go of the lock when the process ends, however it ends: no lock can be left behind.
    fd = os.open(volume.own.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError("LOCKED", f"another puller holds {volume.skills.path}") from None
        yield
    finally:
        os.close(fd)
