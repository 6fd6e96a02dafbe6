"""A webhook that is not finished in time asks for the poll, which comes at once; without a queue the scheduler's does."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from shared import calls, wiring
from shared.model import CommitSha
from tests.fakes.world import World
from tests.functions.forge import serving
from tests.functions.tasks import TasksStandIn
from tests.git_server import Fault, GitServer, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functions.cloud import Cloud

QUEUE = "projects/octo-skills/locations/us-central1/queues/deferred"
CALLER = "scheduler@octo-skills.iam.gserviceaccount.com"
HEAD = CommitSha("a" * 40)
ASKED, NOT_ASKED = "A poll was asked for", "The poll could not be asked for"


@pytest.fixture
def tasks() -> Iterator[TasksStandIn]:
    with TasksStandIn(QUEUE) as service:
        yield service


@pytest.fixture
def queued(cloud: Cloud, tasks: TasksStandIn) -> Iterator[Cloud]:
    """The functions with that queue, and a poll behind Cloud IAM on a port of its own."""
    with serving("poll") as url:
        cloud.set("POLL_AUTH", "iam")
        cloud.set("CLOUD_TASKS_EMULATOR_HOST", tasks.address)
        cloud.set("DEFERRED_QUEUE", QUEUE)
        cloud.set("DEFERRED_CALLER", CALLER)
        cloud.set("DEFERRED_POLL_URL", f"{url}/api/poll")
        yield cloud


@pytest.fixture
def slow_source(cloud: Cloud, tmp_path: Path) -> Iterator[GitServer]:
    """The same repository on a server that is too slow for two webhooks, and no longer."""
    cloud.repo.mirror(tmp_path / "remote" / "skills.git")
    with GitServer(tmp_path / "remote") as server:
        server.fail(Fault(Reply(200, body=bytes(4096)), match="info/refs", cut=0, then="drip", times=2))
        cloud.set("SOURCE_URL", server.url("skills.git"))
        yield server


def lines(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, str | None]]:
    """Severity, message and code of what was said about the poll."""
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [
        (line["severity"], line["message"], line.get("code")) for line in told if line["message"] in {ASKED, NOT_ASKED}
    ]


@pytest.mark.usefixtures("slow_source")
def test_two_deliveries_that_are_deferred_make_one_poll_which_deploys_at_once(
    queued: Cloud, tasks: TasksStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    push = queued.push()
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(queued.webhook, [push, push]))
    assert [(answer.status_code, (answer.json or {})["status"]) for answer in answers] == [(202, "deferred")] * 2
    caller, polled = tasks.calls.get(timeout=60)
    assert caller == {"serviceAccountEmail": CALLER, "audience": str(polled.request.url).removesuffix("/api/poll")}
    assert (polled.status_code, polled.json()["status"], polled.json()["deploymentId"]) == (200, "deployed", "1-1")
    assert World(store=queued.store).live().keys() == {"a", "b"}
    (name,) = tasks.names
    assert name.rpartition("-")[0] == f"{QUEUE}/tasks/poll-{queued.repo.head}"
    assert tasks.calls.empty()
    told = lines(capsys)
    # A busy machine may take longer than one of them waits; that one has asked all the same, or has not.
    assert ("INFO", ASKED, None) in told
    assert set(told) <= {("INFO", ASKED, None), ("WARNING", NOT_ASKED, "DEFERRAL_TOO_SLOW")}
    assert tasks.asked == len(told) or len(set(told)) > 1


@pytest.mark.usefixtures("slow_source")
def test_a_queue_that_never_answers_leaves_the_answer_202_within_githubs_ten_seconds(
    queued: Cloud, tasks: TasksStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks.released.clear()
    started = time.monotonic()
    answer = queued.webhook(queued.push())
    assert time.monotonic() - started < 10
    assert (answer.status_code, answer.json["status"]) == (202, "deferred")  # type: ignore[index]
    assert lines(capsys) == [("WARNING", NOT_ASKED, "DEFERRAL_TOO_SLOW")]


def test_a_webhook_that_is_finished_asks_for_nothing(queued: Cloud, tasks: TasksStandIn) -> None:
    assert queued.webhook(queued.push()).status_code == 200
    assert (tasks.asked, tasks.names) == (0, [])


REFUSALS = {403: "DEFERRAL_DENIED", 404: "DEFERRAL_NOT_FOUND", 400: "DEFERRAL_REFUSED", 500: "DEFERRAL_UNAVAILABLE"}


@pytest.mark.parametrize("status", REFUSALS)
def test_what_the_queue_refuses_is_one_line_of_the_log(
    queued: Cloud, tasks: TasksStandIn, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    tasks.refusing = status
    calls.ask_for_poll(wiring.settings(), CommitSha(queued.repo.head), 8.0)
    assert lines(capsys) == [("WARNING", NOT_ASKED, REFUSALS[status])]
    assert tasks.names == []


def test_a_queue_that_is_not_there_is_one_line_of_the_log(queued: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    queued.set("DEFERRED_QUEUE", f"{QUEUE}-other")
    calls.ask_for_poll(wiring.settings(), HEAD, 8.0)
    queued.set("CLOUD_TASKS_EMULATOR_HOST", "127.0.0.1:9")
    queued.set("DEFERRED_QUEUE", QUEUE)
    calls.ask_for_poll(wiring.settings(), HEAD, 8.0)
    assert [code for _, _, code in lines(capsys)] == ["DEFERRAL_NOT_FOUND", "DEFERRAL_UNAVAILABLE"]


def test_who_has_no_time_left_does_not_ask(
    queued: Cloud, tasks: TasksStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    calls.ask_for_poll(wiring.settings(), CommitSha(queued.repo.head), calls.ANSWER_SECONDS + 1)
    assert [(severity, text) for severity, text, _ in lines(capsys)] == [("WARNING", NOT_ASKED)]
    assert tasks.asked == 0


def test_settings_that_lost_a_part_are_one_line_of_the_log(queued: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    queued.set("DEFERRED_CALLER", None)
    calls.ask_for_poll(wiring.settings(), HEAD, 8.0)
    assert lines(capsys) == [("WARNING", NOT_ASKED, "CONFIG_MISSING")]


def test_without_a_queue_nothing_is_asked_and_nothing_is_said(
    queued: Cloud, tasks: TasksStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    queued.set("DEFERRED_QUEUE", None)
    calls.ask_for_poll(wiring.settings(), HEAD, 8.0)
    assert (lines(capsys), tasks.asked) == ([], 0)
