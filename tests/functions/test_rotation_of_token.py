"""The rotation of GITHUB_TOKEN as an operator makes it, over HTTP, against the stand-in for GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.core.plain_text import fingerprint
from tests.functions.forge import NEW, OLD, TOKEN, Forge
from tests.github.server import GitHubStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from werkzeug.test import TestResponse

NEWEST = "github_pat_" + "n" * 60


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    with GitHubStandIn(tmp_path / "github") as github:
        made = Forge(tmp_path, monkeypatch, github)
        made.cloud.set("POLLING_INTERVAL_MIN", "0.000001")
        made.commit(OLD)
        assert made.poll().status_code == 200
        yield made


def step(forge: Forge, action: str) -> TestResponse:
    return forge.cloud.operator("sync", "POST", "/api/rotation", {"action": action, "name": "GITHUB_TOKEN"})


def codes(answer: TestResponse) -> set[str]:
    checks: list[dict[str, Any]] = (answer.json or {})["checks"]
    return {check["code"] for check in checks if check["mark"] == "fail"}


def test_a_token_goes_over_only_when_github_lets_it_read_and_syncs_go_on_meanwhile(forge: Forge) -> None:
    assert step(forge, "begin").status_code == 200
    forge.cloud.set("GITHUB_TOKEN", f"{NEWEST}\n{TOKEN}")
    refused = step(forge, "verify")
    assert (refused.status_code, codes(refused)) == (409, {"TOKEN_REFUSED"})
    forge.github.access.blind.add(NEWEST)
    hidden = step(forge, "verify")
    assert (hidden.status_code, codes(hidden)) == (409, {"TOKEN_SCOPE"})
    forge.commit(NEW)
    assert forge.poll().status_code == 200
    assert forge.text == NEW
    forge.github.access.blind.clear()
    forge.github.access.others.add(NEWEST)
    verified = step(forge, "verify")
    assert verified.status_code == 200, verified.json
    assert verified.json is not None
    assert verified.json["active"]["verified"]["fingerprint"] == fingerprint(NEWEST)
    assert NEWEST not in verified.text
    assert TOKEN not in verified.text
