"""The functions over the stand-in for GitHub: what a person, the scheduler and GitHub would see of them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug.serving import make_server

from shared.core.canonical import parse_object
from tests.fakes.world import World
from tests.functions.cloud import SECRET, Cloud, skill_text, started
from tests.github.deliveries import Deliveries
from tests.github.events import events_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest
    from werkzeug.test import TestResponse

    from tests.github.server import GitHubStandIn

REPO = "octo/skills"
TOKEN = "github_pat_thisMustNeverBeShown"
OLD, NEW = "Old text.", "New text."


class Forge:
    """One deployed skill `a`, behind a stand-in that asks for a token."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, github: GitHubStandIn) -> None:
        self.cloud = Cloud(tmp_path, monkeypatch)
        self.github = github
        self.github.token = TOKEN
        for name, value in {"SOURCE_URL": None, "GITHUB_API_URL": github.api_url, "GITHUB_TOKEN": TOKEN}.items():
            self.cloud.set(name, value)

    def commit(self, text: str, **files: str) -> str:
        """Commit a new text of `a`, and other files, and publish; return the commit."""
        self.cloud.repo.write("a/SKILL.md", skill_text("a", text))
        self.cloud.repo.write_all({f"a/{path}": content for path, content in files.items()})
        made = self.cloud.repo.commit(text)
        self.github.publish(REPO, self.cloud.repo)
        return made

    def poll(self) -> TestResponse:
        return self.cloud.operator("poll", "POST", "/api/poll")

    def push(self, before: str) -> TestResponse:
        """Deliver the webhook of the last commit."""
        return self.cloud.webhook(self.cloud.push(before))

    def health(self) -> dict[str, object]:
        return dict(self.cloud.call("status", "GET", "/health").json or {})

    def poller(self) -> dict[str, object]:
        services = self.health()["services"]
        assert isinstance(services, dict)
        return dict(services["poller"])

    @property
    def live(self) -> dict[str, dict[str, bytes]]:
        """What a volume would hold."""
        return World(store=self.cloud.store).live()

    @property
    def text(self) -> str:
        """The text of the live skill `a`."""
        return World(store=self.cloud.store).texts()["a"]

    def events(self, kind: str) -> list[dict[str, object]]:
        names = [line.name for line in self.cloud.store.list("events/")]
        found = [parse_object(self.cloud.store.get(name).data, what="an event") for name in names]
        return [event for event in found if event["kind"] == kind]

    def asked(self, kind: str) -> int:
        """How many requests of a kind the stand-in has seen."""
        return sum(seen.kind == kind for seen in self.github.requests)


@contextmanager
def serving(target: str = "app") -> Iterator[str]:
    """Serve all functions, or one, on a port of this machine."""
    server = make_server("127.0.0.1", 0, started()[target], threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def delivering(forge: Forge, **options: float) -> Iterator[Deliveries]:
    """Serve the functions on a port and let the stand-in call the webhook after every push; options are `DeliveryFaults`."""
    bare = forge.github.bare(REPO)
    deliveries = Deliveries(REPO)
    for name, value in options.items():
        setattr(deliveries.faults, name, value)
    forge.github.deliveries = deliveries
    forge.github.on_push = lambda changes: [deliveries.enqueue(event) for event in events_of(changes, bare, REPO)]
    try:
        with serving() as url, deliveries:
            deliveries.add_hook(f"{url}/webhook/github", SECRET)
            yield deliveries
    finally:
        forge.github.on_push = None
