"""The `Deferral` port by Cloud Tasks: a task that polls at once, and whose name keeps it from being made twice.

    trying again may help   UnavailableError   DEFERRAL_UNAVAILABLE, DEFERRAL_TOO_SLOW
    a person must act       RejectedError      DEFERRAL_DENIED (no credentials, or without the right), DEFERRAL_NOT_FOUND (no
                                               such queue, or one that slept), DEFERRAL_REFUSED (the service does not take such
                                               a task)

Source: https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks/create
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from shared import log
from shared.adapters.google_answers import FORBIDDEN, NOT_FOUND, UNAUTHORIZED, status_may_pass
from shared.adapters.google_tokens import Purpose, open_bearer
from shared.adapters.lean_httpx import httpx
from shared.adapters.tls import tls_context
from shared.errors import RejectedError, SkillSyncError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.adapters.google_tokens import Bearer
    from shared.core.google_cloud import GoogleCloud
    from shared.ports import Clock

TRIES: Final = 2
PAUSE_SECONDS: Final = 0.1
LONGER_SECONDS: Final = 60
"""So much longer than its own deadline a poll may take before it is called lost, as at the scheduler."""
LEAST_SECONDS: Final = 15
MOST_SECONDS: Final = 1800
_SERVICE: Final = "https://cloudtasks.googleapis.com"
_EXISTS: Final = 409


def _denied() -> RejectedError:
    return RejectedError(
        "DEFERRAL_DENIED", "the credentials are missing or may not add tasks to the queue as that caller"
    )


TOKENS: Final = Purpose(
    # The one that the method's own description names; what may really be done are the account's roles on this one queue.
    scope="https://www.googleapis.com/auth/cloud-platform",
    denied=_denied,
    unavailable="DEFERRAL_UNAVAILABLE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollTask:
    """What a task does, and where it waits.

    Attributes:
        queue: `projects/P/locations/L/queues/Q`.
        url: Where it polls.
        caller: The service account whose token it brings there.
        seconds: How long a poll may take.
    """

    queue: str
    url: str
    caller: str
    seconds: float

    def document(self, name: str) -> dict[str, object]:
        """Return the request to make it under this name."""
        place = urlsplit(self.url)
        token = {"serviceAccountEmail": self.caller, "audience": f"{place.scheme}://{place.netloc}"}
        longest = min(MOST_SECONDS, max(LEAST_SECONDS, round(self.seconds) + LONGER_SECONDS))
        request = {"url": self.url, "httpMethod": "POST", "oidcToken": token}
        task = {"name": f"{self.queue}/tasks/{name}", "httpRequest": request, "dispatchDeadline": f"{longest}s"}
        return {"task": task}


def open_cloud_tasks(
    task: PollTask,
    cloud: GoogleCloud,
    clock: Clock,
    open_transport: Callable[[], httpx.BaseTransport] | None = None,
) -> CloudTasks:
    """Build what asks for polls; nothing is asked yet.

    Args:
        task: What a poll is asked for by.
        cloud: Where the service and the credentials are.
        clock: Tells the time, and waits between tries.
        open_transport: Makes what carries the requests; None is the network.
    """
    bearer = None if cloud.tasks_emulator else open_bearer(cloud, TOKENS, clock, open_transport)
    return CloudTasks(task, cloud.tasks_emulator or _SERVICE, bearer, clock, open_transport)


class CloudTasks:
    """Makes tasks, each within its time: in a thread, which is given up if the other side hangs or drips.

    Args:
        task: What a poll is asked for by.
        base: Where the service answers, without a slash at its end.
        bearer: Proves who asks; None where nobody wants to know.
        clock: Tells the time, and waits between tries.
        open_transport: Makes what carries the requests; None is the network.
    """

    def __init__(
        self,
        task: PollTask,
        base: str,
        bearer: Bearer | None,
        clock: Clock,
        open_transport: Callable[[], httpx.BaseTransport] | None = None,
    ) -> None:
        self._task = task
        self._url = f"{base}/v2/{task.queue}/tasks"
        self._bearer = bearer
        self._clock = clock
        self._open_transport = open_transport

    def __call__(self, name: str, seconds: float) -> None:
        """Make the task of this name, or find that it is there; raises as `Deferral` says."""
        outcome: Future[None] = Future()
        run = log.carried(partial(self._run, outcome, name, self._clock.monotonic() + seconds))
        try:
            threading.Thread(target=run, name="deferral", daemon=True).start()
            outcome.result(timeout=max(0.0, seconds))
        except TimeoutError:
            raise UnavailableError("DEFERRAL_TOO_SLOW", f"Cloud Tasks did not answer within {seconds:.1f} s") from None
        except RuntimeError as error:  # no thread to be had
            raise _unavailable(type(error).__name__) from None

    def _run(self, outcome: Future[None], name: str, until: float) -> None:
        try:
            self._make(name, until)
        except SkillSyncError as error:
            outcome.set_exception(error)
        except Exception as error:  # noqa: BLE001 - the edge of the thread, and of what a foreign answer may break
            outcome.set_exception(_unavailable(type(error).__name__))
        else:
            outcome.set_result(None)

    def _make(self, name: str, until: float) -> None:
        refused: str | None = None
        for left in reversed(range(TRIES)):
            token = self._bearer.token(refused=refused) if self._bearer else None
            status, kind = self._try(name, token, until - self._clock.monotonic())
            if not left or not _may_pass(status) or self._clock.monotonic() + PAUSE_SECONDS >= until:
                break
            refused = token if status == UNAUTHORIZED else None
            self._clock.sleep(PAUSE_SECONDS)
        _judge(status, kind)

    def _try(self, name: str, token: str | None, seconds: float) -> tuple[int | None, str]:
        """Send the request once; return the answer's status, None when there is none, and what to call it."""
        if seconds <= 0:
            return None, "no time left"
        proof: Mapping[str, str] = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with (
                httpx.Client(
                    headers={"User-Agent": "skill-sync", **proof},
                    timeout=seconds,
                    follow_redirects=False,
                    verify=tls_context(),
                    transport=self._open_transport() if self._open_transport else None,
                ) as client,
                # The status is all that matters: of the body nothing is read, be it as long as it likes.
                client.stream("POST", self._url, json=self._task.document(name)) as response,
            ):
                return response.status_code, f"status {response.status_code}"
        except httpx.HTTPError as error:
            return None, type(error).__name__


def _may_pass(status: int | None) -> bool:
    # A token may be withdrawn before its end: with the next try another one is sent.
    return status is None or status == UNAUTHORIZED or status_may_pass(status)


def _judge(status: int | None, kind: str) -> None:
    # A task of that name was made before, and is waiting, at work, or done; that this is not long ago is up to who names it.
    if status is not None and (httpx.codes.is_success(status) or status == _EXISTS):
        return
    if status in {UNAUTHORIZED, FORBIDDEN}:
        raise _denied()
    if status == NOT_FOUND:
        raise RejectedError(
            "DEFERRAL_NOT_FOUND",
            "there is no such queue, or it slept: one without a task for 30 days takes minutes to wake",
        )
    if status is not None and httpx.codes.is_client_error(status) and not _may_pass(status):
        raise RejectedError("DEFERRAL_REFUSED", f"Cloud Tasks does not take the task ({kind})")
    raise _unavailable(kind)


def _unavailable(kind: str) -> UnavailableError:
    return UnavailableError("DEFERRAL_UNAVAILABLE", f"Cloud Tasks does not answer as it should ({kind})")
