from __future__ import annotations

from typing import Any

import pytest

from shared.core.credentials import KINDS, Mark, kind_of
from shared.core.diagnosis import configuration_checks, credential_checks, service_checks, state_checks

AT = "2026-11-21T16:00:00.000Z"


def services(**changes: object) -> dict[str, Any]:
    whole = {
        "poller": {"status": "running", "last_check": AT},
        "webhook": {"last_received": AT},
        "audit": {"status": "connected"},
        "pullers": [{"id": "edge", "status": "current", "deployment": "1-2", "reasons": []}],
    }
    return {"services": {**whole, **changes}}


def row(name: str = "SIGNING_KEY", **changes: object) -> dict[str, Any]:
    kind = kind_of(name)
    whole = {"name": name, "state": "ok", "due_at": AT, "days_left": 80, "retired": None, "kept": kind.kept}
    return {**whole, "symptom": kind.symptom, **changes}


def test_where_all_is_well_every_check_says_so_and_none_says_what_to_fix() -> None:
    found = [
        *configuration_checks([], {}, 0),
        *state_checks({"state": "READY", "reasons": []}, "none"),
        *(check for _, check in service_checks(services())),
        *credential_checks({"credentials": [row()], "active": None}),
    ]
    assert {(check.mark, check.code, check.fix) for check in found} == {(Mark.OK, "", "")}
    assert len(found) == 6


@pytest.mark.parametrize(
    ("changed", "area", "mark", "code"),
    [
        ({"poller": {"status": "stale"}}, "poller", Mark.FAIL, "POLLER_STALE"),
        ({"poller": {"status": "never"}}, "poller", Mark.FAIL, "POLLER_STALE"),
        ({"poller": {"status": "running", "error": "SOURCE_DENIED"}}, "poller", Mark.FAIL, "SOURCE_DENIED"),
        ({"webhook": {}}, "webhook", Mark.WARN, "WEBHOOK_NEVER"),
        ({"audit": {"status": "behind", "pending": 3}}, "audit", Mark.WARN, "AUDIT_BEHIND"),
        ({"audit": {"status": "unreachable"}}, "audit", Mark.WARN, "AUDIT_BEHIND"),
        ({"pullers": []}, "pullers", Mark.WARN, "PULLER_NONE"),
        ({"pullers": [{"id": "edge", "status": "behind"}]}, "pullers", Mark.WARN, "PULLER_BEHIND"),
        ({"pullers": [{"id": "edge", "status": "held"}]}, "pullers", Mark.FAIL, "PULLER_HELD"),
        ({"pullers": [{"id": "edge", "status": "silent"}]}, "pullers", Mark.FAIL, "PULLER_SILENT"),
        ({"pullers": [{"id": "edge", "status": "new"}]}, "pullers", Mark.FAIL, "PULLER_NEW"),
        ({"poller": 7, "webhook": None, "pullers": [3]}, "poller", Mark.FAIL, "POLLER_STALE"),
    ],
)
def test_each_thing_that_is_wrong_is_told_with_what_to_do(
    changed: dict[str, Any], area: str, mark: Mark, code: str
) -> None:
    found = [check for where, check in service_checks(services(**changed)) if where == area]
    assert [(check.mark, check.code) for check in found] == [(mark, code)]
    assert found[0].text


@pytest.mark.parametrize(
    ("state", "mark", "fix"),
    [
        ({"state": "DEGRADED", "reasons": ["trust_expired"]}, Mark.WARN, "bump"),
        ({"state": "PAUSED", "reasons": ["mismatch_detected"]}, Mark.FAIL, "bump"),
        ({}, Mark.FAIL, "bump"),
    ],
)
def test_a_state_that_is_not_ready_is_told_with_the_next_action(state: dict[str, Any], mark: Mark, fix: str) -> None:
    (check,) = state_checks(state, "bump")
    assert (check.mark, check.fix) == (mark, fix)
    (without,) = state_checks(state, "none")
    assert without.fix == "infra/runbooks/disaster-recovery.md"


@pytest.mark.parametrize("name", [name for name in KINDS if name != "PULLER_KEY"] + ["PULLER_KEY.edge"])
def test_of_each_credential_that_is_due_it_is_told_what_is_seen_when_it_lapses(name: str) -> None:
    due, overdue, unknown = (
        next(credential_checks({"credentials": [row(name, state=state)]})) for state in ("due", "overdue", "unknown")
    )
    assert [check.mark for check in (due, overdue, unknown)] == [Mark.WARN, Mark.FAIL, Mark.WARN]
    assert kind_of(name).symptom in due.text
    assert due.fix == f"rotate begin {name}"


def test_an_old_value_that_is_let_in_and_a_rotation_that_is_open_are_told() -> None:
    active = {"name": "SIGNING_KEY", "begun_at": AT, "verified": None}
    found = list(credential_checks({"credentials": [row(retired="aaaaaaaa")], "active": active}))
    assert [check.code for check in found] == ["", "CREDENTIAL_RETIRED_ACCEPTED", "ROTATION_OPEN"]
    assert "rotate verify SIGNING_KEY" in found[-1].fix
    verified = list(credential_checks({"credentials": [], "active": {**active, "verified": {"at": AT}}}))
    assert "rotate finish SIGNING_KEY" in verified[-1].fix


def test_what_is_not_set_is_told_with_what_is_lost_by_it() -> None:
    found = list(configuration_checks(["STORE_URI", "SIGNING_KEY"], {"ALERT_URLS": "nobody is told"}, 2))
    assert [(check.mark, check.code) for check in found] == [
        (Mark.FAIL, "CONFIG_MISSING"),
        (Mark.WARN, "CONFIG_OPTIONAL"),
        (Mark.FAIL, "PULLER_KEY_HASHES_INVALID"),
    ]
    assert "SIGNING_KEY, STORE_URI" in found[0].text
    assert "nobody is told" in found[1].text
