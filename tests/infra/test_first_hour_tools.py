"""What the ten steps call refuses what the real commands would refuse, so that the page cannot be wrong and green."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.infra import first_hour_tools
from tests.infra.page_tools import WRONG

if TYPE_CHECKING:
    from pathlib import Path

SECRET, VALUE = "skill-sync-prod-signing-key", "a value"
ADD = ("gcloud", "secrets", "versions", "add", SECRET, "--project", "my-project", "--data-file", "value")
SET = ("railway", "variable", "set", "--service", "gateway")
CHDIR = "-chdir=infra/terraform"


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAGE_MADE", "PAGE_VAULT", "PAGE_MOUNTS"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PAGE_CALLS", str(tmp_path / "calls"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "value").write_text(VALUE)


def run(*line: str) -> int:
    return first_hour_tools.main(*line)


@pytest.mark.parametrize(
    "line",
    [
        ("make", "run"),
        ("make",),
        ("terraform", "init"),
        ("terraform", CHDIR, "apply", "-auto-approve"),
        ("terraform", CHDIR, "apply"),
        ("terraform", CHDIR, "output", "-json", "operator"),
        ("terraform", CHDIR, "output", "operator"),
        ("gcloud", "auth", "application-default", "login"),
        ("gcloud", "config", "set", "project"),
        ("gcloud", "config", "set", "region", "europe-west1"),
        ("railway", "link"),
        ("railway", "variables", "set", "--service", "gateway", "A=b"),
        (*SET, "A=b"),
        ADD,
    ],
    ids=" ".join,
)
def test_what_comes_too_early_or_is_no_command_is_refused(line: tuple[str, ...]) -> None:
    assert run(*line) == WRONG


@pytest.mark.parametrize(
    "words",
    [(), ("A",), ("A=",), ("=b",), ("A=b", "C"), ("A=b", "--stdin"), ("A", "B", "--stdin"), ("A=b", "--skip")],
    ids=" ".join,
)
def test_a_variable_is_a_name_and_a_value(words: tuple[str, ...]) -> None:
    assert (run("railway", "login"), run("railway", "link")) == (0, 0)
    assert run(*SET, *words) == WRONG


def test_many_variables_are_kept_by_service(tmp_path: Path) -> None:
    assert (run("railway", "login"), run("railway", "link")) == (0, 0)
    assert run(*SET, "A=b=c", "D=e") == 0
    assert run(*SET, "--skip-deploys", "D=f") == 0
    kept = json.loads((tmp_path / "PAGE_MADE" / first_hour_tools.VARIABLES).read_text())
    assert kept == {"gateway": {"A": "b=c", "D": "f"}}


def test_a_version_wants_gclouds_own_login_and_a_secret_that_terraform_made(tmp_path: Path) -> None:
    assert run("gcloud", "config", "set", "project", "my-project") == 0
    assert run("gcloud", "auth", "application-default", "login") == 0
    (tmp_path / "PAGE_VAULT" / SECRET).mkdir()
    assert run(*ADD) == WRONG
    assert run("gcloud", "auth", "login") == 0
    assert run(*ADD) == 0
    assert (tmp_path / "PAGE_MOUNTS" / SECRET).read_text() == VALUE
    assert run(*[word.replace("signing", "singing") for word in ADD]) == WRONG
