"""What looking at the webhook finds: whether it is there, how it is set, how its last call ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import wiring
from shared.adapters.github_hook_probe import HookProbe
from shared.config import load_settings
from shared.core.credentials import Check, Mark
from tests.adapters.test_github_fake import FakeGitHub, api
from tests.fakes.clock import FakeClock
from tests.github.deliveries import Deliveries
from tests.github.events import ping
from tests.github.server import GitHubStandIn
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = {
    "url": "https://host.example/webhook/github",
    "content_type": "json",
    "insecure_ssl": "0",
    "secret": "********",
}
HOOK: dict[str, Any] = {
    "id": 7,
    "active": True,
    "events": ["push"],
    "config": CONFIG,
    "last_response": {"code": 200, "status": "active", "message": "OK"},
}
CI = {**HOOK, "id": 8, "config": {**CONFIG, "url": "https://ci.example/hook?token=thisMustNeverBeShown"}}


def probed(fake: FakeGitHub, seconds: float = 9.0) -> list[Check]:
    clock = FakeClock()
    found = HookProbe(lambda left: api(fake, tokens=["t0ken"], clock=clock, seconds=left), clock)(seconds)
    for check in found:
        assert "thisMustNeverBeShown" not in repr(check)
        assert check.text
        assert (check.mark is Mark.OK) == (check.code == "") == (check.fix == "")
    return found


def listed(*hooks: object) -> list[Check]:
    fake = FakeGitHub()
    fake.reply("/hooks?", body=list(hooks))
    return probed(fake)


def faults(checks: list[Check]) -> list[tuple[str, Mark]]:
    return [(check.code, check.mark) for check in checks if check.mark is not Mark.OK]


def test_a_webhook_that_is_as_it_must_be_passes_every_check() -> None:
    checks = listed(HOOK)
    assert [check.name for check in checks] == [
        "webhook-is-there",
        "webhook-sends-json",
        "webhook-has-a-secret",
        "webhook-checks-certificates",
        "webhook-last-call-arrived",
    ]
    assert faults(checks) == []


def config(**changes: object) -> dict[str, Any]:
    return {**HOOK, "config": {**CONFIG, **changes}}


def last(code: object) -> dict[str, Any]:
    return {**HOOK, "last_response": {"code": code, "status": "x", "message": "x"}}


@pytest.mark.parametrize(
    ("hooks", "code", "mark"),
    [
        ([], "HOOK_MISSING", Mark.FAIL),
        ([None, 7, []], "HOOK_MISSING", Mark.FAIL),
        ([{**HOOK, "active": False}], "HOOK_INACTIVE", Mark.FAIL),
        ([{**HOOK, "active": False}, {**CI, "events": ["issues"]}], "HOOK_INACTIVE", Mark.FAIL),
        ([{**HOOK, "events": ["issues"]}], "HOOK_WITHOUT_PUSH", Mark.FAIL),
        ([{**CI, "events": ["issues"]}], "HOOK_MISSING", Mark.FAIL),
        ([HOOK, {**HOOK, "id": 9}], "HOOK_TWICE", Mark.WARN),
        ([CI, {**CI, "id": 9}], "HOOK_UNCLEAR", Mark.WARN),
        ([config(content_type="form")], "HOOK_CONTENT_TYPE", Mark.FAIL),
        ([config(content_type=None)], "HOOK_CONTENT_TYPE", Mark.FAIL),
        ([config(secret=None)], "HOOK_WITHOUT_SECRET", Mark.FAIL),
        ([config(secret="")], "HOOK_WITHOUT_SECRET", Mark.FAIL),
        ([config(insecure_ssl="1")], "HOOK_INSECURE", Mark.FAIL),
        ([config(insecure_ssl=1)], "HOOK_INSECURE", Mark.FAIL),
        ([config(insecure_ssl=None)], "HOOK_INSECURE", Mark.FAIL),
        ([last(401)], "HOOK_SECRET_REFUSED", Mark.FAIL),
        ([last(404)], "HOOK_LAST_CALL_FAILED", Mark.WARN),
        ([last(415)], "HOOK_LAST_CALL_FAILED", Mark.WARN),
        ([last(502)], "HOOK_LAST_CALL_FAILED", Mark.WARN),
        ([last(0)], "HOOK_LAST_CALL_FAILED", Mark.WARN),
        ([last(None)], "HOOK_NEVER_CALLED", Mark.WARN),
        ([last([200])], "HOOK_NEVER_CALLED", Mark.WARN),
        ([{**HOOK, "last_response": None}], "HOOK_NEVER_CALLED", Mark.WARN),
    ],
)
def test_every_fault_of_a_webhook_has_a_code_of_its_own(hooks: list[object], code: str, mark: Mark) -> None:
    assert faults(listed(*hooks)) == [(code, mark)]


@pytest.mark.parametrize(
    "hooks",
    [
        [{**HOOK, "events": ["*"]}],
        [config(insecure_ssl=0)],
        [config(url="https://host.example/path/webhook/github/")],
        [CI, HOOK],
        [HOOK, {**HOOK, "id": 9, "active": False}],
        # A function of its own may be called at its own address: the only push hook is ours.
        [CI],
        [last(202)],
        [last(400)],
        [last(409)],
    ],
)
def test_what_is_well_in_another_way_is_well(hooks: list[object]) -> None:
    assert faults(listed(*hooks)) == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_webhooks_that_the_token_may_not_read_are_a_warning(status: int) -> None:
    fake = FakeGitHub()
    fake.reply("/hooks", status)
    assert faults(probed(fake)) == [("HOOKS_NOT_READABLE", Mark.WARN)]


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (503, b"", "SOURCE_UNAVAILABLE"),
        (429, b"", "SOURCE_RATE_LIMITED"),
        (200, b"{}", "SOURCE_CORRUPT"),
        (301, b"", "SOURCE_MOVED"),
    ],
)
def test_what_could_not_be_looked_at_is_a_check_that_failed(status: int, body: bytes, code: str) -> None:
    fake = FakeGitHub()
    fake.reply("/hooks", status, body, times=3)
    assert faults(probed(fake)) == [(code, Mark.FAIL)]


def test_no_time_is_a_check_that_failed() -> None:
    fake = FakeGitHub()
    assert faults(probed(fake, 0.0)) == [("SOURCE_TOO_SLOW", Mark.FAIL)]
    assert fake.asked == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ANY_HOOK = st.fixed_dictionaries(
    {
        "active": st.booleans() | JSON,
        "events": st.just(["push"]) | JSON,
        "config": st.fixed_dictionaries(
            {
                "url": st.sampled_from([CONFIG["url"], "http://[", "x"]) | JSON,
                "content_type": JSON,
                "insecure_ssl": JSON,
                "secret": JSON,
            }
        )
        | JSON,
        "last_response": st.fixed_dictionaries({"code": JSON}) | JSON,
    }
)


@given(st.lists(ANY_HOOK | JSON, max_size=3))
def test_whatever_github_lists_a_probe_never_raises(hooks: list[object]) -> None:
    assert listed(*hooks)


def arrives(_: Deliveries) -> None:
    """Nothing goes wrong."""


def by_form(deliveries: Deliveries) -> None:
    deliveries.faults.form = True


def insecurely(deliveries: Deliveries) -> None:
    deliveries._hooks[1].insecure_ssl = "1"


@pytest.mark.parametrize(
    ("breaks", "expected"),
    [
        (arrives, {"HOOK_LAST_CALL_FAILED"}),
        (by_form, {"HOOK_CONTENT_TYPE", "HOOK_LAST_CALL_FAILED"}),
        (insecurely, {"HOOK_INSECURE", "HOOK_LAST_CALL_FAILED"}),
    ],
)
def test_the_probe_reads_what_the_stand_in_shows(
    tmp_path: Path, breaks: Callable[[Deliveries], None], expected: set[str]
) -> None:
    repo = Repo(tmp_path / "origin")
    repo.write("a/SKILL.md", "a")
    repo.commit()
    deliveries = Deliveries("octo/skills")
    with GitHubStandIn(tmp_path / "github") as github:
        bare = github.publish("octo/skills", repo)
        github.deliveries = deliveries
        # Nobody answers there, as the stand-in speaks no webhook: the call fails, and is shown so.
        hook = deliveries.add_hook(github.url("webhook/github"), "s" * 40)
        breaks(deliveries)
        shown = {"GITHUB_API_URL": github.api_url, "GITHUB_OWNER": "octo", "GITHUB_REPO": "skills"}
        probe = wiring.hook_probe(load_settings(shown))
        assert probe is not None
        before = {check.code for check in probe(9.0)}
        assert "HOOK_NEVER_CALLED" in before
        deliveries.send(ping(deliveries.hook(hook) or {}, bare, "octo/skills"))
        assert {check.code for check in probe(9.0)} - {""} == expected
