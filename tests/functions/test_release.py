"""What pullers are served and what of their reports is kept."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from shared.core.auth import key_digest
from tests.functions.cloud import PULLER_KEY, skill_text

if TYPE_CHECKING:
    from tests.functions.cloud import Cloud


def deploy(cloud: Cloud) -> dict[str, object]:
    """Deploy the head and return the live pointer's payload."""
    cloud.operator("sync", "POST", "/api/sync")
    envelope = json.loads(cloud.puller("GET", "/v1/current").data)
    payload = json.loads(base64.b64decode(envelope["payload"]))
    assert isinstance(payload, dict)
    return payload


@pytest.mark.parametrize("path", ["/v1/current", "/v1/objects/" + "0" * 64, "/v1/deployments/1-1"])
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic cDpw"])
def test_only_a_pullers_own_key_opens_it(cloud: Cloud, path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    assert cloud.call("release", "GET", path, headers=headers).status_code == 401
    assert cloud.call("release", "POST", "/v1/report", headers=headers).status_code == 401
    assert not cloud.touched_store()


def test_the_api_key_opens_nothing_here(cloud: Cloud) -> None:
    assert cloud.operator("release", "GET", "/v1/current").status_code == 401


def test_both_keys_of_a_puller_hold_while_one_is_rotated(cloud: Cloud) -> None:
    new = "n" * 40
    cloud.set("PULLER_KEY_HASHES", f"edge:{key_digest(new)}\nedge:{key_digest(PULLER_KEY)}")
    deploy(cloud)
    assert [cloud.puller("GET", "/v1/current", key=key).status_code for key in (new, PULLER_KEY)] == [200, 200]


def test_hashes_of_the_wrong_form_are_503_and_let_nobody_in(cloud: Cloud) -> None:
    cloud.set("PULLER_KEY_HASHES", "edge=abc")
    answer = cloud.puller("GET", "/v1/current")
    assert (answer.status_code, answer.json["code"]) == (503, "PULLER_KEY_HASHES_INVALID")  # type: ignore[index]


def test_before_the_first_deployment_there_is_no_pointer(cloud: Cloud) -> None:
    answer = cloud.puller("GET", "/v1/current")
    assert (answer.status_code, answer.json["code"]) == (404, "NO_DEPLOYMENT")  # type: ignore[index]


def test_the_pointer_is_served_as_stored_under_its_digest_and_then_304(cloud: Cloud) -> None:
    deploy(cloud)
    stored = cloud.store.get("current.json")
    assert stored is not None
    answer = cloud.puller("GET", "/v1/current")
    assert answer.data == stored.data
    assert answer.headers["ETag"] == f'"{hashlib.sha256(stored.data).hexdigest()}"'
    again = cloud.puller("GET", "/v1/current", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_objects_are_served_by_digest_and_nothing_else_is(cloud: Cloud) -> None:
    manifest = deploy(cloud)["manifest"]
    assert isinstance(manifest, dict)
    data = cloud.puller("GET", f"/v1/objects/{manifest['sha256']}").data
    assert hashlib.sha256(data).hexdigest() == manifest["sha256"]
    assert len(data) == manifest["size"]
    assert cloud.puller("GET", "/v1/objects/" + "0" * 64).status_code == 404
    for name in ("..%2fcurrent.json", "x", "A" * 64, manifest["sha256"] + "%0a"):
        assert cloud.puller("GET", f"/v1/objects/{name}").status_code in {400, 404}


def test_a_record_is_served_by_its_deployment(cloud: Cloud) -> None:
    deploy(cloud)
    envelope = json.loads(cloud.puller("GET", "/v1/deployments/1-1").data)
    assert json.loads(base64.b64decode(envelope["payload"]))["seq"] == 1
    assert cloud.puller("GET", "/v1/deployments/1-2").status_code == 404
    assert cloud.puller("GET", "/v1/deployments/latest").status_code == 400


def test_a_report_is_kept_and_shows_in_health_with_its_proven_floor(cloud: Cloud) -> None:
    deploy(cloud)
    floor = base64.b64encode(cloud.puller("GET", "/v1/current").data).decode()
    report = {"outcome": "installed", "deployment": "1-1", "reasons": [], "floor": floor}
    assert cloud.puller("POST", "/v1/report", json=report).status_code == 204
    stored = cloud.store.get("pullers/edge.json")
    assert stored is not None
    assert json.loads(stored.data)["floor"]["deployment"] == "1-1"
    pullers = (cloud.call("status", "GET", "/health").json or {})["services"]["pullers"]
    assert [(puller["id"], puller["status"]) for puller in pullers] == [("edge", "current")]


def test_a_floor_that_we_did_not_sign_is_not_believed(cloud: Cloud) -> None:
    deploy(cloud)
    for floor in ("", "%%%", base64.b64encode(b"{}").decode(), 7):
        cloud.puller("POST", "/v1/report", json={"outcome": "installed", "floor": floor})
        stored = cloud.store.get("pullers/edge.json")
        assert stored is not None
        assert json.loads(stored.data)["floor"] is None


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"outcome": "perfect"},
        {"outcome": "installed", "deployment": 7},
        {"outcome": "installed", "deployment": "x" * 300},
        {"outcome": "installed", "reasons": "none"},
        {"outcome": "installed", "reasons": [1]},
        {"outcome": "held", "failed": {"deployment": "1-1", "manifest": "latest"}},
        {"outcome": "current", "gateway": {"since": "now", "watched_ms": 1, "up_ms": 1}},
        {"outcome": "current", "install": {"ago_ms": -1}},
        {"outcome": "current", "at": "2026-11-21T12:34:56.789Z", "drift": [{"path": "a", "what": "eaten"}]},
    ],
)
def test_a_report_of_the_wrong_form_is_400_and_not_kept(cloud: Cloud, report: dict[str, object]) -> None:
    answer = cloud.puller("POST", "/v1/report", json=report)
    assert (answer.status_code, answer.json["code"]) == (400, "REPORT_INVALID")  # type: ignore[index]
    assert cloud.store.get("pullers/edge.json") is None


def test_a_report_over_64_kib_is_413(cloud: Cloud) -> None:
    assert cloud.puller("POST", "/v1/report", data=b"x" * (64 * 1024 + 1)).status_code == 413


def test_a_puller_that_lags_refuses_or_failed_shows_in_health(cloud: Cloud) -> None:
    deploy(cloud)
    cloud.puller("POST", "/v1/report", json={"outcome": "installed", "deployment": "1-1"})
    cloud.repo.write("c/SKILL.md", skill_text("c"))
    cloud.repo.commit("Add c")
    cloud.operator("sync", "POST", "/api/sync")
    behind = cloud.call("status", "GET", "/health").json or {}
    cloud.puller("POST", "/v1/report", json={"outcome": "refused", "deployment": "1-1", "reasons": ["clock_skew"]})
    held = cloud.call("status", "GET", "/health").json or {}
    assert [health["services"]["pullers"][0]["status"] for health in (behind, held)] == ["behind", "held"]
    assert [health["status"] for health in (behind, held)] == ["healthy", "degraded"], "one that is at work is no fault"


def test_a_health_check_that_failed_is_held_in_health_with_its_reasons_and_one_event(cloud: Cloud) -> None:
    manifest = deploy(cloud)["manifest"]
    assert isinstance(manifest, dict)
    failed = {"deployment": "1-1", "manifest": manifest["sha256"], "skills": []}
    report = {"outcome": "held", "reasons": ["gateway_unhealthy"], "failed": failed}
    assert [cloud.puller("POST", "/v1/report", json=report).status_code for _ in range(2)] == [204, 204]
    health = cloud.call("status", "GET", "/health").json or {}
    puller = health["services"]["pullers"][0]
    assert (health["status"], puller["status"], puller["reasons"]) == ("degraded", "held", ["gateway_unhealthy"])
    assert len([entry for entry in cloud.store.list("events/") if entry.name.endswith("-1-1-held-edge.json")]) == 1
