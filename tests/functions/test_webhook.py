"""The webhook's contract with GitHub: whom it believes, what it ignores, what it answers."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared import wiring
from tests.fakes.trusted import anchor
from tests.fakes.world import TRUST
from tests.functions.cloud import SECRET, skill_text

if TYPE_CHECKING:
    from tests.functions.cloud import Cloud

PING = {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}, "repository": {"full_name": "octo/skills"}}


def sha1(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()


def test_a_push_is_deployed_and_answered_with_its_skills(cloud: Cloud) -> None:
    answer = cloud.webhook(cloud.push())
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["status"], answer.json["deploymentId"]) == ("deployed", "1-1")
    assert answer.json["skills"] == [{"name": "a", "version": "1.0.0"}, {"name": "b", "version": "1.0.0"}]
    assert answer.json["rejected"] == []


def test_the_function_answers_at_its_own_root_too(cloud: Cloud) -> None:
    body = json.dumps(PING).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
    assert cloud.call("webhook", "POST", "/", data=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-Hub-Signature-256": "sha256=" + "0" * 64}, "SIGNATURE_INVALID"),
        ({"X-Hub-Signature-256": "sha256=" + "é" * 64}, "SIGNATURE_INVALID"),
        ({"X-Hub-Signature-256": ""}, "SIGNATURE_INVALID"),
        ({"X-Hub-Signature-256": "0" * 64}, "SIGNATURE_INVALID"),
    ],
)
def test_a_wrong_signature_is_401_and_nothing_is_read_or_written(
    cloud: Cloud, headers: dict[str, str], code: str
) -> None:
    answer = cloud.webhook(cloud.push(), headers=headers)
    assert (answer.status_code, answer.json["code"]) == (401, code)  # type: ignore[index]
    assert not cloud.touched_store()


def test_a_missing_signature_is_401_and_nothing_is_read_or_written(cloud: Cloud) -> None:
    answer = cloud.call("webhook", "POST", "/webhook/github", json=cloud.push())
    assert (answer.status_code, answer.json["code"]) == (401, "SIGNATURE_MISSING")  # type: ignore[index]
    assert not cloud.touched_store()


def test_a_signature_under_another_secret_is_401(cloud: Cloud) -> None:
    assert cloud.webhook(cloud.push(), secret="x" * 40).status_code == 401
    assert not cloud.touched_store()


def test_sha1_is_never_accepted(cloud: Cloud) -> None:
    body = json.dumps(cloud.push()).encode()
    only = cloud.call(
        "webhook",
        "POST",
        "/webhook/github",
        data=body,
        headers={"X-Hub-Signature": f"sha1={sha1(body)}", "Content-Type": "application/json"},
    )
    prefixed = cloud.webhook(body, headers={"X-Hub-Signature-256": f"sha1={sha1(body)}"})
    disguised = cloud.webhook(body, headers={"X-Hub-Signature-256": f"sha256={sha1(body)}"})
    assert [only.status_code, prefixed.status_code, disguised.status_code] == [401, 401, 401]
    assert not cloud.touched_store()


def test_both_secrets_hold_while_one_is_rotated(cloud: Cloud) -> None:
    cloud.set("GITHUB_WEBHOOK_SECRET", f"{'n' * 40}\n{SECRET}")
    assert cloud.webhook(PING).status_code == 200
    assert cloud.webhook(PING, secret="n" * 40).status_code == 200


def test_without_a_secret_nobody_is_believed(cloud: Cloud) -> None:
    cloud.set("GITHUB_WEBHOOK_SECRET", None)
    answer = cloud.webhook(cloud.push(), secret="")
    assert (answer.status_code, answer.json["code"]) == (503, "CONFIG_MISSING")  # type: ignore[index]


@pytest.mark.parametrize(
    ("payload", "status", "code"),
    [
        (b"not json", 400, "JSON_INVALID"),
        (b"[]", 400, "JSON_INVALID"),
        (b'{"ref": 1, "ref": 2}', 400, "JSON_INVALID"),
        (b'{"a": NaN}', 400, "JSON_INVALID"),
        (b"\xff\xfe", 400, "JSON_INVALID"),
        (b"[" * 100_000, 400, "JSON_TOO_DEEP"),
        (b'{"ref": "refs/heads/main", "before": "x", "after": "y"}', 400, "PAYLOAD_INVALID"),
    ],
)
def test_a_body_that_is_no_payload_is_400(cloud: Cloud, payload: bytes, status: int, code: str) -> None:
    answer = cloud.webhook(payload)
    assert (answer.status_code, answer.json["code"]) == (status, code)  # type: ignore[index]
    assert not cloud.touched_store()


def test_a_form_is_415_and_says_what_to_set(cloud: Cloud) -> None:
    answer = cloud.webhook(b"payload=%7B%7D", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status_code, answer.json["code"]) == (415, "CONTENT_TYPE")  # type: ignore[index]
    assert "application/json" in answer.json["error"]  # type: ignore[index]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_405_in_json(cloud: Cloud, method: str) -> None:
    answer = cloud.call("webhook", method, "/webhook/github")
    assert (answer.status_code, answer.json["code"]) == (405, "METHOD_NOT_ALLOWED")  # type: ignore[index]


def test_another_path_is_404_in_json(cloud: Cloud) -> None:
    answer = cloud.call("webhook", "POST", "/api/poll")
    assert (answer.status_code, answer.json["code"]) == (404, "ROUTE_UNKNOWN")  # type: ignore[index]


def test_a_body_over_25_mib_is_413_whether_declared_or_not(cloud: Cloud) -> None:
    declared = cloud.webhook(b"x" * (25 * 1024 * 1024 + 1))
    chunked = cloud.call(
        "webhook",
        "POST",
        "/webhook/github",
        input_stream=io.BytesIO(b"x" * (25 * 1024 * 1024 + 1)),
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    for answer in (declared, chunked):
        assert (answer.status_code, answer.json["code"]) == (413, "BODY_TOO_LARGE")  # type: ignore[index]
    assert not cloud.touched_store()


def test_what_asks_for_nothing_is_answered_200_with_a_message_and_touches_nothing(cloud: Cloud) -> None:
    nothing = "0" * 40
    payloads = [
        {**PING, "hook_id": 0},
        {"action": "opened", "issue": {}},
        cloud.push(ref="refs/heads/topic"),
        cloud.push(ref="refs/tags/v1"),
        cloud.push(after=nothing, deleted=True),
        cloud.push(repository={"full_name": "octo/other", "default_branch": "main"}),
    ]
    for payload in payloads:
        answer = cloud.webhook(payload)
        assert answer.status_code == 200
        assert set(answer.json or {}) == {"message"}
    assert not cloud.touched_store()


def test_without_a_configured_branch_the_default_branch_is_followed(cloud: Cloud) -> None:
    cloud.set("GITHUB_BRANCH", None)
    cloud.set("TRUST_ANCHOR", anchor(replace(TRUST, ref="HEAD")))
    other = cloud.push(repository={"full_name": "octo/skills", "default_branch": "trunk"})
    assert set(cloud.webhook(other).json or {}) == {"message"}
    assert (cloud.webhook(cloud.push()).json or {})["status"] == "deployed"


def test_a_redelivered_push_changes_nothing(cloud: Cloud) -> None:
    first = cloud.push()
    cloud.webhook(first)
    before = cloud.repo.head
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    cloud.repo.commit("Change a")
    cloud.webhook(cloud.push(before))
    answer = cloud.webhook(first)
    assert answer.json is not None
    assert (answer.status_code, answer.json["status"], answer.json["deploymentId"]) == (200, "unchanged", "1-2")


def test_a_push_whose_every_change_is_rejected_is_400_with_the_findings(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    before = cloud.repo.head
    cloud.repo.write("a/SKILL.md", "no frontmatter")
    cloud.repo.commit("Break a")
    answer = cloud.webhook(cloud.push(before))
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"] == "Validation failed"
    assert answer.json["details"][0]["name"] == "a"
    assert answer.json["details"][0]["findings"][0]["code"] == "FM_MISSING"
    assert "no frontmatter" not in answer.get_data(as_text=True)


def test_a_push_of_which_a_part_is_rejected_is_200_and_names_both(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    before = cloud.repo.head
    cloud.repo.write("a/SKILL.md", "no frontmatter")
    cloud.repo.write("c/SKILL.md", skill_text("c"))
    cloud.repo.commit("Break a, add c")
    answer = cloud.webhook(cloud.push(before))
    assert answer.json is not None
    assert (answer.status_code, answer.json["status"]) == (200, "deployed")
    assert [item["name"] for item in answer.json["skills"]] == ["c"]
    assert [item["name"] for item in answer.json["rejected"]] == ["a"]


def test_the_source_down_is_503_with_retry_after_and_the_next_poll_finishes(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    pointer = cloud.store.get("current.json")
    cloud.repo.write("c/SKILL.md", skill_text("c"))
    cloud.repo.commit("Add c")
    cloud.set("SOURCE_URL", "http://127.0.0.1:9/octo/skills.git")
    answer = cloud.webhook(cloud.push())
    assert (answer.status_code, answer.json["code"]) == (503, "SOURCE_UNAVAILABLE")  # type: ignore[index]
    assert int(answer.headers["Retry-After"]) >= 1
    assert cloud.store.get("current.json") == pointer
    cloud.set("SOURCE_URL", str(cloud.repo.path))
    assert (cloud.operator("poll", "POST", "/api/poll").json or {})["status"] == "deployed"


def test_the_store_down_is_503_with_retry_after(cloud: Cloud) -> None:
    cloud.set("STORE_URI", "sqlite:///proc/nowhere/objects.db")
    answer = cloud.webhook(cloud.push())
    assert (answer.status_code, answer.json["code"]) == (503, "STORE_UNAVAILABLE")  # type: ignore[index]
    assert "Retry-After" in answer.headers


def test_missing_settings_are_503_naming_all_of_them_and_no_value(cloud: Cloud) -> None:
    cloud.set("STORE_URI", None)
    cloud.set("SIGNING_KEY", None)
    answer = cloud.webhook(cloud.push())
    assert answer.status_code == 503
    text = answer.get_data(as_text=True)
    assert "STORE_URI" in text
    assert "SIGNING_KEY" in text
    assert SECRET not in text


def test_a_source_that_drips_is_answered_202_within_githubs_ten_seconds(cloud: Cloud, dripping_source: str) -> None:
    cloud.set("SOURCE_URL", dripping_source)
    started = time.monotonic()
    answer = cloud.webhook(cloud.push())
    assert time.monotonic() - started < 10
    assert (answer.status_code, answer.json["status"]) == (202, "deferred")  # type: ignore[index]
    assert cloud.store.get("current.json") is None


@pytest.mark.parametrize(("added", "running"), [("a/SKILL.md", 1), ("README.md", 0)])
def test_who_judges_skills_is_started_before_anything_is_asked_when_a_push_brings_some(
    cloud: Cloud, added: str, running: int
) -> None:
    cloud.set("STORE_URI", "nowhere://")
    wiring.judge().close()
    commits = [{"added": [added], "modified": [], "removed": []}]
    assert cloud.webhook(cloud.push(commits=commits)).status_code == 503
    assert (wiring.judge()._child is not None) == bool(running)  # type: ignore[attr-defined]
