"""What a process does: the use cases as they are called, each with the push that announces it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from shared.errors import SkillSyncError
from shared.model import DeploymentId, Push, SkillId, Trigger
from shared.service.context import Deadline
from shared.service.rollback import roll_back
from shared.service.sync import Command, Outcome, synchronise
from tests.service.stepping_words import Ask, Change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.service.context import Context
    from tests.fakes.memory_source import Files
    from tests.service.stepping_words import Answer

T = TypeVar("T")
POLL_SECONDS = 300.0


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


def change(*parts: Files, delete: Sequence[str] = (), dropped: int = 0) -> Change:
    files: dict[str, bytes | None] = {path: data for part in parts for path, data in part.items()}
    return Change(files=(*files.items(), *((path, None) for path in delete)), dropped=dropped)


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
