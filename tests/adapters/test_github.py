"""GitHub as a whole: REST in front, the git protocol behind, one token for both, and no secret in sight."""

from __future__ import annotations

import json
import logging
import time
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from shared.adapters.github import GitHub, Repository
from shared.adapters.github_app import App
from shared.adapters.github_expiry import HEADER
from shared.adapters.github_quota import ProcessQuota
from shared.adapters.threads import in_threads
from shared.core.credentials import TokenNote
from shared.core.plain_text import fingerprint
from shared.errors import ConfigError, RejectedError, SkillSyncError, UnavailableError
from shared.model import CommitSha, Kind, Standing
from tests.adapters.test_github_access import APP, KEY, pem
from tests.adapters.test_github_fake import TOKEN, FakeGitHub
from tests.fakes.clock import FakeClock
from tests.git_server import Fault, GitServer, Reply
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.ports import Source


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "origin")
    made.write_all({"skills/a/SKILL.md": "a\n", "skills/b/SKILL.md": "b\n"})
    made.commit()
    made.write("skills/a/SKILL.md", "A\n")
    made.commit()
    return made


class Forge:
    """A REST API that is scripted, and a real git server beside it."""

    def __init__(self, server: GitServer, repo: Repo) -> None:
        self.server = server
        self.repo = repo
        self.fake = FakeGitHub(repo)
        self.clock = FakeClock()
        self.quota = ProcessQuota(self.clock)

    def github(self, **options: Any) -> GitHub:  # noqa: ANN401 - passed on as they are
        return GitHub(
            Repository(api_url=self.server.url("api/v3"), owner="octo", name="skills"),
            quota=self.quota,
            together=in_threads,
            clock=self.clock,
            transport=self.fake.transport(),
            **options,
        )

    def source(self, seconds: float = 30.0, **options: Any) -> Source:  # noqa: ANN401 - passed on as they are
        end = time.monotonic() + seconds
        return self.github(**options).source("main", seconds=lambda: end - time.monotonic())

    @property
    def git_requests(self) -> int:
        return len(self.server.log)


@contextmanager
def served(repo: Repo, folder: Path) -> Iterator[Forge]:
    (folder / "octo").mkdir()
    repo.mirror(folder / "octo" / "skills.git")
    with GitServer(folder) as server:
        yield Forge(server, repo)


@pytest.fixture
def forge(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with served(repo, tmp_path_factory.mktemp("served")) as made:
        yield made


def whole_sync(source: Source, repo: Repo) -> None:
    """Do what a sync does, and check every answer."""
    head = source.head(None)
    assert head == repo.head
    entries = [entry for entry in source.listing(head) if entry.kind is Kind.FILE]
    assert [entry.path for entry in entries] == ["skills/a/SKILL.md", "skills/b/SKILL.md"]
    assert sorted(source.blobs(head, entries).values()) == [b"A\n", b"b\n"]
    assert source.compare(CommitSha(repo.git("rev-parse", "HEAD~1")), head) is Standing.AHEAD


def test_nothing_is_asked_when_things_are_built(forge: Forge) -> None:
    github = forge.github(tokens=[TOKEN])
    github.source(None, seconds=lambda: 1.0)
    github.hooks(seconds=lambda: 1.0)
    assert github.quota is forge.quota
    assert (forge.fake.asked, forge.git_requests) == ([], 0)


def test_a_sync_in_good_times_speaks_rest_only(forge: Forge) -> None:
    forge.fake.reply("/compare/", body={"status": "ahead"})
    whole_sync(forge.source(), forge.repo)
    assert forge.git_requests == 0
    assert len(forge.fake.asked) == 5


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {"Retry-After": "60"}), (403, {}), (403, {"Retry-After": "60"}), (500, {}), (503, {}), (200, {}), (418, {})],
)
def test_a_sync_goes_on_over_git_when_rest_refuses(forge: Forge, status: int, headers: dict[str, str]) -> None:
    forge.fake.reply("/", status, b"no id", headers, times=99)
    whole_sync(forge.source(), forge.repo)
    assert forge.git_requests > 0
    assert len(forge.fake.asked) == (3 if status in {500, 503} else 1)


def test_a_sync_goes_on_over_git_when_rest_cannot_be_reached(forge: Forge) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    forge.fake.do("/", refuse, times=99)
    whole_sync(forge.source(), forge.repo)


def test_a_listing_with_a_false_entry_comes_over_git(forge: Forge) -> None:
    entry = {"path": "skills", "mode": "040000", "type": "tree", "sha": "1" * 40}
    forge.fake.reply("/git/trees/", body={"sha": forge.repo.id_of(), "tree": [entry], "truncated": False})
    whole_sync(forge.source(), forge.repo)
    assert forge.git_requests > 0


def test_names_that_json_cannot_hold_come_over_git(forge: Forge) -> None:
    forge.repo.write(b"caf\xe9", "x")
    forge.repo.commit()
    forge.repo.mirror(forge.server.root / "octo" / "skills.git")
    replaced = [
        {
            "path": "caf\N{REPLACEMENT CHARACTER}",
            "mode": "100644",
            "type": "blob",
            "sha": forge.repo.git("hash-object", "--stdin", data=b"x"),
            "size": 1,
        },
        {"path": "skills", "mode": "040000", "type": "tree", "sha": forge.repo.id_of("skills")},
    ]
    forge.fake.reply("/git/trees/", body={"sha": forge.repo.id_of(), "tree": replaced, "truncated": False})
    source = forge.source()
    assert r"caf\xe9" in [item.path for item in source.listing(CommitSha(forge.repo.head))]


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "SOURCE_DENIED"), (404, "SOURCE_NOT_FOUND"), (301, "SOURCE_MOVED"), (451, "SOURCE_DENIED")],
)
def test_what_a_person_must_mend_is_not_walked_around(forge: Forge, status: int, code: str) -> None:
    forge.fake.reply("/", status, times=99)
    with pytest.raises(RejectedError, match=code):
        forge.source().head(None)
    assert forge.git_requests == 0


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SOURCE_RATE_LIMITED"), (429, "SOURCE_RATE_LIMITED"), (404, "SOURCE_NOT_FOUND")]
)
def test_when_git_refuses_too_the_limit_is_told_unless_git_knows_better(forge: Forge, status: int, code: str) -> None:
    forge.fake.reply("/", 429, b"", {"Retry-After": "60"}, times=99)
    forge.server.fail(Fault(reply=Reply(status), times=99))
    with pytest.raises(SkillSyncError) as caught:
        forge.source().head(None)
    assert caught.value.code == code


def test_the_limit_holds_for_the_syncs_that_follow(forge: Forge) -> None:
    forge.fake.reply("/", 429, b"", {"Retry-After": "60"})
    github = forge.github()
    for _ in range(3):
        assert github.source("main", seconds=lambda: 30.0).head(None) == forge.repo.head
    assert len(forge.fake.asked) == 1
    forge.clock.move(60)
    git_requests = forge.git_requests
    assert github.source("main", seconds=lambda: 30.0).head(None) == forge.repo.head
    assert forge.git_requests == git_requests


def test_a_personal_token_opens_the_way_over_git_too(forge: Forge) -> None:
    forge.server.token = TOKEN
    forge.fake.reply("/", 429, times=99)
    whole_sync(forge.source(tokens=[TOKEN]), forge.repo)


@pytest.mark.parametrize("status", [429, 503, 403])
def test_the_old_token_opens_the_way_over_git_while_the_newest_is_refused(forge: Forge, status: int) -> None:
    forge.server.token = TOKEN
    forge.fake.reply("/", status, times=99)
    github = forge.github(tokens=["new", TOKEN])
    for _ in range(2):
        whole_sync(github.source("main", seconds=lambda: 30.0), forge.repo)
    sent = [exchange.received.headers["authorization"] for exchange in forge.server.log]
    assert [exchange.reply.status for exchange in forge.server.log].count(401) == 1
    assert len(set(sent[1:])) == 1


def test_a_token_that_rest_has_refused_is_not_shown_to_git(forge: Forge) -> None:
    forge.server.token = TOKEN
    forge.fake.reply("/commits/", 401)
    forge.fake.reply("/commits/", 200, forge.repo.head.encode())
    forge.fake.reply("/", 503, times=99)
    whole_sync(forge.source(tokens=["new", TOKEN]), forge.repo)
    assert {exchange.reply.status for exchange in forge.server.log} == {200}


def test_what_was_told_of_the_token_is_kept_for_the_process(forge: Forge) -> None:
    github = forge.github(tokens=[TOKEN])
    assert github.token_note() is None
    forge.fake.reply("/commits/", 200, forge.repo.head.encode(), {HEADER: "2026-12-01 00:00:00 +0000"})
    github.source("main", seconds=lambda: 30.0).head(None)
    assert github.token_note() == TokenNote(
        fingerprint=fingerprint(TOKEN), expires_at=datetime(2026, 12, 1, tzinfo=UTC)
    )


def test_an_apps_token_opens_the_way_over_git_too(forge: Forge) -> None:
    forge.server.token = "ghs_installation"
    forge.fake.reply("skills/installation", body={"id": 7})
    token = {"token": "ghs_installation", "expires_at": "2026-11-21T13:00:00Z"}
    forge.fake.reply("/access_tokens", 201, token)
    forge.fake.reply("/commits/", 429)
    whole_sync(forge.source(app=APP), forge.repo)
    basic = {exchange.received.headers.get("authorization", "") for exchange in forge.server.log}
    assert all(header.startswith("Basic ") for header in basic)


def test_an_app_without_a_token_reads_a_public_repository_over_git(forge: Forge) -> None:
    forge.fake.reply("/", 503, times=99)
    whole_sync(forge.source(app=APP), forge.repo)
    assert {"/commits/" in path for path in forge.fake.paths} == {False}


def test_folders_are_remembered_from_sync_to_sync(forge: Forge) -> None:
    forge.fake.largest = 2
    github = forge.github()
    costs = []
    for _ in range(2):
        forge.fake.asked.clear()
        github.source("main", seconds=lambda: 30.0).listing(CommitSha(forge.repo.head))
        costs.append(len(forge.fake.asked))
    assert costs[1] == 2 < costs[0]


def test_lost_webhook_calls_are_read_with_the_same_token(forge: Forge) -> None:
    forge.fake.reply("/deliveries", body=[])
    assert forge.github(tokens=[TOKEN]).hooks(seconds=lambda: 30.0).failed_deliveries(7) == []
    assert forge.fake.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_token_that_cannot_be_sent_is_a_wrong_setting(forge: Forge) -> None:
    with pytest.raises(ConfigError, match="GITHUB_TOKEN_INVALID"):
        forge.github(tokens=["two\nlines"])


def test_no_secret_is_in_any_error_repr_or_log(
    forge: Forge, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {TOKEN, "ghs_installation", pem(KEY).splitlines()[3]}
    shown: list[str] = []
    for options in ({"tokens": [TOKEN]}, {"app": App(id="1", key_pems=(pem(KEY),))}):
        for status in (200, 301, 401, 403, 404, 429, 500):
            fake = forge.fake = FakeGitHub(forge.repo)
            forge.quota = ProcessQuota(forge.clock)
            fake.reply("skills/installation", body={"id": 7}, times=9)
            token = {"token": "ghs_installation", "expires_at": "2026-11-21T13:00:00Z"}
            fake.reply("/access_tokens", 201, token, times=9)
            fake.reply(
                "/commits/", status, f"{TOKEN} ghs_installation".encode(), {"Location": f"https://{TOKEN}"}, times=9
            )
            source = forge.source(**options)
            try:
                shown.append(source.head(None))
            except SkillSyncError as error:
                shown += traceback.format_exception(error)
            shown += [repr(source), repr(options.get("app"))]
            sent = {request.headers["Authorization"].removeprefix("Bearer ") for request in fake.asked}
            assert sent
            secrets |= sent
    text = "".join(shown) + caplog.text + capsys.readouterr().out
    assert not [secret for secret in secrets if secret in text]
    assert json.loads(json.dumps(text)) == text


def test_a_slow_rest_api_leaves_no_time_for_git(forge: Forge) -> None:
    def late(_: httpx.Request) -> httpx.Response:
        time_left[0] = 0.0
        raise httpx.ReadTimeout("late")

    time_left = [5.0]
    forge.fake.do("/", late, times=9)
    source = forge.github().source("main", seconds=lambda: time_left[0])
    with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
        source.head(None)
    assert forge.git_requests == 0
