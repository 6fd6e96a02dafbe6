"""`rotate`: what each step asks of the functions, what a person and a script are told, and how it ends."""

from __future__ import annotations

import httpx
import pytest

from tests.cli.rotation_server import (
    AT,
    KEY,
    NEW,
    NEW_PRINT,
    OLD_PRINT,
    RotationDesk,
    Server,
    check,
    document,
    refusal,
    row,
)

NAME = "NEO4J_PASSWORD"
DONE = {"begin": "begun", "verify": "verified", "finish": "finished", "abort": "aborted"}


def answer(action: str, *checks: dict[str, str], **changes: object) -> httpx.Response:
    said = {"result": DONE[action], "checks": list(checks), "next": f"after {action} do this", **document(), **changes}
    return httpx.Response(200, json=said)


@pytest.mark.parametrize("action", DONE)
def test_each_step_is_asked_for_once_and_its_checks_and_next_are_shown(rotation: RotationDesk, action: str) -> None:
    rotation.server.rotation = [answer(action, check("old-is-refused"), check("slow", "warn", fix="look at it"))]
    status, out = rotation.run("rotate", action, NAME)
    assert (status, rotation.server.told) == (0, [(KEY, {"action": action, "name": NAME})])
    words = " ".join(out.split())
    told = (
        f"{NAME} {DONE[action]}",
        "ok old-is-refused the text of old-is-refused",
        "warn slow the text of slow look at it",
        f"next: after {action} do this",
    )
    assert all(each in words for each in told)


@pytest.mark.parametrize("action", DONE)
def test_as_json_a_step_is_what_the_functions_said(rotation: RotationDesk, action: str) -> None:
    rotation.server.rotation = [answer(action, check("one"))]
    status, found = rotation.json("rotate", action, NAME)
    assert (status, found["result"], found["checks"], found["next"]) == (
        0,
        DONE[action],
        [check("one")],
        f"after {action} do this",
    )
    assert found["credentials"] == document()["credentials"]


@pytest.mark.parametrize("action", ["begin", "verify", "finish"])
def test_an_expected_fingerprint_is_sent(rotation: RotationDesk, action: str) -> None:
    rotation.server.rotation = [answer(action)]
    assert rotation.run("rotate", action, NAME, "--fingerprint", "ABCDEF01")[0] == 0
    assert rotation.server.told == [(KEY, {"action": action, "name": NAME, "fingerprint": "abcdef01"})]


@pytest.mark.parametrize(
    ("code", "http", "status"),
    [
        ("ROTATION_OPEN", 409, 1),
        ("ROTATION_NONE", 409, 1),
        ("ROTATION_TWO_ALREADY", 409, 1),
        ("ROTATION_OLD_STILL_ACCEPTED", 409, 1),
        ("ROTATION_NOT_SEEN", 409, 1),
        ("ROTATION_NOT_NEWEST", 409, 1),
        ("ROTATION_OLD_GONE", 409, 1),
        ("ROTATION_UNVERIFIED", 409, 1),
        ("ROTATION_NAME_UNKNOWN", 400, 64),
        ("STORE_UNAVAILABLE", 503, 69),
    ],
)
def test_a_refusal_is_told_by_its_code(rotation: RotationDesk, code: str, http: int, status: int) -> None:
    rotation.server.rotation = [refusal(http, code), refusal(http, code)]
    assert rotation.run("rotate", "finish", NAME) == (status, "")
    assert f"refused: {code} [{code}]" in rotation.err
    assert rotation.json("rotate", "finish", NAME) == (status, {"error": f"refused: {code}", "code": code})


@pytest.mark.parametrize(("seconds", "wait"), [("45", "45 s"), ("541", "10 min"), ("600", "10 min")])
def test_a_quiet_period_that_is_not_over_ends_with_75_and_says_how_long(
    rotation: RotationDesk, seconds: str, wait: str
) -> None:
    rotation.server.rotation = [refusal(409, "ROTATION_QUIET", {"Retry-After": seconds})]
    assert rotation.run("rotate", "finish", NAME)[0] == 75
    assert f"try again in {wait} [ROTATION_QUIET]" in rotation.err


def test_a_probe_of_the_functions_that_failed_is_shown_with_its_fix(rotation: RotationDesk) -> None:
    bad = check("new-password-writes", "fail", code="AUDIT_DENIED", fix="give the user its role")
    for http in (409, 400):
        refused = [refusal(http, "ROTATION_PROBE_FAILED", checks=[check("connects"), bad]) for _ in range(2)]
        rotation.server.rotation = refused
        assert rotation.run("rotate", "verify", NAME) == (1, "")
        words = " ".join(rotation.err.split())
        assert "ok connects" in words
        assert "fail new-password-writes the text of new-password-writes [AUDIT_DENIED] give the user its role" in words
        status, found = rotation.json("rotate", "verify", NAME)
        assert (status, found["code"], found["checks"]) == (1, "ROTATION_PROBE_FAILED", [check("connects"), bad])


@pytest.mark.parametrize(
    "words",
    [
        ["begin"],
        ["verify"],
        ["finish"],
        ["abort"],
        ["begin", "NONSENSE"],
        ["begin", "PULLER_KEY"],
        ["begin", "PULLER_KEY.Not A Slug"],
        ["status", "NONSENSE"],
        ["calendar", NAME],
        ["begin", NAME, "--ics"],
        ["status", "--crontab"],
        ["calendar", "--ics", "--crontab"],
        ["calendar", "--ics", "--json"],
        ["status", "--fingerprint", "abcdef01"],
        ["calendar", "--value-file", "/dev/null"],
        ["verify", "GITHUB_APP_KEY", "--value-file", "/dev/null"],
        ["verify", "OPERATOR_KEY", "--value-file", "/dev/null"],
        ["verify", NAME, "--fingerprint", "abcdef0"],
        ["verify", NAME, "--fingerprint", "abcdefgh"],
        ["verify", NAME, "--fingerprint", "abcdef012"],
        ["verify", NAME, "--fingerprint", ""],
        [],
        ["nonsense"],
    ],
)
def test_wrong_arguments_end_with_64_and_ask_nobody(rotation: RotationDesk, words: list[str]) -> None:
    assert rotation.run("rotate", *words)[0] == 64
    assert rotation.server.asked == []


def test_without_a_name_all_credentials_are_listed(rotation: RotationDesk) -> None:
    rows = [
        row("GITHUB_TOKEN"),
        row("NEO4J_PASSWORD", state="rotating", fingerprints=[NEW_PRINT, OLD_PRINT]),
        row("SIGNING_KEY", state="unknown", fingerprints=[], since=None, due_at=None, days_left=None, known_from=None),
        row("PULLER_KEY.edge", state="overdue", days_left=-3, retired=OLD_PRINT),
        row("OPERATOR_KEY", state="due"),
    ]
    said = document(*rows, active={"name": NAME, "begun_at": AT, "old": OLD_PRINT, "verified": None})
    rotation.server.rotation = [httpx.Response(200, json=said), httpx.Response(200, json=said)]
    status, out = rotation.run("rotate", "status")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert status == 0
    retired = f"the old value {OLD_PRINT} is still accepted: remove its line"
    assert lines[:6] == [
        "credential state fingerprints since due days left note",
        f"GITHUB_TOKEN ok {OLD_PRINT} 2026-11-01 2026-12-01 9",
        f"NEO4J_PASSWORD rotating {NEW_PRINT} {OLD_PRINT} 2026-11-01 2026-12-01 9",
        "SIGNING_KEY unknown none not known not known -",
        f"PULLER_KEY.edge overdue {OLD_PRINT} 2026-11-01 2026-12-01 -3 {retired}",
        f"OPERATOR_KEY due {OLD_PRINT} 2026-11-01 2026-12-01 9",
    ]
    assert f"open: {NAME} since 2026-11-21 16:00:00 UTC" in lines
    assert f"The new value is not verified yet: rotate verify {NAME}" in lines
    assert rotation.json("rotate", "status") == (0, said)


def test_without_an_open_rotation_that_is_said(rotation: RotationDesk) -> None:
    assert "No rotation is open." in rotation.run("rotate", "status")[1]


def test_of_one_credential_all_that_is_known_is_told(rotation: RotationDesk) -> None:
    used = {OLD_PRINT: "2026-11-21T15:00:00.000Z", "dddddddd": "2026-10-01T00:00:00.000Z"}
    verified = {"fingerprint": NEW_PRINT, "at": AT, "checks": [check("new-user-writes")]}
    active = {"name": NAME, "begun_at": AT, "old": OLD_PRINT, "verified": verified}
    one = row(NAME, fingerprints=[NEW_PRINT, OLD_PRINT], used=used, known_from="first_seen", state="rotating")
    said = document(row("GITHUB_TOKEN"), one, active=active)
    rotation.server.rotation = [httpx.Response(200, json=said), httpx.Response(200, json=said)]
    status, out = rotation.run("rotate", "status", NAME)
    words = " ".join(out.split())
    assert status == 0
    told = (
        f"{NAME} rotating",
        "replaced every 30 days",
        "since 2026-11-01 (it was first seen then; it may be older)",
        "due 2026-12-01 (in 9 days)",
        f"kept in {one['kept']}",
        f"two at once {one['overlap']}",
        f"if it lapses {one['symptom']}",
        f"{NEW_PRINT} newest never",
        f"{OLD_PRINT} old 2026-11-21 15:00:00 UTC",
        "dddddddd gone 2026-10-01 00:00:00 UTC",
        f"The new value {NEW_PRINT} was verified 2026-11-21 16:00:00 UTC",
        "must rest for 600 s",
        "ok new-user-writes",
    )
    assert not [each for each in told if each not in words]
    assert "GITHUB_TOKEN" not in out
    assert rotation.json("rotate", "status", NAME) == (0, {**said, "credentials": [one]})


def test_another_credentials_open_rotation_is_not_told_with_this_one(rotation: RotationDesk) -> None:
    active = {"name": NAME, "begun_at": AT, "old": OLD_PRINT, "verified": None}
    one = row("GITHUB_TOKEN", days_left=-2, state="overdue", retired="eeeeeeee")
    rotation.server.rotation = [httpx.Response(200, json=document(one, active=active))]
    out = rotation.run("rotate", "status", "GITHUB_TOKEN")[1]
    assert NAME not in out
    assert "(2 days ago)" in out
    assert "eeeeeeee is still accepted" in out


def test_a_credential_that_the_functions_do_not_hold_is_named(rotation: RotationDesk) -> None:
    status, found = rotation.json("rotate", "status", "PULLER_KEY.elsewhere")
    assert (status, found["code"]) == (1, "CREDENTIAL_UNKNOWN")


@pytest.mark.parametrize("words", [["status"], ["status", NAME], ["begin", NAME], ["verify", NAME], ["calendar"]])
def test_documents_of_another_shape_do_not_break_a_view(rotation: RotationDesk, words: list[str]) -> None:
    odd = dict.fromkeys(("active", "credentials", "checks", "result", "next", "quiet_seconds"), 5)
    bare = document({"name": NAME, "used": 5, "fingerprints": 5, "days_left": "x", "state": [1]}, active={"name": NAME})
    hostile = document(row(NAME, kept="x[bold red]y\x1b[2J\u202ez", state="\x1b[31m", used={"\x1b]0;x": "\u202e"}))
    for said in (odd, bare, hostile, {}):
        rotation.server.rotation = [httpx.Response(200, json=said)]
        assert rotation.run("rotate", *words)[0] in {0, 1}
        rotation.server.rotation = [httpx.Response(200, json=said)]
        out = rotation.run("rotate", *words)[1]
        assert not {"\x1b", "\u202e"} & set(out + rotation.err)


def test_without_a_key_or_an_address_it_ends_with_78(rotation: RotationDesk) -> None:
    rotation.set("MANUAL_SYNC_API_KEY", None)
    for words in (["status"], ["begin", NAME], ["verify", "MANUAL_SYNC_API_KEY"]):
        assert rotation.json("rotate", *words)[1]["code"] == "CONFIG_MISSING"
    rotation.set("SKILL_SYNC_URL", None)
    assert rotation.run("rotate", "status")[0] == 78
    assert rotation.server.asked == []


def test_a_step_whose_answer_is_lost_is_not_asked_for_again(rotation: RotationDesk) -> None:
    sent: list[httpx.Request] = []

    class Lost(Server):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            raise httpx.ReadTimeout("slow")

    rotation.server = Lost()
    status, found = rotation.json("rotate", "begin", NAME)
    assert (status, found["code"], len(sent), "rotate status" in found["error"]) == (69, "OUTCOME_UNKNOWN", 1, True)


def test_the_value_itself_is_never_asked_for_or_sent_where_the_functions_probe(
    rotation: RotationDesk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("value") / "new"
    path.write_text(NEW)
    for name in (NAME, "GITHUB_TOKEN"):
        rotation.server.asked.clear()
        rotation.server.rotation = [answer("verify")]
        assert rotation.run("rotate", "verify", name, "--value-file", str(path))[0] == 0
        assert rotation.server.told == [(KEY, {"action": "verify", "name": name, "fingerprint": NEW_PRINT})]
        assert len(rotation.server.asked) == 1
