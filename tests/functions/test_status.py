"""What monitors and operators read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functions.cloud import skill_text

if TYPE_CHECKING:
    from tests.functions.cloud import Cloud

SHAPE = {"status", "timestamp", "services", "skills", "last_deployment", "recent_deployments", "kpis"}


def test_health_is_open_and_red_before_anything_was_deployed(cloud: Cloud) -> None:
    answer = cloud.call("status", "GET", "/health")
    assert (answer.status_code, (answer.json or {})["status"]) == (503, "unhealthy")
    assert set(answer.json or {}) >= SHAPE


def test_health_is_green_once_a_deployment_is_installed_and_has_the_promised_shape(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    cloud.follow()
    answer = cloud.call("status", "GET", "/health")
    health = answer.json or {}
    assert (answer.status_code, health["status"]) == (200, "healthy")
    assert set(health) >= SHAPE
    assert set(health["services"]) == {"poller", "webhook", "audit", "pullers"}
    assert health["services"]["poller"]["last_deployed_sha"] == cloud.repo.head
    assert health["services"]["webhook"]["last_received"] is not None
    assert health["skills"] == {"count": 2, "withheld": 0, "last_updated": ["a", "b"]}
    assert health["last_deployment"]["trigger"] == "webhook"
    assert health["recent_deployments"] == ["1-1"]
    indicators = {each["name"]: (each["value"], each["target"], each["met"]) for each in health["kpis"]["indicators"]}
    assert indicators["webhook_success_rate"] == (1.0, "> 0.99", True)
    assert indicators["gateway_uptime"] == (None, "> 0.999", None)


def test_health_is_red_while_a_puller_that_has_a_key_was_never_heard_of(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    answer = cloud.call("status", "GET", "/health")
    (puller,) = (answer.json or {})["services"]["pullers"]
    assert (answer.status_code, puller["id"], puller["status"], puller["last_report"]) == (503, "edge", "silent", None)
    cloud.set("PULLER_KEY_HASHES", None)
    assert cloud.call("status", "GET", "/health").status_code == 200


def test_health_goes_red_when_no_head_was_read_for_three_polling_intervals(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    cloud.set("POLLING_INTERVAL_MIN", "0.000001")
    answer = cloud.call("status", "GET", "/health")
    assert (answer.status_code, (answer.json or {})["services"]["poller"]["status"]) == (503, "stale")


def test_health_names_the_fault_of_the_last_sync_until_a_poll_succeeds(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    cloud.follow()
    cloud.set("SOURCE_URL", "/nowhere")
    cloud.operator("poll", "POST", "/api/poll")
    faulty = cloud.call("status", "GET", "/health").json or {}
    cloud.set("SOURCE_URL", str(cloud.repo.path))
    cloud.operator("poll", "POST", "/api/poll")
    mended = cloud.call("status", "GET", "/health").json or {}
    assert (faulty["status"], faulty["services"]["poller"]["error"]) == ("degraded", "SOURCE_NOT_FOUND")
    assert (mended["status"], mended["services"]["poller"]["error"]) == ("healthy", None)


def test_health_answers_in_its_shape_while_the_store_is_down(cloud: Cloud) -> None:
    cloud.set("STORE_URI", "sqlite:///proc/nowhere/objects.db")
    answer = cloud.call("status", "GET", "/health")
    assert (answer.status_code, (answer.json or {})["error"]) == (503, "STORE_UNAVAILABLE")
    assert set(answer.json or {}) >= SHAPE


@pytest.mark.parametrize("path", ["/api/skills", "/api/deployments", "/api/deployments/1-1", "/api/diff?to=1-1"])
def test_everything_but_health_asks_for_the_key(cloud: Cloud, path: str) -> None:
    assert cloud.operator("status", "GET", path, key=None).status_code == 401


@pytest.mark.parametrize("path", ["/api/skills", "/api/deployments", "/api/deployments/1-1", "/api/diff?to=1-1"])
def test_before_the_first_deployment_there_is_nothing_to_list(cloud: Cloud, path: str) -> None:
    answer = cloud.operator("status", "GET", path)
    assert (answer.status_code, answer.json["code"]) == (404, "NO_DEPLOYMENT")  # type: ignore[index]


def test_skills_are_listed_by_pages_with_what_is_withheld(cloud: Cloud) -> None:
    cloud.repo.write("c/SKILL.md", "no frontmatter")
    cloud.repo.commit("Add c")
    cloud.webhook(cloud.push())
    first = cloud.operator("status", "GET", "/api/skills?limit=2").json or {}
    second = cloud.operator("status", "GET", f"/api/skills?limit=2&after={first['next']}").json or {}
    assert [skill["id"] for skill in first["skills"]] == ["a", "b"]
    assert (second["skills"], list(second["withheld"]), second["next"]) == ([], ["c"], None)
    assert second["withheld"]["c"]["findings"][0]["code"] == "FM_MISSING"


def test_deployments_are_listed_newest_first_by_pages(cloud: Cloud) -> None:
    for number in range(5):
        cloud.repo.write("a/SKILL.md", skill_text("a", f"Text {number}."))
        cloud.repo.commit(f"Change {number}")
        cloud.webhook(cloud.push())
    first = cloud.operator("status", "GET", "/api/deployments?limit=3").json or {}
    second = cloud.operator("status", "GET", f"/api/deployments?limit=3&before={first['next']}").json or {}
    assert [item["id"] for item in first["deployments"]] == ["1-5", "1-4", "1-3"]
    assert [item["id"] for item in second["deployments"]] == ["1-2", "1-1"]
    assert second["next"] is None


def test_one_deployment_tells_what_it_changed(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    cloud.repo.delete("b")
    cloud.repo.write("c/SKILL.md", "no frontmatter")
    cloud.repo.commit("Change all")
    cloud.webhook(cloud.push())
    told = cloud.operator("status", "GET", "/api/deployments/1-2").json or {}
    assert told["published"] == [{"name": "a", "version": "1.1.0", "previous_version": "1.0.0"}]
    assert told["removed"] == ["b"]
    assert told["held"]["c"]["reason"] == "rejected"
    assert [finding["code"] for finding in told["held"]["c"]["findings"]] == ["FM_MISSING"]
    assert (told["previous"], told["action"], told["rolled_back_to"], told["withheld"]) == ("1-1", "deploy", None, 1)
    assert told["asked_at"] <= told["timestamp"]
    assert cloud.operator("status", "GET", "/api/deployments/1-3").status_code == 404


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=-1", "limit=1e3"])
def test_a_limit_out_of_bounds_is_400(cloud: Cloud, query: str) -> None:
    cloud.webhook(cloud.push())
    answer = cloud.operator("status", "GET", f"/api/skills?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "LIMIT_INVALID")  # type: ignore[index]


def test_a_deployment_whose_manifest_was_collected_still_tells_what_was_signed(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    cloud.repo.commit("Change a")
    cloud.webhook(cloud.push())
    name = f"objects/{(cloud.operator('status', 'GET', '/api/deployments/1-1').json or {})['manifest']}"
    stored = cloud.store.get(name)
    assert stored is not None
    cloud.store.delete(name, if_generation=stored.generation)
    for deployment in ("1-1", "1-2"):
        answer = cloud.operator("status", "GET", f"/api/deployments/{deployment}")
        assert (answer.status_code, (answer.json or {})["id"]) == (200, deployment)
        assert [(answer.json or {})[key] for key in ("published", "removed", "held")] == [None, None, None]


def test_a_rollback_tells_what_it_went_back_to(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    cloud.repo.commit("Change a")
    cloud.webhook(cloud.push())
    cloud.operator("sync", "POST", "/api/rollback", {"to": "1-1"})
    told = cloud.operator("status", "GET", "/api/deployments/1-3").json or {}
    assert (told["rolled_back_to"], told["trigger"], told["held"]["a"]["reason"]) == ("1-1", "rollback", "rolled_back")


def changed(cloud: Cloud) -> None:
    """Deploy a and b, then a newer a, c in place of b, and a d that is kept out."""
    cloud.webhook(cloud.push())
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    cloud.repo.delete("b")
    cloud.repo.write("c/SKILL.md", skill_text("c"))
    cloud.repo.write("d/SKILL.md", "no frontmatter")
    cloud.repo.commit("Change all")
    cloud.webhook(cloud.push())


def test_two_deployments_are_compared_either_way_and_with_what_is_live(cloud: Cloud) -> None:
    changed(cloud)
    ahead = cloud.operator("status", "GET", "/api/diff?from=1-1&to=1-2").json or {}
    assert (ahead["from"]["id"], ahead["to"]["id"], ahead["removed"]) == ("1-1", "1-2", ["b"])
    assert ahead["published"] == [
        {"name": "a", "version": "1.1.0", "previous_version": "1.0.0"},
        {"name": "c", "version": "1.0.0", "previous_version": None},
    ]
    assert ahead["withheld"]["d"]["findings"][0]["code"] == "FM_MISSING"
    back = cloud.operator("status", "GET", "/api/diff?to=1-1").json or {}
    assert (back["from"]["id"], back["removed"], back["withheld"]) == ("1-2", ["c"], {})
    assert [(each["name"], each["previous_version"]) for each in back["published"]] == [("a", "1.1.0"), ("b", None)]
    assert back["counts"] == {"published": 2, "removed": 1, "withheld": 0, "withheld_now": 0, "held_back": 3}


def test_what_a_rollback_would_change_is_what_it_then_changes(cloud: Cloud) -> None:
    changed(cloud)
    told = cloud.operator("status", "GET", "/api/diff?to=1-1").json or {}
    done = cloud.operator("sync", "POST", "/api/rollback", {"to": "1-1"}).json or {}
    assert [each["name"] for each in told["published"]] == [each["name"] for each in done["skills"]] == ["a", "b"]
    assert told["removed"] == done["removed"] == ["c"]
    assert told["held_back"] == [each["name"] for each in done["rejected"]] == ["a", "b", "c"]
    again = cloud.operator("status", "GET", "/api/diff?to=1-1").json or {}
    assert not any(again["counts"][kind] for kind in ("published", "removed", "held_back"))


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "MEMBER_INVALID"),
        ("from=1-1", 400, "MEMBER_INVALID"),
        ("to=../1", 400, "DEPLOYMENT_ID_INVALID"),
        ("from=x&to=1-1", 400, "DEPLOYMENT_ID_INVALID"),
        ("to=1-9", 404, "DEPLOYMENT_UNKNOWN"),
        ("from=1-9&to=1-1", 404, "DEPLOYMENT_UNKNOWN"),
    ],
)
def test_a_comparison_needs_two_deployments_that_there_are(cloud: Cloud, query: str, status: int, code: str) -> None:
    cloud.webhook(cloud.push())
    answer = cloud.operator("status", "GET", f"/api/diff?{query}")
    assert (answer.status_code, (answer.json or {})["code"]) == (status, code)


def test_what_was_collected_cannot_be_compared_and_is_named(cloud: Cloud) -> None:
    changed(cloud)
    name = f"objects/{(cloud.operator('status', 'GET', '/api/deployments/1-1').json or {})['manifest']}"
    stored = cloud.store.get(name)
    assert stored is not None
    cloud.store.delete(name, if_generation=stored.generation)
    answer = cloud.operator("status", "GET", "/api/diff?to=1-1").json or {}
    assert (answer["code"], "deployment 1-1" in answer["error"]) == ("MANIFEST_COLLECTED", True)
