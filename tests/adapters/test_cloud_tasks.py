"""The `Deferral` port by Cloud Tasks: one task a head, made within its time or not at all, and nothing of it in a text."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Self

import httpx
import pytest

from shared.adapters.cloud_tasks import PAUSE_SECONDS, TOKENS, PollTask, open_cloud_tasks
from shared.adapters.google_tokens import PAUSES_SECONDS
from shared.core.google_cloud import GoogleCloud
from shared.errors import RejectedError, SkillSyncError, UnavailableError
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.adapters.cloud_tasks import CloudTasks

SECRET = "ya29.thisMustNeverBeShown"
FLAVOR = {"Metadata-Flavor": "Google"}
QUEUE = "projects/octo-skills/locations/us-central1/queues/deferred"
NAME = "poll-" + "a" * 40
TASK = PollTask(
    queue=QUEUE,
    url="https://poll.example/api/poll",
    caller="scheduler@octo-skills.iam.gserviceaccount.com",
    seconds=300,
)
CLOUD = GoogleCloud(metadata_host="metadata.example")
Answer = httpx.Response | Exception


class Service:
    """Cloud Tasks and the metadata server, each at its address.

    Attributes:
        asked: What Cloud Tasks was asked.
        tokens: How many tokens were handed out.
        answers: What Cloud Tasks answers, one after the other; then success.
        no_tokens: What the metadata server answers; then tokens.
    """

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.tokens = 0
        self.answers: list[Answer | Callable[[], httpx.Response]] = []
        self.no_tokens: list[Answer] = []

    def open(self) -> httpx.BaseTransport:
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == CLOUD.metadata_host:
            assert request.url.params["scopes"] == TOKENS.scope
            return self._token()
        self.asked.append(request)
        if not self.answers:
            return httpx.Response(200, json={"name": f"{QUEUE}/tasks/{NAME}"})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer()

    def _token(self) -> httpx.Response:
        if self.no_tokens:
            answer = self.no_tokens.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        self.tokens += 1
        return httpx.Response(200, headers=FLAVOR, json={"access_token": f"{SECRET}{self.tokens}", "expires_in": 3599})


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def defer(service: Service, clock: FakeClock) -> CloudTasks:
    return open_cloud_tasks(TASK, CLOUD, clock, service.open)


def refused(call: Callable[[], object]) -> SkillSyncError:
    with pytest.raises(SkillSyncError) as caught:
        call()
    assert SECRET not in f"{caught.value!r} {caught.value.message} {caught.value.__cause__}"
    return caught.value


def test_nothing_is_asked_before_a_poll_is(service: Service, defer: CloudTasks) -> None:
    assert (service.asked, service.tokens) == ([], 0)
    defer(NAME, 30.0)
    assert (len(service.asked), service.tokens) == (1, 1)


def test_the_task_polls_as_the_scheduler_does_and_is_named_by_what_is_to_be_finished(
    service: Service, defer: CloudTasks
) -> None:
    defer(NAME, 30.0)
    (asked,) = service.asked
    assert (asked.method, str(asked.url)) == ("POST", f"https://cloudtasks.googleapis.com/v2/{QUEUE}/tasks")
    assert asked.headers["authorization"] == f"Bearer {SECRET}1"
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.content) == {
        "task": {
            "name": f"{QUEUE}/tasks/{NAME}",
            "httpRequest": {
                "url": "https://poll.example/api/poll",
                "httpMethod": "POST",
                "oidcToken": {"serviceAccountEmail": TASK.caller, "audience": "https://poll.example"},
            },
            "dispatchDeadline": "360s",
        }
    }


@pytest.mark.parametrize(("seconds", "told"), [(0.03, "60s"), (1700, "1760s"), (10**6, "1800s")])
def test_the_service_waits_as_long_as_a_poll_may_take_and_as_it_can(seconds: float, told: str) -> None:
    task = PollTask(queue=QUEUE, url=TASK.url, caller=TASK.caller, seconds=seconds)
    assert task.document(NAME)["task"]["dispatchDeadline"] == told  # type: ignore[index]


def test_a_task_that_is_there_already_is_as_good_as_a_new_one(service: Service, defer: CloudTasks) -> None:
    service.answers = [httpx.Response(409, json={"error": {"code": 409, "status": "ALREADY_EXISTS"}})]
    defer(NAME, 30.0)
    assert len(service.asked) == 1


REFUSALS = {
    400: (RejectedError, "DEFERRAL_REFUSED", 1),
    401: (RejectedError, "DEFERRAL_DENIED", 2),
    403: (RejectedError, "DEFERRAL_DENIED", 1),
    404: (RejectedError, "DEFERRAL_NOT_FOUND", 1),
    408: (UnavailableError, "DEFERRAL_UNAVAILABLE", 2),
    413: (RejectedError, "DEFERRAL_REFUSED", 1),
    429: (UnavailableError, "DEFERRAL_UNAVAILABLE", 2),
    302: (UnavailableError, "DEFERRAL_UNAVAILABLE", 1),
    500: (UnavailableError, "DEFERRAL_UNAVAILABLE", 2),
    503: (UnavailableError, "DEFERRAL_UNAVAILABLE", 2),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_told_by_what_helps_and_tried_again_once_where_that_may(
    service: Service, defer: CloudTasks, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    kind, code, tries = REFUSALS[status]
    service.answers = [
        httpx.Response(status, text=f"{SECRET} is no good", headers={"Location": "https://evil.example/"})
        for _ in range(3)
    ]
    with caplog.at_level(logging.DEBUG):
        error = refused(lambda: defer(NAME, 30.0))
    assert (type(error), error.code, len(service.asked)) == (kind, code, tries)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "fault",
    [httpx.Response(503), httpx.Response(429), httpx.ConnectError(SECRET), httpx.ReadTimeout(SECRET)],
    ids=["busy", "too many", "no way there", "no answer"],
)
def test_what_passes_is_asked_again_once_under_the_same_name(
    service: Service, clock: FakeClock, defer: CloudTasks, fault: Answer
) -> None:
    service.answers = [fault]
    defer(NAME, 30.0)
    assert clock.slept == [PAUSE_SECONDS]
    assert len({asked.content for asked in service.asked}) == 1
    assert len(service.asked) == 2


def test_a_token_that_was_withdrawn_is_replaced(service: Service, defer: CloudTasks) -> None:
    service.answers = [httpx.Response(401)]
    defer(NAME, 30.0)
    assert [asked.headers["authorization"] for asked in service.asked] == [f"Bearer {SECRET}1", f"Bearer {SECRET}2"]
    defer(NAME, 30.0)
    assert service.tokens == 2


@pytest.mark.parametrize(
    "answer",
    [
        OSError(SECRET),
        ValueError(SECRET),
        httpx.InvalidURL(SECRET),
        httpx.RemoteProtocolError(SECRET),
        httpx.Response(100),
        httpx.Response(599, content=b"\xff" * 10**6),
    ],
    ids=lambda answer: getattr(answer, "status_code", None) or type(answer).__name__,
)
def test_whatever_a_hostile_service_does_is_an_unavailable_one(
    service: Service, defer: CloudTasks, answer: Answer
) -> None:
    service.answers = [answer] * 2
    error = refused(lambda: defer(NAME, 30.0))
    assert (type(error), error.code) == (UnavailableError, "DEFERRAL_UNAVAILABLE")


def test_an_answer_that_never_ends_is_not_waited_for(service: Service, defer: CloudTasks) -> None:
    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Self:
            return self

        def __next__(self) -> bytes:
            raise AssertionError("nobody needs the body")

    service.answers = [httpx.Response(200, stream=Endless())]
    defer(NAME, 30.0)
    assert len(service.asked) == 1


def test_a_service_that_hangs_costs_no_more_than_the_time_there_is(service: Service, clock: FakeClock) -> None:
    released, ended = threading.Event(), threading.Event()

    def hang() -> httpx.Response:
        released.wait(timeout=30)
        ended.set()
        return httpx.Response(503)

    service.answers = [hang]
    started = time.monotonic()
    error = refused(lambda: open_cloud_tasks(TASK, CLOUD, clock, service.open)(NAME, 0.2))
    assert time.monotonic() - started < 5
    assert (type(error), error.code) == (UnavailableError, "DEFERRAL_TOO_SLOW")
    # What was given up does not begin another try later.
    clock.move(1)
    released.set()
    assert ended.wait(timeout=30)
    for thread in threading.enumerate():
        if thread.name == "deferral":
            thread.join(timeout=30)
    assert len(service.asked) == 1
    assert service.asked[0].extensions["timeout"]["read"] == pytest.approx(0.2)


@pytest.mark.parametrize("seconds", [0.0, -3.0])
def test_without_time_nothing_is_sent(service: Service, defer: CloudTasks, seconds: float) -> None:
    assert refused(lambda: defer(NAME, seconds)).code in {"DEFERRAL_TOO_SLOW", "DEFERRAL_UNAVAILABLE"}
    for thread in threading.enumerate():
        if thread.name == "deferral":
            thread.join(timeout=30)
    assert service.asked == []


def test_time_that_went_by_waiting_for_a_token_is_gone(service: Service, clock: FakeClock, defer: CloudTasks) -> None:
    service.no_tokens = [httpx.ConnectError(SECRET)]
    with pytest.raises(UnavailableError) as caught:
        defer(NAME, PAUSES_SECONDS[0] / 2)
    assert caught.value.code == "DEFERRAL_UNAVAILABLE"
    assert service.asked == []
    assert clock.slept == [PAUSES_SECONDS[0]]


def test_a_process_without_an_account_is_for_a_person(service: Service, defer: CloudTasks) -> None:
    service.no_tokens = [httpx.Response(404, headers=FLAVOR, text=SECRET)]
    error = refused(lambda: defer(NAME, 30.0))
    assert (type(error), error.code) == (RejectedError, "DEFERRAL_DENIED")
    assert service.asked == []


def test_a_metadata_server_that_does_not_answer_is_no_fault_of_the_stores(service: Service, defer: CloudTasks) -> None:
    service.no_tokens = [httpx.ConnectError(SECRET)] * 3
    error = refused(lambda: defer(NAME, 30.0))
    assert (type(error), error.code) == (UnavailableError, "DEFERRAL_UNAVAILABLE")


def test_no_token_goes_to_what_stands_in(service: Service, clock: FakeClock) -> None:
    cloud = GoogleCloud(tasks_emulator="http://127.0.0.1:9", metadata_host=CLOUD.metadata_host)
    open_cloud_tasks(TASK, cloud, clock, service.open)(NAME, 1.5)
    (asked,) = service.asked
    assert str(asked.url) == f"http://127.0.0.1:9/v2/{QUEUE}/tasks"
    assert "authorization" not in asked.headers
    assert service.tokens == 0
