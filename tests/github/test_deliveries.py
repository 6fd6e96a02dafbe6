"""How the stand-in delivers: headers, signatures, the log, redelivery, and each fault on demand."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from shared.core.webhook import check_signature
from shared.errors import DeniedError
from tests.git_server import Fault, GitServer, Received, Reply
from tests.github.deliveries import MAX_PAYLOAD_BYTES, Deliveries
from tests.github.events import Event, repository_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "octo/skills"
SECRET = "s" * 40
GITHUBS_HEADERS = {
    "accept",
    "content-type",
    "user-agent",
    "x-github-delivery",
    "x-github-event",
    "x-github-hook-id",
    "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type",
    "x-hub-signature",
    "x-hub-signature-256",
}
ITEM = {
    *("id", "guid", "delivered_at", "redelivery", "duration", "status", "status_code", "event", "action"),
    *("installation_id", "repository_id", "throttled_at"),
}


class Receiver:
    """A webhook's other end, and the stand-in that delivers to it."""

    def __init__(self, server: GitServer) -> None:
        self.server = server
        self.deliveries = Deliveries(NAME)
        self.hook = self.deliveries.add_hook(server.url("hook"), SECRET)

    @property
    def calls(self) -> list[Received]:
        return [exchange.received for exchange in self.server.log]

    @property
    def arrived(self) -> list[object]:
        """Which pushes arrived, in order."""
        return [json.loads(call.body)["n"] for call in self.calls]

    @property
    def log(self) -> list[dict[str, Any]]:
        """The first page of the hook's deliveries, newest first."""
        return self.deliveries.deliveries(self.hook)[0]

    def send(self, *numbers: int) -> None:
        for number in numbers:
            self.deliveries.send(push(number))


def push(number: int = 1) -> Event:
    return Event(name="push", payload={"n": number})


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with GitServer(tmp_path, routes=lambda _: Reply(200, {"Content-Type": "text/plain"}, b"Thanks.")) as server:
        yield Receiver(server)


def test_a_delivery_has_githubs_headers_and_a_signature_that_the_webhook_believes(receiver: Receiver) -> None:
    answer = receiver.deliveries.send(Event(name="push", payload={"text": "ünï 🎉", "n": 1}))
    assert answer is not None
    assert (answer.status_code, answer.text) == (200, "Thanks.")
    (call,) = receiver.calls
    assert (call.method, call.path) == ("POST", "hook")
    assert set(call.headers) >= GITHUBS_HEADERS
    check_signature(call.headers["x-hub-signature-256"], call.body, [SECRET])
    with pytest.raises(DeniedError):
        check_signature(call.headers["x-hub-signature-256"], call.body + b" ", [SECRET])
    assert call.headers["x-hub-signature"].startswith("sha1=")
    assert call.headers["content-type"] == "application/json"
    assert call.headers["accept"] == "*/*"
    assert call.headers["user-agent"].startswith("GitHub-Hookshot/")
    assert call.headers["x-github-event"] == "push"
    assert call.headers["x-github-hook-id"] == str(receiver.hook)
    assert call.headers["x-github-hook-installation-target-id"] == str(repository_id(NAME))
    assert call.headers["x-github-hook-installation-target-type"] == "repository"
    assert json.loads(call.body) == {"text": "ünï 🎉", "n": 1}


def test_a_form_carries_the_payload_as_a_field_and_is_signed_as_it_is_sent(receiver: Receiver) -> None:
    receiver.deliveries.faults.form = True
    receiver.send(1)
    (call,) = receiver.calls
    assert call.headers["content-type"] == "application/x-www-form-urlencoded"
    assert json.loads(parse_qs(call.body.decode())["payload"][0]) == {"n": 1}
    check_signature(call.headers["x-hub-signature-256"], call.body, [SECRET])


def test_a_hook_is_sent_only_the_events_that_it_wants_and_every_ping(receiver: Receiver) -> None:
    for name in ("create", "push", "ping"):
        receiver.deliveries.send(Event(name=name, payload={"n": 1}))
    assert [call.headers["x-github-event"] for call in receiver.calls] == ["push", "ping"]


def test_all_hooks_of_an_event_share_its_guid_and_an_inactive_one_is_sent_nothing(receiver: Receiver) -> None:
    receiver.deliveries.add_hook(receiver.server.url("every"), "t" * 40, ("*",))
    receiver.deliveries.add_hook(receiver.server.url("asleep"), SECRET, active=False)
    receiver.send(1)
    first, second = receiver.calls
    assert (first.path, second.path) == ("hook", "every")
    assert first.headers["x-github-delivery"] == second.headers["x-github-delivery"]
    check_signature(second.headers["x-hub-signature-256"], second.body, ["t" * 40])


def test_two_events_have_two_guids(receiver: Receiver) -> None:
    receiver.send(1, 2)
    assert len({call.headers["x-github-delivery"] for call in receiver.calls}) == 2


def test_hooks_are_shown_without_their_secrets(receiver: Receiver) -> None:
    receiver.send(1)
    (hook,) = receiver.deliveries.hooks()
    assert hook == receiver.deliveries.hook(receiver.hook)
    assert (hook["id"], hook["active"], hook["events"]) == (receiver.hook, True, ["push"])
    assert hook["last_response"] == {"code": 200, "status": "active", "message": "OK"}
    assert SECRET not in json.dumps(hook)
    assert receiver.deliveries.hook(99) is None


# The log


def test_the_log_shows_each_delivery_newest_first(receiver: Receiver) -> None:
    receiver.send(1, 2, 3)
    assert [set(item) for item in receiver.log] == [ITEM] * 3
    ids = [item["id"] for item in receiver.log]
    assert ids == sorted(ids, reverse=True)
    newest = receiver.log[0]
    assert newest["guid"] == receiver.calls[-1].headers["x-github-delivery"]
    assert (newest["status"], newest["status_code"], newest["event"]) == ("OK", 200, "push")
    assert (newest["redelivery"], newest["action"], newest["repository_id"]) == (False, None, repository_id(NAME))
    age = datetime.now(UTC) - datetime.fromisoformat(newest["delivered_at"])
    assert abs(age.total_seconds()) < 60


def test_the_log_is_read_page_by_page(receiver: Receiver) -> None:
    receiver.send(*range(5))
    pages, cursor = [], None
    while True:
        page, cursor = receiver.deliveries.deliveries(receiver.hook, per_page=2, cursor=cursor)
        pages.append([item["id"] for item in page])
        if cursor is None:
            break
        receiver.send(9)  # what is newer does not shift the pages that follow
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [id_ for page in pages for id_ in page] == [item["id"] for item in receiver.log if item["id"] <= pages[0][0]]


def test_a_page_holds_a_hundred_at_most_and_a_foreign_cursor_is_refused(receiver: Receiver) -> None:
    receiver.deliveries.faults.drop = 101
    receiver.send(*range(101))
    assert len(receiver.deliveries.deliveries(receiver.hook, per_page=1000)[0]) == 100
    assert len(receiver.deliveries.deliveries(receiver.hook)[0]) == 30
    with pytest.raises(ValueError, match="invalid literal"):
        receiver.deliveries.deliveries(receiver.hook, cursor="v2_x")


def test_one_delivery_shows_what_was_sent_and_what_came_back(receiver: Receiver) -> None:
    receiver.send(1)
    shown = receiver.deliveries.delivery(receiver.hook, receiver.log[0]["id"])
    assert shown is not None
    assert set(shown) == ITEM | {"url", "request", "response"}
    request, response = shown["request"], shown["response"]
    assert isinstance(request, dict)
    assert isinstance(response, dict)
    sent = receiver.calls[0].headers
    assert {name.lower(): value for name, value in request["headers"].items()}.items() <= sent.items()
    assert (request["payload"], response["payload"]) == ({"n": 1}, "Thanks.")
    assert response["headers"]["content-type"] == "text/plain"
    assert shown["url"] == receiver.server.url("hook")
    assert receiver.deliveries.delivery(receiver.hook, 1) is None
    assert receiver.deliveries.delivery(99, receiver.log[0]["id"]) is None


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (Fault(Reply(500)), 500, "Invalid HTTP Response: 500"),
        (Fault(Reply(302, {"Location": "/elsewhere"})), 302, "Invalid HTTP Response: 302"),
        (Fault(cut=0), 502, "failed to connect"),
    ],
)
def test_a_failure_is_logged_as_github_words_it_and_never_tried_again(
    receiver: Receiver, fault: Fault, code: int, status: str
) -> None:
    receiver.server.fail(fault)
    receiver.send(1)
    assert len(receiver.calls) == 1
    assert [(item["status_code"], item["status"]) for item in receiver.log] == [(code, status)]


def test_an_answer_that_is_too_late_is_a_time_out(receiver: Receiver) -> None:
    hasty = Deliveries(NAME, timeout=0.1)
    hook = hasty.add_hook(receiver.server.url("hook"), SECRET)
    receiver.server.fail(Fault(cut=0, then="stall"))
    assert hasty.send(push()) is None
    assert [item["status_code"] for item in hasty.deliveries(hook)[0]] == [504]


def test_a_payload_above_25_mb_is_neither_sent_nor_listed_but_remembered(receiver: Receiver) -> None:
    frame = len('{"n":""}')
    fits, large = (
        Event(name="push", payload={"n": "x" * size}) for size in (MAX_PAYLOAD_BYTES - frame, MAX_PAYLOAD_BYTES)
    )
    receiver.deliveries.send(large)
    assert (receiver.calls, receiver.log, receiver.deliveries.unsent) == ([], [], [large])
    receiver.deliveries.send(fits)
    assert [len(call.body) for call in receiver.calls] == [MAX_PAYLOAD_BYTES]


# Redelivery


def test_a_redelivery_keeps_guid_and_payload_and_has_a_number_of_its_own(receiver: Receiver) -> None:
    with receiver.deliveries:
        receiver.deliveries.faults.drop = 1
        receiver.send(1, 2)
        lost = receiver.log[-1]
        assert receiver.deliveries.redeliver(receiver.hook, lost["id"])
        assert receiver.deliveries.drain(10)
    again = receiver.log[0]
    assert receiver.arrived == [2, 1]
    assert (lost["status_code"], lost["redelivery"]) == (502, False)
    assert (again["status_code"], again["redelivery"], again["guid"]) == (200, True, lost["guid"])
    assert again["id"] > lost["id"]
    assert receiver.calls[-1].headers["x-github-delivery"] == lost["guid"]


def test_what_was_never_delivered_cannot_be_redelivered(receiver: Receiver) -> None:
    assert not receiver.deliveries.redeliver(receiver.hook, 1)


# Faults


def test_a_dropped_delivery_never_arrives_and_is_logged_as_failed(receiver: Receiver) -> None:
    receiver.deliveries.faults.drop = 2
    receiver.send(1, 2, 3)
    assert receiver.arrived == [3]
    assert [item["status_code"] for item in receiver.log] == [200, 502, 502]
    assert receiver.deliveries.faults.drop == 0


def test_a_doubled_delivery_arrives_twice_under_one_guid(receiver: Receiver) -> None:
    receiver.deliveries.faults.double = 1
    receiver.send(1, 2)
    assert receiver.arrived == [1, 1, 2]
    assert len({call.headers["x-github-delivery"] for call in receiver.calls}) == 2
    assert [item["redelivery"] for item in receiver.log] == [False] * 3


def test_a_held_event_arrives_behind_the_one_after_it(receiver: Receiver) -> None:
    receiver.deliveries.faults.reorder = 2
    receiver.send(1)
    assert receiver.arrived == []
    receiver.send(2, 3, 4, 5)
    assert receiver.arrived == [2, 1, 4, 3, 5]


def test_events_that_no_hook_wants_use_up_no_fault(receiver: Receiver) -> None:
    receiver.deliveries.faults.drop = receiver.deliveries.faults.reorder = 1
    receiver.deliveries.send(Event(name="create", payload={}))
    assert (receiver.deliveries.faults.drop, receiver.deliveries.faults.reorder) == (1, 1)


def test_a_delayed_delivery_is_late_by_that_much(receiver: Receiver) -> None:
    receiver.deliveries.faults.delay = 0.2
    started = time.monotonic()
    receiver.send(1)
    assert time.monotonic() - started >= 0.2
    assert receiver.arrived == [1]


def test_losses_and_doubles_at_random_are_the_same_for_the_same_seed(receiver: Receiver) -> None:
    def played(seed: int) -> list[object]:
        receiver.server.forget()
        deliveries = Deliveries(NAME, seed=seed)
        deliveries.add_hook(receiver.server.url("hook"), SECRET)
        deliveries.faults.lose_at_random, deliveries.faults.double_at_random = 0.3, 0.3
        for number in range(40):
            deliveries.send(push(number))
        return receiver.arrived

    first = played(1)
    assert first == played(1) != played(2)
    assert 0 < len(set(first)) < 40
    assert len(first) > len(set(first))


# In the background


def test_the_background_sends_in_order_and_can_be_waited_for(receiver: Receiver) -> None:
    with receiver.deliveries:
        for number in range(5):
            receiver.deliveries.enqueue(push(number))
        assert receiver.deliveries.drain(10)
        assert receiver.arrived == [0, 1, 2, 3, 4]


def test_waiting_gives_up_after_its_time_and_an_end_does_not_wait_for_what_is_late(receiver: Receiver) -> None:
    started = time.monotonic()
    with receiver.deliveries:
        receiver.deliveries.faults.delay = 1000.0
        receiver.deliveries.enqueue(push(1))
        receiver.deliveries.enqueue(push(2))
        assert not receiver.deliveries.drain(0.05)
    assert time.monotonic() - started < 10
    assert receiver.calls == []


def test_each_delivery_is_reported_once_it_is_over(receiver: Receiver) -> None:
    lines: list[tuple[str, int]] = []
    deliveries = Deliveries(NAME, report=lambda line: lines.append((line.event.name, line.status_code)))
    deliveries.add_hook(receiver.server.url("hook"), SECRET)
    deliveries.faults.drop = 1
    deliveries.send(push(1))
    deliveries.send(push(2))
    assert lines == [("push", 502), ("push", 200)]
