"""What answers the operator's rotation commands: the edge with its current values, and documents of the API's form."""

from __future__ import annotations

import hashlib
import hmac
import json
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx

from shared.cli.__main__ import main
from shared.core.credentials import kind_of

if TYPE_CHECKING:
    from datetime import datetime

    import pytest

ADDRESS = "https://functions.example"
KEY = "k3yOfTheOperatorsWhichIsTheOldOne-0123456789"
NEW = "n3wValueThatNobodyMaySee-abcdefghijklmnopqrs"
OLD_PRINT, NEW_PRINT = "0f0f0f0f", hashlib.sha256(NEW.encode()).hexdigest()[:8]
AT = "2026-11-21T16:00:00.000Z"


def row(name: str, **changes: object) -> dict[str, Any]:
    """One credential, as the functions tell it."""
    kind = kind_of(name)
    return {
        "name": name,
        "cadence_days": kind.cadence_days,
        "fingerprints": [OLD_PRINT],
        "since": "2026-11-01T00:00:00.000Z",
        "due_at": "2026-12-01T00:00:00.000Z",
        "days_left": 9,
        "lifetime_days": kind.cadence_days,
        "known_from": "rotation",
        "state": "ok",
        "retired": None,
        "used": {OLD_PRINT: "2026-11-21T15:59:00.000Z"},
        "kept": kind.kept,
        "overlap": kind.overlap,
        "symptom": kind.symptom,
        **changes,
    }


def document(*rows: dict[str, Any], **changes: object) -> dict[str, Any]:
    """All that the functions know."""
    return {"active": None, "quiet_seconds": 600, "credentials": list(rows or (row("GITHUB_TOKEN"),)), **changes}


def check(name: str, mark: str = "ok", **changes: str) -> dict[str, str]:
    return {"name": name, "mark": mark, "code": "", "text": f"the text of {name}", "fix": "", **changes}


def refusal(status: int, code: str, headers: dict[str, str] | None = None, **members: object) -> httpx.Response:
    return httpx.Response(status, json={"error": f"refused: {code}", "code": code, **members}, headers=headers)


class Server:
    """Functions that accept the values in `accepted`, and answer what `rotation` and `doctor` say."""

    def __init__(self) -> None:
        self.accepted = {KEY, NEW}
        self.release: str | None = None
        self.rotation: list[httpx.Response] = []
        self.doctor: httpx.Response = httpx.Response(200, json={"checks": []})
        self.health: httpx.Response | httpx.TransportError = httpx.Response(200, json={"status": "ok", "services": {}})
        self.sync: httpx.Response = httpx.Response(200, json={"status": "unchanged"})
        self.date: datetime | None = None
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answer(request)
        if isinstance(answer, httpx.TransportError):
            raise answer
        if self.date is not None:
            answer.headers["Date"] = format_datetime(self.date, usegmt=True)
        return answer

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What was sent to /api/rotation, each with the key."""
        sent = [each for each in self.asked if (each.method, each.url.path) == ("POST", "/api/rotation")]
        return [(each.headers["x-api-key"], json.loads(each.content)) for each in sent]

    def _answer(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        path = request.url.path
        if path == "/webhook/github":
            return self._signed(request)
        if path.endswith("/v1/current"):
            key = request.headers.get("Authorization", "").removeprefix("Bearer ")
            return httpx.Response(200) if key in self.accepted else refusal(401, "PULLER_KEY_INVALID")
        if path == "/health":
            return self.health
        if request.headers.get("x-api-key") not in self.accepted:
            return refusal(401, "API_KEY_INVALID")
        if path == "/api/rotation":
            return self.rotation.pop(0) if self.rotation else httpx.Response(200, json=document())
        return self.sync if path == "/api/sync" else self.doctor

    def _signed(self, request: httpx.Request) -> httpx.Response:
        given = request.headers["X-Hub-Signature-256"].removeprefix("sha256=")
        made = [hmac.digest(value.encode(), request.content, hashlib.sha256).hex() for value in self.accepted]
        if given not in made:
            return refusal(401, "SIGNATURE_INVALID")
        if request.headers["Content-Type"] != "application/json":
            return refusal(415, "CONTENT_TYPE")
        return httpx.Response(200, json={"message": "not a push; nothing to do"})


class RotationDesk:
    """An operator who types commands to such a server."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.server = Server()
        self.err = ""
        for name, value in {"SKILL_SYNC_URL": ADDRESS, "MANUAL_SYNC_API_KEY": KEY, "RELEASE_URL": None}.items():
            self.set(name, value)

    def set(self, name: str, value: str | None) -> None:
        if value is None:
            self._monkeypatch.delenv(name, raising=False)
        else:
            self._monkeypatch.setenv(name, value)

    def run(self, *words: str) -> tuple[int, str]:
        self._capsys.readouterr()
        try:
            status = main([*words], transport=httpx.MockTransport(self.server))
        except SystemExit as ended:
            status = int(str(ended.code))
        out, self.err = self._capsys.readouterr()
        assert NEW not in out + self.err
        assert KEY not in out + self.err
        assert not any(NEW in str(each.url) or KEY in str(each.url) for each in self.server.asked)
        return status, out

    def json(self, *words: str) -> tuple[int, Any]:
        status, out = self.run(*words, "--json")
        return status, json.loads(out)
