"""How one state follows from another: what an operation, a fault or a kill makes of what processes share."""

from __future__ import annotations

from bisect import bisect
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.names import CURRENT
from shared.errors import ConflictError, UnavailableError
from shared.model import CommitSha
from shared.ports import StoredObject
from tests.fakes.memory_source import MemoryRepository
from tests.fakes.world import a_push
from tests.service.stepping import Process, Wiring
from tests.service.stepping_state import SOUND, How, Limits, State, Step, spent
from tests.service.stepping_words import KILLED, PAUSE, Ask, Ended, Failure, Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.model import Push
    from shared.service.sync import Outcome
    from tests.service.stepping_programs import Hands
    from tests.service.stepping_words import Answer, Change, Pause

MISMATCH = Failure(ConflictError, "GENERATION_MISMATCH")
NO_ANSWER = Failure(UnavailableError, "STORE_UNAVAILABLE")
NO_SOURCE = Failure(UnavailableError, "SOURCE_UNAVAILABLE")
NOTHING = CommitSha("0" * 40)


class World:
    """All commits and objects that any schedule ever made, by content, and how states follow from one another."""

    def __init__(self) -> None:
        self.repository = MemoryRepository()
        self.contents: dict[str, bytes] = {}
        self._commits: dict[tuple[CommitSha, Change], CommitSha] = {}

    def process(self, name: str, program: Callable[[Hands], Outcome | None], wiring: Wiring | None = None) -> Process:
        return Process(name, program, self.repository, wiring or Wiring())

    def begin(self, state: State, processes: tuple[Process, ...], limits: Limits, *, counts: bool = False) -> State:
        """Let these processes begin in this state; `counts`: who went last will matter."""
        slots, last = tuple(process.start for process in processes), -1 if counts else None
        started = replace(state, slots=slots, limits=limits, last=last)
        for index, process in enumerate(processes):
            draft = _Draft(self, started)
            started = draft.frozen(index, process.settle(process.start, draft), last=last, limits=limits)
        return started

    def alone(self, state: State, process: Process) -> Iterator[tuple[State, Step]]:
        """Run one process from its begin to its end, with nobody else and nothing going wrong; yields every step."""
        state = self.begin(state, (process,), SOUND)
        while isinstance(state.slots[0], Moment):
            state, step = self.take(state, (process,), 0, How.PLAIN, None)
            yield state, step

    def take(
        self, state: State, processes: tuple[Process, ...], index: int, how: How, served: CommitSha | None
    ) -> tuple[State, Step]:
        """Let a process do what it asks for, and all that follows until it asks for something that others can see.

        Args:
            state: The state before.
            processes: All of them.
            index: Which one.
            how: What becomes of the operation.
            served: The head that a `STALE` source serves.
        """
        moment, process = state.slots[index], processes[index]
        assert isinstance(moment, Moment)
        assert moment.asks is not None
        draft = _Draft(self, state, how)
        answer: Answer = None
        if how is not How.KILLED:
            answer = served if how is How.STALE else draft.answer(moment.asks, how)
        existing = draft.objects
        after: Moment | Ended = KILLED
        if how is not How.KILLED:
            settled = process.settle(moment.after(answer), draft)
            after = settled if settled.ended is None else settled.ended
        last = None if state.last is None else index
        following = draft.frozen(index, after, last=last, limits=spent(state.limits, how))
        step = Step(
            process=process.name,
            what=moment.asks,
            how=how,
            answer=answer,
            existing=existing,
            wrote=tuple(draft.written),
            ended=after if isinstance(after, Ended) else None,
        )
        return following, step

    def commit(self, head: CommitSha | None, what: Change) -> CommitSha:
        """Make the commit that a change makes on a head; the same change on the same head is the same commit."""
        key = (head or NOTHING, what)
        if key not in self._commits:
            self._commits[key] = self._commit(head, what)
        return self._commits[key]

    def _commit(self, head: CommitSha | None, what: Change) -> CommitSha:
        if head is None:
            self.repository.head = CommitSha("")
            return self.repository.commit({path: data for path, data in what.files if data is not None})
        base = self.repository.ancestors(head)[what.dropped]
        if not what.files:
            return base
        files = self.repository.files(base)
        for path, data in what.files:
            if data is None:
                del files[path]
            else:
                files[path] = data
        return self.repository.commit(files, parent=base)


def _name(line: tuple[str, bytes, int]) -> str:
    return line[0]


class _Draft:
    """A state in the making."""

    def __init__(self, world: World, state: State, how: How = How.PLAIN) -> None:
        self._world = world
        self._state = state
        self._store = state.store
        self.objects = state.objects
        self._heads = state.heads
        self._log = state.log
        limits = spent(state.limits, how)
        self._stops = ("put", "get") if limits.faults else ("put",) if limits.kills else ()
        self._ahead: _Draft | None = None
        self.written: list[str] = []

    def frozen(self, index: int, slot: Moment | Ended, *, last: int | None, limits: Limits) -> State:
        if isinstance(slot, Moment) and slot.ended is not None:
            slot = slot.ended
        slots = self._state.slots
        return State(
            store=self._store,
            objects=self.objects,
            heads=self._heads,
            log=self._log,
            slots=(*slots[:index], slot, *slots[index + 1 :]),
            limits=limits,
            last=last,
        )

    def at_once(self, what: Ask) -> Answer | Pause:
        """Answer what nobody can see, and stop before everything else."""
        if not what.is_immutable or what.verb in self._stops:
            return PAUSE
        return self.answer(what, How.PLAIN)

    def undisturbed(self, what: Ask) -> Answer:
        """Answer from a copy that nobody else sees."""
        if self._ahead is None:
            self._ahead = _Draft(self._world, self.frozen(0, KILLED, last=None, limits=SOUND))
        return self._ahead.answer(what, How.PLAIN)

    def answer(self, what: Ask, how: How) -> Answer:
        if how is How.REFUSED:
            return NO_SOURCE if what.verb == "head" else NO_ANSWER
        answer = self._done(what)
        if how is How.LOST:
            return NO_ANSWER
        return MISMATCH if how is How.ECHOED else answer

    def _done(self, what: Ask) -> Answer:
        if what.verb == "head":
            return self._heads[-1]
        if what.verb == "push":
            assert what.change is not None
            return self._push(what.change)
        if what.is_immutable:
            return self._object(what)
        place = bisect(self._store, what.name, key=_name) - 1
        found = place >= 0 and self._store[place][0] == what.name
        _, data, generation = self._store[place] if found else ("", b"", 0)
        if what.verb == "get":
            return StoredObject(data=data, generation=generation) if generation else None
        assert what.verb == "put", f"no sync deletes {what.name}"
        if what.generation != generation:
            return MISMATCH
        line = (what.name, what.data, generation + 1)
        self._store = (*self._store[: place + (not found)], line, *self._store[place + 1 :])
        if what.name == CURRENT:
            self._log = (*self._log, what.data)
        return generation + 1

    def _object(self, what: Ask) -> Answer:
        # Content under its own digest has no history: it is there or not, and its generation is always 1.
        exists = what.name in self.objects
        if what.verb == "get":
            return StoredObject(data=self._world.contents[what.name], generation=1) if exists else None
        if what.generation != int(exists):
            return MISMATCH
        self._world.contents[what.name] = what.data
        self.objects |= {what.name}
        self.written.append(what.name)
        return 1

    def _push(self, what: Change) -> Push:
        before = self._heads[-1] if self._heads else None
        after = self._world.commit(before, what)
        self._heads = (*self._heads, after)
        return a_push(before or NOTHING, after, forced=what.dropped > 0)
