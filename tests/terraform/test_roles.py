"""The rights that the map of functions gives are enough for what the functions do, and nothing of them is left over."""

from __future__ import annotations

import base64
import itertools
import json
import os
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.functions.browser import Browser
from tests.functions.cloud import API_KEY, Cloud, skill_text
from tests.gcs.server import GcsServer
from tests.gcs.stand_in import Gcs, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from werkzeug.test import TestResponse

    from tests.gcs.stand_in import Query, Reply, Request, Stored

Table = dict[str, dict[str, dict[str, object]]]
VERSIONS = itertools.count(1)
BUCKET = "octo-skills-skill-sync-prod"


class GuardedGcs(Gcs):
    """The bucket behind Cloud IAM: each function, by the map, reads and writes what it may, and is refused the rest.

    Attributes:
        functions: The map's rows.
        prefix: What all names begin with.
        written: By function, the parts of the map under which it has written.
        refused: What was asked for in vain.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(BUCKET)
        self.functions = table["functions"]
        self.prefix = ""
        self.written: defaultdict[str, set[str]] = defaultdict(set)
        self.refused: list[tuple[str, str, str]] = []

    def bring_back(self, name: str, data: bytes) -> None:
        """Put an older content in an object's place, as a restored bucket does."""
        objects = self._objects[BUCKET]
        now = objects[self.prefix + name]
        objects[self.prefix + name] = replace(now, data=data, generation=now.generation + 1)

    def _route(self, request: Request, kind: str, bucket: str, name: str | None) -> Reply:
        if request.method == "DELETE":
            self._let_write(unquote(str(name)))
        elif not kind.startswith("upload"):
            self._let_read(urlsplit(request.url).path)
        return super()._route(request, kind, bucket, name)

    def _write(
        self, query: Query, objects: dict[str, Stored], bucket: str, meta: Mapping[str, object], data: bytes
    ) -> Reply:
        self._let_write(str(meta["name"]))
        return super()._write(query, objects, bucket, meta, data)

    def _let_read(self, path: str) -> None:
        caller = os.environ["FUNCTION_TARGET"]
        if not self.functions[caller]["reads"]:
            self._refuse(caller, "read", path)

    def _let_write(self, name: str) -> None:
        caller, name = os.environ["FUNCTION_TARGET"], name.removeprefix(self.prefix)
        writes = self.functions[caller]["writes"]
        assert isinstance(writes, list)
        parts = [part for part in writes if name == part or (part.endswith("/") and name.startswith(part))]
        if not parts:
            self._refuse(caller, "write", name)
        self.written[caller].update(parts)

    def _refuse(self, caller: str, action: str, name: str) -> None:
        self.refused.append((caller, action, name))
        raise Refused(403, f"{caller} does not have storage access", "forbidden")


class Sworn(Cloud):
    """The functions, each with no other secret than those that the map gives it, and the poll behind Cloud IAM."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Table) -> None:
        super().__init__(tmp_path, monkeypatch)
        self._table = table

    def call(self, target: str, method: str, path: str, **arguments: object) -> TestResponse:
        row, secrets = self._table["functions"][target], self._table["secrets"]
        taken = {name: os.environ.get(name) for name in (*secrets["always"], *secrets["optional"])}
        for name in taken.keys() - set(row["secrets"]):  # type: ignore[call-overload]
            self.set(name, None)
        self.set("POLL_AUTH", "iam" if row["caller"] == "scheduler" else "api_key")
        try:
            return super().call(target, method, path, **arguments)
        finally:
            for name, value in taken.items():
                self.set(name, value)


@pytest.fixture
def bucket(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[GuardedGcs]:
    service = GuardedGcs(table)
    with GcsServer(service) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield service


@pytest.fixture
def cloud(bucket: GuardedGcs, table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The functions on that bucket, with one skill, and somebody to tell who cannot be reached."""
    built = Sworn(tmp_path, monkeypatch, table)
    # A process keeps the client that it made for an address, so each test has one of its own.
    bucket.prefix = f"{tmp_path.name}/"
    built.set("STORE_URI", f"gs://{BUCKET}/{tmp_path.name}")
    built.set("ALERT_URLS", "json://127.0.0.1:9/alerts")
    return built


def deploying(cloud: Cloud, caller: str) -> None:
    """Let a function deploy a new version of a skill beside a bad one."""
    cloud.repo.write("a/SKILL.md", skill_text("a", f"Version {next(VERSIONS)}."))
    cloud.repo.write("bad/SKILL.md", f"none, {next(VERSIONS)}\n")
    cloud.repo.commit("Change a")
    if caller == "webhook":
        cloud.webhook(cloud.push())
    elif caller == "dashboard":
        Browser(cloud).confirm("/sync")
    else:
        cloud.operator(caller, "POST", f"/api/{caller}", key=None if caller == "poll" else API_KEY)


@pytest.mark.parametrize("caller", ["webhook", "poll", "sync", "dashboard"])
def test_who_deploys_needs_each_of_its_rights_and_no_other(
    cloud: Cloud, bucket: GuardedGcs, table: Table, caller: str
) -> None:
    deploying(cloud, caller)
    first = bucket.stored(BUCKET)[f"{bucket.prefix}current.json"]
    deploying(cloud, caller)
    if caller == "sync":
        cloud.operator("sync", "POST", "/api/rollback", {"to": "1-1"})
        cloud.operator("sync", "POST", "/api/rotation", {"action": "begin", "name": "MANUAL_SYNC_API_KEY"})
        cloud.operator("sync", "GET", "/api/doctor")
    bucket.bring_back("current.json", first)
    deploying(cloud, caller)
    assert bucket.refused == []
    assert bucket.written[caller] == set(table["functions"][caller]["writes"])  # type: ignore[call-overload]


def test_who_serves_pullers_needs_each_of_its_rights_and_no_other(
    cloud: Cloud, bucket: GuardedGcs, table: Table
) -> None:
    deploying(cloud, "webhook")
    cloud.set("POLLING_INTERVAL_MIN", "0.000001")
    envelope = json.loads(cloud.puller("GET", "/v1/current").data)
    live = json.loads(base64.b64decode(envelope["payload"]))
    failed = {"deployment": "1-1", "manifest": live["manifest"]["sha256"], "skills": []}
    report = {"outcome": "held", "reasons": ["gateway_unhealthy"], "failed": failed}
    assert cloud.puller("POST", "/v1/report", json=report).status_code == 204
    assert bucket.refused == []
    assert bucket.written["release"] == set(table["functions"]["release"]["writes"])  # type: ignore[call-overload]


def test_who_only_reads_or_only_judges_needs_no_right_to_write(cloud: Cloud, bucket: GuardedGcs) -> None:
    deploying(cloud, "webhook")
    for path in ("/health", "/api/skills", "/api/deployments", "/api/dr-state", "/api/boot-status", "/api/rotation"):
        assert cloud.operator("status", "GET", path).status_code in {200, 503}
    answer = cloud.operator("validate", "POST", "/api/validate?id=a", skill_text("a").encode())
    assert answer.status_code == 200
    assert bucket.refused == []
    assert set(bucket.written) == {"webhook"}


def test_a_function_is_refused_what_it_may_not_write(cloud: Cloud, bucket: GuardedGcs, table: Table) -> None:
    # That the guard guards: with the release function's rights nothing is deployed.
    bucket.functions = {**table["functions"], "webhook": table["functions"]["release"]}
    deploying(cloud, "webhook")
    assert bucket.refused[0][:2] == ("webhook", "write")
    assert f"{bucket.prefix}current.json" not in bucket.stored(BUCKET)


def test_nobody_but_the_operator_may_write_the_trust(table: Table) -> None:
    for each in table["functions"].values():
        assert not [part for part in each["writes"] if "trust/".startswith(part)]  # type: ignore[attr-defined]
