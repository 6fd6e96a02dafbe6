from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functions.cloud import Cloud, skill_text
from tests.git_server import Fault, GitServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The functions over a repository with two good skills, nothing deployed yet."""
    built = Cloud(tmp_path, monkeypatch)
    built.repo.write("a/SKILL.md", skill_text("a"))
    built.repo.write("b/SKILL.md", skill_text("b"))
    built.repo.commit("Add a and b")
    return built


@pytest.fixture
def dripping_source(cloud: Cloud, tmp_path: Path) -> Iterator[str]:
    """The URL of the same repository behind a server that sends a byte now and then."""
    cloud.repo.mirror(tmp_path / "remote" / "skills.git")
    with GitServer(tmp_path / "remote") as server:
        server.fail(Fault(match="git-upload-pack", cut=0, then="drip", times=100))
        yield server.url("skills.git")
