"""The workflow and the action of the skills repository, run step by step against the real functions over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.issuer import RUNNER_TOKEN, Issuer
from tests.functions.cloud import API_KEY, skill_text
from tests.functions.forge import NEW, OLD, REPO, TOKEN, Forge, serving
from tests.github.server import GitHubStandIn
from tests.infra.action_runner import Ran, Runner
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / "infra" / "github"
TOOL = "octo/skill-sync"
WORKFLOW = "octo/skills/.github/workflows/skills.yml@refs/heads/main"


class Skills:
    """The skills repository at GitHub, with its workflow, and the functions that follow it."""

    def __init__(self, tmp_path: Path, forge: Forge, issuer: Issuer, url: str) -> None:
        self.forge = forge
        self.issuer = issuer
        self.url = url
        self._folder = tmp_path / "runner"
        self._runs = 0
        self.tool = Repo(tmp_path / "tool")
        for part in ("infra/github", "shared"):
            shutil.copytree(ROOT / part, self.tool.path / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "requirements.txt", self.tool.path)
        self.tool.git("add", "--all")
        self.tool.commit("The tool")
        forge.github.publish(TOOL, self.tool)

    def run(self, mode: str, commit: str, environment: dict[str, str] | None = None, **inputs: str) -> Ran:
        """Run the job of the reusable workflow for a commit on a new machine."""
        self._runs += 1
        self.issuer.claims = {"workflow_ref": WORKFLOW, **self.issuer.claims, "sha": commit}
        server = self.forge.github.url("").rstrip("/")
        given = {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": REPO, "GITHUB_SHA": commit, **(environment or {})}
        runner = Runner(self.machine, given, TOKEN)
        asked = {"mode": mode, "tool": TOOL, "tool-commit": self.tool.head, "url": self.url, **inputs}
        return runner.workflow(GITHUB / "skill-sync.yml", "skills", asked)

    @property
    def machine(self) -> Path:
        """The folder of the newest machine."""
        return self._folder / str(self._runs)

    def action(self, commit: str, **inputs: str) -> Ran:
        """Run the composite action alone."""
        self._runs += 1
        server = self.forge.github.url("").rstrip("/")
        given = {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": REPO, "GITHUB_SHA": commit}
        return Runner(self.machine, given, TOKEN).action(GITHUB, inputs)

    def deploy(self, commit: str, **inputs: str) -> Ran:
        """Run it as on a push, where the job may ask GitHub for a token."""
        environment = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.issuer.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": RUNNER_TOKEN,
        }
        return self.run("deploy", commit, environment, **inputs)


@pytest.fixture
def skills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Skills]:
    with GitHubStandIn(tmp_path / "github") as github, Issuer() as issuer, serving() as url:
        forge = Forge(tmp_path, monkeypatch, github)
        forge.cloud.set("GITHUB_OIDC_ISSUER", issuer.url)
        forge.cloud.set("OIDC_AUDIENCE", url)
        forge.cloud.set("OIDC_WORKFLOW", ".github/workflows/skills.yml")
        yield Skills(tmp_path, forge, issuer, url)


def test_a_push_is_deployed_with_no_stored_secret(skills: Skills) -> None:
    commit = skills.forge.commit(OLD)
    ran = skills.deploy(commit)
    assert ran.status == 0, ran.printed
    assert (skills.forge.text, ran.outputs["skill-sync/status"]) == (OLD, "deployed")
    assert (ran.outputs["skill-sync/deployment"], "- `a` 1.0.0\n" in ran.summary) == ("1-1", True)
    assert TOKEN not in ran.printed
    again = skills.deploy(commit)
    assert (again.status, again.outputs["skill-sync/status"]) == (0, "unchanged")


def test_a_token_is_hidden_before_anything_else_is_printed(skills: Skills) -> None:
    ran = skills.deploy(skills.forge.commit(OLD))
    masked = [line.removeprefix("::add-mask::") for line in ran.commands("add-mask")]
    assert len(masked) == 1
    assert ran.printed.count(masked[0]) == 1


def test_an_upload_costs_three_questions_to_the_repository_however_much_it_changes(skills: Skills) -> None:
    skills.deploy(skills.forge.commit(OLD))
    commit = skills.forge.commit(NEW, **{f"{number}.txt": str(number) for number in range(20)})
    before = len(skills.forge.github.requests)
    assert skills.deploy(commit).status == 0
    asked = [seen.path.partition(REPO)[2] for seen in skills.forge.github.requests[before:] if seen.kind == "rest"]
    assert [path.split("/")[1] for path in asked] == ["commits", "compare", "git"]


def test_what_comes_too_late_changes_nothing_and_is_no_failure(skills: Skills) -> None:
    old = skills.forge.commit(OLD)
    new = skills.forge.commit(NEW)
    assert skills.deploy(new).status == 0
    late = skills.deploy(old)
    assert (late.status, late.outputs["skill-sync/status"], skills.forge.text) == (0, "superseded", NEW)
    assert late.commands("notice")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"ref": "refs/heads/feature"}, "OIDC_REF"),
        ({"repository": "mallory/skills"}, "OIDC_REPOSITORY"),
        ({"workflow_ref": "octo/skills/.github/workflows/other.yml@refs/heads/main"}, "OIDC_WORKFLOW"),
        ({"event_name": "pull_request_target"}, "OIDC_EVENT"),
    ],
)
def test_a_token_for_something_else_is_refused_and_said_so(
    skills: Skills, claims: dict[str, object], code: str
) -> None:
    skills.issuer.claims = claims
    ran = skills.deploy(skills.forge.commit(OLD))
    assert ran.status == 1
    assert [line.endswith(f"[{code}]") for line in ran.commands("error")] == [True]
    assert skills.forge.cloud.store.get("current.json") is None


def test_a_job_that_may_ask_for_no_token_says_which_permission_it_lacks(skills: Skills) -> None:
    ran = skills.run("deploy", skills.forge.commit(OLD))
    assert ran.status == 1
    assert "id-token: write" in ran.commands("error")[0]


def test_where_there_are_no_tokens_the_key_deploys(skills: Skills) -> None:
    ran = skills.action(skills.forge.commit(OLD), mode="deploy", url=skills.url, **{"api-key": API_KEY})
    assert (ran.status, ran.outputs["status"], skills.forge.text) == (0, "deployed", OLD)
    assert API_KEY not in ran.printed


def test_the_line_for_deploying_by_hand_works_as_it_stands_on_the_page(skills: Skills) -> None:
    skills.forge.commit(OLD)
    lines = (GITHUB / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = (each.strip() for each in lines if each.startswith("    git archive"))
    done = subprocess.run(
        ["sh", "-c", line.replace("https://HOST", skills.url)],
        cwd=skills.forge.cloud.repo.path,
        env={**os.environ, "MANUAL_SYNC_API_KEY": API_KEY},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["status"] == "deployed"
    assert skills.forge.text == OLD


def test_a_skill_that_is_kept_out_fails_the_run_and_its_lines_are_annotated(skills: Skills) -> None:
    skills.forge.cloud.repo.write("c/SKILL.md", "# nothing\n")
    ran = skills.deploy(skills.forge.commit(OLD))
    assert (ran.status, ran.outputs["skill-sync/status"], skills.forge.text) == (1, "deployed", OLD)
    assert [line.partition("::")[2].partition("::")[0] for line in ran.commands("error")] == [
        "error file=c/SKILL.md,line=1,title=FM_MISSING"
    ]
    assert "- `c` kept out: rejected\n" in ran.summary


def test_while_deployments_are_paused_the_run_says_what_to_do(skills: Skills) -> None:
    store = skills.forge.cloud.store
    skills.deploy(skills.forge.commit(OLD))
    first = store.get("current.json")
    skills.deploy(skills.forge.commit(NEW))
    skills.forge.cloud.follow("1-2")
    now = store.get("current.json")
    assert first is not None
    assert now is not None
    store.put("current.json", first.data, if_generation=now.generation)
    ran = skills.deploy(skills.forge.commit("Newest."))
    assert ran.status == 1
    assert "mismatch_detected" in ran.commands("error")[0]
    assert ran.commands("error")[0].endswith("[PAUSED]")


def test_a_pull_request_is_judged_by_the_same_rules_line_by_line(skills: Skills) -> None:
    skills.forge.cloud.repo.write("c/SKILL.md", "---\nname: c\ndescription: Does c.\n---\nText.\n")
    good = skills.action(skills.forge.commit(OLD), mode="validate", python=sys.executable)
    assert (good.status, good.commands("error")) == (0, [])
    assert [line.partition("::")[2].partition("::")[0] for line in good.commands("warning")] == [
        "warning file=c/SKILL.md,line=1,title=VERSION_DERIVED"
    ]
    skills.forge.cloud.repo.write("c/SKILL.md", "# nothing\n")
    bad = skills.action(skills.forge.commit(NEW), mode="validate", python=sys.executable)
    assert bad.status == 1
    assert [line.partition("::")[2].partition("::")[0] for line in bad.commands("error")] == [
        "error file=c/SKILL.md,line=1,title=FM_MISSING"
    ]
    assert skills.forge.cloud.store.get("current.json") is None


def test_what_is_judged_is_what_git_stores_and_not_what_this_machine_makes_of_it(skills: Skills) -> None:
    repo = skills.forge.cloud.repo
    repo.write(".gitattributes", "*.md text eol=crlf\n")
    commit = skills.forge.commit(OLD)
    runner_folder = skills.action(commit, mode="validate", python=sys.executable)
    assert runner_folder.status == 0
    checked_out = skills.machine / "temp" / "skill-sync-commit" / "a" / "SKILL.md"
    assert checked_out.read_bytes() == skill_text("a", OLD).encode()


def test_a_tool_that_is_not_named_by_its_commit_is_not_fetched(skills: Skills) -> None:
    ran = skills.deploy(skills.forge.commit(OLD), **{"tool-commit": "main"})
    assert (ran.status, ran.printed) == (1, "::error::tool-commit must be 40 hex digits\n")
