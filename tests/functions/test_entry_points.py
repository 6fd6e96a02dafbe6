"""The function set starts the way the cloud starts it, and every list of functions and settings says the same."""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from functions import app as app_module
from functions import main
from tests.functions.cloud import whole_settings
from tests.tables import settings_table

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORK = Path(sys.executable).parent / "functions-framework"


@contextmanager
def served(target: str, folder: Path) -> Iterator[str]:
    """Start the bare command from another folder; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        FRAMEWORK,
        "--source",
        ROOT / "functions" / "main.py",
        "--target",
        target,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    settings = whole_settings(folder / "origin", folder / "store" / "objects.db")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **settings}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def first_answer(url: str, method: str, path: str) -> httpx.Response:
    """Call until the server is up."""
    until = time.monotonic() + 30
    while True:
        try:
            return httpx.request(method, url + path, timeout=10)
        except httpx.TransportError:
            assert time.monotonic() < until, "the function did not come up"


@pytest.mark.parametrize(
    ("target", "method", "path", "status", "said"),
    [
        ("webhook", "POST", "/webhook/github", 401, "SIGNATURE_MISSING"),
        ("poll", "POST", "/api/poll", 401, "API_KEY_MISSING"),
        ("sync", "POST", "/api/sync", 401, "API_KEY_MISSING"),
        ("validate", "POST", "/api/validate", 401, "API_KEY_MISSING"),
        ("release", "GET", "/v1/current", 401, "PULLER_KEY_MISSING"),
        ("status", "GET", "/health", 503, "unhealthy"),
        ("dashboard", "GET", "/", 401, "password"),
        ("app", "GET", "/health", 503, "unhealthy"),
    ],
)
def test_the_bare_framework_command_serves_each_target_from_any_folder(
    tmp_path: Path, target: str, method: str, path: str, status: int, said: str
) -> None:
    with served(target, tmp_path) as url:
        answer = first_answer(url, method, path)
        assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_the_app_serves_every_route_of_every_function() -> None:
    modules = [sys.modules[f"functions.{name}"] for name in main.__all__ if name != "app"]
    alone = {(route.method, route.path) for module in modules for route in module.ROUTES}
    assert {(route.method, route.path) for route in app_module.ROUTES} == alone


def test_readme_lists_every_entry_point_and_route() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in main.__all__:
        assert f"`{name}`" in readme
    for route in app_module.ROUTES:
        assert re.sub(r"\{\w+\}", "", route.path) in readme


def test_readme_holds_the_table_of_settings_as_they_are() -> None:
    assert settings_table() in (ROOT / "README.md").read_text()


def test_no_module_of_the_functions_imports_a_heavy_client_at_start() -> None:
    script = "import sys; sys.path.insert(0, sys.argv[1]); import functions.main; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script, str(ROOT)], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"dulwich", "neo4j", "httpx", "yaml", "cryptography", "urllib3", "apprise", "jwt"}


def test_what_a_served_function_has_loaded_is_never_looked_through_for_garbage(tmp_path: Path) -> None:
    script = (
        "import gc, functions_framework; from functions import main; before = gc.get_freeze_count(); "
        "functions_framework.create_app('webhook', 'functions/main.py'); print(before, gc.get_freeze_count())"
    )
    settings = {**os.environ, **whole_settings(tmp_path / "origin", tmp_path / "objects.db")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=settings, capture_output=True, text=True, check=True
    )
    before, served = map(int, done.stdout.split())
    assert before == 0  # whoever only imports it, as the tests do
    assert served > 10_000


def test_a_deployment_loads_neither_the_rules_nor_a_client_that_it_does_not_need() -> None:
    # What judges has a process of its own; what is loaded beside it is waited for by every first push.
    modules = "shared.service.sync, shared.adapters.judge_process, shared.adapters.gcs_store, shared.adapters.github"
    script = f"import sys; import {modules}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"yaml", "google.auth", "google.cloud.storage", "requests", "dulwich", "neo4j", "urllib3", "apprise", "jwt"}
    assert not loaded & {*heavy, "shared.core.judge", "shared.core.frontmatter", "shared.core.content"}


def test_entry_points_are_all_there_is_in_main() -> None:
    tree = ast.parse((ROOT / "functions" / "main.py").read_text())
    assert not [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_what_is_uploaded_has_everything_that_the_dashboard_shows(tmp_path: Path) -> None:
    for folder in ("functions", "shared"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    script = "import functions.main, shared.pages; print(shared.__file__, len(shared.pages.ask_sync('key')) > 1000)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "shared" / "__init__.py"), "True"]
