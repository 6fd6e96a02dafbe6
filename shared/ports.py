"""What the use cases need from outside, as small protocols. Adapters and the tests' fakes pass the same contract suites."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from shared.core.audit import Batch, GraphState
    from shared.core.case import Case, Verdict
    from shared.core.credentials import Check
    from shared.core.letters import Letter
    from shared.model import BlobId, CommitSha, FailedDelivery, Standing, TreeEntry

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object's content and the generation that it was read at. Generations are positive and never used twice."""

    data: bytes = field(repr=False)
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredName:
    """One line of a listing. `size` in bytes, `updated_at` when this generation was written."""

    name: str
    generation: int
    size: int
    updated_at: datetime


class Store(Protocol):
    """Named objects with generation preconditions; strongly consistent, safe for many threads and processes.

    Names are as in `core.names.check_name`; any other raises InputError `NAME_INVALID` and touches nothing. Every method
    raises UnavailableError `STORE_UNAVAILABLE` when the store does not answer; a write may then have happened or not, so
    the caller re-reads. RejectedError (`STORE_DENIED`, `STORE_NOT_FOUND`) means that a person must act. What is stored is
    not checked: digests and signatures are the caller's business.
    """

    def get(self, name: str) -> StoredObject | None:
        """Read one object; None when it does not exist."""

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        """Write one object whole.

        Args:
            name: The object's name.
            data: The new content.
            if_generation: The generation that must be current; 0 means that the object must not exist.

        Returns:
            The new generation.

        Raises:
            ConflictError: `GENERATION_MISMATCH`, another generation is current. It may be this very call's own first
                attempt whose answer was lost: compare the bytes.
        """

    def delete(self, name: str, *, if_generation: int) -> None:
        """Delete one object at that generation; ConflictError `GENERATION_MISMATCH` when another, or none, is current."""

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[StoredName]:
        """List names that begin with `prefix` and sort (by bytes) behind `after`, in order, at most `limit` (1 to 1,000)."""


class Source(Protocol):
    """The Git repository that skills come from; one instance serves one sync and may remember what it fetched.

    Every method raises UnavailableError (`SOURCE_UNAVAILABLE`, `SOURCE_RATE_LIMITED`, `SOURCE_TOO_SLOW`, `SOURCE_CORRUPT`)
    when trying again may help, and RejectedError (`SOURCE_NOT_FOUND`, `SOURCE_MOVED`, `SOURCE_DENIED`,
    `SOURCE_UNSUPPORTED`, `SOURCE_TOO_LARGE`, `BRANCH_NOT_FOUND`, `REPOSITORY_EMPTY`) when a person must act. Content is
    checked against git's own hashes.
    """

    def head(self, known: CommitSha | None) -> CommitSha:
        """Read the branch head now. `known` lets the source answer "not modified" cheaply; the answer is the same."""

    def listing(self, commit: CommitSha) -> list[TreeEntry]:
        """List every entry of the commit's tree, folders included, in git's order."""

    def blobs(self, commit: CommitSha, entries: Sequence[TreeEntry]) -> Mapping[BlobId, bytes]:
        """Read the contents of these file entries of that commit, and of no others."""

    def compare(self, base: CommitSha, head: CommitSha) -> Standing:
        """Say how `head` stands to `base`: AHEAD when it descends from it; UNKNOWN when that cannot be told."""


class Quota(Protocol):
    """Until when the source's API has told us to stay away; shared by all threads of a process.

    What one process learned is kept in the summary, so that every other one obeys it too.
    """

    def blocked_until(self) -> datetime | None:
        """Return the time (UTC) before which the API is not asked, None when it may be asked."""

    def block(self, until: datetime) -> None:
        """Stay away until then; an earlier time than the known one changes nothing."""


class Tokens(Protocol):
    """Proves that a token was signed by its issuer; what it says is not checked."""

    def __call__(self, token: str) -> Mapping[str, object]:
        """Return a token's claims; DeniedError, UnavailableError `OIDC_KEYS_UNAVAILABLE`."""


class Hooks(Protocol):
    """What the forge knows of the webhook calls that it made."""

    def failed_deliveries(self, hook: int | None) -> Sequence[FailedDelivery] | None:
        """List push deliveries of the last days that never arrived, oldest first; each has failed, and so has every repeat.

        Args:
            hook: The hook's number; None means the repository's only active push hook, if there is just one.

        Returns:
            The deliveries, at most 100; None when the token may not read them, or which hook is ours cannot be told.

        Raises:
            UnavailableError: as for `Source`.
            RejectedError: as for `Source`.
        """


class Judge(Protocol):
    """Applies the rules to skills, whatever their content does to the process that reads it.

    A case on which the checks crash, or take more processor time or memory than any skill needs, is answered by
    `core.case.uncheckable`; no other case suffers from it.
    """

    def prepare(self) -> None:
        """Begin to start up, where that takes time, and return at once; never fails."""

    def __call__(self, cases: Sequence[Case], seconds: float) -> list[Verdict]:
        """Judge these cases, in order.

        Args:
            cases: What to judge.
            seconds: How long the caller can wait.

        Raises:
            UnavailableError: `JUDGE_TOO_SLOW`, not all of them were judged in that time; `JUDGE_UNAVAILABLE`, there is
                no process to judge in. Neither says anything about a case.
        """


class Signer(Protocol):
    """Holds the online signing key."""

    @property
    def key_id(self) -> str:
        """The key's name: SHA-256 of the raw public key, hex."""

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519 (RFC 8032); 64 bytes."""


class Nudge(Protocol):
    """Tells pullers that a deployment is there, so that they need not wait for their next look.

    Never raises, and returns within 2 seconds. That it arrives is not promised, nor that anybody acts on it: a puller that
    hears nothing finds the deployment by itself. Who answers is not checked; what is sent is signed, and no secret.
    """

    def __call__(self, envelope: bytes) -> None:
        """Send the signed pointer's envelope to all pullers at once."""


class Deferral(Protocol):
    """Asks for a poll at once, since a call's own time is over.

    That it comes is not promised; the scheduler's next one does.
    """

    def __call__(self, name: str, seconds: float) -> None:
        """Ask for it; when it was asked for under that name not long ago, nothing more is needed.

        Args:
            name: What is to be finished, in letters, digits and hyphens.
            seconds: How long the caller can wait.

        Raises:
            UnavailableError: `DEFERRAL_UNAVAILABLE`, `DEFERRAL_TOO_SLOW`; it may have been asked for all the same.
            RejectedError: `DEFERRAL_DENIED`, `DEFERRAL_NOT_FOUND`, `DEFERRAL_REFUSED`; a person must act.
        """


class Probe(Protocol):
    """Tries a credential as the functions hold it, against the system that it is for.

    Only the newest value is tried, and a made-up one, which must be refused: else nothing was proved. Never raises for what it
    finds; what could not be tried is a check that failed, with the code of the fault.
    """

    def __call__(self, seconds: float) -> list[Check]:
        """Try it.

        Args:
            seconds: How long all of it may take.
        """


class AuditSession(Protocol):
    """The audit graph for a while; every method raises as `Audit` says."""

    def state(self) -> GraphState:
        """Read how far the graph was fed, and the highest pointer that it remembers."""

    def write(self, batch: Batch, *, at: tuple[int, int]) -> None:
        """Write a batch and move on, in one transaction; what is there already is not written again.

        Args:
            batch: What to write.
            at: Epoch and sequence of the newest deployment that the graph must hold.

        Raises:
            ConflictError: `AUDIT_MOVED`, it stands elsewhere: somebody else has fed it, or it was taken back in time.
        """


class Audit(Protocol):
    """The audit graph, which is fed from the store and can be lost without loss.

    Raises UnavailableError (`AUDIT_UNAVAILABLE`, `AUDIT_TOO_SLOW`) when trying again may help, and RejectedError
    `AUDIT_DENIED` when a person must act. What comes from it is not checked: signatures are the caller's business.
    """

    def open(self, seconds: float) -> AbstractContextManager[AuditSession]:
        """Connect; nothing that is done with the session ends later than so many seconds from now."""


class Alert(Protocol):
    """Sends messages to people, wherever the settings say.

    An address is known by a fingerprint alone: it holds secrets. That anybody reads what arrived is not promised; what was
    given up when the time was over may arrive all the same.
    """

    @property
    def addresses(self) -> frozenset[str]:
        """The fingerprints of all addresses."""

    def prepare(self) -> None:
        """Find out, once, which addresses nothing can be sent to, and log their numbers; never fails."""

    def __call__(self, letters: Sequence[Letter], seconds: float) -> list[frozenset[str]]:
        """Send each letter to its own addresses, to all of these side by side.

        Never raises, and returns in time; an address that fails keeps no other one from being told.

        Args:
            letters: What to send; an address gets them in this order.
            seconds: How long all of it may take.

        Returns:
            For each letter the addresses that took it.
        """


class Clock(Protocol):
    """Time, so that rules and tests never read it themselves."""

    def now(self) -> datetime:
        """Wall-clock time in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for deadlines."""

    def sleep(self, seconds: float) -> None:
        """Wait that long."""


class Together(Protocol):
    """Runs independent calls side by side."""

    def __call__(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Run all calls, wait for all of them, return their results in order; the first call's error is raised."""
