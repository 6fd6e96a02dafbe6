"""The dashboard's buttons: each is confirmed, bound to who was shown it, and tells how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functions.browser import FORM, Browser, basic
from tests.functions.cloud import API_KEY, skill_text
from tests.functions.test_dashboard import two_deployments

if TYPE_CHECKING:
    from tests.functions.cloud import Cloud


def live(cloud: Cloud) -> str:
    answer = cloud.operator("status", "GET", "/api/deployments").json or {}
    return str(answer["deployments"][0]["id"]) if answer.get("deployments") else "none"


def withheld_key(cloud: Cloud) -> str:
    page = Browser(cloud).get("/")
    return next(attributes["value"] for _, attributes in page.elements if attributes.get("type") == "checkbox")


def test_a_sync_is_confirmed_run_and_told(cloud: Cloud) -> None:
    page = Browser(cloud).confirm("/sync")
    assert "Done: a new deployment is live." in page.text
    assert "/deployments/1-1" in page.links()
    assert live(cloud) == "1-1"
    assert "Nothing to do" in Browser(cloud).confirm("/sync").text


def test_a_sync_that_left_skills_out_says_so(cloud: Cloud) -> None:
    cloud.repo.write("c/SKILL.md", "no frontmatter\n")
    cloud.repo.commit("Add c")
    assert "some skills were withheld" in Browser(cloud).confirm("/sync").text
    cloud.repo.write("c/SKILL.md", "none either\n")
    cloud.repo.commit("Change c")
    assert "Nothing new went live" in Browser(cloud).confirm("/sync").text


def test_a_rollback_is_shown_skill_by_skill_before_it_is_done(cloud: Cloud) -> None:
    two_deployments(cloud)
    preview = Browser(cloud).get("/rollback?to=1-1")
    assert "Come back or change (2)" in preview.text
    assert "b: 1.1.0 becomes 1.0.0" in preview.text
    assert "a: comes back as 1.0.0" in preview.text
    assert "Newer versions held back" in preview.text
    page = Browser(cloud).confirm("/rollback?to=1-1")
    assert "Done: a new deployment is live." in page.text
    assert "↶ rolled back" in page.text
    assert "Held back by a rollback" in page.text


def test_a_rollback_to_what_is_live_has_nothing_to_confirm(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    page = Browser(cloud).get("/rollback?to=1-1")
    assert "It would change nothing." in page.text
    assert page.action == ""


def test_what_a_rollback_held_back_is_released(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    cloud.repo.write("b/SKILL.md", skill_text("b", "Other text.", "1.1.0"))
    cloud.repo.commit("Change b")
    cloud.operator("sync", "POST", "/api/sync")
    Browser(cloud).confirm("/rollback?to=1-1")
    asked = Browser(cloud).get(f"/release?skill={withheld_key(cloud)}")
    assert "Held back by a rollback" in asked.text
    page = Browser(cloud).confirm(f"/release?skill={withheld_key(cloud)}")
    assert "Done: a new deployment is live." in page.text
    assert "Nothing is withheld." in page.text


def test_a_release_is_for_the_version_that_was_shown(cloud: Cloud) -> None:
    two_deployments(cloud)
    asked = Browser(cloud).get(f"/release?skill={withheld_key(cloud)}")
    cloud.repo.write("c/SKILL.md", "something else\n")
    cloud.repo.commit("Change c")
    cloud.operator("sync", "POST", "/api/sync")
    answer = Browser(cloud).post(asked.action, asked.fields)
    assert answer.headers["Location"] == "/?failed=NOT_WITHHELD"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Sec_Fetch_Site": "cross-site"}, "ORIGIN_FOREIGN"),
        ({"Sec_Fetch_Site": "same-site"}, "ORIGIN_FOREIGN"),
        ({"Sec_Fetch_Site": "none"}, "ORIGIN_FOREIGN"),
        ({"Origin": "https://evil.example"}, "ORIGIN_FOREIGN"),
        ({"Origin": "https://localhost.evil.example"}, "ORIGIN_FOREIGN"),
        ({"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"}, "ORIGIN_FOREIGN"),
        ({"Origin": ""}, "ORIGIN_FOREIGN"),
    ],
)
def test_a_form_that_the_browser_says_comes_from_elsewhere_is_refused(
    cloud: Cloud, headers: dict[str, str], code: str
) -> None:
    asked = Browser(cloud).get("/sync")
    answer = Browser(cloud).post(asked.action, asked.fields, **headers)
    assert (answer.status, code in answer.text, live(cloud)) == (403, True, "none")


@pytest.mark.parametrize("headers", [{}, {"Origin": "null"}, {"Origin": "http://localhost"}])
def test_a_browser_that_does_not_say_where_a_form_comes_from_is_believed_by_its_token(
    cloud: Cloud, headers: dict[str, str]
) -> None:
    asked = Browser(cloud).get("/sync")
    assert Browser(cloud).post(asked.action, asked.fields, **headers).status == 303


def test_a_token_is_bound_to_what_its_form_does_and_to_whose_key_it_was_made_with(cloud: Cloud) -> None:
    two_deployments(cloud)
    cloud.set("MANUAL_SYNC_API_KEY", API_KEY + "\n" + "n" * 40)
    token = dict(Browser(cloud).get("/rollback?to=1-1").fields)["token"]
    sync = dict(Browser(cloud).get("/sync").fields)["token"]
    tries = [
        Browser(cloud).post("/actions/sync", [("token", token)]),
        Browser(cloud).post("/actions/rollback", [("token", sync), ("to", "1-1")]),
        Browser(cloud).post("/actions/rollback", [("token", token), ("to", "1-2")]),
        Browser(cloud, "n" * 40).post("/actions/rollback", [("token", token), ("to", "1-1")]),
        Browser(cloud).post("/actions/release", [("token", token), ("skill", withheld_key(cloud))]),
    ]
    assert {(page.status, "FORM_INVALID" in page.text) for page in tries} == {(403, True)}
    assert live(cloud) == "1-2"


@pytest.mark.parametrize("path", ["/actions/sync", "/actions/rollback", "/actions/release"])
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", FORM, 400),
        (b"token=", FORM, 403),
        (b"token=1.%66", FORM, 403),
        (b"token=9999999999." + b"0" * 64, FORM, 403),
        (b"token=a&token=b", FORM, 400),
        (b"token=a&more=b", FORM, 400),
        (b"no form", FORM, 400),
        (b"token=%ff", FORM, 400),
        (b"\xff\xfe", FORM, 400),
        (b'{"token": "x"}', "application/json", 415),
        (b"token=a", "text/plain", 415),
        (b"token=" + b"a" * 20_000, FORM, 413),
    ],
)
def test_bad_forms_are_refused_and_do_nothing(cloud: Cloud, path: str, body: bytes, kind: str, status: int) -> None:
    sent = body
    if body.startswith(b"token=") and b"&" not in body:
        sent += {"/actions/rollback": b"&to=1-1", "/actions/release": b"&skill=x"}.get(path, b"")
    answer = cloud.call("dashboard", "POST", path, data=sent, headers={**basic(), "Content-Type": kind})
    assert answer.status_code == status
    assert live(cloud) == "none"


@pytest.mark.parametrize("path", ["/actions/sync", "/actions/rollback", "/actions/release"])
def test_actions_ask_for_the_key_first_and_take_no_get(cloud: Cloud, path: str) -> None:
    assert cloud.call("dashboard", "POST", path, data=b"x", headers={"Content-Type": "text/plain"}).status_code == 401
    assert cloud.call("dashboard", "GET", path, headers=basic()).status_code == 405
    assert not cloud.touched_store()


def test_a_source_that_is_gone_is_told_in_words_and_nothing_changes(cloud: Cloud) -> None:
    cloud.webhook(cloud.push())
    cloud.set("SOURCE_URL", "/nowhere")
    page = Browser(cloud).confirm("/sync")
    assert "The repository could not be read." in page.text
    assert live(cloud) == "1-1"
