"""`POST /api/deploy`: who may upload what, in which order it is looked at, and what is answered."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from functions.sync import _exclusive
from shared.errors import DeadlineError
from tests.fakes.issuer import AUDIENCE, KEY_NAME, Issuer, claims_of, rsa_key, signed
from tests.fakes.world import World
from tests.functions.cloud import API_KEY, skill_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.test import TestResponse

    from tests.functions.cloud import Cloud


@pytest.fixture
def issuer(cloud: Cloud) -> Iterator[Issuer]:
    """An issuer that the functions believe."""
    with Issuer() as found:
        for name, value in {
            "GITHUB_OIDC_ISSUER": found.url,
            "OIDC_AUDIENCE": AUDIENCE,
            "OIDC_WORKFLOW": ".github/workflows/skills.yml",
            "GITHUB_REPOSITORY_ID": "4711",
        }.items():
            cloud.set(name, value)
        yield found


def packed(cloud: Cloud, commit: str = "HEAD") -> bytes:
    """The commit's tree as `git archive` packs it."""
    command = ["git", "-C", str(cloud.repo.path), "archive", "--format=tar", commit]
    return gzip.compress(subprocess.run(command, capture_output=True, check=True).stdout)


def tar(*members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, data in members:
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(stream.getvalue())


def deploy(cloud: Cloud, body: bytes, **headers: str | None) -> TestResponse:
    sent = {"X-Commit-Sha": cloud.repo.head, "x-api-key": API_KEY}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[arg-type]
    kept = {name: value for name, value in sent.items() if value is not None}
    return cloud.call("sync", "POST", "/api/deploy", data=body, headers=kept)


def with_token(cloud: Cloud, token: str, body: bytes | None = None) -> TestResponse:
    return deploy(cloud, packed(cloud) if body is None else body, x_api_key=None, Authorization=f"Bearer {token}")


def told(answer: TestResponse) -> tuple[int, Any]:
    return answer.status_code, (answer.json or {}).get("code")


def test_a_workflow_deploys_its_commit_with_no_stored_secret(cloud: Cloud, issuer: Issuer) -> None:
    answer = with_token(cloud, issuer.token(cloud.repo.head))
    body = answer.json or {}
    assert (answer.status_code, body["status"], body["deploymentId"]) == (200, "deployed", "1-1")
    assert [each["name"] for each in body["skills"]] == ["a", "b"]
    pointer = World(store=cloud.store).pointer
    assert (pointer.trigger.value, pointer.commit) == ("actions", cloud.repo.head)
    again = with_token(cloud, issuer.token(cloud.repo.head)).json or {}
    assert (again["status"], again["deploymentId"]) == ("unchanged", "1-1")


def test_the_api_key_deploys_too(cloud: Cloud) -> None:
    answer = deploy(cloud, packed(cloud))
    assert (answer.status_code, (answer.json or {})["status"]) == (200, "deployed")


def test_a_bad_skill_is_named_with_its_findings_and_does_not_hold_back_the_others(cloud: Cloud) -> None:
    cloud.repo.write("c/SKILL.md", "# nothing\n")
    cloud.repo.commit("Add c")
    body = deploy(cloud, packed(cloud)).json or {}
    assert [each["name"] for each in body["skills"]] == ["a", "b"]
    assert [(each["name"], each["path"], each["findings"][0]["code"]) for each in body["rejected"]] == [
        ("c", "c", "FM_MISSING")
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://token.actions.githubusercontent.com"}, "OIDC_ISSUER"),
        ({"aud": "https://github.com/octo"}, "OIDC_AUDIENCE"),
        ({"exp": int(time.time()) - 3600}, "OIDC_EXPIRED"),
        ({"nbf": int(time.time()) + 3600, "exp": int(time.time()) + 3700}, "OIDC_NOT_YET_VALID"),
        ({"repository": "mallory/skills"}, "OIDC_REPOSITORY"),
        ({"repository_id": "1"}, "OIDC_REPOSITORY_ID"),
        ({"ref": "refs/heads/feature"}, "OIDC_REF"),
        ({"event_name": "pull_request_target"}, "OIDC_EVENT"),
        ({"workflow_ref": "octo/skills/.github/workflows/x.yml@refs/heads/main"}, "OIDC_WORKFLOW"),
        ({"sha": "d" * 40}, "OIDC_COMMIT"),
    ],
)
def test_a_token_made_for_something_else_is_401_and_no_work_is_done(
    cloud: Cloud, issuer: Issuer, changes: dict[str, object], code: str
) -> None:
    answer = with_token(cloud, issuer.token(cloud.repo.head, **changes), b"\x1f\x8bno archive at all")
    assert told(answer) == (401, code)
    assert not cloud.touched_store()


def test_a_token_that_github_did_not_sign_is_401_and_no_work_is_done(cloud: Cloud, issuer: Issuer) -> None:
    claims = claims_of(cloud.repo.head, issuer.url)
    header = {"alg": "RS256", "typ": "JWT", "kid": KEY_NAME}
    for token, code in {
        signed({**header, "alg": "none"}, claims, rsa_key(KEY_NAME)): "OIDC_ALGORITHM",
        signed({**header, "alg": "HS256"}, claims, rsa_key(KEY_NAME)): "OIDC_ALGORITHM",
        signed({**header, "kid": "other"}, claims, rsa_key(KEY_NAME)): "OIDC_KEY_UNKNOWN",
        signed(header, claims, rsa_key("stranger")): "OIDC_SIGNATURE",
        "nothing": "OIDC_TOKEN_INVALID",
    }.items():
        assert told(with_token(cloud, token, b"x")) == (401, code)
    assert not cloud.touched_store()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "DEPLOYER_UNKNOWN"),
        ({"Authorization": "Bearer "}, "DEPLOYER_UNKNOWN"),
        ({"Authorization": "Basic YTpi"}, "DEPLOYER_UNKNOWN"),
        ({"x_api_key": ""}, "API_KEY_MISSING"),
        ({"x_api_key": "z" * 40}, "API_KEY_INVALID"),
    ],
)
def test_without_a_credential_nothing_is_done(cloud: Cloud, headers: dict[str, str], code: str) -> None:
    answer = deploy(cloud, b"x", **{"x_api_key": None, **headers}, X_Commit_Sha=None)
    assert told(answer) == (401, code)
    assert not cloud.touched_store()


def test_a_wrong_key_is_not_made_good_by_a_token(cloud: Cloud, issuer: Issuer) -> None:
    answer = deploy(cloud, b"x", x_api_key="z" * 40, Authorization=f"Bearer {issuer.token(cloud.repo.head)}")
    assert told(answer) == (401, "API_KEY_INVALID")


def test_where_no_audience_is_set_no_token_is_accepted_and_nobody_is_asked(cloud: Cloud, issuer: Issuer) -> None:
    cloud.set("OIDC_AUDIENCE", None)
    assert told(with_token(cloud, issuer.token(cloud.repo.head))) == (401, "OIDC_OFF")
    assert issuer.asked == 0


def test_tokens_need_the_branch_by_name(cloud: Cloud, issuer: Issuer) -> None:
    cloud.set("GITHUB_BRANCH", None)
    answer = with_token(cloud, issuer.token(cloud.repo.head))
    assert told(answer) == (503, "CONFIG_MISSING")
    assert "GITHUB_BRANCH" in answer.text


def test_an_issuer_that_does_not_answer_is_503_with_a_time_to_wait(cloud: Cloud, issuer: Issuer) -> None:
    issuer.status = 500
    answer = with_token(cloud, issuer.token(cloud.repo.head))
    assert told(answer) == (503, "OIDC_KEYS_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("commit", [None, "", "main", "A" * 40, "a" * 39, "a" * 64])
def test_a_commit_is_named_by_forty_digits(cloud: Cloud, commit: str | None) -> None:
    assert told(deploy(cloud, packed(cloud), X_Commit_Sha=commit)) == (400, "COMMIT_INVALID")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "UPLOAD_INVALID"),
        (b"{}", 400, "UPLOAD_INVALID"),
        (gzip.compress(b"no tar" * 200), 400, "UPLOAD_INVALID"),
        (bytes(32 * 2**20 + 1), 413, "BODY_TOO_LARGE"),
        (gzip.compress(bytes(64 * 2**20 + 1), mtime=0), 413, "UPLOAD_TOO_LARGE"),
        (tar(("../a/SKILL.md", b"x"), ("b", b"x")), 422, "UPLOAD_PATH_INVALID"),
        (tar(("/etc/passwd", b"x"), ("b", b"x")), 422, "UPLOAD_PATH_INVALID"),
        (tar(("a/SKILL.md", skill_text("a").encode())), 422, "UPLOAD_NOT_COMMIT"),
    ],
    ids=["empty", "json", "no tar", "large", "bomb", "out", "absolute", "else"],
)
def test_an_upload_that_is_not_that_commits_tree_is_refused(cloud: Cloud, body: bytes, status: int, code: str) -> None:
    assert told(deploy(cloud, body)) == (status, code)
    assert not cloud.touched_store() or cloud.store.get("current.json") is None


def test_what_is_behind_what_is_live_never_wins(cloud: Cloud, issuer: Issuer) -> None:
    old, body = cloud.repo.head, packed(cloud)
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    new = cloud.repo.commit("Change a")
    assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
    answer = deploy(cloud, body, X_Commit_Sha=old, x_api_key=None, Authorization=f"Bearer {issuer.token(old)}")
    assert told(answer) == (409, "UPLOAD_BEHIND")
    assert World(store=cloud.store).pointer.commit == new


def test_every_kind_of_entry_that_git_has_is_the_same_in_the_upload(cloud: Cloud) -> None:
    cloud.repo.write("a/run.sh", "#!/bin/sh\n", executable=True)
    cloud.repo.write("a/ünïcode.md", "x")
    cloud.repo.write(f"a/{'long/' * 30}name.md", "x")
    cloud.repo.symlink("link", "a/SKILL.md")
    cloud.repo.submodule("vendored", "1" * 40)
    cloud.repo.commit("Add everything")
    answer = deploy(cloud, packed(cloud))
    assert (answer.status_code, (answer.json or {}).get("status")) == (200, "deployed"), answer.text


def test_a_repository_with_one_folder_at_its_top_is_taken_as_it_is(cloud: Cloud) -> None:
    cloud.repo.move("a", "skills/a")
    cloud.repo.move("b", "skills/b")
    cloud.repo.commit("Move all into one folder")
    assert (deploy(cloud, packed(cloud)).json or {})["status"] == "deployed"


def test_while_paused_it_is_409_with_the_reasons(cloud: Cloud) -> None:
    cloud.operator("sync", "POST", "/api/sync")
    first = cloud.store.get("current.json")
    cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    cloud.repo.commit("Change a")
    cloud.operator("sync", "POST", "/api/sync")
    cloud.follow("1-2")
    now = cloud.store.get("current.json")
    assert first is not None
    assert now is not None
    cloud.store.put("current.json", first.data, if_generation=now.generation)
    answer = deploy(cloud, packed(cloud))
    assert told(answer) == (409, "PAUSED")
    assert (answer.json or {})["reasons"]


def test_what_is_not_finished_in_time_is_409_busy_with_a_time_to_wait() -> None:
    def late() -> dict[str, object]:
        raise DeadlineError("DEADLINE_PASSED", "not finished within 25 s")

    answer = _exclusive(late)
    assert isinstance(answer.body, dict)
    assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (409, "BUSY", "5")


def test_who_may_not_deploy_is_told_so_before_the_body_counts(cloud: Cloud, issuer: Issuer) -> None:
    token = issuer.token(cloud.repo.head, ref="refs/heads/feature")
    assert told(with_token(cloud, token, bytes(32 * 2**20 + 1))) == (401, "OIDC_REF")


def test_no_token_stands_in_an_answer_or_in_the_log(
    cloud: Cloud, issuer: Issuer, capfd: pytest.CaptureFixture[str]
) -> None:
    good, bad = issuer.token(cloud.repo.head), issuer.token(cloud.repo.head, aud="x")
    shown = with_token(cloud, good).text + with_token(cloud, bad).text + "".join(capfd.readouterr())
    assert "Successfully deployed" in shown
    (line,) = (json.loads(each) for each in shown.splitlines() if "22259804324" in each)
    assert line["sync"] == World(store=cloud.store).pointer.token, "the run can be found from the deployment"
    assert not [part for token in (good, bad) for part in token.split(".")[1:] if part in shown]
