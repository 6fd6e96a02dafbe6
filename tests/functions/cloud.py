"""The functions as the framework serves them, over a real repository and a real store, for tests of the HTTP contract."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import functions_framework
import pytest

from functions import main
from shared.adapters.sqlite_store import SqliteStore
from shared.core.auth import key_digest
from shared.core.names import timestamp
from tests.fakes.trusted import anchor
from tests.fakes.world import TRUST
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Mapping

    import flask
    from werkzeug.test import TestResponse

MAIN = "functions/main.py"
SECRET = "w" * 40
API_KEY = "a" * 40
PULLER_KEY = "p" * 40
SEED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def whole_settings(repository: Path, store: Path) -> dict[str, str]:
    """Everything that a function needs to start."""
    return {
        "STORE_URI": f"sqlite://{store}",
        "SOURCE_URL": str(repository),
        "GITHUB_OWNER": "octo",
        "GITHUB_REPO": "skills",
        "GITHUB_BRANCH": "main",
        "GITHUB_WEBHOOK_SECRET": SECRET,
        "MANUAL_SYNC_API_KEY": API_KEY,
        "SIGNING_KEY": SEED,
        "TRUST_ANCHOR": anchor(replace(TRUST, issued_at=timestamp(datetime.now(UTC)))),
        "PULLER_KEY_HASHES": f"edge:{key_digest(PULLER_KEY)}",
    }


@cache
def started() -> dict[str, flask.Flask]:
    """Start every function, once for all tests, by settings that are whole. What becomes of them later is each call's business.

    Returns:
        What the framework serves, by target.
    """
    with pytest.MonkeyPatch.context() as environment:
        for name, value in whole_settings(Path("origin"), Path("objects.db")).items():
            environment.setenv(name, value)
        return {target: functions_framework.create_app(target, MAIN) for target in main.__all__}


class Cloud:
    """All functions, one at a time by its target name, with their settings in the environment."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.repo = Repo(tmp_path / "origin")
        self.store_path = tmp_path / "store" / "objects.db"
        for name, value in whole_settings(self.repo.path, self.store_path).items():
            self.set(name, value)

    def set(self, name: str, value: str | None) -> None:
        """Change one setting; None removes it."""
        if value is None:
            self._monkeypatch.delenv(name, raising=False)
        else:
            self._monkeypatch.setenv(name, value)

    @property
    def store(self) -> SqliteStore:
        return SqliteStore(self.store_path)

    def touched_store(self) -> bool:
        """Whether any call so far has even opened the store."""
        return self.store_path.parent.exists()

    def call(self, target: str, method: str, path: str, **arguments: object) -> TestResponse:
        self.set("FUNCTION_TARGET", target)  # the framework sets it for the process's life, if nobody else does
        return started()[target].test_client().open(path, method=method, **arguments)  # type: ignore[arg-type]

    def webhook(
        self, payload: object, *, headers: Mapping[str, str] | None = None, secret: str = SECRET
    ) -> TestResponse:
        """Deliver a payload, signed, with GitHub's headers; `headers` replace or add."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        sent = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "X-Hub-Signature-256": f"sha256={signature}",
            **(headers or {}),
        }
        return self.call("webhook", "POST", "/webhook/github", data=body, headers=sent)

    def push(self, before: str = "0" * 40, **changes: object) -> dict[str, object]:
        """The payload that announces the repository's head."""
        return {
            "ref": "refs/heads/main",
            "before": before,
            "after": self.repo.head,
            "forced": False,
            "deleted": False,
            "repository": {"full_name": "octo/skills", "default_branch": "main"},
            "commits": [{"added": ["a/SKILL.md"], "modified": [], "removed": []}],
            **changes,
        }

    def operator(
        self, target: str, method: str, path: str, body: object = None, *, key: str | None = API_KEY
    ) -> TestResponse:
        headers = {} if key is None else {"x-api-key": key}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.call(target, method, path, data=data, headers=headers)

    def puller(self, method: str, path: str, *, key: str = PULLER_KEY, **arguments: object) -> TestResponse:
        headers = {"Authorization": f"Bearer {key}", **arguments.pop("headers", {})}  # type: ignore[dict-item]
        return self.call("release", method, path, headers=headers, **arguments)

    def follow(self, deployment: str = "1-1") -> None:
        """The puller reports that it has installed this one."""
        self.puller("POST", "/v1/report", json={"outcome": "installed", "deployment": deployment})


def skill_text(name: str, text: str = "Text.", version: str = "1.0.0") -> str:
    """A valid SKILL.md."""
    return f"---\nname: {name}\ndescription: Does {name}.\nversion: {version}\n---\n{text}\n"
