"""The search: every state that any schedule of a scenario reaches, once, with a readable trace where a rule is broken."""

from __future__ import annotations

import gc
import time
from collections import deque
from dataclasses import dataclass
from itertools import chain, combinations, permutations
from typing import TYPE_CHECKING

from shared.core.names import CURRENT, SUMMARY
from shared.core.summary import parse_summary
from shared.errors import UnverifiedError
from shared.model import Push
from shared.ports import StoredObject
from tests.service.stepping import Wiring
from tests.service.stepping_programs import poll
from tests.service.stepping_rules import Rules, pointer_of
from tests.service.stepping_state import SOUND, How, Limits, State, choices, is_preemption
from tests.service.stepping_words import Failure, Moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.stepping import Process
    from tests.service.stepping_rules import Content
    from tests.service.stepping_state import Step
    from tests.service.stepping_words import Answer, Ask
    from tests.service.stepping_world import World

LATER_SECONDS = 300.0
"""When the last poll comes: one polling interval after the clocks of most processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens at once.

    Args:
        world: Where.
        before: One after the other, before it.
        processes: At once.
        limits: What may go wrong.
        preemptions: How many switches away from a process that could go on are looked at; None for any number.
        optional: Processes that may rightly have no effect when something goes wrong.
        may_raise: Codes of errors with which a process may rightly refuse.
        last: The clean poll at the end; None for an ordinary one.
    """

    world: World
    before: tuple[Process, ...]
    processes: tuple[Process, ...]
    limits: Limits = SOUND
    preemptions: int | None = None
    optional: frozenset[str] = frozenset()
    may_raise: frozenset[str] = frozenset()
    last: Process | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was searched. `schedules` counts complete ways through, `merged` steps that led to a state known already.

    Schedules are not counted where preemptions are bounded.
    """

    states: int
    steps: int
    merged: int
    ends: int
    schedules: int | None
    executions: int
    seconds: float

    def __str__(self) -> str:
        schedules = "" if self.schedules is None else f"{self.schedules:.3g} schedules, "
        return (
            f"{self.states} states, {self.steps} steps ({self.merged} to known states), {self.ends} ends, {schedules}"
            f"{self.executions} executions, {self.seconds:.1f} s"
        )


class ViolationError(AssertionError):
    """A rule is broken; the message ends with the schedule that leads there, one line a step."""


def explore(scenario: Scenario) -> Report:
    """Search a scenario completely within its limits.

    Raises:
        ViolationError: a rule is broken; the schedule is one of the shortest that break any, or, where preemptions are
            bounded, one with the fewest.
    """
    # All that the search makes it keeps, so looking for garbage among it is a quarter of the time for nothing.
    gc.disable()
    try:
        return _Search(scenario).run()
    finally:
        gc.enable()


class _Seen:
    """A state that was reached: by which step from where, with how many preemptions left, and where it leads to."""

    __slots__ = ("before", "following", "left", "state", "step")

    def __init__(self, state: State, left: int, before: _Seen | None, step: Step | None) -> None:
        self.state = state
        self.left = left
        self.before = before
        self.step = step
        self.following: list[_Seen] | None = None

    def way(self) -> list[Step]:
        """The steps from the first state to this one."""
        steps: list[Step] = []
        seen: _Seen | None = self
        while seen is not None and seen.step is not None:
            steps.append(seen.step)
            seen = seen.before
        return steps[::-1]


class _Search:
    def __init__(self, scenario: Scenario) -> None:
        limits = scenario.limits
        self._scenario = scenario
        self._world = scenario.world
        self._rules = Rules(scenario.world, may_raise=scenario.may_raise, faulty=limits.faults > 0)
        ordinary = scenario.world.process("last poll", poll, Wiring(clock_seconds=LATER_SECONDS))
        self._last_poll = scenario.last or ordinary
        self._seen: dict[State, _Seen] = {}
        self._queue: deque[_Seen] = deque()
        self._merged = 0
        self._ends = 0

    def run(self) -> Report:
        begun = time.perf_counter()
        scenario = self._scenario
        state = State()
        for process in scenario.before:
            state = self._alone(state, process, [])
        legal = self._legal(state)
        counts = scenario.preemptions is not None
        state = self._world.begin(state, scenario.processes, scenario.limits, counts=counts)
        first = self._found(_Seen(state, scenario.preemptions or 0, None, None))
        while self._queue:
            seen = self._queue.popleft()
            if seen.following is None:
                seen.following = list(self._follow(seen))
                if not seen.following:
                    self._end(seen, legal)
        return Report(
            states=len(self._seen),
            steps=sum(len(seen.following or ()) for seen in self._seen.values()),
            merged=self._merged,
            ends=self._ends,
            schedules=None if counts else _count_ways(first),
            executions=sum(process.executions for process in (*scenario.processes, self._last_poll)),
            seconds=time.perf_counter() - begun,
        )

    def _follow(self, seen: _Seen) -> Iterator[_Seen]:
        for index, how, served in choices(seen.state):
            left = seen.left - is_preemption(seen.state, index)
            if left < 0:
                continue
            try:
                after, step = self._world.take(seen.state, self._scenario.processes, index, how, served)
            except Exception as error:
                raise _violation(error, seen.way()) from error
            found = _Seen(after, left, seen, step)
            try:
                self._rules.after_step(seen.state, after, step.existing)
            except (AssertionError, UnverifiedError) as broken:
                raise _violation(broken, found.way()) from None
            yield self._found(found)

    def _found(self, new: _Seen) -> _Seen:
        # States with more preemptions left come first, so that each needs to be looked at only once.
        known = self._seen.setdefault(new.state, new)
        if known is not new:
            self._merged += 1
            if known.left >= new.left:
                return known
            known.left, known.before, known.step = new.left, new.before, new.step
        if new.before is not None and new.left == new.before.left and self._scenario.preemptions is not None:
            self._queue.appendleft(known)
        else:
            self._queue.append(known)
        return known

    def _end(self, seen: _Seen, legal: set[Content]) -> None:
        self._ends += 1
        state, way = seen.state, seen.way()
        assert not any(isinstance(slot, Moment) for slot in state.slots), "nobody can go on"
        try:
            self._rules.after_all(state, self._scenario.processes)
            state = self._alone(state, self._last_poll, way)
            self._rules.at_rest(state)
            content = self._rules.content(state)
            assert content in legal, f"no order of the processes leads to {content}"
        except ViolationError:
            raise
        except (AssertionError, UnverifiedError) as broken:
            raise _violation(broken, way) from None

    def _alone(self, state: State, process: Process, way: list[Step]) -> State:
        for after, step in self._world.alone(state, process):
            way.append(step)
            try:
                self._rules.after_step(state, after, step.existing)
            except (AssertionError, UnverifiedError) as broken:
                raise _violation(broken, way) from None
            state = after
        return state

    def _legal(self, state: State) -> set[Content]:
        """What may be live in the end: whatever is when the processes run one after the other, in any order."""
        processes = self._scenario.processes
        limits = self._scenario.limits
        optional = [it for it in processes if it.name in self._scenario.optional and (limits.faults or limits.kills)]
        found: set[Content] = set()
        for left_out in chain.from_iterable(combinations(optional, size) for size in range(len(optional) + 1)):
            for order in permutations([process for process in processes if process not in left_out]):
                result = state
                for process in (*order, self._last_poll):
                    result = self._alone(result, process, [])
                found.add(self._rules.content(result))
        return found


def _violation(broken: Exception, way: list[Step]) -> ViolationError:
    lines = [f"{number:3}  {line}" for number, step in enumerate(way, 1) for line in _lines_of(step)]
    return ViolationError("\n".join([str(broken).partition("\nassert")[0] or repr(broken), *lines]))


def _count_ways(first: _Seen) -> int:
    """Count the ways from the first state to any end; there are no cycles, since processes only ever see more."""
    ways: dict[int, int] = {}
    stack = [first]
    while stack:
        following = stack[-1].following or []
        unknown = [seen for seen in following if id(seen) not in ways]
        if unknown:
            stack += unknown
        else:
            ways[id(stack.pop())] = sum(ways[id(seen)] for seen in following) or 1
    return ways[id(first)]


def _lines_of(step: Step) -> Iterator[str]:
    what = step.what
    if step.how is How.KILLED:
        yield f"{step.process:12} killed before {what.verb} {_short(what.name)}"
        return
    told = f": {step.how.value}" if step.how is not How.PLAIN else ""
    yield f"{step.process:12} {what.verb:5} {_asked(what):46} -> {_answered(what, step.answer)}{told}"
    if step.wrote:
        yield f"{step.process:12} wrote {', '.join(_short(name) for name in step.wrote)}"
    if step.ended is not None:
        yield f"{step.process:12} {step.ended}"


def _asked(what: Ask) -> str:
    if what.change is not None:
        return ", ".join(path for path, _ in what.change.files) + f", {what.change.dropped} dropped" * bool(
            what.change.dropped
        )
    content = f" = {_content(what.name, what.data)} if at {what.generation}" if what.verb == "put" else ""
    return _short(what.name) + content


def _answered(what: Ask, answer: Answer) -> str:
    match answer:
        case Failure():
            return f"{answer.error.__name__} {answer.code}"
        case StoredObject():
            return f"{_content(what.name, answer.data)} at {answer.generation}"
        case Push():
            return f"commit {int(answer.after, 16)}"
        case str():
            return f"commit {int(answer, 16)}"
    return "nothing" if answer is None else f"at {answer}"


def _content(name: str, data: bytes) -> str:
    if name == CURRENT or name.startswith("deployments/"):
        pointer = pointer_of(data)
        return f"{pointer.deployment} (commit {int(pointer.commit, 16)}, {pointer.issued_at[11:23]}, {pointer.token})"
    if name == SUMMARY:
        return f"lines {' '.join(str(line['id']) for line in parse_summary(data).deployments) or 'none'}"
    return f"{len(data)} bytes"


def _short(name: str) -> str:
    return name[:16] if name.startswith("objects/") else name
