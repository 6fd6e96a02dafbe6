"""The whole product on this machine, as `make run` starts it, and a person's browser before it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.browser.driver import AXE, Installed, Tab, driver, look, tab
from tests.browser.look import PICTURES
from tests.cli.test_run import Running, running, skill, until
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

HOSTILE_NAME = '"><img src=x onerror=alert(1)>'
HOSTILE_TEXT = "<script>alert(1)</script> &amp; \u200b{{7*7}} <!-- \x07 -->"


@pytest.fixture(scope="session")
def installed() -> Installed:
    found = look()
    if found is None or not AXE.exists():
        missing = "Chromium with chromedriver" if found is None else "axe-core (npm)"
        why = f"{missing} is not there: `make test` installs it where it may"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return found


@pytest.fixture(scope="session")
def chromedriver(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with driver(installed, tmp_path_factory.mktemp("chromedriver")) as client:
        yield client


@pytest.fixture
def page(chromedriver: httpx.Client, installed: Installed, tmp_path: Path) -> Iterator[Tab]:
    """A fresh browser; at the end nothing may have offended any page's policy."""
    with tab(chromedriver, installed, tmp_path) as opened:
        yield opened


class Stack:
    """The product with its repository; a person's way to the dashboard."""

    def __init__(self, run: Running, repo: Repo) -> None:
        self.run = run
        self.repo = repo
        self.url = f"{run.url}/"
        self.password = run.keys["MANUAL_SYNC_API_KEY"]

    def commit(self, files: dict[str, str]) -> None:
        """Commit these files, and wait until the timer has deployed, or withheld, them."""
        for path, text in files.items():
            self.repo.write(path, text)
        head = self.repo.commit()
        until(lambda: self._decided_on(head), f"{head} is decided on")

    def _decided_on(self, head: str) -> bool:
        poller = dict(self.run.get("/health")["services"])["poller"]  # type: ignore[call-overload]
        return bool(poller["last_deployed_sha"] == head)


@pytest.fixture
def stack(tmp_path: Path, installed: Installed) -> Iterator[Stack]:
    """Two deployments of good skills, and a third one that withholds two: one bad, one hostile."""
    del installed  # without a browser nothing is started
    repo = Repo(tmp_path / "team-skills")
    repo.write("greet/SKILL.md", skill("greet", "Say hello."))
    repo.write("count/SKILL.md", skill("count", "Count to ten."))
    repo.commit("Add two")
    with running(tmp_path / "data", "--repo", str(repo.path), "--branch", "main") as run:
        built = Stack(run, repo)
        until(lambda: run.text("greet/SKILL.md") is not None, "the first installation")
        built.commit({"greet/SKILL.md": skill("greet", f"Say hello, twice.\n{HOSTILE_TEXT}")})
        built.commit({"bad/SKILL.md": "no frontmatter\n", f"{HOSTILE_NAME}/SKILL.md": skill("x", HOSTILE_TEXT)})
        until(lambda: "twice" in (run.text("greet/SKILL.md") or ""), "the second installation")
        yield built


@pytest.fixture(scope="session")
def gallery() -> Path:
    """Where pictures of each state are kept; those of an earlier run are gone."""
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    return PICTURES
