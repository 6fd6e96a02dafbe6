"""What passes between a process and the world: what it asks, what it is answered, where it stands, how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared.model import Push
from shared.ports import StoredObject

if TYPE_CHECKING:
    from shared.errors import SkillSyncError
    from shared.model import CommitSha, DeploymentId, SkillId, Status


@dataclass(frozen=True, slots=True)
class Change:
    """What a push does: drop so many commits (that makes it a forced one), then commit these files, None deletes one."""

    files: tuple[tuple[str, bytes | None], ...] = ()
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """One operation: `get`, `put` or `delete` of an object, `head` of the source, or a `push` into it."""

    verb: str
    name: str = ""
    data: bytes = b""
    generation: int = 0
    change: Change | None = None

    @property
    def is_write(self) -> bool:
        return self.verb in {"put", "delete"}

    @property
    def is_immutable(self) -> bool:
        """Whether nobody can tell from the answer when the operation was done: content under its own digest."""
        return self.name.startswith("objects/")


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer that is an error."""

    error: type[SkillSyncError]
    code: str


Answer = StoredObject | int | str | Push | Failure | None
"""A stored object, a generation, a commit, what a push announces, an error, or nothing."""


class Pause:
    """What a responder says instead of an answer: somebody else may go first."""


PAUSE = Pause()


class Others(Protocol):
    """Who answers a process."""

    def at_once(self, what: Ask) -> Answer | Pause:
        """Answer what nobody else can notice; `PAUSE` for everything else."""
        ...

    def undisturbed(self, what: Ask) -> Answer:
        """Answer anything, as if nobody else did anything meanwhile and nothing went wrong."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended: killed, by an error, or with an `Outcome`, whose parts the others are, if it had one."""

    killed: bool = False
    error: type[SkillSyncError] | None = None
    code: str = ""
    status: Status | None = None
    deployment: DeploymentId | None = None
    commit: CommitSha | None = None
    published: tuple[tuple[SkillId, str], ...] = ()
    removed: tuple[SkillId, ...] = ()

    def __str__(self) -> str:
        if self.killed:
            return "killed"
        if self.error is not None:
            return f"raised {self.error.__name__} {self.code}"
        if self.deployment is None:
            return "done"
        return f"answered {self.status.value if self.status else 'unchanged'} {self.deployment}"


KILLED = Ended(killed=True)


class Moment:
    """Where a process stands: `seen` behind `past` is all that it observed; `asks` is what it wants next.

    `rested`: it slept before asking, so that letting others go first is no preemption. Moments are compared by identity:
    the same observations are the same moment.
    """

    __slots__ = ("asks", "ended", "past", "rested", "seen", "then")

    def __init__(self, past: Moment | None, seen: Answer) -> None:
        self.past = past
        self.seen = seen
        self.asks: Ask | None = None
        self.ended: Ended | None = None
        self.rested = False
        self.then: dict[Answer, Moment] = {}

    def after(self, seen: Answer) -> Moment:
        return self.then.setdefault(seen, Moment(self, seen))
