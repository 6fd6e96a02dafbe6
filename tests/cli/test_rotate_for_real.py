"""Whole rotations by the operator's command against the real functions: nobody is locked out, and each step says the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.core.auth import key_digest
from shared.core.plain_text import fingerprint
from tests.functions.cloud import API_KEY, PULLER_KEY, SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.service_desk import Desk

NEW = "n3wValueThatNobodyMaySee-abcdefghijklmnopqrs"
SETTINGS = {
    "MANUAL_SYNC_API_KEY": ("MANUAL_SYNC_API_KEY", API_KEY, str),
    "GITHUB_WEBHOOK_SECRET": ("GITHUB_WEBHOOK_SECRET", SECRET, str),
    "PULLER_KEY.edge": ("PULLER_KEY_HASHES", PULLER_KEY, lambda value: f"edge:{key_digest(value)}"),
}


def hold(desk: Desk, name: str, *values: str) -> None:
    """Let the functions hold these values, newest first."""
    setting, _, form = SETTINGS[name]
    desk.cloud.set(setting, "\n".join(map(form, values)))


def use(desk: Desk, name: str, value: str) -> None:
    """Let whoever uses the credential do so once."""
    if name == "GITHUB_WEBHOOK_SECRET":
        ping = {"zen": "Keep it logically awesome.", "hook_id": 7, "repository": {"full_name": "octo/skills"}}
        assert desk.cloud.webhook(ping, secret=value).status_code == 200
    elif name == "PULLER_KEY.edge":
        report = {"outcome": "current", "deployment": "1-1"}
        assert desk.cloud.puller("POST", "/v1/report", key=value, json=report).status_code == 204


def row(desk: Desk, name: str) -> dict[str, Any]:
    return dict(desk.json("rotate", "status", name)[1]["credentials"][0])


@pytest.mark.parametrize("name", SETTINGS)
def test_a_rotation_goes_through_from_begin_to_the_removed_line(desk: Desk, tmp_path: Path, name: str) -> None:
    old, path = SETTINGS[name][1], tmp_path / "new"
    path.write_text(NEW)
    desk.cloud.set("POLLING_INTERVAL_MIN", "0.000001")
    status, found = desk.json("rotate", "begin", name)
    assert (status, found["result"], found["active"]["name"]) == (0, "begun", name)
    hold(desk, name, NEW, old)
    use(desk, name, NEW)
    status, found = desk.json("rotate", "verify", name, "--value-file", str(path))
    assert (status, found["result"]) == (0, "verified")
    assert {check["mark"] for check in found["checks"]} == {"ok"}
    assert [check["name"] for check in found["checks"]][:2] == ["made-up-value-is-refused", "new-value-is-accepted"]
    status, found = desk.json("rotate", "finish", name)
    assert (status, found["result"]) == (0, "finished")
    assert row(desk, name)["retired"] == fingerprint(old)
    assert "is still accepted: remove its line" in " ".join(desk.run("rotate", "status")[1].split())
    hold(desk, name, NEW)
    done = row(desk, name)
    assert (done["retired"], done["fingerprints"], done["known_from"]) == (None, [fingerprint(NEW)], "rotation")
    assert not [secret for secret in (NEW, old) if secret in str(found) + desk.err]
    assert any(due["name"] == name for due in desk.json("rotate", "calendar")[1]["due"])
    assert f"rotate {name}" in desk.run("rotate", "calendar", "--ics")[1]


def test_the_quiet_period_ends_with_75_and_tells_how_long(desk: Desk, tmp_path: Path) -> None:
    name, path = "GITHUB_WEBHOOK_SECRET", tmp_path / "new"
    path.write_text(NEW)
    desk.run("rotate", "begin", name)
    hold(desk, name, NEW, SECRET)
    use(desk, name, NEW)
    assert desk.run("rotate", "verify", name, "--value-file", str(path))[0] == 0
    status, _ = desk.run("rotate", "finish", name)
    assert (status, "try again in 10 min [ROTATION_QUIET]" in desk.err) == (75, True)


def test_a_ping_from_here_is_no_proof_that_github_has_the_new_secret(desk: Desk, tmp_path: Path) -> None:
    name, path = "GITHUB_WEBHOOK_SECRET", tmp_path / "new"
    path.write_text(NEW)
    desk.run("rotate", "begin", name)
    hold(desk, name, NEW, SECRET)
    for _ in range(2):
        status, found = desk.json("rotate", "verify", name, "--value-file", str(path))
        marks = [(check["mark"], check["code"]) for check in found["checks"]]
        assert (status, marks) == (1, [("ok", ""), ("ok", ""), ("fail", "NEW_VALUE_UNUSED")])


def test_only_one_rotation_is_open_at_once_and_it_can_be_given_up(desk: Desk) -> None:
    assert desk.run("rotate", "begin", "GITHUB_WEBHOOK_SECRET")[0] == 0
    assert desk.json("rotate", "begin", "MANUAL_SYNC_API_KEY")[1]["code"] == "ROTATION_OPEN"
    assert desk.json("rotate", "verify", "PULLER_KEY.edge")[1]["code"] == "ROTATION_NONE"
    assert desk.run("rotate", "abort", "GITHUB_WEBHOOK_SECRET")[0] == 0
    assert "No rotation is open." in desk.run("rotate", "status")[1]
    assert desk.run("rotate", "begin", "MANUAL_SYNC_API_KEY")[0] == 0
