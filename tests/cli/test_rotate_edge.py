"""What `rotate verify` tries from here before it asks the functions: made-up values must be refused, the new one accepted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.cli.rotation_server import ADDRESS, KEY, NEW, NEW_PRINT, RotationDesk, Server, check, document, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.service_desk import Desk

NAMES = ["GITHUB_WEBHOOK_SECRET", "MANUAL_SYNC_API_KEY", "PULLER_KEY.edge"]
PATHS = dict(zip(NAMES, ["/webhook/github", "/api/sync", "/v1/current"], strict=True))
VERIFIED = {"result": "verified", "checks": [check("seen-by-the-functions")], "next": "wait", **document()}


@pytest.fixture
def value(tmp_path: Path) -> str:
    path = tmp_path / "new"
    path.write_text(f"{NEW}\r\n")
    return str(path)


def verified(rotation: RotationDesk) -> None:
    rotation.server.rotation = [httpx.Response(200, json=VERIFIED)]


def edge(rotation: RotationDesk) -> list[httpx.Request]:
    return [each for each in rotation.server.asked if each.url.path != "/api/rotation"]


@pytest.mark.parametrize("name", NAMES)
def test_a_made_up_value_and_then_the_new_one_are_tried_before_the_functions_are_asked(
    rotation: RotationDesk, value: str, name: str
) -> None:
    verified(rotation)
    status, found = rotation.json("rotate", "verify", name, "--value-file", value)
    names = [each["name"] for each in found["checks"]]
    assert (status, found["result"]) == (0, "verified")
    assert names == ["made-up-value-is-refused", "new-value-is-accepted", "seen-by-the-functions"]
    assert {each["mark"] for each in found["checks"]} == {"ok"}
    assert [each.url.path for each in rotation.server.asked] == [PATHS[name], PATHS[name], "/api/rotation"]
    (told,) = rotation.server.told
    assert told[1] == {"action": "verify", "name": name, "fingerprint": NEW_PRINT}


def test_only_the_operators_key_is_proved_by_calling_with_the_new_one(rotation: RotationDesk, value: str) -> None:
    for name in NAMES:
        verified(rotation)
        rotation.run("rotate", "verify", name, "--value-file", value)
    assert [key for key, _ in rotation.server.told] == [KEY, NEW, KEY]


def test_without_a_file_the_operators_key_is_the_first_line_of_the_setting(rotation: RotationDesk) -> None:
    rotation.set("MANUAL_SYNC_API_KEY", f"{NEW}\n{KEY}")
    verified(rotation)
    assert rotation.json("rotate", "verify", "MANUAL_SYNC_API_KEY")[0] == 0
    asked = {"action": "verify", "name": "MANUAL_SYNC_API_KEY", "fingerprint": NEW_PRINT}
    assert rotation.server.told == [(NEW, asked)]
    made_up, new = edge(rotation)
    assert (made_up.headers["x-api-key"] in {NEW, KEY}, new.headers["x-api-key"]) == (False, NEW)
    assert {made_up.content, new.content} == {b'{"dry_run": true}'}


@pytest.mark.parametrize("name", ["GITHUB_WEBHOOK_SECRET", "PULLER_KEY.edge"])
def test_without_a_file_only_a_made_up_value_is_tried(rotation: RotationDesk, name: str) -> None:
    verified(rotation)
    status, found = rotation.json("rotate", "verify", name)
    assert (status, [each["name"] for each in found["checks"]]) == (
        0,
        ["made-up-value-is-refused", "seen-by-the-functions"],
    )
    assert rotation.server.told == [(KEY, {"action": "verify", "name": name})]


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GITHUB_APP_KEY", "NEO4J_PASSWORD", "SIGNING_KEY", "OPERATOR_KEY"])
def test_of_the_others_nothing_is_tried_from_here(rotation: RotationDesk, name: str) -> None:
    verified(rotation)
    assert rotation.run("rotate", "verify", name)[0] == 0
    assert edge(rotation) == []


def test_the_ping_has_githubs_form_and_says_whose_it_is(rotation: RotationDesk, value: str) -> None:
    rotation.set("GITHUB_OWNER", "octo")
    rotation.set("GITHUB_REPO", "skills")
    verified(rotation)
    rotation.run("rotate", "verify", "GITHUB_WEBHOOK_SECRET", "--value-file", value)
    bodies = [json.loads(each.content) for each in edge(rotation)]
    ping = {"zen": "skill-sync rotation probe", "hook_id": 0, "repository": {"full_name": "octo/skills"}}
    assert bodies == [ping, ping]
    assert {each.headers["Content-Type"] for each in edge(rotation)} == {"application/json"}
    assert not [each for each in edge(rotation) if "x-api-key" in each.headers]


@pytest.mark.parametrize("name", NAMES)
def test_a_new_value_that_is_refused_ends_with_1_and_the_functions_are_not_asked(
    rotation: RotationDesk, value: str, name: str
) -> None:
    rotation.server.accepted = {KEY}
    status, found = rotation.json("rotate", "verify", name, "--value-file", value)
    assert (status, found["code"]) == (1, "ROTATION_PROBE_FAILED")
    assert [(each["mark"], each["code"]) for each in found["checks"]] == [("ok", ""), ("fail", "NEW_VALUE_REFUSED")]
    assert rotation.server.told == []
    rotation.run("rotate", "verify", name, "--value-file", value)
    assert "the functions were not asked" in rotation.err
    assert "as the first line" in rotation.err


class Everything:
    """A set that holds whatever is asked for: a server that refuses nobody."""

    def __contains__(self, _: object) -> bool:
        return True


@pytest.mark.parametrize("name", NAMES[1:])
def test_where_a_made_up_value_is_accepted_nothing_is_proved(rotation: RotationDesk, value: str, name: str) -> None:
    rotation.server.accepted = Everything()  # type: ignore[assignment]
    status, found = rotation.json("rotate", "verify", name, "--value-file", value)
    assert (status, found["checks"][0]["code"]) == (1, "MADE_UP_ACCEPTED")
    assert rotation.server.told == []


@pytest.mark.parametrize(
    ("sync", "mark", "code"),
    [
        (refusal(409, "PAUSED", reasons=["x"]), "warn", "PAUSED"),
        (refusal(409, "BUSY"), "warn", "BUSY"),
        (refusal(409, "OTHER"), "fail", "EDGE_UNEXPECTED"),
        (refusal(400, "MEMBER_UNKNOWN"), "fail", "EDGE_UNEXPECTED"),
        (refusal(503, "SOURCE_UNAVAILABLE"), "fail", "EDGE_UNEXPECTED"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example/"}), "fail", "EDGE_UNEXPECTED"),
        (httpx.Response(403, text="forbidden"), "fail", "EDGE_UNEXPECTED"),
        (httpx.Response(202, json={"status": "deferred"}), "fail", "EDGE_UNEXPECTED"),
    ],
)
def test_a_key_is_known_to_be_accepted_by_what_comes_behind_its_check(
    rotation: RotationDesk, value: str, sync: httpx.Response, mark: str, code: str
) -> None:
    rotation.server.sync = sync
    verified(rotation)
    status, found = rotation.json("rotate", "verify", "MANUAL_SYNC_API_KEY", "--value-file", value)
    tried = found["checks"][1]
    assert (status, tried["mark"], tried["code"]) == (0 if mark == "warn" else 1, mark, code)
    assert not [each for each in rotation.server.asked if each.url.host != "functions.example"]


@pytest.mark.parametrize(
    ("answer", "fix"),
    [
        (refusal(503, "CONFIG_MISSING"), "mend what the code says"),
        (refusal(401, "API_KEY_MISSING"), "mend what the code says"),
        (httpx.Response(401, text="<html>"), "find out who answers there"),
        (httpx.Response(200, text="<html>"), "find out who answers there"),
        (httpx.Response(307, headers={"Location": "https://elsewhere.example/"}), "find out who answers there"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_only_the_functions_own_refusal_of_a_made_up_value_counts(
    rotation: RotationDesk, name: str, answer: httpx.Response, fix: str
) -> None:
    class Odd(Server):
        def _answer(self, _: httpx.Request) -> httpx.Response:
            return answer

    rotation.server = Odd()
    status, found = rotation.json("rotate", "verify", name)
    assert (status, found["checks"][0]["mark"], len(rotation.server.told)) == (1, "fail", 0)
    assert fix in found["checks"][0]["fix"]
    assert not [each for each in rotation.server.asked if each.url.host != "functions.example"]


def test_a_puller_that_has_the_newest_pointer_already_is_accepted_as_well(rotation: RotationDesk, value: str) -> None:
    answers = [refusal(401, "PULLER_KEY_INVALID"), httpx.Response(304)]
    verified(rotation)

    class NotModified(Server):
        def _answer(self, _: httpx.Request) -> httpx.Response:
            return answers.pop(0) if answers else httpx.Response(200, json=VERIFIED)

    rotation.server = NotModified()
    status, found = rotation.json("rotate", "verify", "PULLER_KEY.edge", "--value-file", value)
    assert (status, found["checks"][1]["text"]) == (0, "the new puller's key gets 304")


def test_a_pullers_key_is_tried_where_pullers_read_and_the_functions_are_asked_at_their_own_address(
    rotation: RotationDesk, value: str
) -> None:
    rotation.set("RELEASE_URL", "https://release.example/prefix/")
    verified(rotation)
    assert rotation.run("rotate", "verify", "PULLER_KEY.edge", "--value-file", value)[0] == 0
    urls = [str(each.url) for each in rotation.server.asked]
    assert urls == ["https://release.example/prefix/v1/current"] * 2 + [f"{ADDRESS}/api/rotation"]
    assert not [each for each in rotation.server.asked[:2] if "x-api-key" in each.headers]
    rotation.set("RELEASE_URL", "ftp://release.example")
    assert rotation.json("rotate", "verify", "PULLER_KEY.edge")[1]["code"] == "CONFIG_INVALID"
    assert "RELEASE_URL: expected an address" in rotation.err


@pytest.mark.parametrize("name", NAMES)
def test_functions_that_do_not_answer_end_with_69_and_nothing_is_told_of_the_value(
    rotation: RotationDesk, value: str, name: str
) -> None:
    class Silent(Server):
        def _answer(self, _: httpx.Request) -> httpx.TransportError:
            return httpx.ConnectError(f"cannot send {NEW}")

    rotation.server = Silent()
    status, found = rotation.json("rotate", "verify", name, "--value-file", value)
    assert (status, found["code"]) == (69, "UNREACHABLE")


def test_what_the_functions_then_refuse_is_shown_with_what_was_tried_here(rotation: RotationDesk, value: str) -> None:
    rotation.server.rotation = [refusal(409, "ROTATION_PROBE_FAILED", checks=[check("never-seen", "fail")])]
    status, found = rotation.json("rotate", "verify", "GITHUB_WEBHOOK_SECRET", "--value-file", value)
    names = [each["name"] for each in found["checks"]]
    assert (status, names) == (1, ["made-up-value-is-refused", "new-value-is-accepted", "never-seen"])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "VALUE_MISSING"),
        (b" \r\n\t\n", "VALUE_MISSING"),
        (b"short", "VALUE_TOO_SHORT"),
        (b"x" * 31, "VALUE_TOO_SHORT"),
        (b"x" * 20 + b" " + b"y" * 20, "VALUE_HAS_BLANKS"),
        (b"x" * 20 + b"\t" + b"y" * 20, "VALUE_HAS_BLANKS"),
        (("x" * 20 + "\u00a0" + "y" * 20).encode(), "VALUE_HAS_BLANKS"),
        (b"x" * 40 + b"\n" + b"y" * 40, "VALUE_TWO_LINES"),
        (b"x" * 40 + b"\r\n" + b"y" * 40 + b"\r\n", "VALUE_TWO_LINES"),
        (b"x" * 40 + b"\n\n" + b"y" * 40, "VALUE_TWO_LINES"),
        (b"\xff" * 40, "VALUE_FILE_INVALID"),
        (b"x" * 70_000, "VALUE_FILE_INVALID"),
        (b"x" * 40 + b"\x01", "VALUE_NOT_ASCII"),
        (("\u00fc" * 40).encode(), "VALUE_NOT_ASCII"),
    ],
)
def test_a_file_is_read_as_a_setting_is_and_its_faults_have_codes(
    rotation: RotationDesk, tmp_path: Path, content: bytes, code: str
) -> None:
    path = tmp_path / "value"
    path.write_bytes(content)
    status, found = rotation.json("rotate", "verify", "MANUAL_SYNC_API_KEY", "--value-file", str(path))
    assert (status, found["code"], rotation.server.told) == (64, code, [])
    assert "xxxxxxxx" not in str(found) + rotation.err


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_told(rotation: RotationDesk, tmp_path: Path, name: str) -> None:
    status, found = rotation.json("rotate", "verify", "GITHUB_TOKEN", "--value-file", str(tmp_path / name))
    assert (status, found["code"], rotation.server.asked) == (64, "VALUE_FILE_INVALID", [])


def test_blanks_and_line_ends_around_the_value_do_not_count(rotation: RotationDesk, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_bytes(b"\n  " + NEW.encode() + b" \t\r\n\r\n")
    verified(rotation)
    rotation.run("rotate", "verify", "GITHUB_TOKEN", "--value-file", str(path))
    assert rotation.server.told[0][1]["fingerprint"] == NEW_PRINT


def test_a_fingerprint_that_is_not_the_files_is_refused(rotation: RotationDesk, value: str) -> None:
    words = ["rotate", "verify", "GITHUB_TOKEN", "--value-file", value, "--fingerprint"]
    assert rotation.json(*words, "00000000")[1]["code"] == "FINGERPRINT_DIFFERS"
    assert rotation.server.asked == []
    verified(rotation)
    assert rotation.run(*words, NEW_PRINT.upper())[0] == 0


def test_a_signing_key_is_known_by_what_the_trust_calls_it(rotation: RotationDesk, tmp_path: Path) -> None:
    from tests.fakes.world import SIGNER  # noqa: PLC0415 - the world is needed by this one alone
    from tests.functions.cloud import SEED  # noqa: PLC0415

    path = tmp_path / "seed"
    path.write_text(SEED)
    verified(rotation)
    rotation.run("rotate", "verify", "SIGNING_KEY", "--value-file", str(path))
    assert rotation.server.told[0][1]["fingerprint"] == SIGNER.key_id[:8]
    path.write_text("x" * 40)
    assert rotation.json("rotate", "verify", "SIGNING_KEY", "--value-file", str(path))[0] == 78


@pytest.mark.parametrize("name", NAMES)
def test_the_real_functions_refuse_the_made_up_value_and_take_the_new_one(
    desk: Desk, tmp_path: Path, name: str
) -> None:
    from tests.functions.cloud import API_KEY, PULLER_KEY, SECRET  # noqa: PLC0415 - of the real functions only

    listed = desk.cloud.store.list("")
    for value, mark in ((dict(zip(NAMES, (SECRET, API_KEY, PULLER_KEY), strict=True))[name], "ok"), (NEW, "fail")):
        path = tmp_path / "value"
        path.write_text(value)
        _, found = desk.json("rotate", "verify", name, "--value-file", str(path))
        tried = found.get("checks", [])[:2]
        if mark == "fail":
            assert [(each["mark"], each["code"]) for each in tried] == [("ok", ""), ("fail", "NEW_VALUE_REFUSED")]
        else:
            # The functions themselves are asked, so nothing failed from here.
            assert "were not asked" not in desk.err
            assert desk.functions.asked[-1].url.path == "/api/rotation"
        assert value not in desk.err + str(found)
    assert desk.cloud.store.list("") == listed
