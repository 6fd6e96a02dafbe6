"""Secrets in mounted files: remembered for a while, and a new value counts from its first use on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.core.auth import key_digest
from tests.functions.cloud import API_KEY, PULLER_KEY, SECRET, Cloud, skill_text

if TYPE_CHECKING:
    from pathlib import Path

NEW = "n" * 40
PING = {"zen": "Keep it logically awesome.", "hook_id": 7}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    cloud = Cloud(tmp_path, monkeypatch)
    cloud.repo.write("a/SKILL.md", skill_text("a"))
    cloud.repo.commit("Add a")
    assert cloud.webhook(cloud.push()).status_code == 200
    return cloud


def mounted(cloud: Cloud, folder: Path, name: str, value: str) -> Path:
    file = folder / name
    file.write_text(value)
    cloud.set(name, None)
    cloud.set(f"{name}_FILE", str(file))
    return file


def test_a_webhook_under_a_new_secret_is_let_in_at_once(cloud: Cloud, tmp_path: Path) -> None:
    file = mounted(cloud, tmp_path, "GITHUB_WEBHOOK_SECRET", SECRET)
    assert cloud.webhook(PING).status_code == 200
    assert cloud.webhook(PING, secret=NEW).status_code == 401
    file.write_text(f"{NEW}\n{SECRET}")
    assert cloud.webhook(PING, secret=NEW).status_code == 200
    assert cloud.webhook(PING).status_code == 200


def test_an_operator_with_a_new_key_is_let_in_at_once(cloud: Cloud, tmp_path: Path) -> None:
    file = mounted(cloud, tmp_path, "MANUAL_SYNC_API_KEY", API_KEY)
    assert cloud.operator("status", "GET", "/api/skills").status_code == 200
    file.write_text(f"{NEW}\n{API_KEY}")
    assert cloud.operator("status", "GET", "/api/skills", key=NEW).status_code == 200
    assert cloud.operator("poll", "POST", "/api/poll", key=NEW).status_code == 200


def test_a_puller_with_a_new_key_is_let_in_at_once(cloud: Cloud, tmp_path: Path) -> None:
    old = f"edge:{key_digest(PULLER_KEY)}"
    file = mounted(cloud, tmp_path, "PULLER_KEY_HASHES", old)
    assert cloud.puller("GET", "/v1/current").status_code == 200
    file.write_text(f"edge:{key_digest(NEW)}\n{old}")
    assert cloud.puller("GET", "/v1/current", key=NEW).status_code == 200


def test_a_puller_s_looks_read_no_file_again(cloud: Cloud, tmp_path: Path) -> None:
    file = mounted(cloud, tmp_path, "PULLER_KEY_HASHES", f"edge:{key_digest(PULLER_KEY)}")
    assert cloud.puller("GET", "/v1/current").status_code == 200
    file.unlink()
    for _ in range(5):
        assert cloud.puller("GET", "/v1/current").status_code == 200


def test_who_asks_about_the_settings_themselves_is_told_what_they_are_now(cloud: Cloud, tmp_path: Path) -> None:
    file = mounted(cloud, tmp_path, "GITHUB_WEBHOOK_SECRET", SECRET)
    assert cloud.webhook(PING).status_code == 200
    file.write_text(f"{NEW}\n{SECRET}")
    held = (cloud.operator("status", "GET", "/api/boot-status").json or {})["credentials"]
    assert len(held["GITHUB_WEBHOOK_SECRET"]) == 2
