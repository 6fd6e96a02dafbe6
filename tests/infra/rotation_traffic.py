"""Traffic that must not notice a rotation: commits with their webhooks, polls, an operator's syncs, looks at the health."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.cli.test_run import skill
from tests.github.events import events_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.github.deliveries import Deliveries
    from tests.infra.rotation_stack import RotationStack
    from tests.repos import Repo

REPO = "octo/skills"
PUSH_SECONDS, POLL_SECONDS, LOOK_SECONDS = 0.3, 0.5, 0.4


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call, and what came of it; `at` in seconds on the monotonic clock."""

    what: str
    at: float
    status: int
    document: dict[str, Any]


def pushing(stack: RotationStack, deliveries: Deliveries, repo: Repo, stop: threading.Event) -> None:
    """Commit, push, and let GitHub call with what it holds then, again and again."""
    bare = stack.github.bare(REPO)
    stack.github.on_push = lambda changes: [deliveries.send(event) for event in events_of(changes, bare, REPO)]
    number = 0
    while not stop.wait(PUSH_SECONDS):
        number += 1
        repo.write("alpha/SKILL.md", skill("alpha", f"Text {number}."))
        repo.commit()
        stack.github.publish(REPO, repo)
    stack.github.on_push = None


def polling(stack: RotationStack, stop: threading.Event) -> None:
    """Poll as the scheduler does, with the key in its job's header."""
    with _client(stack) as client:
        while not stop.wait(POLL_SECONDS):
            _call(stack, client, "poll", "POST", "/api/poll", stack.folder / "scheduler-key")


def looking(stack: RotationStack, stop: threading.Event) -> None:
    """Sync as an operator does, and look at the health as a monitor does."""
    operators = Path(stack.values["MANUAL_SYNC_API_KEY_FILE"])
    with _client(stack) as client:
        while not stop.wait(LOOK_SECONDS):
            _call(stack, client, "sync", "POST", "/api/sync", operators)
            _call(stack, client, "health", "GET", "/health")


def _client(stack: RotationStack) -> httpx.Client:
    return httpx.Client(base_url=stack.url, timeout=60, trust_env=False)


def _call(stack: RotationStack, client: httpx.Client, *line: str | Path) -> None:  # what, method, path, file of the key
    what, method, path, *key = map(str, line)
    headers = {"x-api-key": Path(key[0]).read_text().strip()} if key else {}
    answer = client.request(method, path, headers=headers)
    stack.calls.append(Call(what=what, at=time.monotonic(), status=answer.status_code, document=answer.json()))


@contextmanager
def going_on(stack: RotationStack, work: Callable[[threading.Event], object]) -> Iterator[None]:
    """Do something in a thread while the block lasts; what it fails with is kept in `stack.faults`."""
    stop = threading.Event()

    def run() -> None:
        try:
            work(stop)
        except BaseException as error:
            stack.faults.append(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
