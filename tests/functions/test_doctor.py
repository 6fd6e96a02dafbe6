"""`GET /api/doctor` from where the functions run: a part that breaks hides no other, and every fault says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.cloud import API_KEY, PULLER_KEY, SECRET, SEED, Cloud, skill_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """One skill, deployed, installed and polled for."""
    cloud = Cloud(tmp_path, monkeypatch)
    cloud.repo.write("a/SKILL.md", skill_text("a"))
    cloud.repo.commit("Add a")
    assert cloud.webhook(cloud.push()).status_code == 200
    cloud.follow()
    assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
    return cloud


def examined(cloud: Cloud) -> list[dict[str, Any]]:
    answer = cloud.operator("sync", "GET", "/api/doctor")
    assert answer.status_code == 200
    for value in (SECRET, API_KEY, PULLER_KEY, SEED):
        assert value not in answer.text
    return list((answer.json or {})["checks"])


def wrong(cloud: Cloud) -> dict[str, str]:
    """What failed, by area."""
    found = [check for check in examined(cloud) if check["mark"] == "fail"]
    assert all(check["fix"] and check["code"] for check in found)
    return {check["area"]: check["code"] for check in found}


def test_where_all_is_well_nothing_fails_and_what_is_left_out_is_named(cloud: Cloud) -> None:
    checks = examined(cloud)
    assert {check["area"] for check in checks if check["mark"] == "ok"} >= {
        "configuration",
        "store",
        "trust",
        "poller",
        "webhook",
        "pullers",
        "credentials",
    }
    assert [check["text"][:10] for check in checks if check["mark"] != "ok"] == ["ALERT_URLS", "NEO4J_URI "]


def test_the_store_is_as_it_was(cloud: Cloud) -> None:
    before = [(entry.name, entry.generation) for entry in cloud.store.list("")]
    examined(cloud)
    assert [(entry.name, entry.generation) for entry in cloud.store.list("")] == before


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"STORE_URI": "ftp://x"}, {"store": "STORE_URI_UNSUPPORTED", "trust": "STORE_URI_UNSUPPORTED"}),
        ({"SIGNING_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}, {"trust": "SIGNING_KEY_UNTRUSTED"}),
        ({"TRUST_ANCHOR": "{}"}, {"trust": "TRUST_ANCHOR_INVALID", "credentials": "TRUST_ANCHOR_INVALID"}),
        ({"PULLER_KEY_HASHES": "edge:xyz"}, {"configuration": "PULLER_KEY_HASHES_INVALID"}),
        ({"SIGNING_KEY": None}, {"configuration": "CONFIG_MISSING", "trust": "SIGNING_KEY_UNTRUSTED"}),
        ({"NEO4J_URI": "bolt://127.0.0.1:1"}, {"audit": "AUDIT_UNAVAILABLE"}),
        ({"SOURCE_URL": None, "GITHUB_API_URL": "http://127.0.0.1:1"}, {"github": "SOURCE_UNAVAILABLE"}),
        ({"POLLING_INTERVAL_MIN": "0.0001"}, {}),
    ],
)
def test_each_fault_is_found_where_it_is_and_the_rest_is_told_all_the_same(
    cloud: Cloud, changes: dict[str, str | None], expected: dict[str, str]
) -> None:
    for name, value in changes.items():
        cloud.set(name, value)
    found = wrong(cloud)
    assert {area: found.get(area) for area in expected} == expected
    assert len({check["area"] for check in examined(cloud)}) >= 5


def test_nobody_without_a_key_is_told_anything(cloud: Cloud) -> None:
    assert cloud.operator("sync", "GET", "/api/doctor", key=None).status_code == 401
