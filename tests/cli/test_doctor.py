"""`doctor`: what it finds from here, what it passes on of the functions, and that it says what it can in every case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cli.rotation_server import ADDRESS, NEW, RotationDesk, check, refusal

if TYPE_CHECKING:
    from typing import Any

    from tests.cli.service_desk import Desk


def theirs(*checks: dict[str, str]) -> httpx.Response:
    return httpx.Response(200, json={"checks": list(checks)})


def area(name: str, each: dict[str, str]) -> dict[str, str]:
    return {"area": name, **each}


def failures(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["name"], each["code"]) for each in found["checks"] if each["mark"] == "fail"]


def test_a_sound_service_ends_with_0(rotation: RotationDesk) -> None:
    rotation.server.date = datetime.now(UTC)
    rotation.server.doctor = theirs(area("store", check("store-answers")))
    status, found = rotation.json("doctor")
    assert (status, found["failed"]) == (0, 0)
    names = [(each["area"], each["name"], each["mark"]) for each in found["checks"]]
    here = ["settings-are-usable", "functions-answer", "clocks-agree", "key-is-accepted"]
    assert names == [*(("here", name, "ok") for name in here), ("store", "store-answers", "ok")]
    assert "5 checks: 0 failed, 0 to look at" in rotation.run("doctor")[1]


def test_checks_are_grouped_by_area_with_mark_code_and_fix(rotation: RotationDesk) -> None:
    rotation.server.doctor = theirs(
        area("github", check("token-reads", "fail", code="SOURCE_DENIED", fix="make a new token")),
        area("audit", check("graph-answers", "warn", fix="look at it")),
        area("github", check("branch-exists")),
    )
    status, out = rotation.run("doctor")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert status == 1
    assert lines[1].startswith(f"here ok settings-are-usable SKILL_SYNC_URL is {ADDRESS}")
    assert lines[-4:] == [
        "github fail token-reads the text of token-reads [SOURCE_DENIED] make a new token",
        "ok branch-exists the text of branch-exists",
        "audit warn graph-answers the text of graph-answers look at it",
        "6 checks: 1 failed, 1 to look at",
    ]


def test_a_warning_alone_ends_with_0(rotation: RotationDesk) -> None:
    rotation.server.doctor = theirs(area("poller", check("polls-come", "warn")))
    assert rotation.run("doctor")[0] == 0


@pytest.mark.parametrize(
    ("settings", "code", "fix"),
    [
        ({"SKILL_SYNC_URL": None}, "CONFIG_MISSING", "set SKILL_SYNC_URL"),
        ({"SKILL_SYNC_URL": "ftp://host"}, "CONFIG_INVALID", "set SKILL_SYNC_URL"),
        ({"SKILL_SYNC_URL": "https://"}, "CONFIG_INVALID", "set SKILL_SYNC_URL"),
        ({"MANUAL_SYNC_API_KEY": "too short"}, "CONFIG_INVALID", "mend the setting"),
        ({"POLLING_INTERVAL_MIN": "often"}, "CONFIG_INVALID", "mend the setting"),
    ],
)
def test_settings_that_cannot_be_used_are_a_finding_and_no_crash(
    rotation: RotationDesk, settings: dict[str, str | None], code: str, fix: str
) -> None:
    for name, value in settings.items():
        rotation.set(name, value)
    status, found = rotation.json("doctor")
    assert (status, failures(found)) == (1, [("settings-are-usable", code)])
    assert fix in found["checks"][0]["fix"]
    assert next(iter(settings)) in found["checks"][0]["text"]
    assert rotation.server.asked == []


@pytest.mark.parametrize(
    ("health", "code"),
    [
        (httpx.ConnectError("nobody"), "UNREACHABLE"),
        (httpx.ReadTimeout("slow"), "UNREACHABLE"),
        (httpx.Response(301, headers={"Location": "https://elsewhere.example"}), "REDIRECTED"),
        (httpx.Response(403, text="<html>Forbidden"), "ANSWER_INVALID"),
        (httpx.Response(200, text="<html>"), "ANSWER_INVALID"),
        (httpx.Response(200, json={"status": "ok"}), "ANSWER_INVALID"),
        (refusal(404, "ROUTE_UNKNOWN"), "ANSWER_INVALID"),
    ],
)
def test_functions_that_do_not_answer_are_told_with_what_to_do(
    rotation: RotationDesk, health: httpx.Response | httpx.TransportError, code: str
) -> None:
    rotation.server.health = health
    status, found = rotation.json("doctor")
    assert (status, failures(found)) == (1, [("functions-answer", code)])
    assert found["checks"][-1]["fix"]
    assert [each.url.path for each in rotation.server.asked] == ["/health"]


def test_an_unhealthy_service_answers_all_the_same(rotation: RotationDesk) -> None:
    rotation.server.health = httpx.Response(503, json={"status": "unhealthy", "services": {}})
    status, found = rotation.json("doctor")
    assert (status, found["checks"][1]["text"]) == (0, "GET /health is answered with 503: unhealthy")


@pytest.mark.parametrize(
    ("ahead", "mark", "word"),
    [
        (0, "ok", "differ by"),
        (240, "ok", "differ by"),
        (-3660, "warn", "61 min ahead of"),
        (3660, "warn", "min behind"),
    ],
)
def test_clocks_that_differ_by_more_than_five_minutes_are_told(
    rotation: RotationDesk, ahead: int, mark: str, word: str
) -> None:
    rotation.server.date = datetime.now(UTC) + timedelta(seconds=ahead)
    status, found = rotation.json("doctor")
    (clock,) = [each for each in found["checks"] if each["name"] == "clocks-agree"]
    assert (status, clock["mark"], word in clock["text"]) == (0, mark, True)
    assert clock["code"] == ("CLOCK_DIFFERS" if mark == "warn" else "")


@pytest.mark.parametrize("date", ["", "yesterday", "Sat, 99 Nov 2026 99:99:99 GMT"])
def test_an_answer_without_a_date_tells_nothing_of_the_clock(rotation: RotationDesk, date: str) -> None:
    health = httpx.Response(200, json={"status": "ok", "services": {}}, headers={"Date": date})
    rotation.server.health = health
    status, found = rotation.json("doctor")
    assert (status, [each["name"] for each in found["checks"]].count("clocks-agree")) == (0, 0)


def test_without_a_key_the_rest_is_told(rotation: RotationDesk) -> None:
    rotation.set("MANUAL_SYNC_API_KEY", None)
    status, found = rotation.json("doctor")
    assert (status, failures(found), len(found["checks"])) == (1, [("key-is-accepted", "CONFIG_MISSING")], 3)


def test_a_key_that_is_refused_is_told_and_never_printed(rotation: RotationDesk) -> None:
    rotation.server.accepted = set()
    rotation.set("MANUAL_SYNC_API_KEY", NEW)
    status, found = rotation.json("doctor")
    assert (status, failures(found)) == (1, [("key-is-accepted", "API_KEY_INVALID")])
    assert "first line" in found["checks"][-1]["fix"]


@pytest.mark.parametrize(
    ("doctor", "code"),
    [
        (refusal(404, "ROUTE_UNKNOWN"), "ROUTE_UNKNOWN"),
        (refusal(503, "CONFIG_MISSING", {"Retry-After": "60"}), "CONFIG_MISSING"),
        (httpx.Response(200, json={}), "ANSWER_INVALID"),
        (httpx.Response(200, json={"checks": 5}), "ANSWER_INVALID"),
        (httpx.Response(200, text="no"), "ANSWER_INVALID"),
    ],
)
def test_functions_that_cannot_examine_themselves_are_a_finding(
    rotation: RotationDesk, doctor: httpx.Response, code: str
) -> None:
    rotation.server.doctor = doctor
    status, found = rotation.json("doctor")
    assert (status, failures(found)) == (1, [("functions-examine-themselves", code)])


@pytest.mark.parametrize("odd", [5, None, "x", {}, {"mark": "perfect"}, {"mark": ["ok"]}, {"area": 5, "mark": "fail"}])
def test_a_check_that_cannot_be_understood_counts_as_failed(rotation: RotationDesk, odd: object) -> None:
    rotation.server.doctor = httpx.Response(200, json={"checks": [odd, area("store", check("fine"))]})
    assert rotation.run("doctor")[0] == 1
    assert rotation.json("doctor")[1]["failed"] == 1


def test_what_the_functions_say_cannot_act_on_the_terminal(rotation: RotationDesk) -> None:
    hostile = "x[bold red]y\x1b[2J\u202ez"
    rotation.server.doctor = theirs(dict.fromkeys(("area", "name", "mark", "code", "text", "fix"), hostile))
    status, out = rotation.run("doctor")
    assert (status, "x[bold red]y" in out, {"\x1b", "\u202e"} & set(out)) == (1, True, set())


def test_the_real_functions_are_reached_and_the_key_is_tried(desk: Desk) -> None:
    _, found = desk.json("doctor")
    marks = {each["name"]: each["mark"] for each in found["checks"]}
    assert (marks["settings-are-usable"], marks["functions-answer"]) == ("ok", "ok")
    assert [request.url.path for request in desk.functions.asked] == ["/health", "/api/doctor"]
    desk.cloud.set("MANUAL_SYNC_API_KEY", None)
    assert ("key-is-accepted", "CONFIG_MISSING") in failures(desk.json("doctor")[1])
