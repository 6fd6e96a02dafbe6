from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.rotation_server import RotationDesk
from tests.cli.service_desk import ADDRESS, Desk
from tests.functions.cloud import API_KEY, Cloud, skill_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Two good skills, deployed and installed; the command knows address and key."""
    cloud = Cloud(tmp_path, monkeypatch)
    cloud.set("SKILL_SYNC_URL", ADDRESS)
    cloud.set("MANUAL_SYNC_API_KEY", API_KEY)
    cloud.repo.write("a/SKILL.md", skill_text("a"))
    cloud.repo.write("b/SKILL.md", skill_text("b"))
    cloud.repo.commit("Add a and b")
    assert cloud.webhook(cloud.push()).status_code == 200
    cloud.follow()
    return Desk(cloud, capsys)


@pytest.fixture
def rotation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RotationDesk:
    """Functions that answer as the API's contract has it, with an old and a new value that both count."""
    return RotationDesk(monkeypatch, capsys)
