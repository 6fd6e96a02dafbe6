"""The search: every state that any schedule of a scenario reaches, once, with a readable trace where a rule is broken."""

from __future__ import annotations

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
from tests.service.stepping import Failure, Moment, Wiring, poll
from tests.service.stepping_rules import Rules, pointer_of
from tests.service.stepping_world import How, Limits, State, choices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.stepping import Answer, Ask, Process
    from tests.service.stepping_rules import Content
    from tests.service.stepping_world import Step, World

LATER_SECONDS = 300.0
"""When the last poll comes: one polling interval after the clocks of most processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens at once.

    Args:
        world: Where.
        before: One after the other, before it.
        processes: At once.
        limits: What may go wrong, and how many preemptions are looked at.
        optional: Processes that may rightly have no effect when something goes wrong.
        may_raise: Codes of errors with which a process may rightly refuse.
        last: The clean poll at the end; None for an ordinary one.
    """

    world: World
    before: tuple[Process, ...]
    processes: tuple[Process, ...]
    limits: Limits = Limits()
    optional: frozenset[str] = frozenset()
    may_raise: frozenset[str] = frozenset()
    last: Process | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was searched. `schedules` counts complete ways through, `merged` steps that led to a state known already."""

    states: int
    steps: int
    merged: int
    ends: int
    schedules: int
    executions: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.states} states, {self.steps} steps ({self.merged} to known states), {self.ends} ends, "
            f"{self.schedules:.3g} schedules, {self.executions} executions, {self.seconds:.1f} s"
        )


class ViolationError(AssertionError):
    """A rule is broken; the message ends with the schedule that leads there, one line a step."""


def explore(scenario: Scenario) -> Report:
    """Search a scenario completely within its limits.

    Raises:
        ViolationError: a rule is broken; the schedule is one of the shortest that break any.
    """
    return _Search(scenario).run()


class _Search:
    def __init__(self, scenario: Scenario) -> None:
        limits = scenario.limits
        self._scenario = scenario
        self._world = scenario.world
        self._rules = Rules(scenario.world, may_raise=scenario.may_raise, faulty=limits.faults > 0)
        ordinary = scenario.world.process("last poll", poll, Wiring(clock_seconds=LATER_SECONDS))
        self._last_poll = scenario.last or ordinary
        self._came: dict[State, tuple[State, Step] | None] = {}
        self._edges: list[list[int]] = []
        self._merged = 0
        self._ends = 0

    def run(self) -> Report:
        begun = time.perf_counter()
        state = State()
        for process in self._scenario.before:
            state = self._alone(state, process, [])
        legal = self._legal(state)
        start = self._world.begin(state, self._scenario.processes, self._scenario.limits)
        numbers = {start: 0}
        self._came[start] = None
        queue = deque([start])
        while queue:
            state = queue.popleft()
            following = []
            for after, step in self._following(state):
                if after in numbers:
                    self._merged += 1
                else:
                    numbers[after] = len(numbers)
                    self._came[after] = (state, step)
                    queue.append(after)
                following.append(numbers[after])
            self._edges.append(following)
            if not following:
                self._end(state, legal)
        processes = (*self._scenario.processes, self._last_poll)
        return Report(
            states=len(numbers),
            steps=sum(len(following) for following in self._edges),
            merged=self._merged,
            ends=self._ends,
            schedules=_count_ways(self._edges),
            executions=sum(process.executions for process in processes),
            seconds=time.perf_counter() - begun,
        )

    def _following(self, state: State) -> Iterator[tuple[State, Step]]:
        for index, how, served in choices(state):
            after, step = self._world.take(state, self._scenario.processes, index, how, served)
            try:
                self._rules.after_step(state, after)
            except (AssertionError, UnverifiedError) as broken:
                raise self._violation(broken, [*self._way_to(state), step]) from None
            yield after, step

    def _end(self, state: State, legal: set[Content]) -> None:
        self._ends += 1
        stuck = [slot for slot in state.slots if isinstance(slot, Moment)]
        assert not stuck, "nobody can go on"
        way = self._way_to(state)
        try:
            self._rules.after_all(state, self._scenario.processes)
            state = self._alone(state, self._last_poll, way)
            self._rules.at_rest(state)
            content = self._rules.content(state)
            assert content in legal, f"no order of the processes leads to {content}"
        except ViolationError:
            raise
        except (AssertionError, UnverifiedError) as broken:
            raise self._violation(broken, way) from None

    def _alone(self, state: State, process: Process, way: list[Step]) -> State:
        for after, step in self._world.alone(state, process):
            way.append(step)
            try:
                self._rules.after_step(state, after)
            except (AssertionError, UnverifiedError) as broken:
                raise self._violation(broken, way) from None
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

    def _way_to(self, state: State) -> list[Step]:
        steps: list[Step] = []
        came = self._came[state]
        while came is not None:
            state, step = came
            steps.append(step)
            came = self._came[state]
        return steps[::-1]

    def _violation(self, broken: Exception, way: list[Step]) -> ViolationError:
        lines = [f"{number:3}  {line}" for number, step in enumerate(way, 1) for line in _lines_of(step)]
        return ViolationError("\n".join([str(broken).partition("\nassert")[0], *lines]))


def _count_ways(edges: list[list[int]]) -> int:
    """Count the ways from the first state to any end; there are no cycles, since processes only ever see more."""
    ways: list[int | None] = [None] * len(edges)
    stack = [0]
    while stack:
        state = stack[-1]
        open_ones = [after for after in edges[state] if ways[after] is None]
        if open_ones:
            stack += open_ones
        else:
            stack.pop()
            ways[state] = sum(ways[after] or 0 for after in edges[state]) or 1
    return ways[0] or 0


def _lines_of(step: Step) -> Iterator[str]:
    what = step.what
    if step.how is How.KILLED:
        yield f"{step.process:12} killed before {what.verb} {_short(what.name)}"
        return
    told = f": {step.how.value}" if step.how is not How.PLAIN else ""
    yield f"{step.process:12} {what.verb:5} {_asked(what):46} -> {_answered(what, step.answer)}{told}"
    if step.objects:
        yield f"{step.process:12} wrote {', '.join(_short(name) for name in step.objects)}"
    if step.ended is not None:
        yield f"{step.process:12} {step.ended}"


def _asked(what: Ask) -> str:
    if what.change is not None:
        return ", ".join(path for path, _ in what.change.files) + f", {what.change.dropped} dropped" * bool(what.change.dropped)
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
