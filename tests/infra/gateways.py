"""Gateways that follow a skills folder with the watchers of infra/moltbot: Node with chokidar 4 and 5, Python with watchdog."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
MOLTBOT = ROOT / "infra" / "moltbot"
MODULES = ROOT / "tests" / "node" / "node_modules"
PATIENCE_SECONDS = 20.0


class Gateway(Protocol):
    """What runs beside the puller."""

    def health(self) -> dict[str, Any]: ...

    def lines(self) -> list[str]: ...

    def close(self) -> None: ...


def skills(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """The loaded skills by their ids."""
    return {each["id"]: each for each in gateway.health()["skills"]}


def wait_until(holds: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until, f"not within {PATIENCE_SECONDS:.0f} s: {what}"
        threading.Event().wait(0.02)


@contextmanager
def served(gateway: Gateway) -> Iterator[str]:
    """The address of a gateway's health: the Node gateway has one, the Python watcher leaves serving to its owner."""
    if isinstance(gateway, NodeGateway):
        yield f"{gateway.url}/health?check=skills"
        return

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(gateway.health()).encode())

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/health?check=skills"
        server.shutdown()
        thread.join()


class NodeGateway:
    """The ES module in a Node process of its own, with that version of chokidar under its usual name."""

    def __init__(self, scene: Path, folder: Path, chokidar: str) -> None:
        for file in MOLTBOT.glob("*.mjs"):
            shutil.copy(file, scene)
        shutil.copy(Path(__file__).parent / "gateway.mjs", scene)
        (scene / "node_modules").mkdir()
        (scene / "node_modules" / "chokidar").symlink_to(MODULES / chokidar)
        (scene / "node_modules" / "yaml").symlink_to(MODULES / "yaml")
        self._log = (scene / "gateway.log").open("w+")
        self._process = subprocess.Popen(
            ["node", str(scene / "gateway.mjs"), str(folder)],
            cwd=scene,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"]},
        )
        self._path = scene / "gateway.log"
        wait_until(self._is_up, f"the gateway: {self._path.read_text()}")
        port = next(line.removeprefix("port ") for line in self.lines() if line.startswith("port "))
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.url, timeout=10.0)

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self._path.read_text()
        return "port " in self._path.read_text()

    def get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/health?check=skills").json()
        return found

    def lines(self) -> list[str]:
        return self._path.read_text().splitlines()

    def close(self) -> None:
        self._client.close()
        self._process.terminate()
        status = self._process.wait(15)
        self._log.close()
        assert status == 0, self._path.read_text()


class PythonGateway:
    """The Python watcher in this process."""

    def __init__(self, folder: Path) -> None:
        self._lines: list[str] = []
        self._handler = logging.Handler()
        self._handler.emit = lambda record: self._lines.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("SkillWatcher")
        logger.setLevel(logging.INFO)
        logger.addHandler(self._handler)
        self._watcher = watcher_module().SkillWatcher(folder)
        self._watcher.start()

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self._watcher.health()
        return found

    def lines(self) -> list[str]:
        return list(self._lines)

    def close(self) -> None:
        self._watcher.close()
        logging.getLogger("SkillWatcher").removeHandler(self._handler)


def watcher_module() -> ModuleType:
    """The Python watcher, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("skill_watcher", MOLTBOT / "skill_watcher.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys  # noqa: PLC0415 - dataclasses look their module up

    sys.modules["skill_watcher"] = module
    spec.loader.exec_module(module)
    return module
