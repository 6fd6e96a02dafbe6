"""The dashboard's pages: who gets in, what stands on them, and what a browser may do with them."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from shared.core.names import CURRENT
from tests.functions.browser import Browser, Page, basic
from tests.functions.cloud import API_KEY, skill_text

if TYPE_CHECKING:
    from tests.functions.cloud import Cloud

PAGES = ("/", "/deployments/1-1", "/sync", "/rollback?to=1-1", "/release?skill=x")


def two_deployments(cloud: Cloud) -> None:
    """Deployment 1-1 with a and b; 1-2 with a new b, without a, and with a c that the rules withhold."""
    cloud.webhook(cloud.push())
    cloud.repo.write("b/SKILL.md", skill_text("b", "Other text.", "1.1.0"))
    cloud.repo.write("c/SKILL.md", "no frontmatter\n")
    cloud.repo.git("rm", "-q", "a/SKILL.md")
    cloud.repo.commit("Change b, add c, remove a")
    cloud.operator("sync", "POST", "/api/sync")
    cloud.follow("1-2")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer " + API_KEY},
        {"x-api-key": API_KEY},
        basic("wrong"),
        basic(""),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(API_KEY.encode()).decode()},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"Authorization": "Basic " + "A" * 100_000},
    ],
)
def test_whoever_does_not_hold_the_key_is_asked_for_it_and_the_store_is_not_touched(
    cloud: Cloud, path: str, headers: dict[str, str]
) -> None:
    answer = cloud.call("dashboard", "GET", path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="skill-sync", charset="UTF-8"'
    assert not cloud.touched_store()


@pytest.mark.parametrize("user", ["", "anybody", "Jörg"])
def test_any_user_name_will_do(cloud: Cloud, user: str) -> None:
    assert cloud.call("dashboard", "GET", "/", headers=basic(user=user)).status_code == 200


def test_both_keys_of_a_rotation_open_it(cloud: Cloud) -> None:
    cloud.set("MANUAL_SYNC_API_KEY", "n" * 40 + "\n" + API_KEY)
    assert [Browser(cloud, key).get("/").status for key in ("n" * 40, API_KEY, "x" * 40)] == [200, 200, 401]


def test_before_the_first_deployment_the_page_says_so(cloud: Cloud) -> None:
    page = Browser(cloud).get("/")
    assert "Nothing is live." in page.text
    assert "Nothing was deployed yet" in page.text


def test_the_page_tells_what_is_live_what_is_withheld_and_who_follows(cloud: Cloud) -> None:
    two_deployments(cloud)
    page = Browser(cloud).get("/")
    assert page.status == 200
    assert "✓ READY" in page.text
    assert f"Deployment 1-2 Commit {cloud.repo.head}" in page.text
    assert "1 live, 1 withheld" in page.text
    assert "FM_MISSING error in c/SKILL.md:1" in page.text
    assert "edge ✓ current 1-2" in page.text
    assert "b ✓ live 1.1.0" in page.text
    assert "c ✕ withheld, not live" in page.text
    assert "published b; removed a; withheld c" in page.text


def test_pages_of_a_repository_that_is_not_on_github_link_nowhere_outside(cloud: Cloud) -> None:
    two_deployments(cloud)
    for path in ("/", "/deployments/1-2"):
        assert not [link for link in Browser(cloud).get(path).links() if "://" in link]


def test_a_code_of_the_store_is_told_with_503_where_nothing_can_be_read(cloud: Cloud) -> None:
    cloud.set("STORE_URI", "sqlite:///proc/nowhere/objects.db")
    page = Browser(cloud).get("/")
    assert page.status == 503
    assert "STORE_UNAVAILABLE" in page.text


def test_the_rest_of_the_page_stands_while_the_live_manifest_is_lost(cloud: Cloud) -> None:
    two_deployments(cloud)
    for entry in cloud.store.list("objects/"):
        cloud.store.delete(entry.name, if_generation=entry.generation)
    page = Browser(cloud).get("/")
    assert page.status == 200
    assert "OBJECT_MISSING: the list of skills cannot be read." in page.text
    assert "Deployment 1-2" in page.text


def test_a_pause_is_told_with_its_next_step_and_offers_no_action(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    old = cloud.store.get(CURRENT)
    two_deployments(cloud)
    envelope = cloud.call("release", "GET", "/v1/current", headers={"Authorization": "Bearer " + "p" * 40}).get_data()
    body = {"outcome": "installed", "deployment": "1-2", "floor": base64.b64encode(envelope).decode()}
    assert cloud.puller("POST", "/v1/report", json=body).status_code == 204
    new = cloud.store.get(CURRENT)
    assert old is not None
    assert new is not None
    cloud.store.put(CURRENT, old.data, if_generation=new.generation)
    page = Browser(cloud).get("/")
    assert "✕ PAUSED" in page.text
    assert "mismatch_detected" in page.text
    assert "operator epoch bump" in page.text
    assert "infra/runbooks/operations.md#paused" in page.text
    assert not {"/sync", "/rollback?to=1-1"} & set(page.links())


def test_the_runbook_is_linked_where_its_address_is_known(cloud: Cloud) -> None:
    cloud.set("RUNBOOK_URL", "https://example.com/runbooks/")
    assert "https://example.com/runbooks/operations.md#deployment-failed" in Browser(cloud).get("/").links()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("q=B", {"b"}),
        ("q=zzz", set()),
        ("state=withheld", {"c"}),
        ("state=live", {"b"}),
        ("state=all", {"b", "c"}),
        ("after=b", {"c"}),
        ("q=&state=", {"b", "c"}),
        ("q=%00%ff%E2%80%AE", set()),
    ],
)
def test_skills_are_filtered_and_paged_by_plain_links(cloud: Cloud, query: str, shown: set[str]) -> None:
    two_deployments(cloud)
    page = Browser(cloud).get(f"/?{query}")
    table = page.source.partition('<h2 id="skills">')[2].partition("</section>")[0]
    assert set(re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', table)) == shown


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/?state=nonsense", 400, "STATE_INVALID"),
        ("/?before=0-0", 400, "DEPLOYMENT_ID_INVALID"),
        ("/?before=<script>", 400, "DEPLOYMENT_ID_INVALID"),
        ("/?q=" + "x" * 201, 400, "FILTER_INVALID"),
        ("/deployments/1-99", 404, "DEPLOYMENT_UNKNOWN"),
        ("/deployments/<script>", 400, "DEPLOYMENT_ID_INVALID"),
        ("/rollback", 400, "DEPLOYMENT_ID_INVALID"),
        ("/rollback?to=9-9", 404, "DEPLOYMENT_UNKNOWN"),
        ("/release", 400, "SKILLS_INVALID"),
        ("/release?skill=", 404, "NOT_WITHHELD"),
        ("/release?skill=<script>", 404, "NOT_WITHHELD"),
        ("/release?" + "&".join(f"skill={number}" for number in range(101)), 400, "SKILLS_INVALID"),
    ],
)
def test_bad_requests_get_a_page_with_a_code_and_nothing_of_what_was_asked(
    cloud: Cloud, path: str, status: int, code: str
) -> None:
    two_deployments(cloud)
    page = Browser(cloud).get(path)
    assert (page.status, code in page.text) == (status, True)
    assert "<script>" not in page.source.replace(page.source[page.source.rindex("<script>") :], "")


def test_what_an_address_says_of_a_result_is_never_shown_but_chosen_from_fixed_words(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    told = Browser(cloud).get("/?done=unchanged")
    assert "Nothing to do: what is live agrees already." in told.text
    for query in ("done=Call+0800-scam", "failed=Call+0800-scam", "made=Call+0800-scam&done=deployed"):
        assert "scam" not in Browser(cloud).get(f"/?{query}").source


@pytest.mark.parametrize("path", [*PAGES, "/deployments/nonsense"])
def test_every_page_forbids_whatever_it_does_not_bring_itself(cloud: Cloud, path: str) -> None:
    cloud.webhook(cloud.push())
    page = Browser(cloud).get(path)
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page.source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert_plain(page)


def assert_plain(page: Page) -> None:
    """No inline handler, no style attribute, nothing loaded from anywhere."""
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "src", "srcset"}]
        assert tag not in {"iframe", "object", "embed", "base", "img"}
        assert not attributes.get("href", "").lower().startswith(("javascript:", "data:text"))


def test_a_deployment_s_page_tells_its_record_its_changes_and_its_texts(cloud: Cloud) -> None:
    two_deployments(cloud)
    page = Browser(cloud).get("/deployments/1-2")
    assert "✓ deployed live now" in page.text
    assert "b ~ changed 1.0.0 1.1.0" in page.text
    assert "a ✕ removed 1.0.0" in page.text
    assert "- version: 1.0.0 + version: 1.1.0" in page.text
    assert "- Text. + Other text." in page.text
    assert "FM_MISSING" in page.text
    assert "/deployments/1-1" in page.links()
    former = Browser(cloud).get("/deployments/1-1")
    assert "b + added 1.0.0" in former.text
    assert "/rollback?to=1-1" in former.links()


def test_a_deployment_whose_manifests_were_collected_says_so(cloud: Cloud) -> None:
    two_deployments(cloud)
    for entry in cloud.store.list("objects/"):
        cloud.store.delete(entry.name, if_generation=entry.generation)
    assert "its manifests were collected" in Browser(cloud).get("/deployments/1-1").text


def test_texts_beyond_the_first_five_are_on_further_pages(cloud: Cloud) -> None:
    for number in range(7):
        cloud.repo.write(f"s{number}/SKILL.md", skill_text(f"s{number}"))
    cloud.repo.commit("Add seven")
    cloud.webhook(cloud.push())
    first = Browser(cloud).get("/deployments/1-1")
    (following,) = [link for link in first.links() if "after=" in link]
    second = Browser(cloud).get(following)
    titles = [re.findall(r"<bdi>(\S+)/SKILL.md</bdi>", page.source) for page in (first, second)]
    assert titles == [["a", "b", "s0", "s1", "s2"], ["s3", "s4", "s5", "s6"]]


def test_older_deployments_are_reached_by_a_link(cloud: Cloud) -> None:
    two_deployments(cloud)
    page = Browser(cloud).get("/?before=1-2")
    table = page.source.partition('<h2 id="deployments">')[2]
    assert re.findall(r'<th scope="row"><a href="/deployments/(.*?)">', table) == ["1-1"]
    assert "/#deployments" in page.links()


def test_the_api_of_app_is_not_shadowed_and_health_stays_open(cloud: Cloud) -> None:
    assert cloud.call("app", "GET", "/health").content_type == "application/json"
    assert cloud.call("app", "GET", "/api/skills").status_code == 401
    assert cloud.call("app", "GET", "/").headers["WWW-Authenticate"].startswith("Basic")
    assert cloud.call("app", "POST", "/").status_code == 405


def test_due_dates_of_credentials_stand_on_the_page_once_a_poll_has_looked(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    assert "No due dates are on record." in Browser(cloud).get("/").text
    cloud.operator("poll", "POST", "/api/poll")
    page = Browser(cloud).get("/")
    assert "MANUAL_SYNC_API_KEY ✓ in time" in page.text
    assert "30 days left" in page.text
    assert API_KEY not in page.source
