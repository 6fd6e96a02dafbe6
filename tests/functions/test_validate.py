"""Validation on demand: what it takes, the three forms of its answer, and that it publishes nothing."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.core.made_secrets import SECRETS, made
from tests.functions.cloud import API_KEY, skill_text

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.functions.cloud import Cloud


def ask(cloud: Cloud, body: bytes, path: str = "/api/validate", **headers: str) -> TestResponse:
    sent = {"x-api-key": API_KEY, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return cloud.call("validate", "POST", path, data=body, headers=sent)


def codes(answer: TestResponse) -> list[str]:
    return [found["code"] for found in (answer.json or {})["findings"]]


def tree(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(stream.getvalue())


def test_without_a_key_nothing_is_read(cloud: Cloud) -> None:
    assert cloud.call("validate", "POST", "/api/validate", data=b"x").status_code == 401


def test_one_skill_file_is_judged_as_the_skill_that_it_names(cloud: Cloud) -> None:
    answer = ask(cloud, skill_text("hello").encode(), "/api/validate?id=hello")
    assert (answer.status_code, (answer.json or {})["valid"], codes(answer)) == (200, True, [])
    assert codes(ask(cloud, b"# nothing\n", "/api/validate?id=hello")) == ["FM_MISSING"]
    assert ask(cloud, b"x", "/api/validate?id=../x").status_code == 400


def test_a_packed_tree_is_judged_skill_by_skill(cloud: Cloud) -> None:
    files = {"skills/a/SKILL.md": skill_text("a").encode(), "skills/b/SKILL.md": b"# nothing\n", "README.md": b"hi"}
    answer = ask(cloud, tree(files))
    assert (answer.status_code, (answer.json or {})["skills"]) == (200, 2)
    assert [(found["skill"], found["path"], found["code"]) for found in (answer.json or {})["findings"]] == [
        ("b", "skills/b/SKILL.md", "FM_MISSING")
    ]


@pytest.mark.parametrize("ref", ["main", "refs/heads/main", "commit"])
def test_a_branch_or_a_commit_of_the_repository_is_judged(cloud: Cloud, ref: str) -> None:
    cloud.repo.write("c/SKILL.md", "# nothing\n")
    commit = cloud.repo.commit("Add c")
    name = commit if ref == "commit" else ref
    answer = ask(cloud, f'{{"ref": "{name}"}}'.encode(), Content_Type="application/json")
    assert (answer.status_code, (answer.json or {})["skills"], codes(answer)) == (200, 3, ["FM_MISSING"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{}", 400, "MEMBER_INVALID"),
        (b'{"ref": ""}', 400, "MEMBER_INVALID"),
        (b'{"ref": "a b"}', 400, "MEMBER_INVALID"),
        (b'{"ref": "main", "x": 1}', 400, "MEMBER_UNKNOWN"),
        (b"[]", 400, "JSON_INVALID"),
        (b'{"ref": "nowhere"}', 502, "BRANCH_NOT_FOUND"),
    ],
)
def test_a_wrong_ref_is_told(cloud: Cloud, body: bytes, status: int, code: str) -> None:
    answer = ask(cloud, body, Content_Type="application/json")
    assert (answer.status_code, (answer.json or {})["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"\x1f\x8bnothing", 400, "UPLOAD_INVALID"),
        (gzip.compress(bytes(64 * 2**20 + 1), mtime=0), 413, "UPLOAD_TOO_LARGE"),
    ],
)
def test_an_upload_that_cannot_be_read_is_told(cloud: Cloud, body: bytes, status: int, code: str) -> None:
    answer = ask(cloud, body)
    assert (answer.status_code, (answer.json or {})["code"]) == (status, code)


def test_sarif_and_annotations_are_answered_to_who_accepts_them(cloud: Cloud) -> None:
    sarif = ask(cloud, b"# nothing\n", Accept="application/sarif+json")
    assert (sarif.mimetype, (sarif.get_json(force=True))["version"]) == ("application/sarif+json", "2.1.0")
    text = ask(cloud, b"# nothing\n", Accept="text/plain")
    assert text.mimetype == "text/plain"
    assert text.text.startswith("::error file=skill/SKILL.md,line=1,title=FM_MISSING::")


def test_nothing_is_published_or_written(cloud: Cloud) -> None:
    ask(cloud, tree({"a/SKILL.md": skill_text("a").encode()}))
    ask(cloud, b'{"ref": "main"}', Content_Type="application/json")
    assert not cloud.touched_store()


@pytest.mark.parametrize("accept", ["application/json", "application/sarif+json", "text/plain"])
def test_no_answer_and_no_log_line_holds_a_secret(cloud: Cloud, accept: str, capfd: pytest.CaptureFixture[str]) -> None:
    secrets = {kind: made(kind) for kind in SECRETS}
    files = {f"a/{number}.txt": secret.encode() for number, secret in enumerate(secrets.values())}
    answer = ask(cloud, tree({"a/SKILL.md": skill_text("a").encode(), **files}), Accept=accept)
    told = answer.text + "".join(capfd.readouterr())
    assert "SECRET_FOUND" in answer.text
    assert not [kind for kind, secret in secrets.items() if secret[:16] in told or secret[-16:] in told]


def test_no_event_record_summary_or_answer_of_a_sync_holds_a_secret(
    cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = {kind: made(kind) for kind in SECRETS}
    for number, secret in enumerate(secrets.values()):
        cloud.repo.write(f"s{number}/SKILL.md", skill_text(f"s{number}") + secret + "\n")
    cloud.repo.commit("Leak everything")
    answer = cloud.webhook(cloud.push())
    told = answer.text + cloud.operator("status", "GET", "/api/skills?limit=200").text
    told += "".join(cloud.store.get(line.name).data.decode("latin-1") for line in cloud.store.list(""))
    told += cloud.call("status", "GET", "/health").text + "".join(capfd.readouterr())
    assert told.count("SECRET_FOUND") >= len(secrets)
    assert not [kind for kind, secret in secrets.items() if secret[:16] in told or secret[-16:] in told]
