"""Headless Chromium by chromedriver: the few calls of WebDriver and of the DevTools that the tests need.

Protocol: https://www.w3.org/TR/webdriver2/ and, behind `goog/cdp/execute`, https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from tests.stage import end, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 30.0
AXE = Path(__file__).resolve().parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# Runs before anything of a page does: what its policy forbade is remembered across the pages of a tab.
_WATCH = """addEventListener("securitypolicyviolation", (event) => {
  const seen = JSON.parse(sessionStorage.violations || "[]");
  sessionStorage.violations = JSON.stringify([...seen, `${event.violatedDirective} ${event.blockedURI}`]);
});"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Where the two programs are."""

    chromium: str
    chromedriver: str


def look() -> Installed | None:
    """Find Chromium and its driver on PATH; None where either is missing."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    return Installed(chromium=browser, chromedriver=driver) if browser and driver else None


class Tab:
    """One tab of a browser of its own."""

    def __init__(self, client: httpx.Client, session: str) -> None:
        self._client = client
        self._session = session
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)

    def open(self, url: str, *, password: str = "") -> None:
        """Go there. With a password the browser logs in, and knows it for all further pages."""
        if password:
            parts = urlsplit(url)
            self._call("POST", "url", {"url": urlunsplit(parts._replace(netloc=f"anybody:{password}@{parts.netloc}"))})
        self._call("POST", "url", {"url": url})

    @property
    def url(self) -> str:
        return str(self._call("GET", "url"))

    @property
    def title(self) -> str:
        return str(self._call("GET", "title"))

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run JavaScript beside the page's own; `return` gives its value."""
        return self._call("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str = "body") -> str:
        """The text that a person sees there."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def click(self, selector: str) -> None:
        """Click as a person does."""
        self._call("POST", f"element/{self._find(selector)}/click", {})

    def follow(self, selector: str) -> None:
        """Click on what leads to another page, and wait until that is there."""
        self.run("window.left = false")
        self.click(selector)
        there = "return window.left === undefined && document.readyState === 'complete'"
        self.until(lambda: bool(self.run(there)), f"the page behind {selector}")

    def type(self, selector: str, text: str) -> None:
        self._call("POST", f"element/{self._find(selector)}/value", {"text": text})

    def press(self, key: str) -> None:
        """Press a key wherever the focus is."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._call("POST", "actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def devtools(self, command: str, **parameters: object) -> dict[str, Any]:
        return dict(self._call("POST", "goog/cdp/execute", {"cmd": command, "params": parameters}))

    def show(self, *, width: int = 1280, dark: bool = False) -> None:
        """Set the window's width and the colours that the viewer prefers."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])

    def without_scripts(self) -> None:
        self.devtools("Emulation.setScriptExecutionDisabled", value=True)

    def picture(self, *, whole: bool = True) -> bytes:
        """A picture of the whole page, or of what the window shows, PNG."""
        taken = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(taken["data"])

    def violations(self) -> list[str]:
        """What the policies of all pages so far forbade, and what the console says of it."""
        seen = self.run("return JSON.parse(sessionStorage.violations || '[]')")
        logged = [str(line["message"]) for line in self._call("POST", "se/log", {"type": "browser"})]
        return [*seen, *(line for line in logged if "Content Security Policy" in line)]

    def axe(self) -> list[str]:
        """What axe-core finds on the page that is serious or worse: rule and place, a line each."""
        self.devtools("Runtime.evaluate", expression=AXE.read_text(encoding="utf-8"))
        asked = "axe.run().then(found => found.violations.filter(each => ['serious', 'critical'].includes(each.impact))"
        asked += ".map(each => `${each.id}: ${each.nodes.map(node => node.target.join(' ')).slice(0, 3).join(' | ')}`))"
        found = self.devtools("Runtime.evaluate", expression=asked, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return list(found["result"]["value"])

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for a condition."""
        last = time.monotonic() + PATIENCE_SECONDS
        pause = threading.Event()
        while not holds():
            assert time.monotonic() < last, (
                f"not within {PATIENCE_SECONDS:.0f} s: {what}; at {self.url}: {self.text()[:500]}"
            )
            pause.wait(0.05)

    def _find(self, selector: str) -> str:
        found = self._call("POST", "element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - as the protocol has it
        answer = self._client.request(method, f"/session/{self._session}/{path}", json=body)
        value = answer.json()["value"]
        assert answer.status_code == 200, f"{path}: {value}"
        return value


@contextmanager
def driver(installed: Installed, folder: Path) -> Iterator[httpx.Client]:
    """Start chromedriver."""
    port = free_port()
    command = [installed.chromedriver, f"--port={port}", "--allowed-ips=127.0.0.1"]
    with (folder / "chromedriver.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60.0) as client:
                _wait_until_up(client)
                yield client
        finally:
            end(process)


@contextmanager
def tab(client: httpx.Client, installed: Installed, folder: Path, zone: str = "America/New_York") -> Iterator[Tab]:
    """Start a browser with a fresh profile."""
    arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"]
    arguments += ["--disable-background-networking", "--disable-component-update"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's own refuses to run as root
    options = {"binary": installed.chromium, "args": [*arguments, f"--user-data-dir={folder / 'profile'}"]}
    wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    answer = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
    assert answer.status_code == 200, answer.text
    session = str(answer.json()["value"]["sessionId"])
    try:
        opened = Tab(client, session)
        opened.devtools("Emulation.setTimezoneOverride", timezoneId=zone)
        yield opened
    finally:
        client.delete(f"/session/{session}")


def _wait_until_up(client: httpx.Client) -> None:
    last = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            client.get("/status")
        except httpx.TransportError:
            assert time.monotonic() < last, "chromedriver did not come up"
            threading.Event().wait(0.05)
        else:
            return
