"""Alerts as they leave the functions: real HTTP to a real endpoint on this machine, through the real apprise."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from shared.core.names import ALERTS, SUMMARY
from shared.service.afterwards import WEBHOOK_SECONDS
from tests.fakes.listeners import answering, pullers
from tests.functions.cloud import skill_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from tests.fakes.listeners import Puller
    from tests.functions.cloud import Cloud

BAD = "# no frontmatter\n"
SLACK = 2.0
"""What a busy machine may add to a wait."""


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    yield
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("alert-")]:
        thread.join(10)


def pushes(cloud: Cloud, text: str) -> None:
    cloud.repo.write("b/SKILL.md", text)
    cloud.repo.commit("Change b")


def listens(cloud: Cloud, *servers: Puller) -> None:
    cloud.set("ALERT_URLS", "\n".join(f"json://127.0.0.1:{server.server_port}/s3cret" for server in servers))


def titles(server: Puller) -> list[str]:
    return [json.loads(body)["title"].partition("] ")[2] for _, _, body in server.taken]


def hanging(handler: BaseHTTPRequestHandler) -> None:
    handler.server.ended.wait(30)  # type: ignore[attr-defined]


def test_a_push_its_polls_and_its_fix_are_one_alert_and_one_recovery(cloud: Cloud) -> None:
    pushes(cloud, BAD)
    with pullers(answering(200)) as (server,):
        listens(cloud, server)
        assert cloud.webhook(cloud.push()).status_code == 200
        assert titles(server) == ["1 skill withheld by the rules"]
        for _ in range(3):
            assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
        pushes(cloud, skill_text("b", "Mended."))
        assert cloud.operator("sync", "POST", "/api/sync").status_code == 200
        assert titles(server)[1:] == ["recovered: 1 skill withheld by the rules"]


@pytest.mark.parametrize("bad", [answering(500), hanging])
def test_a_dead_endpoint_delays_a_webhook_by_its_bound_and_the_next_poll_delivers(cloud: Cloud, bad: object) -> None:
    pushes(cloud, BAD)
    with pullers(bad) as (server,):  # type: ignore[arg-type]
        listens(cloud, server)
        started = time.monotonic()
        answer = cloud.webhook(cloud.push())
        assert time.monotonic() - started < WEBHOOK_SECONDS + SLACK
        assert (answer.status_code, (answer.json or {})["status"]) == (200, "deployed")
        assert "s3cret" not in answer.text
        server.answer = answering(200)
        assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
        assert titles(server)[-1] == "1 skill withheld by the rules"
        told = len(server.taken)
        cloud.operator("poll", "POST", "/api/poll")
        assert len(server.taken) == told


def test_two_polls_at_once_send_one_message(cloud: Cloud) -> None:
    pushes(cloud, BAD)
    cloud.operator("poll", "POST", "/api/poll")
    with pullers(answering(200)) as (server,):
        listens(cloud, server)
        threads = [threading.Thread(target=cloud.operator, args=("poll", "POST", "/api/poll")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert titles(server) == ["1 skill withheld by the rules"]


def test_a_failed_poll_is_told(cloud: Cloud) -> None:
    cloud.operator("poll", "POST", "/api/poll")
    with pullers(answering(200)) as (server,):
        listens(cloud, server)
        cloud.set("SOURCE_URL", f"{cloud.repo.path}-gone")
        assert cloud.operator("poll", "POST", "/api/poll").status_code in {502, 503}
        assert titles(server) == ["deployment failed"]


def test_a_report_tells_that_nobody_polls_any_more(cloud: Cloud) -> None:
    cloud.operator("poll", "POST", "/api/poll")
    stored = cloud.store.get(SUMMARY)
    assert stored is not None
    document = json.loads(stored.data)
    document["poller"]["last_check"] = "2026-01-01T00:00:00.000Z"
    cloud.store.put(SUMMARY, json.dumps(document).encode(), if_generation=stored.generation)
    with pullers(answering(200)) as (server,):
        listens(cloud, server)
        for _ in range(3):
            assert cloud.puller("POST", "/v1/report", data=b'{"outcome": "current"}').status_code == 204
        assert titles(server) == ["no poll has finished for three intervals"]


def test_addresses_that_nobody_knows_are_named_by_number_at_the_first_poll(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    pushes(cloud, BAD)
    cloud.set("ALERT_URLS", "json://127.0.0.1:9/\nnonsense://s3cret")
    assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
    out = capsys.readouterr().out
    assert '"numbers": [2]' in out
    assert "s3cret" not in out


def test_an_address_that_is_none_is_refused_before_anything_is_done(cloud: Cloud) -> None:
    cloud.set("ALERT_URLS", "s3cret")
    answer = cloud.operator("poll", "POST", "/api/poll")
    assert (answer.status_code, (answer.json or {})["code"]) == (503, "CONFIG_INVALID")
    assert "s3cret" not in answer.text


def test_without_addresses_nothing_is_kept(cloud: Cloud) -> None:
    pushes(cloud, BAD)
    cloud.operator("poll", "POST", "/api/poll")
    assert cloud.store.get(ALERTS) is None
