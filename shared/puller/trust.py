"""The chain of trust as the volume knows it: every version that was believed is kept, so that each start proves it again.

What a version lets pass is `core.verify`'s business; how one follows another is `core.trust`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import log
from shared.core.names import parse_timestamp
from shared.core.trust import INVALID, MAX_WALK, next_trust
from shared.errors import NotFoundError, UnverifiedError

if TYPE_CHECKING:
    from datetime import datetime

    from shared.model import Trust
    from shared.ports import Clock
    from shared.puller.client import ReleaseClient
    from shared.puller.files import Root

TRUST = "trust"
_DRAFT = "trust.new"
LOOK_SECONDS = 3600.0
"""Without any other reason to look for a newer version."""


class VolumeTrust:
    """The newest version of the trust that this volume believes.

    Args:
        own: The puller's own folder.
        anchor: The pinned version, where the chain begins.
        clock: Tells when it was last looked at.
    """

    def __init__(self, own: Root, anchor: Trust, clock: Clock) -> None:
        self._own = own
        self._clock = clock
        self._looked_at = float("-inf")
        self.trouble = ""
        self.newest = anchor
        # Check 1: what lies on the volume is believed only as far as it follows from what is pinned.
        while (following := self._kept(self.newest)) is not None:
            self.newest = following

    def look(self, client: ReleaseClient, *, announced: int = 0, puzzled: bool = False) -> bool:
        """Walk to the newest version, if there is a reason to (check 2).

        Args:
            client: Where newer versions come from.
            announced: The number that the release function named last.
            puzzled: Whether a check failed that a newer version could explain.

        Returns:
            Whether another version is believed now.

        Raises:
            UnavailableError: the release function did not answer; what was believed before stays.
        """
        due = self._clock.monotonic() - self._looked_at >= LOOK_SECONDS
        if not (due or puzzled or announced > self.newest.version):
            return False
        before = self.newest.version
        self.trouble = ""
        for _ in range(MAX_WALK):
            if not self._step(client):
                break
        self._looked_at = self._clock.monotonic()
        return self.newest.version > before

    def troubles(self, now: datetime) -> tuple[str, ...]:
        """Return what is wrong with the trust itself; neither keeps an install back."""
        expired = bool(self.newest.expires_at) and parse_timestamp(self.newest.expires_at) <= now
        return (*((self.trouble,) if self.trouble else ()), *(("trust_expired",) if expired else ()))

    def _step(self, client: ReleaseClient) -> bool:
        number = self.newest.version + 1
        try:
            envelope = client.trust(number)
            following = next_trust(self.newest, envelope)
        except NotFoundError:
            return False
        except UnverifiedError as error:
            self.trouble = INVALID
            log.error("A version of the trust cannot be believed", version=number, detail=error.message)
            return False
        self._own.make_folders(TRUST)
        self._own.clear(_DRAFT)
        self._own.create(_DRAFT, [envelope], 0o600)
        self._own.move(_DRAFT, self._own, _name(number))
        self.newest = following
        log.info("Believes a new version of the trust", version=number, epoch=following.epoch)
        return True

    def _kept(self, trust: Trust) -> Trust | None:
        name = _name(trust.version + 1)
        if self._own.stat(name) is None:
            return None
        try:
            return next_trust(trust, b"".join(self._own.chunks(name)))
        except UnverifiedError as error:
            # It is fetched again; nothing is lost but time.
            log.error("A kept version of the trust is damaged", version=trust.version + 1, detail=error.message)
            self._own.clear(name)
            return None


def _name(version: int) -> str:
    return f"{TRUST}/{version}.json"
