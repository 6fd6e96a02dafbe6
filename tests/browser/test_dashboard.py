"""The dashboard in a real browser: a person logs in, looks, goes back, releases; with scripts and without."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from shared.adapters.sqlite_store import SqliteStore
from shared.core.names import CURRENT, record_name
from shared.model import DeploymentId
from tests.browser.conftest import HOSTILE_NAME
from tests.cli.test_run import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Stack
    from tests.browser.driver import Tab

WIDTHS = (360, 1600)


def look_at(page: Tab, gallery: Path, name: str) -> None:
    """Take a picture in light and dark, wide and narrow; in each axe finds nothing serious and nothing overflows."""
    for dark in (False, True):
        colours = "dark" if dark else "light"
        page.show(dark=dark)
        (gallery / f"{name}-{colours}.png").write_bytes(page.picture(whole=False))
        for width in WIDTHS:
            page.show(width=width, dark=dark)
            (gallery / f"{name}-{colours}-{width}.png").write_bytes(page.picture())
            assert page.axe() == [], f"{name}, {colours}, {width}"
            overflow = page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{name} at {width} px is {overflow} px too wide"
    page.show()
    assert page.violations() == []


def back_in_time(stack: Stack, to: str) -> None:
    """Put an old pointer back, as a restored bucket would."""
    store = SqliteStore(stack.run.data / "store.db")
    old = store.get(record_name(DeploymentId(to)))
    assert old is not None
    until(lambda: _replaced(store, old.data), "the old pointer is back")
    store.close()


def _replaced(store: SqliteStore, data: bytes) -> bool:
    new = store.get(CURRENT)
    assert new is not None
    store.put(CURRENT, data, if_generation=new.generation)
    return True


def test_who_has_no_key_sees_nothing_and_who_logs_in_sees_what_is_live(stack: Stack, page: Tab, gallery: Path) -> None:
    page.open(stack.url)
    assert "READY" not in page.run("return document.documentElement.outerHTML")
    page.open(stack.url, password=stack.password)
    page.until(lambda: _reloaded(page, "✓ current" in page.text()), "all follow")
    assert page.title == f"READY: local/{stack.repo.path.name}"
    assert "✓ READY" in page.text()
    assert page.count("main") == page.count("header") == page.count("h1") == 1
    assert page.count("th:not([scope])") == 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC \(.* E[SD]T\)", page.text("dd time"))
    look_at(page, gallery, "ready")


def _reloaded(page: Tab, holds: bool) -> bool:  # noqa: FBT001 - the condition, looked at before the page is asked for again
    if not holds:
        page.open(page.url)
    return holds


def test_the_tests_own_eyes_see_what_is_forbidden_and_what_is_out_of_reach(stack: Stack, page: Tab) -> None:
    page.open(stack.url, password=stack.password)
    page.run(
        "document.body.insertAdjacentHTML('beforeend', '<button></button><img src=\"/x\"><p style=\"color:red\">x</p>')"
    )
    page.until(lambda: len(page.violations()) >= 2, "the policy forbids both")
    assert any(line.startswith("button-name") for line in page.axe())


def test_the_timeline_shows_each_deployment_and_leads_to_its_page(stack: Stack, page: Tab, gallery: Path) -> None:
    page.open(stack.url, password=stack.password)
    assert page.count("svg.timeline g") == page.count("#deployments ~ .scroll tbody tr") == 3
    assert page.run("return document.querySelector('svg.timeline desc').textContent").startswith("3 deployments")
    page.follow('a[href="/deployments/1-2"]')
    assert page.title == "Deployment 1-2"
    assert "+ Say hello, twice." in page.text(".diff")
    assert "- Say hello." in page.text(".diff")
    look_at(page, gallery, "deployment")


def test_a_rollback_is_previewed_confirmed_and_reaches_the_volume(stack: Stack, page: Tab, gallery: Path) -> None:
    page.open(stack.url, password=stack.password)
    page.follow('a[href="/rollback?to=1-1"]')
    assert "greet" in page.text("#content")
    look_at(page, gallery, "preview")
    page.click("form button")
    page.until(lambda: "done=deployed" in page.url, "the result")
    assert "Done: a new deployment is live." in page.text('[role="status"]')
    until(lambda: "twice" not in (stack.run.text("greet/SKILL.md") or "twice"), "the volume is back")
    look_at(page, gallery, "rolled-back")


def test_what_is_withheld_is_shown_with_its_findings_and_released(stack: Stack, page: Tab, gallery: Path) -> None:
    page.open(stack.url, password=stack.password)
    page.follow('a[href="/rollback?to=1-1"]')
    page.click("form button")
    page.until(lambda: "done=deployed" in page.url, "the rollback")
    page.open(f"{stack.url}?state=withheld")
    assert "FM_MISSING" in page.text("#content")
    look_at(page, gallery, "withheld")
    chosen = page.run(
        "const label = [...document.querySelectorAll('label')].find(each => each.innerText === 'greet');"
        "return label && label.htmlFor"
    )
    page.click(f"#{chosen}")
    page.follow('form[action="/release"] button')
    assert "Held back by a rollback" in page.text("#content")
    look_at(page, gallery, "release")
    page.click("form button")
    page.until(lambda: "done=deployed" in page.url, "the release")
    until(lambda: "twice" in (stack.run.text("greet/SKILL.md") or ""), "the volume has it again")


def test_a_sync_without_scripts_waits_and_tells_how_it_ended(stack: Stack, page: Tab) -> None:
    page.open(stack.url, password=stack.password)
    page.without_scripts()
    page.open(stack.url)
    page.click('a[href="/sync"]')
    page.until(lambda: page.url.endswith("/sync"), "the page that asks")
    page.click("form button")
    page.until(lambda: "done=unchanged" in page.url, "the result")


def test_while_a_sync_runs_a_line_says_so(stack: Stack, page: Tab) -> None:
    page.open(f"{stack.url}sync", password=stack.password)
    seen = page.run(
        "document.querySelector('form button').click(); return document.querySelector('.progress').textContent"
    )
    assert seen == "Syncing: reading the branch, judging, deploying."
    page.until(lambda: "done=unchanged" in page.url, "the result")
    assert "Nothing to do" in page.text('[role="status"]')


def test_a_pause_is_told_with_what_to_do_next(stack: Stack, page: Tab, gallery: Path) -> None:
    until(lambda: _reported(stack, "1-3"), "the puller told what it has")
    back_in_time(stack, "1-1")
    page.open(stack.url, password=stack.password)
    page.until(lambda: _reloaded(page, "PAUSED" in page.text("#content")), "the pause")
    assert "mismatch_detected" in page.text("#content")
    assert "operator epoch bump" in page.text("#content")
    assert page.count('a[href="/sync"]') == 0
    look_at(page, gallery, "paused")
    page.open(f"{stack.url}sync")
    page.click("form button")
    page.until(lambda: "failed=PAUSED" in page.url, "the refusal")
    assert "Refused: deployments are paused." in page.text('[role="status"]')


def _reported(stack: Stack, deployment: str) -> bool:
    (puller,) = dict(stack.run.get("/health")["services"])["pullers"]  # type: ignore[call-overload]
    return bool(puller["deployment"] == deployment)


def test_hostile_names_and_texts_are_shown_as_text(stack: Stack, page: Tab) -> None:
    page.open(stack.url, password=stack.password)
    assert HOSTILE_NAME in page.text("#content")
    assert page.count("img") == 0
    page.follow('a[href="/deployments/1-2"]')
    assert "<script>alert(1)</script> &amp; ⟦U+200B⟧{{7*7}} <!-- ⟦U+0007⟧ -->" in page.text(".diff")
    assert page.count("script") == 1
    page.follow('header a[href="/deployments/1-1"]')
    assert page.violations() == []


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(stack: Stack, page: Tab) -> None:
    page.open(stack.url, password=stack.password)
    page.press("\ue004")
    assert page.run("return document.activeElement.textContent") == "To the content"
    page.press("\ue007")
    page.until(lambda: page.run("return document.activeElement.id") == "content", "the content has the focus")
    order = page.run(
        "const all = [...document.querySelectorAll('a[href],button,input,select,summary,[tabindex=\"0\"]')];"
        "return all.every(each => each.tabIndex >= 0)"
    )
    assert order is True


@pytest.mark.parametrize("width", WIDTHS)
def test_skills_are_filtered_by_a_plain_form(stack: Stack, page: Tab, width: int) -> None:
    page.open(stack.url, password=stack.password)
    page.show(width=width)
    page.type("#q", "cou")
    page.follow("form.filter button")
    assert "q=cou" in page.url
    assert page.text("#skills ~ .scroll caption") == "1 skill matches"
