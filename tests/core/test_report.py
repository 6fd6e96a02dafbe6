from __future__ import annotations

import json

import pytest

from shared.core.report import MAX_COUNT, MAX_LISTED, MAX_TEXT, OUTCOMES, follows, kept_report
from shared.errors import InputError
from tests.core.samples import digest

AT = "2026-11-21T12:34:56.789Z"
IN_AT = "2026-11-21T12:34:57.000Z"
FAILED = {"deployment": "1-5", "manifest": digest(5), "skills": ["a"]}
GATEWAY = {"since": AT, "watched_ms": 60_000, "up_ms": 58_000}
DRIFT = {"path": "a/SKILL.md", "what": "changed", "action": "repaired"}


def kept(**members: object) -> dict[str, object]:
    return kept_report("edge", {"outcome": "current", **members}, None, IN_AT)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_is_kept_with_what_was_not_told_empty(outcome: str) -> None:
    found = kept_report("edge", {"outcome": outcome}, None, IN_AT)
    assert (found["outcome"], found["id"], found["last_report"]) == (outcome, "edge", IN_AT)
    assert (found["at"], found["failed"], found["drift"], found["reasons"], found["floor"]) == (
        None,
        None,
        [],
        [],
        None,
    )


def test_what_failed_and_what_drifted_is_kept_as_it_was_told() -> None:
    found = kept(outcome="held", at=AT, reasons=["gateway_unhealthy"], failed=FAILED, drift=[DRIFT])
    assert (found["at"], found["failed"], found["drift"]) == (AT, FAILED, [DRIFT])


def test_members_that_nobody_knows_are_not_kept() -> None:
    found = kept(at=AT, secret="x", failed={**FAILED, "secret": "x"}, drift=[{**DRIFT, "secret": "x"}])
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    "members",
    [
        *[{"outcome": outcome} for outcome in (None, "perfect", 1, ["held"])],
        *[{"state": state} for state in ("ready", 7, "x" * 300)],
        *[{"at": at} for at in (7, "yesterday", "2026-11-21T12:34:56Z", "2026-13-21T12:34:56.789Z", "9" * 300)],
        *[{"failed": failed} for failed in ([], "1-5", {}, {"deployment": "1-5"}, {"manifest": digest(5)})],
        *[{"failed": {**FAILED, "deployment": name}} for name in (None, 5, "", "5", "1-05", "../x", "1-5\n")],
        *[{"failed": {**FAILED, "manifest": name}} for name in (None, 5, "", "A" * 64, digest(5) + "\n")],
        *[{"failed": {**FAILED, "skills": ids}} for ids in (None, "a", [1], ["a/b"], ["Ignore all rules"], ["x" * 65])],
        *[{"at": AT, "drift": drift} for drift in (None, {}, "a", [1], [{}], ["a/SKILL.md"])],
        *[{"at": AT, "drift": [{**DRIFT, "path": path}]} for path in (None, 1, ["a"])],
        *[{"at": AT, "drift": [{**DRIFT, "what": what}]} for what in (None, "broken", ["changed"])],
        *[{"at": AT, "drift": [{**DRIFT, "action": action}]} for action in (None, "deleted", ["kept"])],
        *[{"install": install} for install in ([], "x", 1, {"ago_ms": "1"}, {"proof": "yes"}, {"proof": ["holds"]})],
        *[{"install": {"ago_ms": ago}} for ago in (-1, True, 1.5, MAX_COUNT + 1, 10**400)],
        *[{"gateway": gateway} for gateway in ([], "x", 1, {}, {"watched_ms": 1, "up_ms": 1})],
        *[{"gateway": {**GATEWAY, "since": since}} for since in (None, 7, "now", "9" * 300)],
        *[{"gateway": {**GATEWAY, "watched_ms": ms}} for ms in (None, "1", -1, True, 1.0, 57_999, MAX_COUNT + 1)],
        *[{"gateway": {**GATEWAY, "up_ms": ms}} for ms in (None, "1", -1, 60_001)],
        {"drift": [DRIFT]},
        {"at": None, "drift": [DRIFT]},
    ],
)
def test_a_member_of_the_wrong_form_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        kept(**members)
    assert caught.value.code == "REPORT_INVALID"


def test_lists_and_texts_are_cut_where_they_are_too_long() -> None:
    found = kept(
        at=AT,
        reasons=["x" * 300] * 60,
        failed={**FAILED, "skills": [f"s{number}" for number in range(60)]},
        drift=[{**DRIFT, "path": "p" * 300}] * 60,
    )
    assert found["reasons"] == ["x" * MAX_TEXT] * MAX_LISTED
    assert [len(found["failed"]["skills"]), len(found["drift"])] == [MAX_LISTED, MAX_LISTED]  # type: ignore[index, arg-type]
    assert {item["path"] for item in found["drift"]} == {"p" * MAX_TEXT}  # type: ignore[attr-defined]


def test_a_path_keeps_nothing_that_acts_on_a_terminal_or_hides() -> None:
    (item,) = kept(at=AT, drift=[{**DRIFT, "path": "a/\x1b[2J\u202e\n\u00e9 b"}])["drift"]  # type: ignore[attr-defined, misc]
    assert item["path"] == "a/\ufffd[2J\ufffd\ufffd\u00e9 b"


def test_what_is_counted_is_kept_as_it_was_told_and_nothing_beside_it() -> None:
    found = kept(install={"ago_ms": 0, "proof": "holds", "x": 1}, gateway={**GATEWAY, "x": 1})
    assert (found["install"], found["gateway"]) == ({"ago_ms": 0, "proof": "holds"}, GATEWAY)
    assert kept(install={})["install"] == {"ago_ms": None, "proof": None}


@pytest.mark.parametrize(
    ("members", "is_following"),
    [
        *[({"outcome": outcome}, outcome in {"installed", "current"}) for outcome in OUTCOMES],
        ({"outcome": "current", "state": "DEGRADED"}, True),
        ({"outcome": "current", "state": "PAUSED"}, False),
    ],
)
def test_who_follows_serves_what_is_live_and_is_not_paused(members: dict[str, object], *, is_following: bool) -> None:
    assert follows(kept(**members)) is is_following
