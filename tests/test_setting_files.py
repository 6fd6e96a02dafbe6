from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.config import recent_settings, settings_now
from shared.errors import ConfigError
from shared.setting_files import AGE_SECONDS, RETRIES, RETRY_EVERY_SECONDS, RememberedFiles

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = "1" * 40, "2" * 40
PATH = "/mounted"


class Mount:
    """Files whose readings are counted, and a clock."""

    def __init__(self) -> None:
        self.held = b"one"
        self.readings = 0
        self.time = 100.0
        self.files = RememberedFiles(self._read, lambda: self.time)

    def _read(self, path: str) -> bytes:
        del path
        self.readings += 1
        if not self.held:
            raise FileNotFoundError(2, "No such file")
        return self.held


def test_a_file_is_read_once_in_half_a_minute() -> None:
    mount = Mount()
    assert {mount.files.recent(PATH) for _ in range(100)} == {b"one"}
    assert mount.readings == 1
    mount.held, mount.time = b"two", 100.0 + AGE_SECONDS - 0.1
    assert mount.files.recent(PATH) == b"one"
    mount.time = 100.0 + AGE_SECONDS
    assert (mount.files.recent(PATH), mount.readings) == (b"two", 2)


def test_what_somebody_read_newer_counts_for_all() -> None:
    for newer in ("again", "now"):
        mount = Mount()
        mount.files.recent(PATH)
        mount.held = b"two"
        assert getattr(mount.files, newer)(PATH) == b"two"
        assert mount.files.recent(PATH) == b"two"


def test_whoever_is_refused_without_end_makes_nobody_read_without_end() -> None:
    mount = Mount()
    mount.files.recent(PATH)
    for _ in range(1000):
        mount.files.again(PATH)
    assert mount.readings == 1 + RETRIES
    for _ in range(60):
        mount.time += 1.0
        for _ in range(10):
            mount.files.again(PATH)
    assert mount.readings == 1 + RETRIES + 60 / RETRY_EVERY_SECONDS
    assert (mount.files.now(PATH), mount.readings) == (b"one", 19)


def test_each_file_has_its_own_readings() -> None:
    mount = Mount()
    mount.files.recent(PATH)
    for _ in range(10):
        mount.files.again(PATH)
    mount.held = b"two"
    assert (mount.files.again(PATH), mount.files.again("/other")) == (b"one", b"two")


def test_what_cannot_be_read_is_an_error_and_not_remembered() -> None:
    mount = Mount()
    mount.held = b""
    for read in (mount.files.recent, mount.files.again, mount.files.now):
        with pytest.raises(FileNotFoundError):
            read(PATH)
    mount.held = b"one"
    assert mount.files.recent(PATH) == b"one"


def test_files_are_remembered_each_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("GITHUB_WEBHOOK_SECRET", ONE), ("MANUAL_SYNC_API_KEY", TWO)):
        (tmp_path / name).write_text(value)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    found = recent_settings()
    assert (found.webhook_secrets, found.api_keys) == ((ONE,), (TWO,))


def test_settings_that_are_wrong_are_read_again_and_right_ones_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    monkeypatch.setenv("GITHUB_WEBHOOK_SECRET_FILE", str(file))
    file.write_text("too short")
    with pytest.raises(ConfigError):
        recent_settings()
    file.write_text(ONE)
    assert recent_settings().webhook_secrets == (ONE,)
    file.write_text(TWO)
    assert recent_settings().webhook_secrets == (ONE,)
    assert settings_now().webhook_secrets == (TWO,)
