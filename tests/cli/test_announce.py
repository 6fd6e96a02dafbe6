"""`push`: what it says of the answer, for people and as one document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shared.cli.__main__ import main
from shared.cli.keys import load_keys
from tests.git_server import GitServer, Received, Reply
from tests.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "team-skills")
    made.write("a/SKILL.md", "x")
    made.commit()
    return made


def prepared(data: Path, repo: Repo, *, url: str, github: str = "") -> Path:
    """A data folder as a running installation leaves it."""
    load_keys(data / "keys.env")
    notes = {"source": str(repo.path), "branch": "main", "repo": "local/team-skills", "url": url, "github": github}
    (data / "run.json").write_text(json.dumps(notes))
    return data


@pytest.mark.parametrize(
    ("body", "answer"),
    [(b'{"status": "unchanged"}', {"status": "unchanged"}), (b"a proxy's page", "a proxy's page")],
)
def test_an_answer_is_printed_as_it_came_or_as_one_document(
    tmp_path: Path, repo: Repo, capsys: pytest.CaptureFixture[str], body: bytes, answer: object
) -> None:
    def serve(received: Received) -> Reply:
        assert received.path == "webhook/github"
        return Reply(200, {}, body)

    with GitServer(tmp_path, routes=serve) as server:
        data = prepared(tmp_path / "data", repo, url=server.url("").rstrip("/"))
        assert main(["push", "--data", str(data)]) == 0
        assert capsys.readouterr().out == f"200 {body.decode()}\n"
        assert main(["push", "--data", str(data), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"status": 200, "answer": answer}


def test_a_push_to_a_stand_in_for_github_is_one_document_too(
    tmp_path: Path, repo: Repo, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "github.git"
    repo.git("init", "-q", "--bare", str(bare))
    data = prepared(tmp_path / "data", repo, url="", github=str(bare))
    assert main(["push", "--data", str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pushed"] == "main"
    assert repo.git("ls-remote", str(bare), "refs/heads/main").startswith(repo.head)


def test_nothing_that_runs_is_one_document_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", "--data", str(tmp_path / "nothing"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "NOT_PREPARED"
