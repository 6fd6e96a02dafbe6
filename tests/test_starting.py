"""A function starts with settings that let it work, and otherwise not at all: then it names every reason at once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from functions import main
from shared.starting import EXIT_STATUS, NEEDED, check_start
from tests.functions.cloud import API_KEY, SEED, whole_settings
from tests.stage import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAMEWORK = Path(sys.executable).parent / "functions-framework"
GRAPH = {"NEO4J_URI": "neo4j+s://graph.example", "NEO4J_PASSWORD": "graph-password"}
PRIVATE = {**GRAPH, "NEO4J_URI": "bolt+s://neo4j.Railway.Internal:7687"}
PEM = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"
DEFERRING = {
    "DEFERRED_QUEUE": "projects/octo-skills/locations/us-central1/queues/deferred",
    "DEFERRED_POLL_URL": "https://poll.example/api/poll",
    "DEFERRED_CALLER": "scheduler@octo-skills.iam.gserviceaccount.com",
}
TAKES_TOKENS = {"OIDC_AUDIENCE": "https://app.example"}


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Settings with which every function starts, and nothing else in the environment that would count."""
    for name in [
        name for name in os.environ if name.startswith(("NEO4J", "GITHUB", "OIDC", "K_SERVICE", "POLL", "DEFERRED"))
    ]:
        monkeypatch.delenv(name)
    settings = whole_settings(tmp_path / "origin", tmp_path / "objects.db")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


def problems_of(function: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Why a function does not start; nothing when it does."""
    capsys.readouterr()
    with contextlib.suppress(SystemExit):
        check_start(function)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["code"] for line in lines] in ([], ["CONFIG_INVALID"])
    assert all(line["function"] == function for line in lines)
    return [problem for line in lines for problem in line["problems"]]


def change(monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


def test_every_function_is_checked() -> None:
    assert NEEDED.keys() == set(main.__all__)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("function", main.__all__)
def test_a_function_starts_with_whole_settings(function: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems_of(function, capsys) == []


@pytest.mark.parametrize("function", main.__all__)
def test_a_function_starts_with_what_it_needs_and_not_without_any_of_it(
    whole: dict[str, str], function: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {"CHANNEL", "GITHUB_OWNER", "GITHUB_REPO", "GITHUB_BRANCH"}
    needed = {*NEEDED[function], *(["MANUAL_SYNC_API_KEY"] if function == "poll" else [])}
    change(monkeypatch, dict.fromkeys(whole.keys() - needed - line))
    assert problems_of(function, capsys) == []
    for name in needed:
        with monkeypatch.context() as less:
            less.delenv(name)
            (problem,) = problems_of(function, capsys)
            assert problem.startswith(f"{name}: not set (nor {name}_FILE)")


CONTRADICTIONS = [
    ("poll", PRIVATE, ["NEO4J_URI: names a *.railway.internal host, which answers inside Railway only; give "]),
    ("status", {**PRIVATE, "NEO4J_URI": "bolt://db.railway.internal."}, ["NEO4J_URI: names a *.railway.internal host"]),
    ("poll", {"NEO4J_URI": GRAPH["NEO4J_URI"]}, ["NEO4J_PASSWORD: not set, but NEO4J_URI is"]),
    ("poll", {"NEO4J_PASSWORD": GRAPH["NEO4J_PASSWORD"]}, ["NEO4J_URI: not set, but NEO4J_PASSWORD is"]),
    ("webhook", {"GITHUB_APP_ID": "12"}, ["GITHUB_APP_KEY: not set, but GITHUB_APP_ID is"]),
    ("webhook", {"GITHUB_APP_KEY": PEM}, ["GITHUB_APP_ID: not set, but GITHUB_APP_KEY is"]),
    (
        "webhook",
        {"DEFERRED_QUEUE": DEFERRING["DEFERRED_QUEUE"]},
        ["DEFERRED_POLL_URL: not set, but DEFERRED_QUEUE is;", "DEFERRED_CALLER: not set, but DEFERRED_QUEUE is;"],
    ),
    (
        "app",
        {**DEFERRING, "DEFERRED_QUEUE": None},
        ["DEFERRED_QUEUE: not set, but DEFERRED_POLL_URL and DEFERRED_CALLER are; they go together"],
    ),
    (
        "app",
        {**DEFERRING, "DEFERRED_CALLER": "ada@example.com"},
        ["DEFERRED_CALLER: expected an address such as NAME@"],
    ),
    (
        "sync",
        {**TAKES_TOKENS, "GITHUB_BRANCH": None},
        [
            "GITHUB_BRANCH: not set, but OIDC_AUDIENCE is",
        ],
    ),
    (
        "sync",
        {"GITHUB_BRANCH": "refs/heads/main"},
        ["GITHUB_BRANCH: expected a branch's short name"],
    ),
    ("release", {"CHANNEL": "staging"}, ["TRUST_ANCHOR: is about (channel, repo, ref) ('prod', "]),
    (
        "status",
        {"TRUST_ANCHOR": '{"payload": "e30="}'},
        ["TRUST_ANCHOR: expected one line of JSON, as `operator init`"],
    ),
    ("status", {"TRUST_ANCHOR": '{"payload": "%"}'}, ["TRUST_ANCHOR: expected one line of JSON"]),
    ("status", {"TRUST_ANCHOR": "7"}, ["TRUST_ANCHOR: expected one line of JSON"]),
    ("app", {"POLL_AUTH": "iam"}, ["POLL_AUTH: iam is for the function poll alone"]),
    (
        "poll",
        {"GITHUB_BRANCH": None},
        ["TRUST_ANCHOR: is about (channel, repo, ref) ('prod', 'octo/skills', 'refs/heads/main')"],
    ),
    ("webhook", {"STORE_URI": "s3://bucket"}, ["STORE_URI: expected gs://bucket/prefix or sqlite:///path/to/file"]),
    ("webhook", {"STORE_URI": "gs://"}, ["STORE_URI: expected gs://bucket or gs://bucket/prefix"]),
    ("webhook", {"STORE_URI": "gs://My_Bucket"}, ["STORE_URI: expected gs://bucket or gs://bucket/prefix"]),
    ("webhook", {"STORE_URI": "sqlite://"}, ["STORE_URI: expected"]),
    ("sync", {"SIGNING_KEY": "garbage"}, ["SIGNING_KEY: expected 32 bytes as base64"]),
    ("sync", {"SIGNING_KEY": f"{SEED}\nAAAA"}, ["SIGNING_KEY: expected 32 bytes as base64"]),
    ("release", {"PULLER_KEY_HASHES": "nonsense"}, ["PULLER_KEY_HASHES: each line is <puller id>:<SHA-256"]),
    ("poll", {**GRAPH, "NEO4J_URI": "neo4j+s://[::1"}, ["NEO4J_URI: expected neo4j+s, "]),
    ("poll", {**GRAPH, "NEO4J_URI": "neo4j+s://:7687"}, ["NEO4J_URI: expected neo4j+s, "]),
    ("webhook", {"K_SERVICE": "webhook"}, ["STORE_URI: on Cloud Run a file is lost with its instance"]),
    ("validate", {"MANUAL_SYNC_API_KEY": "short"}, ["MANUAL_SYNC_API_KEY: expected values of at least 32 characters"]),
    ("poll", {"POLLING_INTERVAL_MIN": "soon"}, ["POLLING_INTERVAL_MIN: a number"]),
]


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize(("function", "changes", "expected"), CONTRADICTIONS)
def test_what_contradicts_is_refused_by_name(
    function: str,
    changes: Mapping[str, str | None],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(monkeypatch, changes)
    problems = problems_of(function, capsys)
    assert [problem[: len(start)] for problem, start in zip(problems, expected, strict=True)] == expected


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize(
    ("function", "changes"),
    [
        ("poll", GRAPH),
        ("release", {"NEO4J_URI": GRAPH["NEO4J_URI"], "GITHUB_APP_ID": "12"}),
        ("validate", {"NEO4J_URI": GRAPH["NEO4J_URI"]}),
        ("poll", {"POLL_AUTH": "iam", "MANUAL_SYNC_API_KEY": None}),
        ("webhook", {"GITHUB_APP_ID": "12", "GITHUB_APP_KEY": PEM}),
        ("sync", TAKES_TOKENS),
        ("webhook", DEFERRING),
        ("app", DEFERRING),
        ("webhook", {"K_SERVICE": "webhook", "STORE_URI": "gs://bucket/prefix"}),
        ("app", {"GITHUB_WEBHOOK_SECRET": None, "PULLER_KEY_HASHES": None}),
        ("validate", {"STORE_URI": None, "SIGNING_KEY": None, "TRUST_ANCHOR": None, "GITHUB_BRANCH": None}),
    ],
)
def test_what_goes_together_starts(
    function: str,
    changes: Mapping[str, str | None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(monkeypatch, changes)
    assert problems_of(function, capsys) == []


@pytest.mark.usefixtures("whole")
def test_every_problem_is_named_at_once_and_no_secret_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change(monkeypatch, {**PRIVATE, "STORE_URI": None, "POLL_AUTH": "iam", "DRIFT": "secret-word", "SIGNING_KEY": None})
    monkeypatch.setenv("SIGNING_KEY_FILE", str(tmp_path / "missing"))
    problems = problems_of("app", capsys)
    # A file that is not there is one problem, and not also a missing setting.
    assert sorted(re.split(":", problem)[0] for problem in problems) == [
        "DRIFT",
        "NEO4J_URI",
        "POLL_AUTH",
        "SIGNING_KEY",
        "STORE_URI",
    ]
    assert not any(secret in "".join(problems) for secret in (SEED, API_KEY, "secret-word", GRAPH["NEO4J_PASSWORD"]))


def test_the_process_ends_with_the_reasons_in_one_line(tmp_path: Path) -> None:
    command = [FRAMEWORK, "--source", ROOT / "functions" / "main.py", "--target", "webhook", "--port", "1"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **PRIVATE}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == EXIT_STATUS
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert (told["severity"], told["function"], told["code"]) == ("ERROR", "webhook", "CONFIG_INVALID")
    expected = ["STORE_URI", "TRUST_ANCHOR", "SIGNING_KEY", "GITHUB_WEBHOOK_SECRET", "NEO4J_URI"]
    assert [problem.split(":")[0] for problem in told["problems"]] == expected
    assert GRAPH["NEO4J_PASSWORD"] not in done.stdout + done.stderr
