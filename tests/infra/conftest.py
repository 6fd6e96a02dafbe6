from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.quick_python import quick_python
from tests.infra.site import Site, Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.neo4j.server import Server


@pytest.fixture(scope="module")
def _templates() -> list[Template]:
    """None or one: made by the first test that asks, since the graph server belongs to a test."""
    return []


@pytest.fixture(scope="module")
def _python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with quick_python(tmp_path_factory.mktemp("python")) as folder:
        yield folder


@pytest.fixture
def install(
    _templates: list[Template],
    _python: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    graph_server: Server,
) -> Iterator[Callable[..., Site]]:
    """Copies the one installation, with parts taken back; nothing of it runs yet."""
    if not _templates:
        _templates.append(Template(tmp_path_factory.mktemp("template"), monkeypatch, graph_server))
    made: list[Site] = []

    def copy(*taken_back: str) -> Site:
        made.append(_templates[0].site(tmp_path_factory.mktemp("site"), monkeypatch, graph_server, taken_back))
        made[-1].programs.insert(0, _python)
        return made[-1]

    yield copy
    for site in made:
        site.stop()
