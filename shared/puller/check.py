"""The puller's side of checks 2 to 9: what is odd is judged again under the newest trust, and old memories by their record."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.verify import UnverifiedPointer, etag_of, examine, is_by_current_signer, read_record
from shared.errors import NotFoundError, UnverifiedError
from shared.model import DeploymentId

if TYPE_CHECKING:
    from datetime import datetime

    from shared.core.verify import Verdict
    from shared.model import Floor, Pointer
    from shared.ports import Clock
    from shared.puller.client import ReleaseClient
    from shared.puller.trust import VolumeTrust

# A newer trust may name the signer, or the epoch, that is unknown.
_PUZZLES = frozenset({"pointer_unverifiable", "monotonic_violation"})


JUDGED_FOR = timedelta(seconds=10)
"""So long a pointer that was believed is not judged again while nothing has changed."""


class PointerCheck:
    """Judges what one release function offers.

    Args:
        client: Where newer versions of the trust and old records come from.
        trust: What the volume believes.
        clock: For dates.
    """

    def __init__(self, client: ReleaseClient, trust: VolumeTrust, clock: Clock) -> None:
        self._client = client
        self._trust = trust
        self._clock = clock
        self._puzzle = ""
        self._known: tuple[bytes, int, Floor | None, datetime, Pointer] | None = None

    def pointer(self, envelope: bytes, floor: Floor | None) -> Pointer:
        """Judge an envelope, once more under a newer trust if there is one that may explain what is odd.

        Args:
            envelope: What is offered.
            floor: The newest pointer accepted so far.

        Raises:
            UnverifiedError: with the reason.
            UnavailableError: the release function did not answer a question that decides it.
        """
        known = self._judged_just_now(envelope, floor)
        if known is not None:
            return known
        pointer = self._judged(envelope, floor)
        self._known = (envelope, self._trust.newest.version, floor, self._clock.now(), pointer)
        return pointer

    def _judged_just_now(self, envelope: bytes, floor: Floor | None) -> Pointer | None:
        """Return the pointer where the very same question was answered with yes a moment ago: dates move in minutes."""
        if self._known is None:
            return None
        *question, judged_at, pointer = self._known
        is_same = question == [envelope, self._trust.newest.version, floor]
        return pointer if is_same and abs(self._clock.now() - judged_at) < JUDGED_FOR else None

    def _judged(self, envelope: bytes, floor: Floor | None) -> Pointer:
        try:
            return self._verified(envelope, floor)
        except UnverifiedError as error:
            if error.code not in _PUZZLES or etag_of(envelope) == self._puzzle:
                raise
            # Nobody is accused before the trust was looked at; while that fails, the release function counts as unreachable.
            newer = self._trust.look(self._client, puzzled=True)
            self._puzzle = etag_of(envelope)
            if not newer:
                raise
            return self._verified(envelope, floor)

    def _verified(self, envelope: bytes, floor: Floor | None) -> Pointer:
        given, now, trust = UnverifiedPointer(envelope), self._clock.now(), self._trust.newest
        verdict = examine(given, trust, floor, now)
        if verdict.reason == "history_unproven" and floor is not None:
            verdict = examine(given, trust, floor, now, proven=self._proven(floor, verdict))
        if verdict.pointer is None:
            raise UnverifiedError(verdict.reason, verdict.detail)
        return verdict.pointer

    def _proven(self, floor: Floor, unproven: Verdict) -> Pointer:
        # Away for longer than the pointer's history: the record of what was accepted here must still be theirs.
        try:
            record = self._client.record(DeploymentId(f"{floor.epoch}-{floor.seq}"))
            pointer = read_record(UnverifiedPointer(record), self._trust.newest)
        except (NotFoundError, UnverifiedError):
            raise UnverifiedError(unproven.reason, unproven.detail) from None
        # A key that was revoked may be in wrong hands: it can still vouch for what was accepted, and accuse nobody.
        if pointer.manifest.sha256 != floor.digest and not is_by_current_signer(
            UnverifiedPointer(record), self._trust.newest
        ):
            raise UnverifiedError(unproven.reason, unproven.detail)
        return pointer
