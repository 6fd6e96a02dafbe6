"""One sync as a function of what it observes: the real code, told what it sees of the state that others share.

What a process asks for next depends on nothing but the answers that it has had. It is therefore found by running the real
code from its start over those answers, and is remembered for every schedule in which the process sees the same. No threads
are needed; which answers there are is `stepping_world`'s business.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.rules import Terms
from shared.errors import SkillSyncError
from shared.ports import StoredObject
from shared.service.context import Context
from tests.fakes.clock import FakeClock
from tests.fakes.in_process_judge import InProcessJudge
from tests.fakes.memory_source import MemorySource
from tests.fakes.world import SIGNER, TRUST
from tests.service.stepping_programs import POLL_SECONDS, Hands, in_order
from tests.service.stepping_words import PAUSE, Ask, Ended, Failure, Moment, Pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model import CommitSha
    from shared.ports import StoredName, Together
    from shared.service.sync import Outcome
    from tests.fakes.memory_source import MemoryRepository
    from tests.service.stepping_words import Answer, Others

MAX_ASKS = 1000
"""No process asks so often, unless it never ends."""


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
            judge=InProcessJudge(),
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
        if prefix in {"pullers/", "deployments/"}:
            return []  # no puller ever reports here, and no pointer is ever lost: asking is no step
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
