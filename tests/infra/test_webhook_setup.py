"""webhook-setup.md: every command as it stands on the page, and every refusal that its table names."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from shared.cli.announce import signed_headers
from shared.errors import ConfigError, DeadlineError, InputError, PausedError, RejectedError, UnavailableError
from shared.web import reply_to
from tests.cli.test_run import until
from tests.infra.page_stack import Row, Stack, introduced, own_skill, run_page, section_of, standing, used

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.errors import SkillSyncError

PAGE = "webhook-setup.md"
CURL = 'curl -s -H @"$SECRETS/github-header"'
POST = "curl -s -X POST -w '%{http_code}\\n' -H @\"$SECRETS/github-header\""
HOOKS = '"https://api.github.com/repos/$GITHUB_OWNER/$GITHUB_REPO/hooks'
TOKEN = "github_pat_" + "x" * 20


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("webhook")
    (folder / "secrets").mkdir(mode=0o700)
    (folder / "secrets" / "github-header").write_text(f"Authorization: Bearer {TOKEN}\n")
    with standing(folder, {"alpha/SKILL.md": own_skill("alpha")}) as stack:
        stack.values = {
            "SKILL_SYNC_URL": stack.run.url,
            "MANUAL_SYNC_API_KEY": stack.run.keys["MANUAL_SYNC_API_KEY"],
            "GITHUB_OWNER": "local",
            "GITHUB_REPO": "team-skills",
            "PROJECT": "skills-prod",
            "WEBHOOK_SECRET_ID": "github-webhook-secret",
            "SECRETS": str(folder / "secrets"),
            "HOOK": "",
            "DELIVERY": "",
        }
        yield stack


def the_functions_have_it(stack: Stack) -> None:
    """Their secret cannot be changed while they run: the file gets theirs, as if it were the other way round."""
    (stack.folder / "secrets" / "webhook-secret").write_text(stack.run.keys["GITHUB_WEBHOOK_SECRET"] + "\n")


def the_hook_is_known(stack: Stack) -> None:
    stack.values["HOOK"] = str(httpx.get(f"{hooks_url(stack)}", timeout=10).json()[-1]["id"])
    until(lambda: bool(deliveries(stack)), "the ping of a new hook")


def hooks_url(stack: Stack) -> str:
    return f"{stack.github}/api/v3/repos/local/team-skills/hooks"


def deliveries(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{hooks_url(stack)}/{stack.values['HOOK']}/deliveries", timeout=10).json()
    return found


def two_pings_arrived(stack: Stack) -> None:
    until(lambda: [each["status_code"] for each in deliveries(stack)] == [200, 200], "both pings")
    stack.values["DELIVERY"] = str(deliveries(stack)[0]["id"])


def something_is_pushed(stack: Stack) -> None:
    stack.push({"alpha/SKILL.md": own_skill("alpha", "Two.")})
    stack.settle()
    until(lambda: deliveries(stack)[0]["event"] == "push", "its delivery by this hook too")
    stack.values["DELIVERY"] = str(deliveries(stack)[0]["id"])
    assert stack.health()["services"]["webhook"]["last_received"] is not None


def the_replay_changed_nothing(stack: Stack) -> None:
    before = stack.live()
    until(lambda: deliveries(stack)[0]["redelivery"] is True, "the delivery that was asked for")
    assert deliveries(stack)[0]["status_code"] == 200
    assert deliveries(stack)[0]["guid"] == deliveries(stack)[1]["guid"]
    assert stack.live() == before


CREATE = (
    'printf \'{"name": "web", "active": true, "events": ["push"], "config": {"url": "%s/webhook/github", '
    '"content_type": "json", "secret": "%s"}}\' "$SKILL_SYNC_URL" "$(cat "$SECRETS/webhook-secret")" '
    f'| curl -s -X POST -H @"$SECRETS/github-header" -d @- {HOOKS}"'
)
ROWS = {
    'python -m shared.cli keys new GITHUB_WEBHOOK_SECRET --out "$SECRETS/webhook-secret"': Row(
        shows=("fingerprint",), after=the_functions_have_it
    ),
    'gcloud secrets versions add "$WEBHOOK_SECRET_ID" --data-file "$SECRETS/webhook-secret" --project "$PROJECT"': Row(
        before=the_functions_have_it
    ),
    CREATE: Row(shows=('"id"', '"content_type": "json"'), after=the_hook_is_known),
    f'{CURL} {HOOKS}"': Row(shows=('"last_response"',)),
    f'{POST} {HOOKS}/$HOOK/pings"': Row(shows=("204",), after=two_pings_arrived),
    f'{CURL} {HOOKS}/$HOOK/deliveries?per_page=10"': Row(shows=('"event": "ping"', '"status_code": 200', '"id"')),
    f'{CURL} {HOOKS}/$HOOK/deliveries/$DELIVERY"': Row(shows=("not a push; nothing to do",)),
    "python -m shared.cli history --limit 1": Row(shows=("webhook",), before=something_is_pushed),
    'curl -s -X PATCH -H @"$SECRETS/github-header" -d \'{"content_type": "json"}\' ' + f'{HOOKS}/$HOOK/config"': Row(
        shows=('"content_type": "json"',)
    ),
    "python -m shared.cli doctor": Row(shows=("webhook-is-there", "HOOK_TWICE")),
    "python -m shared.cli sync": Row(shows=("unchanged",)),
    f'{POST} {HOOKS}/$HOOK/deliveries/$DELIVERY/attempts"': Row(shows=("202",), after=the_replay_changed_nothing),
}


def test_every_command_of_the_page_does_what_the_page_says(stack: Stack) -> None:
    run_page(stack, PAGE, ROWS)
    assert TOKEN not in json.dumps(stack.calls()), "no token is an argument"
    assert stack.run.keys["GITHUB_WEBHOOK_SECRET"] not in json.dumps(stack.calls())


def test_every_variable_of_a_command_is_introduced_at_the_top(stack: Stack) -> None:
    assert used(PAGE) <= introduced(PAGE) == stack.values.keys()


SEEN: dict[str, dict[str, Any]] = {
    "SIGNATURE_INVALID": {"secret": "another secret"},
    "SIGNATURE_MISSING": {"headers": {"X-Hub-Signature-256": None}},
    "CONTENT_TYPE": {"headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    "METHOD_NOT_ALLOWED": {"method": "GET"},
    "ROUTE_UNKNOWN": {"path": "/webhooks/github"},
    "PAYLOAD_INVALID": {"payload": {"ref": 1, "before": 2, "after": 3}},
}
RAISED: dict[str, SkillSyncError] = {
    "BODY_TOO_LARGE": InputError("BODY_TOO_LARGE", "", status=413),
    "PAUSED": PausedError("", reasons=(), next_action=""),
    "SOURCE_DENIED": RejectedError("SOURCE_DENIED", ""),
    "SOURCE_UNAVAILABLE": UnavailableError("SOURCE_UNAVAILABLE", ""),
    "CONFIG_MISSING": ConfigError("CONFIG_MISSING", ""),
    "DEADLINE_PASSED": DeadlineError("DEADLINE_PASSED", ""),
}
TABLE = dict(
    reversed(found)
    for found in re.findall(r"^\| (\d{3}) \| `(\w+)`", section_of(PAGE, "When a delivery failed"), re.MULTILINE)
)


@pytest.mark.parametrize("code", SEEN)
def test_a_refusal_that_the_table_names_is_what_a_caller_gets(stack: Stack, code: str) -> None:
    case = SEEN[code]
    body = json.dumps(case.get("payload", {"zen": "x"})).encode()
    signed = signed_headers(case.get("secret", stack.run.keys["GITHUB_WEBHOOK_SECRET"]), body)
    headers = {name: value for name, value in {**signed, **case.get("headers", {})}.items() if value is not None}
    url = stack.run.url + case.get("path", "/webhook/github")
    answer = httpx.request(case.get("method", "POST"), url, content=body, headers=headers, timeout=10)
    assert (str(answer.status_code), answer.json()["code"]) == (TABLE[code], code)


@pytest.mark.parametrize("code", RAISED)
def test_a_fault_that_the_table_names_has_that_status(code: str) -> None:
    assert str(reply_to(RAISED[code]).status) == TABLE[code]


def test_a_push_that_is_wholly_rejected_is_answered_as_the_table_says(stack: Stack) -> None:
    stack.push({"bad/SKILL.md": "No frontmatter.\n"})
    until(lambda: any(each["status_code"] == 400 for each in deliveries_of_first(stack)), "the delivery")
    refused = next(each for each in deliveries_of_first(stack) if each["status_code"] == 400)
    shown = httpx.get(f"{hooks_url(stack)}/1/deliveries/{refused['id']}", timeout=10).json()
    assert json.loads(shown["response"]["payload"])["code"] == "VALIDATION_FAILED"
    assert TABLE["VALIDATION_FAILED"] == "400"


def deliveries_of_first(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{hooks_url(stack)}/1/deliveries", timeout=10).json()
    return found


def test_the_table_names_nothing_that_was_not_tried() -> None:
    assert TABLE.keys() == SEEN.keys() | RAISED.keys() | {"VALIDATION_FAILED"}
