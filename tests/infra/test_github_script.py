"""What the action packs, how it asks again, what it prints of an answer, and what its YAML files may hold."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.config import load_settings
from shared.core.upload import read_archive
from shared.model import Kind
from tests.fakes.listeners import pullers
from tests.infra.action_runner import read_yaml
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / "infra" / "github"
KEY = "k" * 40


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, as it finds its neighbour on the runner."""
    monkeypatch.syspath_prepend(str(GITHUB))
    return importlib.import_module("skill_sync_action")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository at the place where the action fetches it to."""
    return Repo(tmp_path / "skill-sync-commit")


def everything(repo: Repo) -> str:
    """Commit all that git can hold, with attributes by which `git archive` and a checkout change or leave out files."""
    repo.write(".gitattributes", "*.md export-subst ident text eol=crlf\nsecret.txt export-ignore\n*.bin filter=lfs\n")
    repo.write("a/SKILL.md", "---\nname: a\n---\n$Format:%H$ $Id$\nText.\n")
    repo.write("secret.txt", "left out of archives")
    repo.write("a/model.bin", b"\x00\xff\r\n")
    repo.write("a/run.sh", "#!/bin/sh\n", executable=True)
    repo.write("a/empty", "")
    repo.write("a/ünï cöde\n.md", "x")
    repo.write(b"a/\xff.md", "x")
    repo.write(f"a/{'long/' * 40}name.md", "x")
    repo.symlink("a/link", "../secret.txt")
    repo.submodule("vendored", "1" * 40)
    return repo.commit("Everything")


def in_git(repo: Repo, commit: str) -> dict[str, tuple[str, str]]:
    """Each file's mode and id, as git lists them, but for submodules."""
    listed = repo.git("ls-tree", "-r", "-z", commit).split("\0")
    entries = [line.split("\t", 1) for line in listed if line and not line.startswith("160000")]
    return {path: (meta.split()[0], meta.split()[2]) for meta, path in entries}


def in_pack(data: bytes) -> dict[str, tuple[str, str]]:
    modes = {Kind.FILE: "100644", Kind.EXECUTABLE: "100755", Kind.SYMLINK: "120000"}
    listing = read_archive(data, unwrap=False).listing
    return {entry.path: (modes[entry.kind], entry.id) for entry in listing if entry.kind is not Kind.FOLDER}


def test_the_pack_holds_every_file_of_the_commit_as_git_stores_it(script: ModuleType, repo: Repo) -> None:
    commit = everything(repo)
    assert in_pack(script.pack(repo.path, commit)) == in_git(repo, commit)


def test_the_same_commit_is_packed_to_the_same_bytes(script: ModuleType, repo: Repo) -> None:
    commit = everything(repo)
    assert script.pack(repo.path, commit) == script.pack(repo.path, commit)


def test_a_commit_without_files_is_packed_too(script: ModuleType, repo: Repo) -> None:
    assert in_pack(script.pack(repo.path, repo.commit("Nothing"))) == {}


def answering(status: int, document: object, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    body = json.dumps(document).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class Deploying:
    """The script's step `deploy` against answers that a test gives, one after the other; the last one stays."""

    def __init__(self, script: ModuleType, repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
        self.pauses: list[float] = []
        self.status = -1
        self.printed = ""
        self.calls = 0
        self._script, self._repo, self._capsys = script, repo, capsys
        repo.write("a/SKILL.md", "x")
        self.commit = repo.commit("a")

    def run(self, *answers: Callable[[BaseHTTPRequestHandler], None], **changes: str) -> Deploying:
        left = list(answers)

        def answer(handler: BaseHTTPRequestHandler) -> None:
            found = left.pop(0) if len(left) > 1 else left[0]
            found(handler)

        with pullers(answer) as (server,):
            environment = {
                "RUNNER_TEMP": str(self._repo.path.parent),
                "GITHUB_SHA": self.commit,
                "INPUT_URL": server.url.removesuffix("/nudge"),
                "INPUT_API_KEY": KEY,
                **changes,
            }
            self.status = self._script.main(["deploy"], environment, self.pauses.append)
            self.calls = len(server.taken)
        self.printed = self._capsys.readouterr().out
        return self


@pytest.fixture
def deploying(script: ModuleType, repo: Repo, capsys: pytest.CaptureFixture[str]) -> Deploying:
    return Deploying(script, repo, capsys)


DONE = answering(200, {"status": "deployed", "deploymentId": "1-1", "skills": [], "removed": [], "rejected": []})


def test_a_busy_or_failing_service_is_asked_again_after_the_time_that_it_names(deploying: Deploying) -> None:
    busy = answering(409, {"error": "busy", "code": "BUSY"}, Retry_After="5")
    down = answering(503, {"error": "down", "code": "STORE_UNAVAILABLE"}, Retry_After="7")
    ran = deploying.run(busy, down, DONE)
    assert (ran.status, ran.pauses, ran.calls) == (0, [5.0, 7.0], 3)


def test_it_is_not_asked_for_ever(deploying: Deploying) -> None:
    ran = deploying.run(answering(503, {"error": "down", "code": "STORE_UNAVAILABLE"}, Retry_After="9999"))
    assert (ran.status, set(ran.pauses), sum(ran.pauses)) == (1, {30.0}, 240.0)
    assert "[STORE_UNAVAILABLE]" in ran.printed


def test_nobody_at_the_address_is_asked_again_and_told(script: ModuleType, deploying: Deploying) -> None:
    del script
    ran = deploying.run(DONE, INPUT_URL="http://127.0.0.1:9")
    assert (ran.status, len(ran.pauses) > 3) == (1, True)
    assert "[UNREACHABLE]" in ran.printed


@pytest.mark.parametrize(
    ("status", "code"), [(401, "API_KEY_INVALID"), (409, "PAUSED"), (422, "UPLOAD_NOT_COMMIT"), (502, "SOURCE_DENIED")]
)
def test_a_refusal_is_told_once_and_not_asked_again(deploying: Deploying, status: int, code: str) -> None:
    ran = deploying.run(answering(status, {"error": "no", "code": code}))
    assert (ran.status, ran.calls, ran.pauses) == (1, 1, [])
    assert f"[{code}]" in ran.printed


def test_a_redirect_is_not_followed_so_that_nobody_else_sees_the_key(deploying: Deploying) -> None:
    with pullers(DONE) as (elsewhere,):
        ran = deploying.run(answering(307, {}, Location=elsewhere.url))
        assert (ran.status, elsewhere.taken) == (1, [])


@pytest.mark.parametrize(
    "url", ["", "http://example.com", "https://u:p@h", "ftp://h", "https://h/?x=1", "file:///etc/passwd"]
)
def test_an_address_that_would_show_the_credential_is_refused(deploying: Deploying, url: str) -> None:
    ran = deploying.run(DONE, INPUT_URL=url)
    assert (ran.status, ran.calls) == (1, 0)


def test_text_of_an_answer_is_no_command_to_the_runner(deploying: Deploying, tmp_path: Path) -> None:
    hostile = "x\n::set-env name=A::B\r\n[a](http://b)"
    finding = {"code": hostile, "severity": "error", "path": hostile, "line": 1, "hint": hostile}
    skill = {"name": hostile, "reason": hostile, "path": hostile, "findings": [finding]}
    answer = {"status": hostile, "deploymentId": hostile, "skills": [{"name": hostile, "version": hostile}]}
    output, summary = tmp_path / "output", tmp_path / "summary"
    ran = deploying.run(
        answering(200, {**answer, "removed": [hostile], "rejected": [skill, {**skill, "findings": []}]}),
        GITHUB_OUTPUT=str(output),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert ran.status == 1
    assert [line[:8] for line in ran.printed.splitlines()] == ["::error "] * 2
    assert len(output.read_text().splitlines()) == 2
    assert "](" not in summary.read_text()
    assert "::" not in summary.read_text()


def test_what_the_validator_loads_is_what_the_action_installs(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "SKILL.md").write_text("---\nname: a\ndescription: Does a.\n---\nText.\n")
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['cli', 'validate', {str(tmp_path)!r}, '--format', 'github']\n"
        "try:\n    runpy.run_module('shared.cli', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "files = {name: getattr(module, '__file__', None) for name, module in sys.modules.items()}\n"
        "print(*{name.partition('.')[0] for name, file in files.items() if file and '.' not in name}, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = importlib.metadata.packages_distributions()
    loaded = {package for name in done.stdout.splitlines() for package in packages.get(name, [])}
    pinned = {line.partition("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    assert loaded & pinned == set(script._NEEDED) & loaded
    assert set(script._NEEDED) <= pinned


@pytest.mark.parametrize(
    ("name", "schema"),
    [("action.yml", "github-actions"), ("skill-sync.yml", "github-workflows"), ("skills.yml", "github-workflows")],
)
def test_the_files_fit_githubs_schemas(name: str, schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(GITHUB / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def steps() -> list[dict[str, Any]]:
    action, workflow = read_yaml(GITHUB / "action.yml"), read_yaml(GITHUB / "skill-sync.yml")
    jobs = [step for job in workflow["jobs"].values() for step in job["steps"]]
    return [*action["runs"]["steps"], *jobs]


def test_nobody_elses_action_runs_and_no_input_stands_in_a_command() -> None:
    assert [step["uses"] for step in steps() if "uses" in step] == ["./.skill-sync/infra/github"]
    assert not [step["run"] for step in steps() if "${{" in step.get("run", "")]


def test_only_the_job_that_deploys_may_ask_for_a_token_and_none_may_write() -> None:
    caller = read_yaml(GITHUB / "skills.yml")
    assert caller["permissions"] == {}
    permissions = {name: job["permissions"] for name, job in caller["jobs"].items()}
    assert permissions == {
        "validate": {"contents": "read"},
        "deploy": {"contents": "read", "id-token": "write"},
    }
    assert "pull_request_target" not in caller["on"]
    assert {name: job["with"]["mode"] for name, job in caller["jobs"].items()} == {
        "validate": "validate",
        "deploy": "deploy",
    }


def test_the_caller_gives_only_what_the_workflow_takes_and_the_workflow_only_what_the_action_takes() -> None:
    action, workflow = read_yaml(GITHUB / "action.yml"), read_yaml(GITHUB / "skill-sync.yml")
    taken = workflow["on"]["workflow_call"]["inputs"]
    for job in read_yaml(GITHUB / "skills.yml")["jobs"].values():
        assert job["with"].keys() <= taken.keys()
        assert {name for name, each in taken.items() if each.get("required")} <= job["with"].keys()
    (given,) = (step["with"] for step in steps() if "with" in step)
    assert given.keys() <= action["inputs"].keys()
    used = {
        name
        for step in steps()
        for text in step.get("env", {}).values()
        for name in re.findall(r"inputs\.([\w-]+)", text)
    }
    assert used <= action["inputs"].keys() | taken.keys()


def page() -> str:
    return (GITHUB / "README.md").read_text(encoding="utf-8")


def test_the_page_names_every_code_with_which_a_token_or_an_upload_is_refused() -> None:
    sources = ("core/oidc", "core/upload", "adapters/oidc_keys", "adapters/oidc_tokens", "service/upload", "admission")
    text = "".join((ROOT / "shared" / f"{name}.py").read_text(encoding="utf-8") for name in sources)
    codes = set(re.findall(r'"((?:OIDC|UPLOAD|DEPLOYER)_[A-Z_]+)"', text)) - {"OIDC_AUDIENCE", "UPLOAD_TOO_LARGE"}
    assert len(codes) > 20
    assert sorted(code for code in codes if f"`{code}`" not in page()) == []
    told = set(re.findall(r"`((?:OIDC|UPLOAD|DEPLOYER)_[A-Z_]+)`", page())) - {"OIDC_WORKFLOW"}
    assert told - codes <= {"OIDC_AUDIENCE"}


def test_the_settings_of_the_page_are_settings_and_its_values_are_taken() -> None:
    block = re.findall(r"^ {7}([A-Z_]+)=(\S+)", page(), re.MULTILINE)
    assert [name for name, _ in block] == ["OIDC_AUDIENCE", "GITHUB_BRANCH", "GITHUB_REPOSITORY_ID", "OIDC_WORKFLOW"]
    found = load_settings(dict(block))
    assert (found.oidc_audience, found.oidc_workflow) == ("https://HOST", ".github/workflows/skills.yml")


def test_the_page_copies_files_that_are_there() -> None:
    (line,) = re.findall(r"^ +cp (.+) \S+$", page(), re.MULTILINE)
    assert [path for path in line.split() if not (ROOT / path).is_file()] == []
