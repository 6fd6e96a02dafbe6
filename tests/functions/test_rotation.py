"""Rotations as operators make them, over HTTP on a real store: each credential that the functions can prove by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.core.auth import key_digest
from shared.core.plain_text import fingerprint
from tests.functions.cloud import API_KEY, PULLER_KEY, SECRET, Cloud, skill_text

if TYPE_CHECKING:
    from pathlib import Path

    from werkzeug.test import TestResponse

NEW = "n" * 40
PING = {"zen": "Keep it logically awesome.", "hook_id": 7, "repository": {"full_name": "octo/skills"}}
HOOK, API, PULLER = "GITHUB_WEBHOOK_SECRET", "MANUAL_SYNC_API_KEY", "PULLER_KEY.edge"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """One skill, deployed by a push and installed; no quiet period to speak of."""
    cloud = Cloud(tmp_path, monkeypatch)
    cloud.set("POLLING_INTERVAL_MIN", "0.000001")
    cloud.repo.write("a/SKILL.md", skill_text("a"))
    cloud.repo.commit("Add a")
    assert cloud.webhook(cloud.push()).status_code == 200
    cloud.follow()
    return cloud


def step(cloud: Cloud, action: str, name: str, *, key: str = API_KEY, **more: str) -> TestResponse:
    return cloud.operator("sync", "POST", "/api/rotation", {"action": action, "name": name, **more}, key=key)


def taken(answer: TestResponse) -> dict[str, Any]:
    document: dict[str, Any] = answer.json or {}
    assert answer.status_code == 200, document
    return document


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {})["code"]


def shown(cloud: Cloud, name: str, *, key: str = API_KEY) -> dict[str, Any]:
    document: dict[str, Any] = cloud.operator("status", "GET", "/api/rotation", key=key).json or {}
    return next(item for item in document["credentials"] if item["name"] == name)


def test_a_webhook_secret_goes_over_when_github_has_called_under_the_new_one(cloud: Cloud) -> None:
    began = taken(step(cloud, "begin", HOOK))
    assert began["active"]["old"] == fingerprint(SECRET)
    cloud.set(HOOK, f"{NEW}\n{SECRET}")
    assert code(step(cloud, "verify", HOOK)) == (409, "ROTATION_PROBE_FAILED")
    assert cloud.webhook(PING).status_code == 200
    failed = step(cloud, "verify", HOOK)
    assert [check["code"] for check in (failed.json or {})["checks"]] == ["NEW_VALUE_UNUSED"]
    assert cloud.webhook({**PING, "hook_id": 0}, secret=NEW).status_code == 200  # our own proves nothing about GitHub
    assert code(step(cloud, "verify", HOOK)) == (409, "ROTATION_PROBE_FAILED")
    assert cloud.webhook(PING, secret=NEW).status_code == 200
    verified = taken(step(cloud, "verify", HOOK))
    assert verified["active"]["verified"]["fingerprint"] == fingerprint(NEW)
    finished = taken(step(cloud, "finish", HOOK))
    assert (finished["result"], finished["active"]) == ("finished", None)
    assert shown(cloud, HOOK)["retired"] == fingerprint(SECRET)
    assert code(step(cloud, "begin", HOOK)) == (409, "ROTATION_OLD_STILL_ACCEPTED")
    cloud.set(HOOK, NEW)
    assert shown(cloud, HOOK) | {"since": 0, "due_at": 0} == shown(cloud, HOOK) | {
        "since": 0,
        "due_at": 0,
        "retired": None,
        "state": "ok",
        "known_from": "rotation",
        "days_left": 30,
        "fingerprints": [fingerprint(NEW)],
    }
    assert cloud.webhook(PING).status_code == 401


def test_an_api_key_goes_over_when_the_very_call_shows_the_new_one(cloud: Cloud) -> None:
    taken(step(cloud, "begin", API))
    cloud.set(API, f"{NEW}\n{API_KEY}")
    assert code(step(cloud, "verify", API)) == (409, "ROTATION_PROBE_FAILED")
    taken(step(cloud, "verify", API, key=NEW))
    assert taken(step(cloud, "finish", API, key=NEW))["result"] == "finished"


def test_a_job_that_still_polls_with_the_old_key_holds_the_end_back(cloud: Cloud) -> None:
    taken(step(cloud, "begin", API))
    cloud.set(API, f"{NEW}\n{API_KEY}")
    taken(step(cloud, "verify", API, key=NEW))
    cloud.set("POLLING_INTERVAL_MIN", "5")
    answer = step(cloud, "finish", API, key=NEW)
    assert code(answer) == (409, "ROTATION_QUIET")
    assert 590 <= int(answer.headers["Retry-After"]) <= 600
    assert "verified at" in (answer.json or {})["error"]
    assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
    assert "the old value was used" in (step(cloud, "finish", API, key=NEW).json or {})["error"]
    assert fingerprint(API_KEY) in shown(cloud, API)["used"]


def test_a_puller_s_key_goes_over_when_the_puller_has_reported_under_it(cloud: Cloud) -> None:
    old = f"edge:{key_digest(PULLER_KEY)}"
    taken(step(cloud, "begin", PULLER))
    cloud.set("PULLER_KEY_HASHES", f"edge:{key_digest(NEW)}\n{old}")
    cloud.follow()
    assert code(step(cloud, "verify", PULLER)) == (409, "ROTATION_PROBE_FAILED")
    cloud.puller("POST", "/v1/report", key=NEW, json={"outcome": "current", "deployment": "1-1"})
    taken(step(cloud, "verify", PULLER))
    taken(step(cloud, "finish", PULLER))
    assert sorted(shown(cloud, PULLER)["used"]) == sorted([key_digest(NEW)[:8], key_digest(PULLER_KEY)[:8]])


def test_a_retired_puller_s_key_is_forgotten_with_its_line(cloud: Cloud) -> None:
    cloud.set("PULLER_KEY_HASHES", f"edge:{key_digest(PULLER_KEY)}\nother:{key_digest(NEW)}")
    assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
    assert shown(cloud, "PULLER_KEY.other")["known_from"] == "first_seen"
    cloud.set("PULLER_KEY_HASHES", f"edge:{key_digest(PULLER_KEY)}")
    taken(step(cloud, "begin", HOOK))
    document: dict[str, Any] = cloud.operator("status", "GET", "/api/rotation").json or {}
    assert "PULLER_KEY.other" not in {item["name"] for item in document["credentials"]}


def test_every_credential_that_is_held_has_a_due_date_after_the_first_poll(cloud: Cloud) -> None:
    assert shown(cloud, API)["state"] == "unknown"
    assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
    document: dict[str, Any] = cloud.operator("status", "GET", "/api/rotation").json or {}
    found = {item["name"]: (item["state"], item["days_left"], item["known_from"]) for item in document["credentials"]}
    assert found == {
        HOOK: ("ok", 30, "first_seen"),
        API: ("ok", 30, "first_seen"),
        PULLER: ("ok", 30, "first_seen"),
        "SIGNING_KEY": ("ok", 90, "trust"),
        "OPERATOR_KEY": ("ok", 365, "trust"),
    }


def test_a_rotation_that_is_given_up_leaves_things_as_they_were_and_says_what_is_left_over(cloud: Cloud) -> None:
    assert code(step(cloud, "abort", HOOK)) == (409, "ROTATION_NONE")
    taken(step(cloud, "begin", HOOK))
    cloud.set(HOOK, f"{NEW}\n{SECRET}")
    assert code(step(cloud, "abort", API)) == (409, "ROTATION_NONE")
    assert fingerprint(NEW) in taken(step(cloud, "abort", HOOK))["next"]
    assert code(step(cloud, "begin", HOOK)) == (409, "ROTATION_TWO_ALREADY")
    cloud.set(HOOK, SECRET)
    taken(step(cloud, "begin", API))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"action": "begin", "name": "NOBODY"}, (400, "ROTATION_NAME_UNKNOWN")),
        ({"action": "begin", "name": "PULLER_KEY"}, (400, "ROTATION_NAME_UNKNOWN")),
        ({"action": "steal", "name": HOOK}, (400, "ROTATION_ACTION_UNKNOWN")),
        ({"action": "verify", "name": HOOK}, (409, "ROTATION_NONE")),
        ({"action": "finish", "name": HOOK}, (409, "ROTATION_NONE")),
        ({"action": "begin"}, (400, "MEMBER_INVALID")),
        ({"action": "begin", "name": 7}, (400, "MEMBER_INVALID")),
        ({"action": "begin", "name": HOOK, "value": "secret"}, (400, "MEMBER_UNKNOWN")),
        ({"action": "begin", "name": HOOK, "fingerprint": "xyz"}, (400, "MEMBER_INVALID")),
        ({"action": "begin", "name": HOOK, "fingerprint": ["a"]}, (400, "MEMBER_INVALID")),
        (b"[]", (400, "JSON_INVALID")),
    ],
)
def test_what_is_no_step_is_refused_and_changes_nothing(cloud: Cloud, body: object, expected: tuple[int, str]) -> None:
    assert code(cloud.operator("sync", "POST", "/api/rotation", body)) == expected
    assert not [entry.name for entry in cloud.store.list("rotation/")]


def test_nobody_without_a_key_takes_a_step_or_sees_how_things_stand(cloud: Cloud) -> None:
    for key in (None, NEW):
        assert step(cloud, "begin", HOOK, key=key or "").status_code == 401
        assert cloud.operator("status", "GET", "/api/rotation", key=key).status_code == 401
    assert not [entry.name for entry in cloud.store.list("rotation/")]


def test_boot_status_names_what_is_held_by_fingerprint_and_never_a_value(cloud: Cloud) -> None:
    cloud.set(HOOK, f"{NEW}\n{SECRET}")
    answer = cloud.operator("status", "GET", "/api/boot-status")
    held = (answer.json or {})["credentials"]
    assert held[HOOK] == [fingerprint(NEW), fingerprint(SECRET)]
    assert held[PULLER] == [key_digest(PULLER_KEY)[:8]]
    assert len(held["SIGNING_KEY"]) == 1
    for value in (NEW, SECRET, API_KEY, PULLER_KEY):
        assert value not in answer.text
