"""`webhook-setup` against the stand-in for GitHub and the real functions on a port: made, mended, proved, and never broken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shared.cli.__main__ import main
from shared.core.plain_text import fingerprint
from tests.functions.cloud import API_KEY, SECRET
from tests.functions.forge import OLD, REPO, TOKEN, Forge, serving
from tests.git_server import Fault, Reply
from tests.github.deliveries import Deliveries
from tests.github.events import ping
from tests.github.server import GitHubStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = "o" * 40


class Setup:
    """An operator with a token, GitHub with its webhooks, and the functions."""

    def __init__(self, forge: Forge, url: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.forge = forge
        self.url = f"{url}/webhook/github"
        self.deliveries = Deliveries(REPO)
        self.deliveries.make_ping = lambda hook: ping(hook, forge.github.bare(REPO), REPO)
        forge.github.deliveries = self.deliveries
        self._folder = folder
        self._capsys = capsys
        self.shown = ""

    def run(self, *words: str, secret: str = SECRET) -> tuple[int, Any]:
        """Run the command with --json; return its status and the document."""
        path = self._folder / "secret"
        path.write_text(secret + "\n")
        self._capsys.readouterr()
        status = main(["webhook-setup", "--json", "--secret-file", str(path), *words])
        out, err = self._capsys.readouterr()
        self.shown += out + err
        # The functions, which run in this process, log to the same place.
        lines = [line for line in out.splitlines() if not line.startswith('{"severity"')]
        return status, json.loads("\n".join(lines))

    def hooks(self) -> list[dict[str, Any]]:
        return [dict(hook) for hook in self.deliveries.hooks()]

    def changes(self) -> list[str]:
        """What was asked of GitHub beside questions."""
        return [
            f"{seen.method} {seen.path.partition('/hooks')[2]}"
            for seen in self.forge.github.requests
            if seen.method != "GET" and seen.kind == "rest"
        ]


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Setup]:
    with GitHubStandIn(tmp_path / "github") as github, serving() as url:
        forge = Forge(tmp_path, monkeypatch, github)
        forge.commit(OLD)
        forge.cloud.set("SKILL_SYNC_URL", url)
        made = Setup(forge, url, tmp_path, capsys)
        with made.deliveries:
            yield made


def test_a_webhook_is_made_and_its_ping_is_seen_under_the_secret(setup: Setup) -> None:
    status, found = setup.run()
    assert (status, found) == (
        0,
        {
            "url": setup.url,
            "fingerprint": fingerprint(SECRET),
            "result": "created",
            "hook": 1,
            "changed": [],
            "ping": "functions",
        },
    )
    (hook,) = setup.hooks()
    assert (hook["active"], hook["events"]) == (True, ["push"])
    assert (hook["config"]["url"], hook["config"]["content_type"], hook["config"]["insecure_ssl"]) == (
        setup.url,
        "json",
        "0",
    )
    assert not [secret for secret in (SECRET, TOKEN, API_KEY) if secret in setup.shown]


def test_a_second_run_changes_nothing_and_pings_again(setup: Setup) -> None:
    setup.run()
    before = setup.changes()
    status, found = setup.run()
    assert (status, found["result"], found["hook"], found["changed"]) == (0, "unchanged", 1, [])
    assert setup.changes()[len(before) :] == ["POST /1/pings"]


def test_what_differs_is_mended_and_named(setup: Setup) -> None:
    setup.deliveries.add_hook(setup.url, SECRET, ("push", "issues"), active=False)
    setup.deliveries.configure(1, {"content_type": "form", "insecure_ssl": "1"})
    status, found = setup.run()
    assert (status, found["result"], found["changed"]) == (
        0,
        "changed",
        ["content_type", "insecure_ssl", "events", "active"],
    )
    assert setup.run()[1]["result"] == "unchanged"
    assert len(setup.hooks()) == 1


@pytest.mark.parametrize("still_accepted", [False, True])
def test_another_secret_is_replaced_once_the_functions_take_the_new_one(setup: Setup, still_accepted: bool) -> None:  # noqa: FBT001 - both
    if still_accepted:  # as in the middle of a rotation: the hook's calls arrive, under the old secret
        setup.forge.cloud.set("GITHUB_WEBHOOK_SECRET", f"{SECRET}\n{OTHER}")
    setup.deliveries.add_hook(setup.url, OTHER)
    status, found = setup.run()
    assert (status, found["result"], found["changed"]) == (0, "changed", ["secret"])
    assert setup.run()[1]["result"] == "unchanged"


def test_a_secret_that_the_functions_do_not_take_never_reaches_github(setup: Setup) -> None:
    setup.deliveries.add_hook(setup.url, SECRET)
    status, found = setup.run(secret=OTHER)
    assert (status, found["code"], setup.changes()) == (1, "SECRET_REFUSED", [])
    assert setup.run()[1]["result"] == "unchanged"


def test_a_webhook_of_another_service_is_left_alone(setup: Setup) -> None:
    setup.deliveries.add_hook("https://staging.example/webhook/github", OTHER, ("push", "issues"))
    before = setup.hooks()[0]
    status, found = setup.run()
    assert (status, found["result"], found["hook"]) == (0, "created", 2)
    assert setup.hooks()[0] == before


def test_two_webhooks_that_call_us_are_for_a_person_to_choose_from(setup: Setup) -> None:
    for _ in range(2):
        setup.deliveries.add_hook(setup.url, SECRET)
    status, found = setup.run()
    assert (status, found["code"], setup.changes()) == (1, "HOOK_TWICE", [])
    assert "1, 2" in found["error"]


@pytest.mark.parametrize(
    ("there", "result", "changed"),
    [(None, "would_create", []), (("push", "issues"), "would_change", ["events"]), (("push",), "unchanged", [])],
)
def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    setup: Setup, there: tuple[str, ...] | None, result: str, changed: list[str]
) -> None:
    if there is not None:
        setup.deliveries.add_hook(setup.url, SECRET, there)
    before = setup.hooks()
    status, found = setup.run("--dry-run")
    assert (status, found["result"], found["changed"], found["ping"]) == (0, result, changed, None)
    assert (setup.hooks(), setup.changes()) == (before, [])


def test_without_a_key_for_the_functions_githubs_word_counts(setup: Setup) -> None:
    setup.forge.cloud.set("MANUAL_SYNC_API_KEY", None)
    status, found = setup.run()
    assert (status, found["result"], found["ping"]) == (0, "created", "github")


def test_a_ping_that_does_not_arrive_is_told_with_what_was_done(setup: Setup) -> None:
    setup.deliveries.faults.drop = 1
    status, found = setup.run()
    assert (status, found["code"]) == (1, "PING_FAILED")
    assert found["error"].startswith("webhook 1 was created; its ping was answered 502")
    assert setup.run()[1]["result"] == "unchanged"


def test_a_ping_that_never_ends_is_waited_for_no_longer_than_was_said(setup: Setup) -> None:
    setup.deliveries.make_ping = None
    status, found = setup.run("--wait", "0.2")
    assert (status, found["code"]) == (69, "PING_NOT_SEEN")


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (Reply(401, {}, b"{}"), 77, "TOKEN_REFUSED"),
        (Reply(403, {}, b"{}"), 77, "HOOKS_DENIED"),
        (Reply(404, {}, b"{}"), 77, "HOOKS_DENIED"),
        (Reply(403, {"x-ratelimit-remaining": "0"}, b"{}"), 69, "GITHUB_LIMITED"),
        (Reply(429, {}, b"{}"), 69, "GITHUB_LIMITED"),
        (Reply(301, {"Location": "https://stranger.example/"}, b"{}"), 78, "REPOSITORY_MOVED"),
        (Reply(500, {}, b"{}"), 69, "GITHUB_UNAVAILABLE"),
        (Reply(200, {}, b"{}"), 69, "GITHUB_UNAVAILABLE"),
    ],
)
def test_what_github_refuses_has_its_status_and_code(setup: Setup, reply: Reply, status: int, code: str) -> None:
    setup.forge.github.fail(Fault(reply, match="/hooks", times=9))
    ended, found = setup.run()
    assert (ended, found["code"]) == (status, code)


def test_a_question_is_asked_again_after_a_fault(setup: Setup) -> None:
    setup.forge.github.fail(Fault(Reply(502, {}, b""), match="/hooks", times=2))
    assert setup.run()[0] == 0


def test_a_webhook_that_github_does_not_take_is_told(setup: Setup) -> None:
    setup.deliveries.create = lambda _: None  # type: ignore[method-assign]
    status, found = setup.run()
    assert (status, found["code"]) == (64, "HOOK_INVALID")


def test_the_token_may_stand_in_a_file_and_is_never_shown(setup: Setup, tmp_path: Path) -> None:
    setup.forge.cloud.set("GITHUB_TOKEN", None)
    assert setup.run()[1]["code"] == "CONFIG_MISSING"
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    assert setup.run("--token-file", str(path))[0] == 0
    assert TOKEN not in setup.shown


@pytest.mark.parametrize("text", ["", "two words", "a\nb"])
def test_a_token_file_that_holds_no_token_alone_is_refused(setup: Setup, tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    assert (setup.run("--token-file", str(path))[1]["code"], setup.changes()) == ("TOKEN_FILE_INVALID", [])


@pytest.mark.parametrize("wait", ["0", "-1", "601", "nan", "inf"])
def test_a_wait_that_means_nothing_is_refused(setup: Setup, wait: str) -> None:
    assert setup.run("--wait", wait)[0] == 64


def test_an_address_that_anybody_on_the_way_could_read_is_refused(setup: Setup) -> None:
    setup.forge.cloud.set("SKILL_SYNC_URL", "http://sync.example")
    status, found = setup.run()
    assert (status, found["code"]) == (78, "CONFIG_INVALID")


@pytest.mark.parametrize("path", ["", "/webhook/github"])
def test_the_function_may_have_an_address_of_its_own(setup: Setup, path: str) -> None:
    own = setup.url.replace("127.0.0.1", "localhost").removesuffix("/webhook/github")
    status, found = setup.run("--url", own + path)
    assert (status, found["url"]) == (0, f"{own}/webhook/github")


@pytest.mark.usefixtures("setup")
def test_people_are_told_in_two_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    assert main(["webhook-setup", "--secret-file", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "webhook 1 created" in shown
    assert f"the functions saw it under {fingerprint(SECRET)}" in shown
