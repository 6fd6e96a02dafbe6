"""What README says of costs is made from what the calls really ask of the bucket."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests import costs
from tests.costs import CALLS, Month, cost_table
from tests.functions.cloud import Cloud, skill_text
from tests.gcs.server import GcsServer
from tests.gcs.stand_in import Gcs
from tests.stage import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from werkzeug.test import TestResponse

    from tests.gcs.server import Exchange

BUCKET = "bucket"


class Billed:
    """The functions on a bucket, with one puller that follows; what a call asks of the bucket is counted as Google bills it."""

    def __init__(self, cloud: Cloud, bucket: GcsServer) -> None:
        self.cloud = cloud
        self._bucket = bucket

    def asked(self, call: Callable[[], TestResponse], status: int) -> tuple[int, int]:
        """Make a call; return its operations of class A and of class B."""
        before = len(self._bucket.log)
        answer = call()
        assert answer.status_code == status, answer.text
        kinds = [_kind(each) for each in self._bucket.log[before:]]
        return kinds.count("changing"), kinds.count("reading")

    def poll(self) -> TestResponse:
        return self.cloud.operator("poll", "POST", "/api/poll")

    def look(self) -> TestResponse:
        known = self.cloud.puller("GET", "/v1/current").headers["ETag"]
        return self.cloud.puller("GET", "/v1/current", headers={"If-None-Match": known})

    def report(self) -> TestResponse:
        live = self.cloud.call("status", "GET", "/health").get_json()["last_deployment"]["id"]
        return self.cloud.puller("POST", "/v1/report", json={"outcome": "installed", "deployment": live})

    def push(self) -> TestResponse:
        before = self.cloud.repo.head
        self.cloud.repo.write("a/SKILL.md", skill_text("a", f"After {before}."))
        self.cloud.repo.commit("Change a")
        commits = [{"added": [], "modified": ["a/SKILL.md"], "removed": []}]
        return self.cloud.webhook(self.cloud.push(before, commits=commits))


def _kind(exchange: Exchange) -> str:
    # https://cloud.google.com/storage/pricing#operations-by-class: deleting is free, listing costs as much as writing.
    path = exchange.target.partition("?")[0]
    if exchange.method == "DELETE":
        return "free"
    return "changing" if exchange.method == "POST" or path.endswith(f"/b/{BUCKET}/o") else "reading"


@pytest.fixture
def billed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Billed]:
    with GcsServer(Gcs(BUCKET)) as bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
        cloud = Cloud(tmp_path, monkeypatch)
        cloud.set("STORE_URI", f"gs://{BUCKET}/prod")
        cloud.repo.write_all({f"{name}/SKILL.md": skill_text(name) for name in "abc"})
        cloud.repo.commit("All skills")
        found = Billed(cloud, bucket)
        for first in (found.poll, found.report, found.push, found.report, found.poll):
            assert first().status_code in {200, 204}
        yield found


def test_each_call_asks_the_bucket_as_often_as_is_said(billed: Billed) -> None:
    assert billed.asked(billed.poll, 200) == _said("poll")
    assert billed.asked(lambda: billed.cloud.call("status", "GET", "/health"), 200) == _said("check")
    assert billed.asked(billed.push, 200) == _said("push")
    # Beside the call in question each of these makes one that is counted above: a first look, and a check.
    changing, reading = billed.asked(billed.look, 304)
    assert (changing, reading - _said("look")[1]) == _said("look")
    changing, reading = billed.asked(billed.report, 204)
    assert (changing, reading - _said("check")[1]) == _said("report")
    envelope = json.loads(billed.cloud.puller("GET", "/v1/current").data)
    manifest = json.loads(base64.b64decode(envelope["payload"]))["manifest"]["sha256"]
    archive = json.loads(billed.cloud.puller("GET", f"/v1/objects/{manifest}").data)["skills"]["a"]["archive"]["sha256"]
    for path in ("/v1/current", f"/v1/objects/{manifest}", f"/v1/objects/{archive}"):
        assert billed.asked(lambda path=path: billed.cloud.puller("GET", path), 200) == _said("fetch")


def _said(name: str) -> tuple[int, int]:
    return CALLS[name].changing, CALLS[name].reading


def test_readme_says_what_comes_of_it() -> None:
    readme = (ROOT / "README.md").read_text()
    assert cost_table() in readme
    assert f"${Month().total:.2f} a month" in readme
    assert (
        f"`PULL_INTERVAL_SECONDS=10` brings that to ${Month(look_seconds=10).total:.2f}, and a further gateway under a dollar"
        in readme
    )
    assert Month(gateways=2, look_seconds=10).total - Month(look_seconds=10).total < 1


def test_a_call_is_served_by_a_function_that_is_deployed_and_holds_its_secrets() -> None:
    assert {call.function for call in CALLS.values()} <= {"release", "poll", "status", "webhook"}
    assert costs.mounted("release") == 1
    assert costs.mounted("poll") == len(costs.KEPT_SECRETS)


@pytest.mark.parametrize(("amount", "cost"), [(0, 0.0), (5_000, 0.0), (6_000, 0.005), (105_000, 0.5)])
def test_only_what_is_beyond_the_free_part_costs(amount: float, cost: float) -> None:
    assert costs.PRICES["Cloud Storage, writes and listings"].of(amount) == pytest.approx(cost)
