"""One sync as a function of what it observes: the real code, stopped before every operation on state that others share.

What a process asks for next depends on nothing but the answers that it has had. It is therefore found by running the real
code from its start over those answers until it asks for one more, and is remembered for every schedule in which the
process sees the same. No threads are needed; which answers there are is `stepping_world`'s business.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from shared.core.rules import Terms
from shared.errors import SkillSyncError
from shared.model import DeploymentId, Push, SkillId, Trigger
from shared.ports import StoredObject
from shared.service.context import Context, Deadline
from shared.service.rollback import roll_back
from shared.service.sync import Command, Outcome, synchronise
from tests.fakes.clock import FakeClock
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import SIGNER, TRUST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.model import CommitSha, Status
    from shared.ports import StoredName, Together
    from tests.fakes.memory_source import Files, MemoryRepository

T = TypeVar("T")
POLL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Change:
    """What a push does: drop so many commits (that makes it a forced one), then commit these files, None deletes one."""

    files: tuple[tuple[str, bytes | None], ...] = ()
    dropped: int = 0


def change(*parts: Files, delete: Sequence[str] = (), dropped: int = 0) -> Change:
    files: dict[str, bytes | None] = {path: data for part in parts for path, data in part.items()}
    return Change(files=(*files.items(), *((path, None) for path in delete)), dropped=dropped)


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
MAX_ASKS = 1000


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


class Hands:
    """What a program works with: a context of its own, and the push that its webhook announces."""

    def __init__(self, context: Context, ask: Callable[[Ask], Answer]) -> None:
        self.context = context
        self._ask = ask

    def push(self, what: Change) -> Push:
        announced = self._ask(Ask("push", change=what))
        assert isinstance(announced, Push)
        return announced

    def sync(self, command: Command, seconds: float) -> Outcome:
        return synchronise(self.context, command, Deadline(self.context.clock, seconds))


def webhook(what: Change) -> Callable[[Hands], Outcome]:
    """Push, then the sync of the webhook that announces it."""
    return lambda hands: hands.sync(Command(trigger=Trigger.WEBHOOK, push=hands.push(what)), 8.0)


def only(what: Change) -> Callable[[Hands], Outcome | None]:
    """Push, and nobody hears of it."""

    def program(hands: Hands) -> None:
        hands.push(what)

    return program


def poll(hands: Hands) -> Outcome:
    return hands.sync(Command(trigger=Trigger.POLLING), POLL_SECONDS)


def release(*ids: str) -> Callable[[Hands], Outcome]:
    command = Command(trigger=Trigger.MANUAL, release=tuple(SkillId(key) for key in ids))
    return lambda hands: hands.sync(command, 25.0)


def rollback(to: str) -> Callable[[Hands], Outcome]:
    return lambda hands: roll_back(hands.context, DeploymentId(to), Deadline(hands.context.clock, 25.0))


def in_order(calls: Sequence[Callable[[], T]]) -> list[T]:
    """All calls, whatever becomes of one of them, as threads would: the first call's error is raised at the end."""
    results: list[T] = []
    errors: list[SkillSyncError] = []
    for call in calls:
        try:
            results.append(call())
        except SkillSyncError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return results


def in_reverse(calls: Sequence[Callable[[], T]]) -> list[T]:
    """As `in_order`, but the last call's effects come first, which threads may do as well."""
    return in_order(calls[::-1])[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What may differ between processes.

    Args:
        clock_seconds: How far this instance's clock is ahead.
        together: In which order independent calls take effect.
        token: What makes two competing pointers differ; None for the process's name and a number.
        disguise: Lets a test put something broken between the code and the world.
    """

    clock_seconds: float = 0.0
    together: Together = in_order
    token: str | None = None
    disguise: Callable[[Context], Context] | None = None


class Process:
    """One call of a use case, by one instance.

    Args:
        name: For the trace.
        program: What it does.
        repository: Where its source reads what cannot change.
        wiring: What differs from other processes.
    """

    def __init__(
        self, name: str, program: Callable[[Hands], Outcome | None], repository: MemoryRepository, wiring: Wiring
    ) -> None:
        self.name = name
        self.start = Moment(None, None)
        self.executions = 0
        self._program = program
        self._repository = repository
        self._wiring = wiring

    def settle(self, moment: Moment, others: Others) -> Moment:
        """Go on from a moment until the process ends or has to wait for its turn."""
        while moment.ended is None:
            if moment.asks is None:
                return self._execute(moment, others)
            answer = others.at_once(moment.asks)
            if isinstance(answer, Pause):
                return moment
            moment = moment.after(answer)
        return moment

    def _execute(self, moment: Moment, others: Others) -> Moment:
        self.executions += 1
        replay = _Replay(moment, others)
        try:
            with redirect_stdout(_SILENCE):
                outcome = self._program(Hands(self._context(replay), replay.ask))
        except SkillSyncError as error:
            replay.moment.ended = Ended(error=type(error), code=error.code)
        else:
            replay.moment.ended = _ended(outcome)
        return replay.waits or replay.moment

    def _context(self, replay: _Replay) -> Context:
        wiring = self._wiring
        context = Context(
            store=_Store(replay.ask),
            source=_Source(self._repository, replay.ask),
            signer=_SIGNATURES,
            clock=_Clock(wiring.clock_seconds, replay),
            together=wiring.together,
            trust=TRUST,
            terms=Terms(),
            root="",
            poll_seconds=POLL_SECONDS,
            token=_Tokens(self.name, wiring.token),
        )
        return context if wiring.disguise is None else wiring.disguise(context)


def _ended(outcome: Outcome | None) -> Ended:
    if outcome is None:
        return Ended()
    return Ended(
        status=outcome.status,
        deployment=outcome.deployment,
        commit=outcome.commit,
        published=outcome.published,
        removed=outcome.removed,
    )


class _Replay:
    """One execution of a program to its end: old answers as they were, then those that it gets at once.

    From the operation on that it must wait for (`waits`), it goes on as if nobody else did anything: that schedule is
    looked at anyway, and the moments on its way are remembered.
    """

    def __init__(self, moment: Moment, others: Others) -> None:
        self.moment = moment
        self.waits: Moment | None = None
        self.slept = False
        self._others = others
        self._asked = 0
        self._path: list[Moment] = []
        step: Moment | None = moment
        while step is not None:
            self._path.append(step)
            step = step.past
        self._before = self._path.pop()

    def ask(self, what: Ask) -> Answer:
        self._asked += 1
        assert self._asked < MAX_ASKS, "the process does not end"
        if self._path:
            assert self._before.asks == what, f"not a function of what it saw: {self._before.asks} became {what}"
            self._before = self._path.pop()
        else:
            self._before = self._new(what)
        self.slept = False
        answer = self._before.seen
        if isinstance(answer, Failure):
            raise answer.error(answer.code, f"{what.verb} {what.name}")
        return answer

    def _new(self, what: Ask) -> Moment:
        moment = self.moment
        assert moment.asks in {None, what}, f"not a function of what it saw: {moment.asks} became {what}"
        moment.asks, moment.rested = what, self.slept
        answer = self._others.at_once(what) if self.waits is None else PAUSE
        if isinstance(answer, Pause):
            self.waits = self.waits or moment
            answer = self._others.undisturbed(what)
        self.moment = moment.after(answer)
        return self.moment


class _Store:
    def __init__(self, ask: Callable[[Ask], Answer]) -> None:
        self._ask = ask

    def get(self, name: str) -> StoredObject | None:
        found = self._ask(Ask("get", name))
        assert found is None or isinstance(found, StoredObject)
        return found

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        generation = self._ask(Ask("put", name, data, if_generation))
        assert isinstance(generation, int)
        return generation

    def delete(self, name: str, *, if_generation: int) -> None:
        self._ask(Ask("delete", name, b"", if_generation))

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[StoredName]:
        raise NotImplementedError(f"no sync lists, this one wants {limit} of {prefix} after {after}")


class _Source(MemorySource):
    """Only the head can change; listings, contents and how two known commits stand are read at once."""

    def __init__(self, repository: MemoryRepository, ask: Callable[[Ask], Answer]) -> None:
        super().__init__(repository)
        self._ask = ask

    def head(self, known: CommitSha | None) -> CommitSha:
        del known
        return self._ask(Ask("head"))  # type: ignore[return-value]


class _Clock(FakeClock):
    """Every process has its own; it stands still but for the process's own sleeping."""

    def __init__(self, seconds: float, replay: _Replay) -> None:
        super().__init__()
        self.moment += timedelta(seconds=seconds)
        self._replay = replay

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._replay.slept = True


class _Tokens:
    """The process's name and a number, so that a pointer tells who wrote it; or always the same text."""

    def __init__(self, name: str, always: str | None) -> None:
        self._name = name
        self._always = always
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        return self._always or f"{self._name}#{self._count}"


class _Signatures:
    """The test signer; Ed25519 gives the same bytes for the same message, so each is made once."""

    def __init__(self) -> None:
        self.key_id = SIGNER.key_id
        self._made: dict[bytes, bytes] = {}

    def sign(self, message: bytes) -> bytes:
        if message not in self._made:
            self._made[message] = SIGNER.sign(message)
        return self._made[message]


class _Silence(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


_SIGNATURES = _Signatures()
_SILENCE = _Silence()
