"""Following the pointer: one look at a time, each check before anything that depends on it, and a word to the functions.

Whatever goes wrong, what is installed stays and is served on; the next look tries again.
"""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.manifest import MAX_MANIFEST_BYTES, parse_manifest
from shared.core.names import timestamp
from shared.core.states import in_force, state_of, with_latch
from shared.core.verify import UnverifiedPointer, etag_of, floor_of, read_record
from shared.errors import (
    DeadlineError,
    DeniedError,
    InputError,
    NotFoundError,
    SkillSyncError,
    UnavailableError,
    UnverifiedError,
)
from shared.puller.check import PointerCheck
from shared.puller.report import Reporter, Result, Word
from shared.puller.state import load_state, save_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model import Manifest, Pointer
    from shared.ports import Clock
    from shared.puller.client import ReleaseClient
    from shared.puller.install import Installer, Volume
    from shared.puller.snapshot import Snapshots
    from shared.puller.state import State
    from shared.puller.trust import VolumeTrust

LONGEST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_UNASKED_SECONDS = 10.0
"""While the release function does not answer and does not say when to come again."""
_DOUBLINGS = 6
_BUNDLE_CODES = frozenset({"bundle_mismatch", "bundle_rejected"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """How a look ended, and how much patience the next one needs. `signed`: its reasons are about evidence of a signer's."""

    word: Word
    signed: bool = False
    detail: str = ""
    costly: bool = False
    retry_after_seconds: float = 0.0


class Follower:
    """Follows one release function on one volume.

    Args:
        volume: The folders.
        client: The release function.
        installer: Changes the volume.
        trust: Whose signature counts.
        clock: For dates and pauses.
        snapshots: The backups; None keeps none.
    """

    def __init__(
        self,
        volume: Volume,
        client: ReleaseClient,
        installer: Installer,
        trust: VolumeTrust,
        clock: Clock,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._volume = volume
        self._client = client
        self._installer = installer
        self._trust = trust
        self._check = PointerCheck(client, trust, clock)
        self._clock = clock
        self._snapshots = snapshots
        self._reporter = Reporter(client, clock)
        newest = trust.newest
        line = (newest.channel, newest.repo, newest.ref)
        state = load_state(volume.own, clock.now())
        # A volume that is pinned to another line of deployments begins anew there: the old floor says nothing about it.
        former = state if state.line in ((), line) else replace(state, floor=None, envelope=b"", latches=())
        self._state = replace(former, line=line)
        # Not remembered over a restart: the first look always compares the disk with the manifest.
        self._etag: str | None = None
        self._failures = 0
        self._retry_after = 0.0
        self._unreachable = ""
        self.looks: Counter[str] = Counter()
        """How many looks ended in which way, since this follower began."""
        self.looked_at = ""
        self.verified_at: float | None = None
        """When (monotonic seconds) the volume was last known to equal the live pointer."""
        self.offered: Pointer | None = None
        """What was offered last, if it could be believed."""
        self.standing = state_of((), self._state.latches, newest)
        """The state as the last look left it."""

    @property
    def trust(self) -> VolumeTrust:
        """What this volume believes."""
        return self._trust

    @property
    def state(self) -> State:
        """What this volume remembers."""
        return self._state

    def look(self) -> Result:
        """Look at the pointer once, follow it if it may be followed, and report what is news."""
        ending = self._judged(self._ending())
        if ending.word.outcome is Result.REFUSED and self._state.installing is not None:
            self._finish()
        self._count(ending.word.outcome)
        self._failures = self._failures + 1 if ending.costly else 0
        self._retry_after = ending.retry_after_seconds
        word = ending.word
        if word.outcome is Result.UNREACHABLE:
            self._log_unreachable(word.reasons[0], ending.detail)
            return word.outcome
        self._unreachable = ""
        if word.reasons and self._reporter.is_new_trouble(word):
            message = _MESSAGES[word.outcome]
            log.warning(message, code=word.reasons[0], detail=ending.detail)
        self._reporter.note(word, self._state)
        self._back_up(lambda snapshots: snapshots.make_ready(self._state))
        return word.outcome

    def _count(self, outcome: Result) -> None:
        self.looks[outcome.value] += 1
        self.looked_at = timestamp(self._clock.now())
        if outcome in {Result.CURRENT, Result.INSTALLED}:
            self.verified_at = self._clock.monotonic()

    def _back_up(self, act: Callable[[Snapshots], None]) -> None:
        """Look after the backups; what they fail at is told, and keeps nothing from being installed."""
        try:
            if self._snapshots is not None:
                act(self._snapshots)
        except OSError as error:
            log.warning("The backup cannot be made", code=f"OS_{error.errno}", detail=str(error))

    def pause_seconds(self, interval: float) -> float:
        """Return how long to wait before the next look: longer and longer while one fails, and as long as was asked for."""
        if not self._failures:
            return interval
        grown = max(interval, 1.0) * float(1 << min(self._failures, _DOUBLINGS))
        longest = LONGEST_PAUSE_UNASKED_SECONDS if self._unreachable else LONGEST_PAUSE_SECONDS
        return max(interval, min(max(min(grown, longest), self._retry_after), LONGEST_PAUSE_SECONDS))

    def _judged(self, ending: _Ending) -> _Ending:
        """Say which state follows from how a look ended, and remember what only an operator can reset."""
        trust, now = self._trust.newest, self._clock.now()
        latches = in_force(self._state.latches, trust)
        for reason in ending.word.reasons if ending.signed else ():
            latches = with_latch(latches, reason, trust, timestamp(now))
        if latches != self._state.latches:
            self._remember(replace(self._state, latches=latches))
            if latches:
                log.error("Paused: what is installed stays until an operator has acted", detail=ending.detail)
        self.standing = state_of((*ending.word.reasons, *self._trust.troubles(now)), latches, trust)
        word = replace(ending.word, state=self.standing.condition.value, trust_version=trust.version)
        return replace(ending, word=word)

    def _finish(self) -> None:
        """Complete an install that was cut short, though what is offered now is refused: a mixture must not be served.

        What was being installed had passed every check, and its objects are named by their content.
        """
        try:
            pointer = read_record(UnverifiedPointer(self._state.envelope), self._trust.newest)
            self._install(pointer, self._manifest(pointer))
        except (SkillSyncError, OSError) as error:
            log.warning("An install that was cut short cannot be completed yet", detail=str(error))

    def _ending(self) -> _Ending:
        try:
            return _Ending(word=self._follow())
        except (UnverifiedError, InputError) as error:
            word = Word(outcome=Result.REFUSED, reasons=(error.code,))
            # Another look at a pointer costs nothing; a bundle is fetched anew each time.
            return _Ending(word=word, detail=error.message, signed=True, costly=error.code in _BUNDLE_CODES)
        except OSError as error:
            reasons = (f"OS_{error.errno}",)
            name = errno.errorcode.get(error.errno or 0, "")
            word = Word(outcome=Result.FAILED, reasons=reasons)
            return _Ending(word=word, detail=f"{name} {error}", costly=True)
        except DeadlineError as error:
            return _Ending(word=Word(outcome=Result.FAILED, reasons=(error.code,)), detail=error.message)
        except NotFoundError as error:
            return self._nothing_there(error)
        except (UnavailableError, DeniedError) as error:
            word = Word(outcome=Result.UNREACHABLE, reasons=(error.code,))
            wait = error.retry_after_seconds if isinstance(error, UnavailableError) else 0.0
            return _Ending(word=word, detail=error.message, costly=True, retry_after_seconds=wait)

    def _nothing_there(self, error: SkillSyncError) -> _Ending:
        if error.code == "NO_DEPLOYMENT" and self._state.floor is None:
            return _Ending(word=Word(outcome=Result.CURRENT))
        if error.code == "NO_DEPLOYMENT":
            # There was a deployment once: the store was emptied or rewound, which the functions should hear.
            return _Ending(word=Word(outcome=Result.REFUSED, reasons=(error.code,)), detail=error.message)
        word = Word(outcome=Result.FAILED, reasons=(error.code,))
        return _Ending(word=word, detail=error.message, costly=True)

    def _follow(self) -> Word:
        answer = self._client.current(self._etag)
        self._trust.look(self._client, announced=self._client.announced_trust)
        # "Not modified" is no proof of freshness: the pointer that is known is judged again, and may have expired.
        envelope = self._state.envelope if answer is None else answer
        self.offered = pointer = self._check.pointer(envelope, self._state.floor)
        holding = in_force(self._state.latches, self._trust.newest)
        if holding:
            return Word(outcome=Result.REFUSED, reasons=tuple(sorted({latch.reason for latch in holding})))
        if answer is None or self._is_older_refresh(pointer):
            return Word(outcome=Result.CURRENT)
        manifest = self._manifest(pointer)
        # The floor is on the disk before the first file changes: a volume never forgets what it was brought to.
        if self._state.floor != floor_of(pointer):
            self._remember(replace(self._state, floor=floor_of(pointer), envelope=envelope))
        word = self._install(pointer, manifest)
        self._etag = etag_of(envelope)
        return word

    def _install(self, pointer: Pointer, manifest: Manifest) -> Word:
        known = self._state.deployment == pointer.deployment
        self._back_up(lambda snapshots: snapshots.hand_over(self._state, pointer.deployment))
        done = self._installer.install(self._state, manifest, pointer.deployment, self._remember)
        if known and not done.changed and self._state.installing is None:
            self._state = done.state
            return Word(outcome=Result.CURRENT)
        at, displaced = timestamp(self._clock.now()), done.displaced
        news = replace(done.state, deployment=pointer.deployment, manifest=pointer.manifest.sha256, installed_at=at)
        self._remember(replace(news, displaced=displaced))
        log.info(
            "Installed deployment",
            deployment=pointer.deployment,
            commit=pointer.commit,
            steps=done.changed,
            skills=len(manifest.skills),
            displaced=displaced,
        )
        return Word(outcome=Result.INSTALLED)

    def _remember(self, state: State) -> None:
        save_state(self._volume.own, state)
        self._state = state

    def _is_older_refresh(self, pointer: Pointer) -> bool:
        floor = self._state.floor
        same = floor is not None and (floor.epoch, floor.seq) == (pointer.epoch, pointer.seq)
        return same and floor is not None and pointer.issued_at < floor.issued_at

    def _manifest(self, pointer: Pointer) -> Manifest:
        reference = pointer.manifest
        if not 0 < reference.size <= MAX_MANIFEST_BYTES:
            raise UnverifiedError("bundle_rejected", f"a manifest has at most {MAX_MANIFEST_BYTES} bytes")
        try:
            manifest = parse_manifest(self._client.bundle_object(reference.sha256, reference.size))
        except InputError as error:
            raise UnverifiedError("bundle_rejected", error.message) from None
        trust = self._trust.newest
        ours, theirs = (trust.channel, trust.repo), (manifest.channel, manifest.repo)
        if ours != theirs:
            raise UnverifiedError("bundle_rejected", f"the manifest is of {theirs}, expected {ours}")
        return manifest

    def _log_unreachable(self, code: str, detail: str) -> None:
        if code != self._unreachable:
            log.warning("The release function gave nothing; what is installed stays", code=code, detail=detail)
        self._unreachable = code


_MESSAGES = {
    Result.REFUSED: "Refused what is offered; what is installed stays",
    Result.FAILED: "The install did not end; the next look goes on",
}
