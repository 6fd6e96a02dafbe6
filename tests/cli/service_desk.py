"""The operator's command against the real functions, in this process: no port, no waiting."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

import httpx

from shared.cli.__main__ import main
from tests.functions.cloud import skill_text, started

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.functions.cloud import Cloud

ADDRESS = "https://functions.example"


class Functions(httpx.BaseTransport):
    """All functions on one address. What they log stays out of what the command prints; what is asked is kept."""

    def __init__(self) -> None:
        self.app = started()["app"]
        self.asked: list[httpx.Request] = []
        self.instead: list[httpx.Response | httpx.TransportError] = []
        """What the next calls get instead of an answer of the functions."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.instead:
            fault = self.instead.pop(0)
            if isinstance(fault, httpx.TransportError):
                raise fault
            return fault
        with contextlib.redirect_stdout(io.StringIO()):
            return httpx.WSGITransport(app=self.app).handle_request(request)


class Desk:
    """An operator who types commands, and what the functions then did."""

    def __init__(self, cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
        self.cloud = cloud
        self.functions = Functions()
        self._capsys = capsys
        self.err = ""

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command; return its status and what it printed."""
        self._capsys.readouterr()
        self.cloud.set("FUNCTION_TARGET", "app")
        try:
            status = main([*words], transport=self.functions)
        except SystemExit as ended:
            status = int(str(ended.code))
        out, self.err = self._capsys.readouterr()
        return status, out

    def json(self, *words: str) -> tuple[int, Any]:
        """Run a command with --json; standard output must be one document."""
        status, out = self.run(*words, "--json")
        return status, json.loads(out)

    def push(self, change: Callable[[Cloud], object], text: str = "Change") -> None:
        """Commit a change and sync it."""
        before = self.cloud.repo.head
        change(self.cloud)
        self.cloud.repo.commit(text)
        assert self.cloud.webhook(self.cloud.push(before)).status_code in {200, 400}
        self.cloud.follow(self.json("history", "--limit", "1")[1]["deployments"][0]["id"])

    def write(self, name: str, text: str = "New.", version: str = "1.1.0") -> None:
        """Push one skill."""
        self.push(lambda cloud: cloud.repo.write(f"{name}/SKILL.md", skill_text(name, text, version)))
