"""What the functions log: well-formed whatever a caller sends, one sync id from the webhook to the pointer, no secret."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from functions import app as app_module
from shared import log
from shared.log.foreign import LineHandler
from tests.core.made_secrets import made
from tests.fakes.listeners import answering, pullers
from tests.fakes.world import World
from tests.functions.cloud import API_KEY, PULLER_KEY, SECRET, SEED, skill_text, started, whole_settings

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.functions.cloud import Cloud

ROOT = Path(__file__).resolve().parents[2]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
EXECUTION = "Function-Execution-Id"
TOKEN = made("GitHub App")
SECRETS = (SECRET, API_KEY, PULLER_KEY, SEED, TOKEN)
HOSTILE = {
    "forged": '"},{"severity":"ERROR","message":"forged"}',
    "controls": "\x01\x1b[2J\x9b\x7f\x85",
    "bidi as bytes": "\u202ex\u2066".encode().decode("latin-1"),
    "long": "x" * 60_000,
    "a secret": f"{SECRET} {API_KEY} Bearer {PULLER_KEY} {SEED} {TOKEN}",
    "almost a trace": f"00-{TRACE}-00f067aa0ba902b7-01-{SECRET}",
}
ROUTES = [(route.method, route.path) for route in app_module.ROUTES]


def told(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    """All lines that were written; each is an object, and holds no run of a secret."""
    out, err = capsys.readouterr()
    assert err == ""
    lines = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    for line, read in zip(out.splitlines(), lines, strict=True):
        assert isinstance(read, dict)
        assert len(line) <= log.MAX_LINE_BYTES
        assert line.isascii()
        for secret in SECRETS:
            assert not [at for at in range(len(secret) - 7) if secret[at : at + 8] in line]
    return lines


def syncs(lines: list[dict]) -> set[object]:
    return {line.get("sync") for line in lines}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_header_makes_a_line_that_is_not_ours(
    cloud: Cloud, method: str, path: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.set("STORE_URI", "sqlite:///proc/no/store")  # so that each call that is let in has something to tell
    names = ("X-GitHub-Delivery", "traceparent", "X-Cloud-Trace-Context", EXECUTION, "User-Agent", "Referer", "X-Any")
    keys = {"x-api-key": API_KEY, "Authorization": f"Bearer {PULLER_KEY}"}
    headers = {**dict.fromkeys(names, text), **keys}
    if path == "/webhook/github":
        cloud.webhook(cloud.push(), headers=headers)
    else:
        cloud.call("app", method, path.replace("{", "").replace("}", ""), data=b'{"to": "1-1"}', headers=headers)
    for line in told(capsys):
        assert line["severity"] in {"INFO", "WARNING", "ERROR"}
        assert line["message"] != "forged"
        assert line[log.LABELS] == {"function": "webhook" if path == "/webhook/github" else "app"}
        assert not [name for name in line if "trace" in name or "span" in name]


def test_every_line_of_a_webhook_that_deploys_names_the_pointers_own_id(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.repo.write("broken/SKILL.md", "no frontmatter\n")
    cloud.repo.commit("Add a broken one")
    with pullers(answering(500)) as (listener,):  # the nudge has a thread of its own, which tells what went wrong
        cloud.set("NUDGE_URLS", listener.url)
        assert cloud.webhook(cloud.push()).status_code == 200
    pointer = World(store=cloud.store).pointer
    lines = told(capsys)
    assert {"Webhook received: push", "Successfully deployed", "A nudge was not taken"} <= {
        line["message"] for line in lines
    }
    assert syncs(lines) == {pointer.token}
    assert len(pointer.token) == 32


def test_each_sync_has_an_id_of_its_own_and_a_refreshed_pointer_keeps_that_of_its_deployment(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.webhook(cloud.push())
    first = World(store=cloud.store).pointer.token
    assert syncs(told(capsys)) == {first}
    cloud.operator("poll", "POST", "/api/poll")
    assert World(store=cloud.store).pointer.token == first
    cloud.repo.write("a/SKILL.md", skill_text("a", "New text."))
    cloud.repo.commit("Change a")
    told(capsys)
    cloud.operator("poll", "POST", "/api/poll")
    second = World(store=cloud.store).pointer.token
    assert second != first
    assert syncs(told(capsys)) == {second}
    cloud.operator("sync", "POST", "/api/rollback", {"to": "1-1"})
    third = World(store=cloud.store).pointer.token
    assert third not in {first, second}
    assert syncs(told(capsys)) == {third}


def test_a_call_that_fails_names_its_sync_in_the_last_line_too(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.set("SOURCE_URL", "/nowhere/at/all")
    assert cloud.webhook(cloud.push()).status_code in {502, 503}
    lines = told(capsys)
    assert lines[-1]["message"] == "Call failed"
    assert len(syncs(lines)) == 1
    assert None not in syncs(lines)


def test_a_webhook_that_means_nothing_begins_no_sync(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.webhook(cloud.push(ref="refs/heads/other"))
    (line,) = told(capsys)
    assert (line["message"], "sync" in line) == ("Webhook received: nothing to do", False)


def test_two_requests_at_once_do_not_mix(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    app = started()["app"]
    together = threading.Barrier(4, timeout=30)
    headers = {"x-api-key": API_KEY}

    def poll(number: int) -> TestResponse:
        together.wait()
        return app.test_client().post("/api/poll", headers={**headers, EXECUTION: f"execution{number:03}"})

    cloud.set("NUDGE_URLS", "http://127.0.0.1:9/nudge")
    with ThreadPoolExecutor(4) as pool:
        for round_number in range(3):
            cloud.repo.write("a/SKILL.md", skill_text("a", f"Text {round_number}."))
            cloud.repo.commit(f"Change a, {round_number}")
            numbers = range(4 * round_number, 4 * round_number + 4)
            assert {answer.status_code for answer in pool.map(poll, numbers)} <= {200, 202}
            pointer = World(store=cloud.store).pointer
            lines = told(capsys)
            pairs = {(line[log.LABELS]["execution_id"], line.get("sync")) for line in lines}
            assert len({sync for _, sync in pairs}) == len({execution for execution, _ in pairs}) == len(pairs)
            deployed = [line for line in lines if line["message"] == "Successfully deployed"]
            assert syncs(deployed) == {pointer.token}


def test_a_line_tells_trace_function_and_channel(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {
        "GOOGLE_CLOUD_PROJECT": "acme-prod",
        "K_SERVICE": "skill-sync-webhook",
        "CHANNEL": "prod",
    }.items():
        cloud.set(name, value)
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", EXECUTION: "abcDEF123456"}
    cloud.webhook(cloud.push(), headers=headers)
    for line in told(capsys):
        assert line["logging.googleapis.com/trace"] == f"projects/acme-prod/traces/{TRACE}"
        assert line["logging.googleapis.com/spanId"] == "00f067aa0ba902b7"
        assert line["logging.googleapis.com/trace_sampled"] is True
        assert line[log.LABELS] == {"function": "webhook", "channel": "prod", "execution_id": "abcDEF123456"}


def test_an_error_that_nobody_foresaw_tells_where_and_not_what(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.webhook(cloud.push())
    told(capsys)

    def fail(_call: object) -> None:
        raise KeyError(f"{SECRET} and the text of a skill")

    route = app_module.web.Route(method="GET", path="/x", handler=fail)  # type: ignore[arg-type]
    with started()["app"].test_request_context("/x") as context:
        answer = app_module.web.serve(context.request, [route])
    assert (answer.status_code, answer.json) == (500, {"error": "unexpected error", "code": "INTERNAL"})
    (line,) = told(capsys)
    assert (line["message"], line["kind"]) == ("Unexpected error", "KeyError")
    assert line["place"].startswith("functions/test_logs.py:")
    assert [frame.split(":")[0] for frame in line["stack"]] == ["shared/web.py"]
    assert "skill" not in json.dumps({**line, "place": "", "stack": ""})


def test_the_entry_points_catch_what_libraries_log_once(cloud: Cloud) -> None:
    for _ in range(2):
        cloud.call("status", "GET", "/health")
    assert len([each for each in logging.getLogger().handlers if isinstance(each, LineHandler)]) == 1


def test_a_real_process_writes_lines_only_also_where_google_numbers_executions(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).parent / "functions-framework", "--source", ROOT / "functions" / "main.py"]
    whole = whole_settings(tmp_path / "origin", tmp_path / "objects.db")
    settings = {**whole, "LOG_EXECUTION_ID": "true", "STORE_URI": "sqlite:///proc/no/store"}
    process = subprocess.Popen(
        [*command, "--target", "app", "--host", "127.0.0.1", "--port", str(port)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    headers = {"X-Cloud-Trace-Context": f"{TRACE}/74;o=1", EXECUTION: f'"{SEED}"', "x-api-key": API_KEY}
    until = time.monotonic() + 60
    answer = None
    while answer is None and time.monotonic() < until and process.poll() is None:
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/api/poll", headers=headers, timeout=20)
        except httpx.TransportError:
            continue
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert answer is not None, out
    assert answer.status_code == 503
    lines = [json.loads(line) for line in out.splitlines()]
    (failed,) = [line for line in lines if line["message"] == "Call failed"]
    assert (failed["code"], failed["logging.googleapis.com/spanId"]) == ("STORE_UNAVAILABLE", "000000000000004a")
    assert SEED[:8] not in out
