"""Sends events to webhooks as GitHub does: signed, once, logged, sent again only when somebody asks; with faults on demand.

    deliveries = Deliveries("octo/skills")
    hook = deliveries.add_hook("http://127.0.0.1:8080/webhook/github", secret="...")
    with deliveries:  # the background worker lives here
        deliveries.faults.drop = 1
        deliveries.enqueue(event)
        deliveries.drain(10)
    deliveries.deliveries(hook)  # the log, newest first

How one call is made and shown is hook.py's business.
"""

from __future__ import annotations

import queue
import random
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from tests.github.events import repository_id
from tests.github.hook import UNREACHABLE, Delivery, Hook, body, post

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.github.events import Event

    Json = dict[str, object]

MAX_PAYLOAD_BYTES = 25 * 1024 * 1024
MAX_PER_PAGE = 100
_FIRST_DELIVERY = 1_000_001


@dataclass(slots=True, kw_only=True)
class DeliveryFaults:
    """What goes wrong with deliveries; may be changed at any time.

    Attributes:
        drop: How many of the next deliveries never arrive.
        double: How many of the next deliveries arrive twice.
        delay: How long every delivery is late, in seconds.
        reorder: How many of the next events are held back until the one after them was sent.
        lose_at_random: Share of deliveries that never arrive, 0 to 1.
        double_at_random: Share of deliveries that arrive twice, 0 to 1.
        form: Send `application/x-www-form-urlencoded`, GitHub's default content type, instead of JSON.
    """

    drop: int = 0
    double: int = 0
    delay: float = 0.0
    reorder: int = 0
    lose_at_random: float = 0.0
    double_at_random: float = 0.0
    form: bool = False


class Deliveries:
    """The webhooks of one repository and the log of their deliveries.

    Args:
        full_name: `<owner>/<name>`.
        seed: Where the faults at random begin.
        timeout: How long an answer may take, in seconds; GitHub waits for ten.
        report: Told of every delivery, once it is over.

    Attributes:
        faults: What goes wrong.
        unsent: Events whose payload was above 25 MB; GitHub neither sends nor lists them.
        make_ping: Makes the event that a new hook is sent; without it nobody is pinged.
    """

    def __init__(
        self,
        full_name: str,
        *,
        seed: int = 0,
        timeout: float = 10.0,
        report: Callable[[Delivery], object] = lambda _delivery: None,
    ) -> None:
        self.faults = DeliveryFaults()
        self.unsent: list[Event] = []
        self.make_ping: Callable[[Json], Event] | None = None
        self.full_name = full_name
        self._timeout = timeout
        self._report = report
        self._random = random.Random(seed)
        self._hooks: dict[int, Hook] = {}
        self._log: list[Delivery] = []
        self._held: Event | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._queue: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._worker = threading.Thread(target=self._work, name="webhook deliveries")

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        # What is on its way ends; what waits is never sent.
        self._stopping.set()
        self._queue.put(None)
        self._worker.join()

    def add_hook(self, url: str, secret: str, events: tuple[str, ...] = ("push",), *, active: bool = True) -> int:
        """Add a webhook and return its id."""
        id_ = len(self._hooks) + 1
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self._hooks[id_] = Hook(
            id=id_, full_name=self.full_name, created_at=moment, url=url, secret=secret, events=events, active=active
        )
        return id_

    def create(self, asked: Json) -> Json | None:
        """Add a hook as `POST /repos/…/hooks` does, and ping it; None when it names no address."""
        config, events = asked.get("config"), asked.get("events", ["push"])
        if not isinstance(config, dict) or not config.get("url") or not isinstance(events, list):
            return None
        id_ = self.add_hook(str(config["url"]), "", tuple(map(str, events)), active=asked.get("active") is not False)
        # Whoever does not ask for JSON gets a form, as at GitHub.
        self.configure(id_, {"content_type": "form", **config})
        self.ping(id_)
        return self.hook(id_)

    def configure(self, hook_id: int, config: Json) -> None:
        """Change a hook's address, secret or content type; what is not named stays."""
        hook = self._hooks[hook_id]
        hook.url, hook.secret = str(config.get("url", hook.url)), str(config.get("secret", hook.secret))
        hook.form = config["content_type"] != "json" if "content_type" in config else hook.form
        hook.insecure_ssl = str(config.get("insecure_ssl", hook.insecure_ssl))

    def change(self, hook_id: int, asked: Json) -> None:
        """Set a hook anew as `PATCH /repos/…/hooks/ID` does; a configuration that names no secret takes the old one away."""
        hook = self._hooks[hook_id]
        config, events = asked.get("config"), asked.get("events")
        if isinstance(config, dict):
            self.configure(hook_id, {"secret": "", **config})
        hook.events = tuple(map(str, events)) if isinstance(events, list) else hook.events
        hook.active = asked["active"] is True if "active" in asked else hook.active

    def ping(self, hook_id: int) -> None:
        """Send a hook its ping in the background."""
        if self.make_ping is not None:
            hook, event = self._hooks[hook_id], self.make_ping(self._hooks[hook_id].json(form=self.faults.form))
            self._queue.put(lambda: self._deliver(hook, event, str(uuid.uuid4()), redelivery=False))

    def hooks(self) -> list[Json]:
        """List the hooks as `GET /repos/…/hooks` does."""
        return [hook.json(form=self.faults.form) for hook in self._hooks.values()]

    def hook(self, hook_id: int) -> Json | None:
        """Show one hook; None when there is no such hook."""
        return next((hook for hook in self.hooks() if hook["id"] == hook_id), None)

    def deliveries(self, hook_id: int, per_page: int = 30, cursor: str | None = None) -> tuple[list[Json], str | None]:
        """List a hook's deliveries, newest first.

        Args:
            hook_id: The hook.
            per_page: How many at most, 1 to 100.
            cursor: Where the page begins, as the page before said; None means at the newest.

        Returns:
            The page, and the cursor of the next one; None when this is the last.

        Raises:
            ValueError: the cursor is none of ours.
        """
        start = None if cursor is None else int(cursor.removeprefix("v1_"))
        with self._lock:
            found = [item for item in reversed(self._log) if item.hook_id == hook_id]
        found = [item for item in found if start is None or item.id <= start]
        size = max(1, min(per_page, MAX_PER_PAGE))
        following = f"v1_{found[size].id}" if len(found) > size else None
        return [item.item() for item in found[:size]], following

    def delivery(self, hook_id: int, delivery_id: int) -> Json | None:
        """Show one delivery with its request and response; None when there is no such delivery."""
        found = self._find(hook_id, delivery_id)
        return None if found is None else found.whole()

    def redeliver(self, hook_id: int, delivery_id: int) -> bool:
        """Send a delivery again in the background, under the same guid; False when there is no such delivery."""
        found = self._find(hook_id, delivery_id)
        if found is None:
            return False
        hook = self._hooks[hook_id]
        self._queue.put(lambda: self._deliver(hook, found.event, found.guid, redelivery=True))
        return True

    def send(self, event: Event) -> httpx.Response | None:
        """Send an event to every hook that wants it.

        Returns:
            The last hook's answer; None when it was not sent, or held back, or nobody answered.
        """
        if not any(hook.wants(event.name) for hook in self._hooks.values()):
            return None
        if self._held is None and self._next("reorder"):
            self._held = event
            return None
        late, self._held = self._held, None
        answer = self._fan_out(event)
        if late is not None:
            self._fan_out(late)
        return answer

    def enqueue(self, event: Event) -> None:
        """Send an event in the background; events are sent one after the other."""
        self._queue.put(lambda: self.send(event))

    def drain(self, timeout: float) -> bool:
        """Wait until the background has nothing left to send, at most `timeout` seconds; say whether it has not."""
        with self._queue.all_tasks_done:
            return self._queue.all_tasks_done.wait_for(lambda: not self._queue.unfinished_tasks, timeout)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                if not self._stopping.is_set():
                    job()
            finally:
                self._queue.task_done()

    def _fan_out(self, event: Event) -> httpx.Response | None:
        guid = str(uuid.uuid4())  # of the event: all hooks see the same one
        answer = None
        for hook in list(self._hooks.values()):
            if hook.wants(event.name):
                answer = self._deliver(hook, event, guid, redelivery=False)
        return answer

    def _deliver(self, hook: Hook, event: Event, guid: str, *, redelivery: bool) -> httpx.Response | None:
        form = self.faults.form or hook.form
        content = body(event, form=form)
        if len(content) > MAX_PAYLOAD_BYTES:
            self.unsent.append(event)
            return None
        lost = self._next("drop", self.faults.lose_at_random)
        twice = not lost and self._next("double", self.faults.double_at_random)
        if self._stopping.wait(self.faults.delay):
            return None
        headers = hook.headers(event, guid, content, form=form)
        answer = None
        for _ in range(2 if twice else 1):
            started, moment = time.monotonic(), datetime.now(UTC)
            answer, (code, status) = (None, UNREACHABLE) if lost else post(hook.url, content, headers, self._timeout)
            hook.last = (code, status)
            with self._lock:
                line = Delivery(
                    id=_FIRST_DELIVERY + len(self._log),
                    hook_id=hook.id,
                    event=event,
                    guid=guid,
                    redelivery=redelivery,
                    delivered_at=moment,
                    duration=round(time.monotonic() - started, 2),
                    status_code=code,
                    status=status,
                    url=hook.url,
                    repository_id=repository_id(self.full_name),
                    request_headers=headers,
                    response_headers={} if answer is None else dict(answer.headers),
                    response_payload=None if answer is None else answer.text,
                )
                self._log.append(line)
            self._report(line)
        return answer

    def _next(self, fault: str, share: float = 0.0) -> bool:
        """Say whether a fault hits now, and count it."""
        with self._lock:
            left = getattr(self.faults, fault)
            if left > 0:
                setattr(self.faults, fault, left - 1)
            return bool(left > 0) or self._random.random() < share

    def _find(self, hook_id: int, delivery_id: int) -> Delivery | None:
        with self._lock:
            found = (line for line in self._log if (line.hook_id, line.id) == (hook_id, delivery_id))
            return next(found, None)
