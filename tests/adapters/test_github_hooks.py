"""Which webhook calls count as lost, and when nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.github_hooks import GitHubHooks
from shared.errors import RejectedError, SkillSyncError, UnavailableError
from shared.model import FailedDelivery
from tests.adapters.test_github_fake import FakeGitHub, api

PUSH_HOOK = {"id": 7, "active": True, "events": ["push"], "config": {"url": "https://x.example"}}


def delivery(number: int, guid: str, code: int | None, minute: int, event: str = "push") -> dict[str, Any]:
    return {
        "id": number,
        "guid": guid,
        "delivered_at": f"2026-11-21T11:{minute:02}:00Z",
        "redelivery": False,
        "duration": 0.1,
        "status": "OK",
        "status_code": code,
        "event": event,
        "action": None,
    }


def lost(number: int, guid: str, code: int, minute: int) -> FailedDelivery:
    at = datetime(2026, 11, 21, 11, minute, tzinfo=UTC)
    return FailedDelivery(id=number, guid=guid, delivered_at=at, status_code=code)


def deliveries(*entries: object) -> FakeGitHub:
    fake = FakeGitHub()
    fake.reply("/deliveries", body=list(entries))
    return fake


def failed(fake: FakeGitHub, hook: int | None = 7) -> object:
    return GitHubHooks(api(fake)).failed_deliveries(hook)


def test_a_push_that_no_attempt_brought_is_lost_and_named_by_its_last_attempt() -> None:
    fake = deliveries(
        delivery(6, "c", 0, 50),
        delivery(5, "a", 503, 40),
        delivery(4, "b", 200, 30),
        delivery(3, "b", 500, 20),
        delivery(1, "a", 502, 10),
    )
    assert failed(fake) == [lost(5, "a", 503, 40), lost(6, "c", 0, 50)]
    assert fake.paths == ["/hooks/7/deliveries?per_page=100"]


@pytest.mark.parametrize(
    ("code", "is_lost"),
    [
        (200, False),
        (202, False),
        (299, False),
        (0, True),
        (None, True),
        (301, True),
        (401, True),
        (500, True),
        (199, True),
    ],
)
def test_only_a_success_is_an_arrival(code: int | None, is_lost: object) -> None:
    assert bool(failed(deliveries(delivery(1, "a", code, 1)))) is is_lost


def test_an_arrival_counts_whenever_it_was() -> None:
    assert failed(deliveries(delivery(2, "a", 500, 20), delivery(1, "a", 200, 10))) == []


def test_other_events_are_none_of_our_business() -> None:
    assert failed(deliveries(delivery(1, "a", 500, 10, "ping"), delivery(2, "b", 500, 20, "issues"))) == []


def test_no_deliveries_are_no_losses() -> None:
    assert failed(deliveries()) == []


def test_the_only_active_push_hook_is_taken_for_ours() -> None:
    fake = deliveries(delivery(1, "a", 500, 10))
    others = [{**PUSH_HOOK, "id": 1, "active": False}, {**PUSH_HOOK, "id": 2, "events": ["issues"]}]
    fake.reply("/hooks?", body=[*others, PUSH_HOOK])
    assert failed(fake, None) == [lost(1, "a", 500, 10)]
    assert fake.paths == ["/hooks?per_page=100", "/hooks/7/deliveries?per_page=100"]


def test_a_hook_for_everything_takes_pushes_too() -> None:
    fake = deliveries()
    fake.reply("/hooks?", body=[{**PUSH_HOOK, "events": ["*"]}])
    assert failed(fake, None) == []


@pytest.mark.parametrize(
    "hooks",
    [
        [],
        [PUSH_HOOK, {**PUSH_HOOK, "id": 8}],
        [{**PUSH_HOOK, "id": "7/../../user"}],
        [{**PUSH_HOOK, "id": True}],
        [{**PUSH_HOOK, "active": "yes"}],
        [{**PUSH_HOOK, "events": None}],
        [None, 7, []],
    ],
)
def test_nothing_is_told_where_it_is_not_clear_which_hook_is_ours(hooks: object) -> None:
    fake = FakeGitHub()
    fake.reply("/hooks?", body=hooks)
    assert failed(fake, None) is None
    assert len(fake.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("hook", [7, None])
def test_nothing_is_told_to_a_token_that_may_not_know(status: int, hook: int | None) -> None:
    fake = FakeGitHub()
    fake.reply("/hooks", status)
    assert failed(fake, hook) is None


@pytest.mark.parametrize(
    ("status", "headers", "error", "code"),
    [
        (403, {"Retry-After": "5"}, UnavailableError, "SOURCE_RATE_LIMITED"),
        (429, {}, UnavailableError, "SOURCE_RATE_LIMITED"),
        (301, {}, RejectedError, "SOURCE_MOVED"),
        (500, {}, UnavailableError, "SOURCE_UNAVAILABLE"),
    ],
)
def test_other_refusals_are_errors(
    status: int, headers: dict[str, str], error: type[SkillSyncError], code: str
) -> None:
    fake = FakeGitHub()
    fake.reply("/hooks", status, b"", headers, times=3)
    with pytest.raises(error, match=code):
        failed(fake)


GOOD = delivery(1, "a", 500, 10)
WRONG: list[object] = [
    None,
    7,
    {},
    {**GOOD, "id": "1"},
    {**GOOD, "id": True},
    {**GOOD, "guid": ""},
    {**GOOD, "guid": "a" * 65},
    {**GOOD, "guid": "<script>"},
    {**GOOD, "guid": None},
    {**GOOD, "delivered_at": "yesterday"},
    {**GOOD, "delivered_at": "2026-11-21T11:00:00"},
    {**GOOD, "delivered_at": None},
    {**GOOD, "status_code": "500"},
    {**GOOD, "status_code": -1},
    {**GOOD, "status_code": 1000},
    {**GOOD, "event": None},
]


@pytest.mark.parametrize("entry", WRONG)
def test_a_delivery_of_another_form_is_corrupt(entry: object) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        failed(deliveries(GOOD, entry))


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'[],"entries":[]', b"[", b"[]}"])
def test_a_list_of_another_form_is_corrupt(body: bytes) -> None:
    fake = FakeGitHub()
    fake.reply("/deliveries", body=body)
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        failed(fake)


ENTRY = st.fixed_dictionaries(
    {
        "id": st.integers(1, 9) | st.text(),
        "guid": st.sampled_from("abc"),
        "delivered_at": st.sampled_from(["2026-11-21T11:00:00Z", "2026-11-21T12:00:00.123Z", "x"]),
        "status_code": st.sampled_from([0, 200, 500, None]),
        "event": st.sampled_from(["push", "ping"]),
    }
)


@given(st.lists(ENTRY | st.none() | st.integers(), max_size=8))
def test_a_lost_push_has_no_arrival_and_is_named_once(entries: list[Any]) -> None:
    try:
        found = GitHubHooks(api(deliveries(*entries))).failed_deliveries(7)
    except UnavailableError:
        return
    guids = [item.guid for item in found or ()]
    arrived = {entry["guid"] for entry in entries if entry["status_code"] == 200}
    assert set(guids) == {entry["guid"] for entry in entries if entry["event"] == "push"} - arrived
    assert len(guids) == len(set(guids))
    assert [item.delivered_at for item in found or ()] == sorted(item.delivered_at for item in found or ())
