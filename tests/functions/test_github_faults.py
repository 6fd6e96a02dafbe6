"""Every switch of the stand-in for GitHub, with its expected end: the right content, or the old one and a clear state."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared import wiring
from shared.core.credentials import TokenNote
from shared.core.plain_text import fingerprint
from tests.fakes.trusted import anchor
from tests.fakes.world import TRUST
from tests.functions.forge import NEW, OLD, REPO, TOKEN, Forge, delivering
from tests.git_server import Fault, Reply
from tests.github.server import GitHubStandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from werkzeug.test import TestResponse

MANY = {f"notes/{number}.md": f"Note {number}.\n" for number in range(70)}


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    with GitHubStandIn(tmp_path / "github") as github:
        made = Forge(tmp_path, monkeypatch, github)
        made.commit(OLD)
        assert made.poll().status_code == 200
        yield made


def code(answer: TestResponse) -> str:
    return str((answer.json or {}).get("code", (answer.json or {}).get("status")))


def turn(forge: Forge, **switches: object) -> None:
    for name, value in switches.items():
        assert hasattr(forge.github.switches, name)
        setattr(forge.github.switches, name, value)


# the way it should be


def test_a_push_is_three_requests_and_an_unchanged_poll_is_one(forge: Forge) -> None:
    before = forge.cloud.repo.head
    forge.commit(NEW)
    seen = len(forge.github.requests)
    assert forge.push(before).status_code == 200
    assert [request.status for request in forge.github.requests[seen:]] == [200, 200, 200]
    assert forge.poll().status_code == 200
    assert [request.status for request in forge.github.requests[seen + 3 :]] == [304]
    assert (forge.text, forge.asked("git"), forge.asked("download")) == (NEW, 0, 0)


def test_many_new_files_come_as_one_archive(forge: Forge) -> None:
    forge.commit(NEW, **MANY)
    seen = len(forge.github.requests)
    assert code(forge.poll()) == "deployed"
    kinds = [request.kind for request in forge.github.requests[seen:]]
    assert kinds.count("download") == 1
    assert len(kinds) <= 6
    assert {path: data.decode() for path, data in forge.live["a"].items() if path != "SKILL.md"} == MANY


# trees, archives, answers


def test_a_truncated_tree_is_walked_to_the_right_content(forge: Forge) -> None:
    turn(forge, truncate_trees_above=3)
    forge.commit(NEW, **{"deep/er/x.md": "x\n", "deep/y.md": "y\n"})
    assert code(forge.poll()) == "deployed"
    assert set(forge.live["a"]) == {"SKILL.md", "deep/er/x.md", "deep/y.md"}
    assert forge.asked("git") == 0


@pytest.mark.parametrize(("expired", "by_git"), [(1, False), (2, True)])
def test_an_expired_link_is_asked_for_again_and_then_given_up(forge: Forge, expired: int, *, by_git: bool) -> None:
    turn(forge, expire_tarball_links=expired)
    forge.commit(NEW, **MANY)
    assert code(forge.poll()) == "deployed"
    assert len(forge.live["a"]) == len(MANY) + 1
    assert (forge.asked("git") > 0) is by_git


def test_a_link_to_another_origin_is_never_followed(forge: Forge) -> None:
    turn(forge, download_elsewhere=True)
    forge.commit(NEW, **MANY)
    assert code(forge.poll()) == "deployed"
    assert len(forge.live["a"]) == len(MANY) + 1
    assert forge.github.asked_elsewhere == 0


@pytest.mark.parametrize("match", ["/commits/", "/git/trees/", "/git/blobs/"])
def test_an_answer_that_breaks_off_is_asked_for_again(forge: Forge, match: str) -> None:
    forge.commit(NEW)
    forge.github.fail(Fault(match=match, cut=-5))
    assert code(forge.poll()) == "deployed"
    assert (forge.text, forge.asked("git")) == (NEW, 0)


@pytest.mark.parametrize("match", ["/git/trees/", "/git/blobs/"])
def test_a_forged_answer_is_found_out_and_git_is_asked(forge: Forge, match: str) -> None:
    forge.commit(NEW)
    body = b'{"sha": "' + b"1" * 40 + b'", "tree": [], "truncated": false}' if "trees" in match else b"forged"
    forge.github.fail(Fault(Reply(200, {"Content-Type": "application/json"}, body), match=match, times=9))
    assert code(forge.poll()) == "deployed"
    assert forge.text == NEW
    assert forge.asked("git") > 0


def test_a_body_that_drips_ends_with_the_time_of_the_call_and_the_next_poll_finishes(forge: Forge) -> None:
    before = forge.cloud.repo.head
    forge.commit(NEW, **MANY)
    forge.github.fail(Fault(match="/git/trees/", cut=900, then="drip", times=9))
    started = time.monotonic()
    answer = forge.push(before)
    assert (answer.status_code, code(answer)) == (202, "DEADLINE_PASSED")
    assert time.monotonic() - started < 9.5, "GitHub waits 10 s"
    assert forge.text == OLD
    assert forge.poller()["error"] is None
    forge.github.forget_faults()
    assert code(forge.poll()) == "deployed"
    assert forge.text == NEW


# lagging references


def test_a_head_that_lags_behind_its_webhook_is_waited_for(forge: Forge) -> None:
    before = forge.cloud.repo.head
    forge.commit(NEW)
    turn(forge, refs_lag=1)
    assert code(forge.push(before)) == "deployed"
    assert forge.text == NEW


def test_a_head_that_lags_for_long_leaves_the_old_content_and_the_next_poll_brings_the_new(forge: Forge) -> None:
    before = forge.cloud.repo.head
    forge.commit(NEW)
    turn(forge, refs_lag=4)
    assert code(forge.push(before)) == "unchanged"
    assert forge.text == OLD
    assert code(forge.poll()) == "deployed"
    assert forge.text == NEW


# limits and outages of the API alone: git goes on


@pytest.mark.parametrize(
    "switches",
    [
        {"status": 403, "status_times": 1, "retry_after": 120},
        {"status": 429, "status_times": 1, "retry_after": 120},
        {"status": 429, "status_times": 1},
        {"status": 403, "status_times": 1},
        {"rate_remaining": 0},
    ],
    ids=["403 retry-after", "429 retry-after", "429", "403 secondary", "primary"],
)
def test_a_rate_limit_is_obeyed_kept_and_gone_around_by_git(forge: Forge, switches: dict[str, object]) -> None:
    forge.commit(NEW)
    turn(forge, **switches)
    assert code(forge.poll()) == "deployed"
    assert forge.text == NEW
    asked = forge.asked("rest")
    poller = forge.poller()
    assert (poller["error"], forge.events("failed")) == (None, [])
    assert poller["rate_limited_until"] is not None
    forge.commit("Newer text.")
    # Another process has not been told anything; what was told stands in the store.
    forge.cloud.set("GITHUB_TOKEN", f" {TOKEN} ")
    assert code(forge.poll()) == "deployed"
    assert (forge.text, forge.asked("rest")) == ("Newer text.", asked)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_api_that_is_down_is_gone_around_by_git(forge: Forge, status: int) -> None:
    forge.commit(NEW)
    turn(forge, status=status, status_times=10**6)
    assert code(forge.poll()) == "deployed"
    assert (forge.text, forge.poller()["rate_limited_until"]) == (NEW, None)
    turn(forge, status_times=0)
    git = forge.asked("git")
    forge.commit("Newer text.")
    assert code(forge.poll()) == "deployed"
    assert forge.asked("git") == git, "the next sync asks the API again"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_single_hiccup_is_not_even_noticed(forge: Forge, status: int) -> None:
    forge.commit(NEW)
    turn(forge, status=status, status_times=2)
    assert code(forge.poll()) == "deployed"
    assert (forge.text, forge.asked("git")) == (NEW, 0)


# outages of all of it, and what a person must mend: the old content stays, one state, one event


def outage(forge: Forge) -> None:
    forge.github.fail(Fault(Reply(503), times=10**6))


def wrong_token(forge: Forge) -> None:
    forge.cloud.set("GITHUB_TOKEN", "github_pat_expired")


def vanished(forge: Forge) -> None:
    forge.github.remove(REPO)


def renamed(forge: Forge) -> None:
    forge.github.rename(REPO, "octo/agent-skills")


def emptied(forge: Forge) -> None:
    forge.github.remove(REPO)
    forge.github.create(REPO)


def other_branch(forge: Forge) -> None:
    forge.cloud.set("GITHUB_BRANCH", "mian")
    forge.cloud.set("TRUST_ANCHOR", anchor(replace(TRUST, ref="refs/heads/mian")))


@pytest.mark.parametrize(
    ("breaks", "status", "expected"),
    [
        (outage, 503, "SOURCE_UNAVAILABLE"),
        (wrong_token, 502, "SOURCE_DENIED"),
        (vanished, 502, "SOURCE_NOT_FOUND"),
        (renamed, 502, "SOURCE_MOVED"),
        (emptied, 502, "REPOSITORY_EMPTY"),
    ],
)
def test_what_stays_broken_has_a_name_in_health_and_one_event(
    forge: Forge, breaks: Callable[[Forge], None], status: int, expected: str
) -> None:
    breaks(forge)
    for _ in range(3):
        answer = forge.poll()
        assert (answer.status_code, code(answer)) == (status, expected)
        assert TOKEN not in answer.text
    assert forge.text == OLD
    forge.cloud.follow()
    assert (forge.poller()["error"], forge.health()["status"]) == (expected, "degraded")
    assert [event["code"] for event in forge.events("failed")] == [expected]
    if status == 503:
        assert int(answer.headers["Retry-After"]) > 0


def test_a_branch_that_does_not_exist_has_a_name_too(forge: Forge) -> None:
    # Another branch is another channel of content, so the live pointer would not be this one's: begin with an empty store.
    forge.cloud.set("STORE_URI", f"sqlite://{forge.cloud.store_path.parent}/other.db")
    other_branch(forge)
    answer = forge.poll()
    assert (answer.status_code, code(answer)) == (502, "BRANCH_NOT_FOUND")
    assert forge.poller()["error"] == "BRANCH_NOT_FOUND"


def test_a_repaired_source_clears_the_state_and_a_new_fault_is_a_new_event(forge: Forge) -> None:
    wrong_token(forge)
    forge.poll()
    forge.cloud.set("GITHUB_TOKEN", TOKEN)
    forge.commit(NEW)
    assert code(forge.poll()) == "deployed"
    assert (forge.poller()["error"], forge.text) == (None, NEW)
    wrong_token(forge)
    forge.poll()
    assert len(forge.events("failed")) == 2


# two tokens


NEWEST = "github_pat_newestThatMustNeverBeShown"


def statuses(forge: Forge, seen: int) -> list[int]:
    return [request.status for request in forge.github.requests[seen:]]


def refused(forge: Forge) -> int:
    """Let GitHub refuse the newest token; return with which status."""
    assert NEWEST not in forge.github.access.others
    return 401


def made_for_another_repository(forge: Forge) -> int:
    forge.github.access.blind.add(NEWEST)
    return 404


@pytest.mark.parametrize("breaks", [refused, made_for_another_repository])
def test_a_push_is_deployed_by_the_old_token_while_the_newest_is_refused_and_the_next_costs_no_request_more(
    forge: Forge, breaks: Callable[[Forge], int], capsys: pytest.CaptureFixture[str]
) -> None:
    status = breaks(forge)
    forge.cloud.set("GITHUB_TOKEN", f"{NEWEST}\r\n{TOKEN}\r\n")
    before = forge.cloud.repo.head
    forge.commit(NEW)
    seen = len(forge.github.requests)
    assert code(forge.push(before)) == "deployed"
    assert statuses(forge, seen) == [status, 200, 200, 200]
    warnings = [line for line in capsys.readouterr().out.splitlines() if "its other value is used" in line]
    assert len(warnings) == 1
    assert fingerprint(NEWEST) in warnings[0]
    before, seen = forge.cloud.repo.head, len(forge.github.requests)
    forge.commit("Newer text.")
    assert code(forge.push(before)) == "deployed"
    assert statuses(forge, seen) == [200, 200, 200]
    assert (forge.text, forge.poller()["error"], forge.events("failed")) == ("Newer text.", None, [])


def test_a_sync_over_git_goes_on_with_the_old_token_too(forge: Forge) -> None:
    forge.cloud.set("GITHUB_TOKEN", f"{NEWEST}\n{TOKEN}\n")
    turn(forge, status=503, status_times=10**6)
    for text in (NEW, "Newer text."):
        forge.commit(text)
        assert code(forge.poll()) == "deployed"
        assert forge.text == text
    assert [seen.status for seen in forge.github.requests if seen.kind == "git"].count(401) == 1


def test_any_git_repository_behind_an_address_is_read_with_either_token(forge: Forge) -> None:
    forge.cloud.set("SOURCE_URL", forge.github.url(f"{REPO}.git"))
    forge.cloud.set("GITHUB_TOKEN", f"{NEWEST}\n{TOKEN}\n")
    for text in (NEW, "Newer text."):
        forge.commit(text)
        assert code(forge.poll()) == "deployed"
        assert forge.text == text
    assert [seen.status for seen in forge.github.requests if seen.kind == "git"].count(401) == 1


def test_what_github_tells_of_the_token_is_there_for_every_use_case(forge: Forge) -> None:
    forge.github.access.expiration = "2027-02-18 04:00:00 UTC"
    forge.commit(NEW)
    assert code(forge.poll()) == "deployed"
    context, _ = wiring.context(wiring.settings(), 5.0)
    assert context.token_note is not None
    assert context.token_note() == TokenNote(
        fingerprint=fingerprint(TOKEN), expires_at=datetime(2027, 2, 18, 4, 0, 0, tzinfo=UTC)
    )


# a GitHub App


def test_an_apps_tokens_read_the_repository_and_are_renewed_when_they_end(forge: Forge) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    forge.github.access.install_app("12", public)
    forge.cloud.set("GITHUB_TOKEN", None)
    forge.cloud.set("GITHUB_APP_ID", "12")
    forge.cloud.set("GITHUB_APP_KEY", pem.replace("\n", "\\n"))
    forge.commit(NEW)
    assert code(forge.poll()) == "deployed"
    issued = sum(seen.path.endswith("access_tokens") for seen in forge.github.requests)
    assert issued == 1
    forge.github.access.revoke()
    forge.commit("Newer text.")
    assert code(forge.poll()) == "deployed"
    assert sum(seen.path.endswith("access_tokens") for seen in forge.github.requests) == 2
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    newest = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    forge.cloud.set("GITHUB_APP_KEY", f"{newest}{pem}".replace("\n", "\\n"))
    forge.github.access.revoke()
    forge.commit("By the old key.")
    assert code(forge.poll()) == "deployed"
    forge.github.access.install_app(
        "12",
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )
    forge.github.access.revoke()
    assert code(forge.poll()) == "SOURCE_DENIED"
    assert forge.text == "By the old key."


def test_an_app_without_its_key_is_told_by_name(forge: Forge) -> None:
    forge.cloud.set("GITHUB_APP_ID", "12")
    answer = forge.poll()
    assert (answer.status_code, code(answer)) == (503, "CONFIG_MISSING")
    assert "GITHUB_APP_KEY" in answer.text


# webhooks


def test_a_lost_webhook_is_brought_by_the_poll_and_recorded_once(forge: Forge) -> None:
    with delivering(forge, drop=1) as deliveries:
        forge.commit(NEW)
        assert deliveries.drain(10)
        assert forge.text == OLD
        for _ in range(2):
            assert forge.poll().status_code == 200
        assert forge.text == NEW
        (event,) = forge.events("webhook-lost")
        (listed,) = deliveries.deliveries(1)[0]
        assert event["delivery"] == listed["guid"]
        assert forge.health()["kpis"]["webhooks_lost"] == 1  # type: ignore[index]


def test_a_token_that_may_not_read_webhooks_changes_nothing_else(forge: Forge) -> None:
    turn(forge, hooks_readable=False)
    with delivering(forge, drop=1) as deliveries:
        forge.commit(NEW)
        assert deliveries.drain(10)
        assert code(forge.poll()) == "deployed"
    assert (forge.text, forge.events("webhook-lost"), forge.poller()["error"]) == (NEW, [], None)


@pytest.mark.parametrize("faults", [{}, {"double": 3}, {"reorder": 1}, {"delay": 0.2}], ids=str)
def test_however_webhooks_come_the_end_is_the_head_and_each_push_is_deployed_once(
    forge: Forge, faults: dict[str, float]
) -> None:
    with delivering(forge, **faults) as deliveries:
        for number in range(3):
            forge.commit(f"Text {number}.")
        assert deliveries.drain(30)
    assert forge.text == "Text 2."
    assert len(forge.cloud.store.list("deployments/")) <= 4


def test_a_delivery_that_is_sent_again_later_never_moves_content_back(forge: Forge) -> None:
    with delivering(forge) as deliveries:
        forge.commit(NEW)
        assert deliveries.drain(10)
        forge.commit("Newer text.")
        assert deliveries.drain(10)
        first = deliveries.deliveries(1)[0][-1]
        assert deliveries.redeliver(1, int(str(first["id"])))
        assert deliveries.drain(10)
        again = deliveries.deliveries(1)[0][0]
        assert (again["guid"], again["redelivery"], again["status_code"]) == (first["guid"], True, 200)
    assert forge.text == "Newer text."


def test_githubs_default_content_type_is_refused_with_a_word_and_counts_as_lost(forge: Forge) -> None:
    with delivering(forge, form=True) as deliveries:
        forge.commit(NEW)
        assert deliveries.drain(10)
        assert deliveries.deliveries(1)[0][0]["status_code"] == 415
        assert code(forge.poll()) == "deployed"
        assert [event["status_code"] for event in forge.events("webhook-lost")] == [415]


def test_tags_other_branches_and_deleted_branches_deploy_nothing(forge: Forge) -> None:
    repo = forge.cloud.repo
    with delivering(forge) as deliveries:
        repo.git("tag", "v1")
        repo.git("branch", "side")
        forge.github.publish(REPO, repo)
        repo.git("branch", "-D", "side")
        forge.github.publish(REPO, repo)
        assert deliveries.drain(10)
        assert {item["status_code"] for item in deliveries.deliveries(1)[0]} == {200}
        assert len(deliveries.deliveries(1)[0]) == 3
    assert len(forge.cloud.store.list("deployments/")) == 1


def test_a_forced_push_converges_and_is_recorded(forge: Forge) -> None:
    first = forge.cloud.repo.head
    forge.commit(NEW)
    assert code(forge.poll()) == "deployed"
    with delivering(forge) as deliveries:
        forge.cloud.repo.reset(first)
        forge.commit("Another line of history.")
        assert deliveries.drain(10)
    assert forge.text == "Another line of history."
    assert len(forge.events("history-rewritten")) == 1
