"""Following the pointer: one look at a time, each check before anything that depends on it, and a word to the functions.

Whatever goes wrong, what is installed stays and is served on; the next look tries again.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from shared import log
from shared.core.manifest import parse_manifest
from shared.core.names import timestamp
from shared.core.verify import UnverifiedPointer, etag_of, floor_of, read_pointer, verify_pointer
from shared.errors import DeniedError, InputError, NotFoundError, SkillSyncError, UnavailableError, UnverifiedError
from shared.model import DeploymentId
from shared.puller.state import load_state, save_state

if TYPE_CHECKING:
    from shared.model import Manifest, Pointer, Trust
    from shared.ports import Clock
    from shared.puller.client import ReleaseClient
    from shared.puller.install import Installer, Volume
    from shared.puller.state import State

HEARTBEAT_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 30.0


class Result(StrEnum):
    """How one look ended."""

    CURRENT = "current"
    INSTALLED = "installed"
    REFUSED = "refused"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What is to be reported: the outcome and its reasons. Two equal words are reported once."""

    outcome: Result
    deployment: DeploymentId | None = None
    reasons: tuple[str, ...] = ()
    displaced: tuple[str, ...] = ()


class Follower:
    """Follows one release function on one volume.

    Args:
        volume: The folders.
        client: The release function.
        installer: Changes the volume.
        trust: Whose signature counts.
        clock: For dates and pauses.
    """

    def __init__(self, volume: Volume, client: ReleaseClient, installer: Installer, trust: Trust, clock: Clock) -> None:
        self._volume = volume
        self._client = client
        self._installer = installer
        self._trust = trust
        self._clock = clock
        self._state = load_state(volume.own, clock.now())
        # Not remembered over a restart: the first look always compares the disk with the manifest.
        self._etag: str | None = None
        self._said: _Word | None = None
        self._said_at = float("-inf")
        self._failures = 0

    def look(self) -> Result:
        """Look at the pointer once, follow it if it may be followed, and report what is news."""
        try:
            result, word = self._follow()
        except (UnverifiedError, InputError) as error:
            self._log("Refused what is offered; what is installed stays", error.code, error.message, Result.REFUSED)
            result, word = Result.REFUSED, _Word(outcome=Result.REFUSED, reasons=(error.code,))
        except OSError as error:
            code = f"OS_{error.errno}"
            self._log("The volume refused; the next look goes on", code, str(error), Result.FAILED)
            result, word = Result.FAILED, _Word(outcome=Result.FAILED, reasons=(code,))
        except (UnavailableError, DeniedError, NotFoundError) as error:
            return self._nothing_new(error)
        self._failures = self._failures + 1 if result is Result.FAILED else 0
        self._report(word)
        return result

    def pause_seconds(self, interval: float) -> float:
        """Return how long to wait before the next look: longer and longer while the volume refuses."""
        return min(max(interval, 1.0) * 2**self._failures, LONGEST_PAUSE_SECONDS) if self._failures else interval

    def _follow(self) -> tuple[Result, _Word]:
        envelope = self._client.current(self._etag)
        if envelope is None:
            return Result.CURRENT, self._standing()
        pointer = self._verified(envelope)
        if self._is_older_refresh(pointer):
            return Result.CURRENT, self._standing()
        manifest = self._manifest(pointer)
        # The floor is on the disk before the first file changes: a volume never forgets what it was brought to.
        if self._state.floor != floor_of(pointer):
            self._remember(replace(self._state, floor=floor_of(pointer), envelope=envelope))
        return self._install(pointer, manifest, envelope)

    def _install(self, pointer: Pointer, manifest: Manifest, envelope: bytes) -> tuple[Result, _Word]:
        done = self._installer.install(self._state, manifest, pointer.deployment)
        known = self._state.deployment == pointer.deployment
        self._state = done.state
        if not known or done.changed:
            at = timestamp(self._clock.now())
            digest = pointer.manifest.sha256
            self._remember(replace(self._state, deployment=pointer.deployment, manifest=digest, installed_at=at))
            log.info(
                "Installed deployment", deployment=pointer.deployment, steps=done.changed, skills=len(manifest.skills)
            )
        self._etag = etag_of(envelope)
        if known and not done.changed:
            return Result.CURRENT, self._standing()
        return Result.INSTALLED, _Word(
            outcome=Result.INSTALLED, deployment=pointer.deployment, displaced=done.displaced
        )

    def _remember(self, state: State) -> None:
        # First on the disk: what is only in memory would be taken for done by the next look.
        save_state(self._volume.own, state)
        self._state = state

    def _verified(self, envelope: bytes) -> Pointer:
        given, now = UnverifiedPointer(envelope), self._clock.now()
        floor = self._state.floor
        try:
            return verify_pointer(given, self._trust, floor, now)
        except UnverifiedError as error:
            if error.code != "history_unproven" or floor is None:
                raise
        # Away for longer than the pointer's history: the record of what was accepted here must still be theirs.
        record = self._client.record(DeploymentId(f"{floor.epoch}-{floor.seq}"))
        proven = read_pointer(UnverifiedPointer(record), self._trust)
        return verify_pointer(given, self._trust, floor, now, proven=proven)

    def _is_older_refresh(self, pointer: Pointer) -> bool:
        floor = self._state.floor
        same = floor is not None and (floor.epoch, floor.seq) == (pointer.epoch, pointer.seq)
        return same and floor is not None and pointer.issued_at < floor.issued_at

    def _manifest(self, pointer: Pointer) -> Manifest:
        manifest = parse_manifest(self._client.bundle_object(pointer.manifest.sha256, pointer.manifest.size))
        ours, theirs = (self._trust.channel, self._trust.repo), (manifest.channel, manifest.repo)
        if ours != theirs:
            raise UnverifiedError("bundle_rejected", f"the manifest is of {theirs}, expected {ours}")
        return manifest

    def _standing(self) -> _Word:
        return _Word(outcome=Result.CURRENT, deployment=self._state.deployment)

    def _nothing_new(self, error: SkillSyncError) -> Result:
        if isinstance(error, NotFoundError) and error.code == "NO_DEPLOYMENT":
            self._report(self._standing())
            return Result.CURRENT
        self._log("The release function gave nothing; what is installed stays", error.code, error.message, None)
        return Result.UNREACHABLE

    def _log(self, message: str, code: str, detail: str, outcome: Result | None) -> None:
        said = self._said
        if outcome is None or said is None or (said.outcome, said.reasons) != (outcome, (code,)):
            log.warning(message, code=code, detail=detail)

    def _report(self, word: _Word) -> None:
        now = self._clock.monotonic()
        # After an install the ordinary "current" is no news; it is said again as the heartbeat.
        installed = replace(word, outcome=Result.INSTALLED)
        heard = self._said is not None and self._said in {word, replace(installed, displaced=self._said.displaced)}
        if heard and now - self._said_at < HEARTBEAT_SECONDS:
            return
        try:
            self._client.report(self._document(word))
        except SkillSyncError as error:
            log.warning("The report was not taken", code=error.code)
            if not isinstance(error, InputError):
                return
        self._said, self._said_at = word, now

    def _document(self, word: _Word) -> dict[str, object]:
        state = self._state
        return {
            "outcome": word.outcome.value,
            "deployment": state.deployment,
            "manifest": state.manifest,
            "installed_at": state.installed_at,
            "at": timestamp(self._clock.now()),
            "reasons": list(word.reasons),
            "displaced": list(word.displaced),
            "floor": base64.b64encode(state.envelope).decode() if state.envelope else None,
        }
