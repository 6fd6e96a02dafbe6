"""Builds a follower from settings: folders, lock, HTTP client and trust, each checked before anything is changed."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from shared import log
from shared.core.trust import first_trust
from shared.errors import ConfigError, ConflictError, InputError, UnverifiedError
from shared.puller.apply import Applier
from shared.puller.bundles import Bundles, stored_view
from shared.puller.calls import Calls
from shared.puller.client import TIMEOUT, ReleaseClient
from shared.puller.files import Root
from shared.puller.follow import Follower
from shared.puller.history import History
from shared.puller.install import Installer
from shared.puller.layout import files_of
from shared.puller.look import differing
from shared.puller.memory import Memory
from shared.puller.probe import check_probe, make_probe
from shared.puller.prove import Prover
from shared.puller.snapshot import Snapshots
from shared.puller.state_file import read_state
from shared.puller.trust import VolumeTrust
from shared.puller.upkeep import REPAIR, RESUME, Upkeep
from shared.puller.volume import open_volume
from shared.puller.wire import Wire

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from shared.config import Settings
    from shared.model import Trust
    from shared.ports import Clock
    from shared.puller.probe import Probe
    from shared.puller.volume import Volume

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
    if settings.gateway_probe is not None:
        check_probe(settings.gateway_probe)
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
        client = ReleaseClient(http, clock, Wire(clock, stop.is_set))
        trust = VolumeTrust(volume.own, anchor_of(settings), clock)
        probe = None if settings.gateway_probe is None else make_probe(settings.gateway_probe, stopping=stop.is_set)
        yield assemble(
            Parts(
                volume=volume,
                client=client,
                trust=trust,
                clock=clock,
                layouts=settings.skills_layout,
                backup_max_bytes=settings.backup_max_bytes,
                probe=probe,
                drift=settings.drift,
                stopping=stop.is_set,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a follower is made from. `backup_max_bytes`: None keeps no backups. `probe`: None where nobody can be asked."""

    volume: Volume
    client: ReleaseClient
    trust: VolumeTrust
    clock: Clock
    layouts: tuple[str, ...]
    backup_max_bytes: int | None = None
    probe: Probe | None = None
    drift: str = REPAIR
    stopping: Callable[[], bool] = bool


def assemble(parts: Parts) -> Follower:
    """Put a follower together; of the disk only the state is read."""
    volume, clock, client = parts.volume, parts.clock, parts.client
    bundles = Bundles(volume.own, client)
    installer = Installer(volume, client, bundles, History(volume.own), clock, parts.stopping)
    memory = Memory(volume.own, parts.trust.newest, clock)
    limit = parts.backup_max_bytes
    snapshots = None if limit is None else Snapshots(volume, bundles, clock, limit, parts.stopping)
    prover = None if parts.probe is None else Prover(parts.probe, volume.skills, bundles, clock, parts.stopping)
    applier = Applier(installer, memory, parts.layouts, snapshots, prover)
    upkeep = Upkeep(installer, memory, clock, snapshots, mode=parts.drift)
    return Follower(client, applier, parts.trust, clock, upkeep)


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


def ask_to_resume(settings: Settings) -> None:
    """Leave the word for the puller that runs, or for the next one, that everything is to be taken back under care.

    Raises:
        ConfigError: `STATE_UNREADABLE`, no puller ever ran here.
        OSError: the disk refused.
    """
    own = Root(settings.skills_dir.resolve().parent / ".skill-sync", Calls())
    try:
        own.touch(RESUME)
    except FileNotFoundError:
        raise ConfigError("STATE_UNREADABLE", f"there is no {own.path}: no puller ever ran here") from None


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
    skills = Root(settings.skills_dir.resolve(), Calls())
    edition = state.installed
    view = None if edition is None else stored_view(own, edition)
    if edition is None or view is None:
        raise ConfigError("STATE_UNREADABLE", f"{own.path} does not hold the manifest of what is installed")
    return sorted(
        each
        for skill in view.skills()
        for each in differing(skills, {path: want.blob for path, want in files_of(skill, edition.layouts)})
    )


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
