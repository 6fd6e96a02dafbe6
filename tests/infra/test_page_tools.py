"""The stand-ins for foreign commands refuse what the real ones would refuse, so that a page cannot be wrong and green."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.infra.page_tools import WRONG, main

if TYPE_CHECKING:
    from pathlib import Path

JOB = ("gcloud", "scheduler", "jobs", "run", "poll")
READ = ("gcloud", "logging", "read")
WHERE = ("--project", "p", "--freshness", "1h", "--limit", "5")
API = "https://api.github.com/repos/octo/skills/hooks"


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = {"severity": "WARNING", "message": "Call failed", "sync": "ab"}
    (tmp_path / "log").write_text(json.dumps(line) + "\n")
    for name in ("PAGE_CALLS", "PAGE_LOG", "PAGE_GATEWAY_LOG", "PAGE_API"):
        monkeypatch.setenv(name, str(tmp_path / ("log" if name == "PAGE_LOG" else name)))


@pytest.mark.parametrize(
    "line",
    [
        (*JOB, "--project", "p"),
        (*JOB, "--project", "p", "--location", ""),
        (*JOB, "--project", "p", "--location", "l", "--zone", "z"),
        (*JOB, "two", "--project", "p", "--location", "l"),
        ("gcloud", "scheduler", "jobs", "restart", "poll"),
        (*READ, 'severity>="ERROR" AND x', *WHERE),
        (*READ, 'jsonPayload.severity="ERROR"', *WHERE),
        (*READ, 'message="Call failed"', *WHERE),
        (*READ, 'jsonPayload.sync="ab"', *WHERE[:-2]),
        ("railway", "restart", "--service", "gateway"),
        ("railway", "ssh"),
        ("openclaw", "gateway", "call", "skills.status", "--params", "{}", "--token", "t", "--url", "ws://127.0.0.1:1"),
        ("curl", "-s", "https://example.org/"),
        ("curl", "-s", f"{API}/1/pings"),
        ("curl", "-s", "-X", "PUT", API),
        ("curl", "-s", API),
        ("curl", "-s"),
    ],
    ids=" ".join,
)
def test_what_the_real_command_would_refuse_is_refused(line: tuple[str, ...]) -> None:
    assert main(*line) == WRONG


def test_a_token_as_an_argument_is_refused(tmp_path: Path) -> None:
    (tmp_path / "body").write_text("{}")
    assert main("curl", "-H", "Authorization: Bearer t", "-d", f"@{tmp_path / 'body'}", API) == WRONG


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('severity>=ERROR OR jsonPayload.message="Call failed"', 1),
        ("severity>=ERROR", 0),
        ("severity>=WARNING", 1),
        ('jsonPayload.message:"failed"', 1),
        ('jsonPayload.message="failed"', 0),
        ('jsonPayload.sync="ab" OR jsonPayload.during_sync="ab"', 1),
    ],
)
def test_a_filter_finds_the_lines_that_it_means(capsys: pytest.CaptureFixture[str], query: str, found: int) -> None:
    assert main(*READ, query, *WHERE) == 0
    assert len(json.loads(capsys.readouterr().out)) == found
