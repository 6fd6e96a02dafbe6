"""What processes share, as one immutable value, and what may happen next in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.service.stepping_words import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.model import CommitSha
    from tests.service.stepping_words import Answer, Ask, Ended


class How(StrEnum):
    """What becomes of an operation.

    `STALE`: the source serves a former head. `LOST`: a write happens, its answer is lost. `ECHOED`: the same, and the client
    tried again by itself, so that what comes back is a conflict with its own write. `REFUSED`: nothing happens but an error.
    `KILLED`: the process dies before it.
    """

    PLAIN = ""
    STALE = "stale"
    LOST = "lost answer"
    ECHOED = "lost answer, conflict with itself"
    REFUSED = "no answer"
    KILLED = "killed before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may still go wrong: stale heads, faulty operations, kills."""

    stale: int = 0
    faults: int = 0
    kills: int = 0


SOUND = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that matters from here on; equal states have equal futures.

    Args:
        store: Mutable and create-only objects: name, content, generation (how often it was written). Sorted.
        objects: Names of the immutable objects that exist.
        heads: Every branch head so far, the current one last.
        log: Every value that `current.json` ever had.
        slots: Where each process stands, or how it ended.
        limits: What may still go wrong.
        last: The process that went last, -1 for none yet; None where preemptions are not counted.
    """

    store: tuple[tuple[str, bytes, int], ...] = ()
    objects: frozenset[str] = frozenset()
    heads: tuple[CommitSha, ...] = ()
    log: tuple[bytes, ...] = ()
    slots: tuple[Moment | Ended, ...] = ()
    limits: Limits = SOUND
    last: int | None = None

    def find(self, name: str) -> bytes | None:
        return next((data for key, data, _ in self.store if key == name), None)

    def names(self, prefix: str) -> list[str]:
        return [name for name, _, _ in self.store if name.startswith(prefix)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a trace.

    `existing` names the immutable objects as they were right after the operation, `wrote` those that were written behind it,
    before the process asked for something that others can see.
    """

    process: str
    what: Ask
    how: How
    answer: Answer
    existing: frozenset[str]
    wrote: tuple[str, ...]
    ended: Ended | None


def choices(state: State) -> Iterator[tuple[int, How, CommitSha | None]]:
    """List everything that may happen next."""
    alive = [(index, slot) for index, slot in enumerate(state.slots) if isinstance(slot, Moment)]
    # Between the writes of immutable objects a process can fail or die, but nobody could notice a switch there.
    amid = [(index, slot) for index, slot in alive if slot.asks is not None and slot.asks.is_immutable]
    for index, slot in amid or alive:
        assert slot.asks is not None
        yield from ((index, how, served) for how, served in _ways(state, slot.asks))


def is_preemption(state: State, index: int) -> bool:
    """Whether letting this process go takes the turn from one that could go on and did not sleep."""
    if state.last in {None, -1, index}:
        return False
    last = state.slots[state.last]
    return isinstance(last, Moment) and not last.rested


def _ways(state: State, what: Ask) -> Iterator[tuple[How, CommitSha | None]]:
    limits = state.limits
    yield How.PLAIN, None
    if what.verb == "head" and limits.stale:
        yield from ((How.STALE, head) for head in sorted(set(state.heads) - {state.heads[-1]}))
    if limits.kills and what.is_write:
        yield How.KILLED, None
    if limits.faults and what.verb != "push":
        yield How.REFUSED, None
        if what.is_write:
            yield How.LOST, None
            yield How.ECHOED, None


def spent(limits: Limits, how: How) -> Limits:
    """Return what may still go wrong after that."""
    match how:
        case How.STALE:
            return replace(limits, stale=limits.stale - 1)
        case How.LOST | How.ECHOED | How.REFUSED:
            return replace(limits, faults=limits.faults - 1)
        case How.KILLED:
            return replace(limits, kills=limits.kills - 1)
    return limits
