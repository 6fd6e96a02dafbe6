"""`validate`: the rules on a local folder, and the exit status that CI acts on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_run import ROOT, skill
from tests.core.made_secrets import SECRETS, made
from tests.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shared.cli", "validate", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "skills")
    made.write("skills/good/SKILL.md", skill("good", "Text."))
    return made


def test_a_good_folder_ends_with_0_and_a_bad_one_with_1(repo: Repo) -> None:
    done = run(str(repo.path))
    assert (done.returncode, done.stdout.strip()) == (0, "1 skills, 0 errors, 0 warnings")
    repo.write("skills/bad/SKILL.md", "---\nname: bad\ndescription: a: b\n---\n")
    done = run(str(repo.path))
    assert done.returncode == 1
    assert all(word in done.stdout for word in ("FM_SYNTAX", "skills/bad/SKILL.md:3", "2 skills, 1 errors, 0 warnings"))


def test_a_line_that_only_lacks_quotes_is_printed_as_it_should_be(repo: Repo) -> None:
    repo.write("skills/bad/SKILL.md", '---\nname: bad\ndescription: Use it: "now" or \\ never\n---\n')
    assert '\n  description: "Use it: \\"now\\" or \\\\ never"\n' in run(str(repo.path)).stdout
    repo.write("skills/bad/SKILL.md", '---\nname: bad\ndescription: "Use" it\n---\n')
    assert "should be" not in run(str(repo.path)).stdout


@pytest.mark.parametrize("form", ["table", "json", "sarif", "github"])
def test_no_form_holds_a_secret(repo: Repo, form: str) -> None:
    secrets = {kind: made(kind) for kind in SECRETS}
    for number, secret in enumerate(secrets.values()):
        repo.write(f"skills/good/{number}.txt", secret)
    done = run(str(repo.path), "--format", form)
    assert done.stdout.count("SECRET_FOUND") >= len(secrets)
    told = done.stdout + done.stderr
    assert not [kind for kind, secret in secrets.items() if secret[:16] in told or secret[-16:] in told]


def test_a_folder_and_its_repository_are_judged_alike(repo: Repo) -> None:
    repo.write("skills/good/run.sh", "#!/bin/sh\n", executable=True)
    repo.symlink("skills/good/link", "SKILL.md")
    repo.git("checkout-index", "--all", "--force")
    found = json.loads(run(str(repo.path), "--format", "json").stdout)
    assert [(item["code"], item["path"]) for item in found["findings"]] == [("PATH_UNSAFE", "skills/good/link")]


def test_links_are_not_followed_and_git_is_not_looked_into(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "SKILL.md").write_text("# nothing\n")
    (repo.path / "skills" / "linked").symlink_to(tmp_path / "outside")
    (repo.path / ".git" / "x").mkdir()
    (repo.path / ".git" / "x" / "SKILL.md").write_text("# nothing\n")
    assert json.loads(run(str(repo.path), "--format", "json").stdout)["skills"] == 1


def test_the_forms_for_machines_are_what_they_say(repo: Repo) -> None:
    repo.write("skills/bad/SKILL.md", "# nothing\n")
    assert json.loads(run(str(repo.path), "--format", "sarif").stdout)["version"] == "2.1.0"
    assert run(str(repo.path), "--format", "github").stdout.startswith("::error file=skills/bad/SKILL.md,line=1,")


def test_policies_and_the_root_can_be_set(repo: Repo) -> None:
    repo.write("other/plain/SKILL.md", "---\nname: plain\ndescription: x\n---\n")
    assert run(str(repo.path)).returncode == 0
    assert run(str(repo.path), "--version-policy", "strict").returncode == 1
    assert run(str(repo.path), "--version-policy", "strict", "--root", "skills").returncode == 0
    assert run(str(repo.path), "--max-skill-size", "10").returncode == 1


def test_a_path_cannot_write_to_the_terminal(repo: Repo) -> None:
    repo.write("skills/good/a\x1b[2Jb", "x")
    done = run(str(repo.path))
    assert (done.returncode, "\x1b" in done.stdout) == (1, False)


def test_wrong_arguments_end_with_64_and_an_unknown_folder_with_1() -> None:
    assert run("/nowhere", "--format", "xml").returncode == 64
    done = run("/nowhere/at/all")
    assert (done.returncode, "[PATH_UNKNOWN]" in done.stderr) == (1, True)


def test_json_is_a_form_and_an_option_of_its_own(repo: Repo, tmp_path: Path) -> None:
    repo.write("skills/bad/SKILL.md", "---\nname: bad\ndescription: a: b\n---\n")
    form, option = run(str(repo.path), "--format", "json"), run(str(repo.path), "--json")
    assert (option.returncode, json.loads(option.stdout)) == (1, json.loads(form.stdout))
    refused = run(str(tmp_path / "nowhere"), "--json")
    assert (refused.returncode, json.loads(refused.stdout)["code"]) == (1, "PATH_UNKNOWN")
