"""The scheduler's and the operators' calls: who may make them, what bodies they take, what they answer."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.adapters.signer import Ed25519Signer
from tests.fakes.listeners import answering, pullers
from tests.fakes.trusted import anchor, first_version
from tests.fakes.world import TRUST
from tests.functions.cloud import API_KEY, skill_text

if TYPE_CHECKING:
    from tests.functions.cloud import Cloud


@pytest.mark.parametrize(("target", "path"), [("poll", "/api/poll"), ("sync", "/api/sync"), ("sync", "/api/rollback")])
@pytest.mark.parametrize(
    ("key", "code"), [(None, "API_KEY_MISSING"), ("", "API_KEY_MISSING"), ("z" * 40, "API_KEY_INVALID")]
)
def test_without_a_current_key_nothing_happens(
    cloud: Cloud, target: str, path: str, key: str | None, code: str
) -> None:
    answer = cloud.operator(target, "POST", path, key=key)
    assert (answer.status_code, answer.json["code"]) == (401, code)  # type: ignore[index]
    assert not cloud.touched_store()


def test_a_key_in_the_query_string_is_no_key(cloud: Cloud) -> None:
    assert cloud.call("sync", "POST", f"/api/sync?x-api-key={API_KEY}").status_code == 401


def test_where_iam_guards_the_poll_no_key_is_asked(cloud: Cloud) -> None:
    cloud.set("POLL_AUTH", "iam")
    assert cloud.operator("poll", "POST", "/api/poll", key=None).status_code == 200


def test_a_poll_deploys_what_no_webhook_announced_and_then_finds_nothing_to_do(cloud: Cloud) -> None:
    first = cloud.operator("poll", "POST", "/api/poll")
    second = cloud.operator("poll", "POST", "/api/poll")
    assert [(first.json or {})["status"], (second.json or {})["status"]] == ["deployed", "unchanged"]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_an_empty_body_means_an_ordinary_sync_whatever_its_type(cloud: Cloud, content_type: str) -> None:
    headers = {"x-api-key": API_KEY, "Content-Type": content_type}
    answer = cloud.call("sync", "POST", "/api/sync", data=b"", headers=headers)
    assert (answer.status_code, (answer.json or {})["status"]) == (200, "deployed")


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/api/sync", b"{", "JSON_INVALID"),
        ("/api/sync", b"[1]", "JSON_INVALID"),
        ("/api/sync", {"relaese": ["a"]}, "MEMBER_UNKNOWN"),
        ("/api/sync", {"release": "a"}, "MEMBER_INVALID"),
        ("/api/sync", {"release": [1]}, "MEMBER_INVALID"),
        ("/api/sync", {"dry_run": 1}, "MEMBER_INVALID"),
        ("/api/sync", {"dry_run": None}, "MEMBER_INVALID"),
        ("/api/sync", {"dry_run": "true"}, "MEMBER_INVALID"),
        ("/api/sync", {"dry_run": True, "release": ["a"]}, "MEMBER_INVALID"),
        ("/api/sync", {"dry_run": True, "release": []}, "MEMBER_INVALID"),
        ("/api/sync", {"dry-run": True}, "MEMBER_UNKNOWN"),
        ("/api/rollback", {}, "MEMBER_INVALID"),
        ("/api/rollback", {"to": 1}, "MEMBER_INVALID"),
        ("/api/rollback", {"to": "../1"}, "DEPLOYMENT_ID_INVALID"),
        ("/api/rollback", {"to": "1-0"}, "DEPLOYMENT_ID_INVALID"),
    ],
)
def test_a_wrong_body_is_400_with_its_code(cloud: Cloud, path: str, body: object, code: str) -> None:
    answer = cloud.operator("sync", "POST", path, body)
    assert (answer.status_code, answer.json["code"]) == (400, code)  # type: ignore[index]


def test_a_body_over_one_mib_is_413(cloud: Cloud) -> None:
    answer = cloud.operator("sync", "POST", "/api/sync", b" " * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json["code"]) == (413, "BODY_TOO_LARGE")  # type: ignore[index]


def test_a_dry_run_foretells_the_sync_and_writes_nothing(cloud: Cloud) -> None:
    cloud.operator("sync", "POST", "/api/sync", {"dry_run": False})
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    cloud.repo.write("c/SKILL.md", "no frontmatter")
    cloud.repo.delete("b")
    head = cloud.repo.commit("Change a, remove b, break c")
    listed = cloud.store.list("")
    found = cloud.operator("sync", "POST", "/api/sync", {"dry_run": True})
    body = found.json or {}
    assert (found.status_code, body["status"], body["deploymentId"]) == (200, "would_deploy", "1-1")
    assert (body["commit"], body["skills"], body["removed"]) == (head, [{"name": "a", "version": "1.1.0"}], ["b"])
    assert [(item["name"], item["findings"][0]["code"]) for item in body["rejected"]] == [("c", "FM_MISSING")]
    assert cloud.store.list("") == listed
    done = cloud.operator("sync", "POST", "/api/sync").json or {}
    same = ("commit", "skills", "removed", "rejected")
    assert [done[key] for key in same] == [body[key] for key in same]
    again = cloud.operator("sync", "POST", "/api/sync", {"dry_run": True}).json or {}
    assert (again["status"], again["deploymentId"], again["skills"]) == ("unchanged", "1-2", [])


def test_a_dry_run_sends_no_alert_and_tells_no_puller(cloud: Cloud) -> None:
    with pullers(answering(204)) as (puller,):
        cloud.set("NUDGE_URLS", puller.url)
        cloud.set("ALERT_URLS", f"json://{puller.url.partition('://')[2]}")
        cloud.set("SOURCE_URL", "/nowhere/at/all")
        answer = cloud.operator("sync", "POST", "/api/sync", {"dry_run": True})
        assert (answer.status_code, (answer.json or {})["code"]) == (502, "SOURCE_NOT_FOUND")
        assert (puller.taken, cloud.store.list("")) == ([], [])


def test_a_dry_run_while_paused_is_409_with_the_reasons(cloud: Cloud) -> None:
    cloud.operator("sync", "POST", "/api/sync")
    first = cloud.store.get("current.json")
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    cloud.repo.commit("Change a")
    cloud.operator("sync", "POST", "/api/sync")
    newer = cloud.store.get("current.json")
    assert first is not None
    assert newer is not None
    cloud.store.put("current.json", first.data, if_generation=newer.generation)
    listed = cloud.store.list("")
    answer = cloud.operator("sync", "POST", "/api/sync", {"dry_run": True})
    assert (answer.status_code, (answer.json or {})["code"]) == (409, "PAUSED")
    assert cloud.store.list("") == listed


def test_rolling_back_and_releasing_go_through_http(cloud: Cloud) -> None:
    cloud.operator("sync", "POST", "/api/sync")
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    cloud.repo.commit("Change a")
    cloud.operator("sync", "POST", "/api/sync")
    back = cloud.operator("sync", "POST", "/api/rollback", {"to": "1-1"}).json or {}
    assert (back["status"], back["skills"]) == ("deployed", [{"name": "a", "version": "1.0.0"}])
    assert [(item["name"], item["reason"]) for item in back["rejected"]] == [("a", "rolled_back")]
    assert (cloud.operator("poll", "POST", "/api/poll").json or {})["status"] == "unchanged"
    released = cloud.operator("sync", "POST", "/api/sync", {"release": ["a", "a"]}).json or {}
    assert released["skills"] == [{"name": "a", "version": "1.1.0"}]


def test_an_unknown_deployment_or_a_skill_that_is_not_withheld_is_404(cloud: Cloud) -> None:
    cloud.operator("sync", "POST", "/api/sync")
    unknown = cloud.operator("sync", "POST", "/api/rollback", {"to": "1-9"})
    free = cloud.operator("sync", "POST", "/api/sync", {"release": ["a"]})
    assert (unknown.status_code, unknown.json["code"]) == (404, "DEPLOYMENT_UNKNOWN")  # type: ignore[index]
    assert (free.status_code, free.json["code"]) == (404, "NOT_WITHHELD")  # type: ignore[index]


def test_a_repository_that_is_gone_is_502_with_its_own_code(cloud: Cloud) -> None:
    cloud.set("SOURCE_URL", "/nowhere/at/all")
    answer = cloud.operator("sync", "POST", "/api/sync")
    assert (answer.status_code, answer.json["code"]) == (502, "SOURCE_NOT_FOUND")  # type: ignore[index]


def test_a_branch_that_does_not_exist_is_named(cloud: Cloud) -> None:
    cloud.set("GITHUB_BRANCH", "missing")
    cloud.set("TRUST_ANCHOR", anchor(replace(TRUST, ref="refs/heads/missing")))
    answer = cloud.operator("sync", "POST", "/api/sync")
    assert (answer.status_code, answer.json["code"]) == (502, "BRANCH_NOT_FOUND")  # type: ignore[index]


def test_a_pointer_that_another_key_signed_is_409_and_stays(cloud: Cloud) -> None:
    cloud.operator("sync", "POST", "/api/sync")
    before = cloud.store.get("current.json")
    cloud.set("SIGNING_KEY", "B" * 43 + "=")
    answer = cloud.operator("sync", "POST", "/api/sync")
    assert (answer.status_code, answer.json["code"]) == (503, "SIGNING_KEY_UNTRUSTED")  # type: ignore[index]
    stranger = Ed25519Signer("B" * 42 + "A=")
    cloud.set("SIGNING_KEY", "B" * 42 + "A=")
    cloud.set("TRUST_ANCHOR", anchor(first_version(stranger, repo="octo/skills", ref="refs/heads/main")))
    answer = cloud.operator("sync", "POST", "/api/sync")
    assert (answer.status_code, answer.json["code"]) == (409, "pointer_unverifiable")  # type: ignore[index]
    assert cloud.store.get("current.json") == before


def test_pullers_are_told_of_a_deployment_with_the_pointer_that_is_served(cloud: Cloud) -> None:
    with pullers(answering(204), answering(500)) as found:
        cloud.set("NUDGE_URLS", "\n".join(puller.url for puller in found))
        for _ in range(2):
            assert cloud.operator("sync", "POST", "/api/sync").status_code == 200
        envelope = cloud.puller("GET", "/v1/current").data
        assert [puller.taken for puller in found] == [[("/nudge", "application/json", envelope)]] * 2


def test_addresses_of_the_wrong_form_are_refused_by_name(cloud: Cloud) -> None:
    cloud.set("NUDGE_URLS", "ftp://edge.example/nudge")
    answer = cloud.operator("sync", "POST", "/api/sync")
    assert (answer.status_code, answer.json["code"]) == (503, "CONFIG_INVALID")  # type: ignore[index]


def test_a_deployment_that_a_puller_reports_as_failed_is_taken_back_by_the_poll_and_let_go_by_a_person(
    cloud: Cloud,
) -> None:
    cloud.operator("sync", "POST", "/api/sync")
    cloud.repo.write("a/SKILL.md", skill_text("a", "Broken."))
    cloud.repo.commit("Break a")
    cloud.operator("sync", "POST", "/api/sync")
    payload = json.loads(base64.b64decode(json.loads(cloud.puller("GET", "/v1/current").data)["payload"]))
    failed = {"deployment": "1-2", "manifest": payload["manifest"]["sha256"], "skills": ["a"]}
    cloud.puller("POST", "/v1/report", json={"outcome": "held", "reasons": ["skill_lost"], "failed": failed})
    poll = cloud.operator("poll", "POST", "/api/poll").json or {}
    assert (poll["status"], poll["deploymentId"]) == ("deployed", "1-3")
    assert [item["name"] for item in poll["rejected"]] == ["a"]
    released = cloud.operator("sync", "POST", "/api/sync", {"release": ["a"]}).json or {}
    assert (released["status"], released["deploymentId"]) == ("deployed", "1-4")
    assert (cloud.operator("poll", "POST", "/api/poll").json or {})["status"] == "unchanged"


def test_a_poll_collects_garbage_once_a_day(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
    assert capsys.readouterr().out.count("Garbage was collected") == 1


def test_a_poll_that_fails_collects_all_the_same_and_answers_for_itself(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.set("SOURCE_URL", "/nowhere")
    assert cloud.operator("poll", "POST", "/api/poll").status_code >= 400
    assert capsys.readouterr().out.count("Garbage was collected") == 1
