"""Following the pointer: one look at a time, each check before anything that depends on it, and a word to the functions.

Whatever goes wrong, what is installed stays and is served on; the next look tries again.
"""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.names import timestamp
from shared.core.states import in_force, state_of, with_latch
from shared.core.verify import etag_of, floor_of
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
from shared.puller.drift import REPAIRED
from shared.puller.report import Reporter, Result, Word

if TYPE_CHECKING:
    from shared.model import Pointer
    from shared.ports import Clock
    from shared.puller.apply import Applier
    from shared.puller.client import ReleaseClient
    from shared.puller.state import State
    from shared.puller.trust import VolumeTrust
    from shared.puller.upkeep import Upkeep

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
        client: The release function.
        applier: Changes the volume.
        trust: Whose signature counts.
        clock: For dates and pauses.
        upkeep: Looks after what is installed.
    """

    def __init__(
        self, client: ReleaseClient, applier: Applier, trust: VolumeTrust, clock: Clock, upkeep: Upkeep
    ) -> None:
        self._client = client
        self._applier = applier
        self._memory = applier.memory
        self._trust = trust
        self._check = PointerCheck(client, trust, clock)
        self._clock = clock
        self._reporter = Reporter(client, clock, applier.told)
        self.upkeep = upkeep
        self.prover = applier.prover
        # Not remembered over a restart: the first look always compares the disk with the manifest.
        self._etag: str | None = None
        self._failures = 0
        self._retry_after = 0.0
        self._unreachable = ""
        self._looked_after: State | None = None
        self.looks: Counter[str] = Counter()
        """How many looks ended in which way, since this follower began."""
        self.looked_at = ""
        self.verified_at: float | None = None
        """When (monotonic seconds) the volume was last known to equal the live pointer."""
        self.offered: Pointer | None = None
        """What was offered last, if it could be believed."""
        self.standing = state_of((), self.state.latches, trust.newest)
        """The state as the last look left it."""

    @property
    def trust(self) -> VolumeTrust:
        """What this volume believes."""
        return self._trust

    @property
    def state(self) -> State:
        """What this volume remembers."""
        return self._memory.state

    def is_on_its_volume(self) -> bool:
        """Whether the volume is the one that was opened: an older one may have been put in its place meanwhile."""
        return self._memory.is_ours()

    def look(self) -> Result:
        """Look at the pointer once, follow it if it may be followed, look after what is installed, and report what is news."""
        ending = self._judged(self._ending())
        word = ending.word
        if word.outcome is Result.REFUSED and self.state.unfinished:
            self._applier.finish(self._trust.newest)
        self._count(word.outcome)
        self._failures = self._failures + 1 if ending.costly else 0
        self._retry_after = ending.retry_after_seconds
        # A disk that refuses is not asked for more.
        drift = () if word.outcome is Result.FAILED else self.upkeep.look()
        if word.outcome is Result.UNREACHABLE:
            self._log_unreachable(word.reasons[0], ending.detail)
            self._reporter.keep(drift)
            self._look_at_gateway()
            return word.outcome
        self._unreachable = ""
        if word.reasons and self._reporter.is_new_trouble(word):
            log.warning(_MESSAGES[word.outcome], code=word.reasons[0], detail=ending.detail)
        self._reporter.note(word, self.state, drift)
        self._look_after()
        return word.outcome

    def _look_at_gateway(self) -> None:
        if self.prover is not None:
            self.prover.look_sometimes()

    def _look_after(self) -> None:
        self._look_at_gateway()
        if self._looked_after is not self.state and self._applier.look_after():
            self._looked_after = self.state
        self._applier.relax()

    def _count(self, outcome: Result) -> None:
        self.looks[outcome.value] += 1
        self.looked_at = timestamp(self._clock.now())
        if outcome in {Result.CURRENT, Result.INSTALLED, Result.UNPROVED}:
            self.verified_at = self._clock.monotonic()

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
        latches = in_force(self.state.latches, trust)
        for reason in ending.word.reasons if ending.signed else ():
            latches = with_latch(latches, reason, trust, timestamp(now))
        if latches != self.state.latches:
            self._memory.remember(replace(self.state, latches=latches))
            if latches:
                log.error("Paused: what is installed stays until an operator has acted", detail=ending.detail)
        self.standing = state_of((*ending.word.reasons, *self._trust.troubles(now)), latches, trust)
        word = replace(ending.word, state=self.standing.condition.value, trust_version=trust.version)
        return replace(ending, word=word)

    def _ending(self) -> _Ending:
        try:
            if self.upkeep.prepare():
                self._etag = None
            # First of all: the gateway may be down, and nobody there to be asked what is live.
            self._applier.go_on()
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
        if error.code == "NO_DEPLOYMENT" and self.state.floor is None:
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
        envelope = self.state.envelope if answer is None else answer
        self.offered = pointer = self._check.pointer(envelope, self.state.floor)
        with log.about(pointer.token):
            return self._go_to(pointer, envelope, is_news=answer is not None)

    def _go_to(self, pointer: Pointer, envelope: bytes, *, is_news: bool) -> Word:
        holding = in_force(self.state.latches, self._trust.newest)
        if holding:
            return Word(outcome=Result.REFUSED, reasons=tuple(sorted({latch.reason for latch in holding})))
        if not is_news or self._is_older_refresh(pointer):
            return self._applier.stand(pointer)
        target = self._applier.fetch(pointer, self._trust.newest)
        # The floor is on the disk before the first file changes: a volume never forgets what it was brought to.
        if self.state.floor != floor_of(pointer):
            self._memory.remember(replace(self.state, floor=floor_of(pointer), envelope=envelope))
        if self.upkeep.is_cut_short:
            self._reporter.keep(self.upkeep.look(everything=True))  # it knows best what it was repairing
        was_whole = self.state.installed is not None and not self.state.unfinished
        word = self._applier.bring(pointer, target)
        if self._etag is None:
            word = self._compared(word) if was_whole else word
            self.upkeep.start()
        self._etag = etag_of(envelope)
        return word

    def _compared(self, word: Word) -> Word:
        """Compare all that is installed with the disk: nobody knows what happened while no puller ran."""
        drift = self.upkeep.look(everything=True)
        self._reporter.keep(drift)
        repaired = any(each.action == REPAIRED for each in drift)
        return Word(outcome=Result.INSTALLED) if repaired and word.outcome is Result.CURRENT else word

    def _is_older_refresh(self, pointer: Pointer) -> bool:
        floor = self.state.floor
        return (
            floor is not None
            and pointer.deployment == f"{floor.epoch}-{floor.seq}"
            and pointer.issued_at < floor.issued_at
        )

    def _log_unreachable(self, code: str, detail: str) -> None:
        if code != self._unreachable:
            log.warning("The release function gave nothing; what is installed stays", code=code, detail=detail)
        self._unreachable = code


_MESSAGES = {
    Result.UNPROVED: "The gateway was down before the install, and still is: nothing is proved, and nothing is put back",
    Result.HELD: "What is offered failed its proof here; the files from before stay",
    Result.REFUSED: "Refused what is offered; what is installed stays",
    Result.FAILED: "The install did not end; the next look goes on",
}
