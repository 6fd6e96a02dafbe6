"""The only place that reads the environment; what can be set is in `settings`, and how one is read in `setting_reader`.

Settings are read anew for every call, so that a rotated secret needs no restart. The functions remember a file for half a
minute: two values are accepted while one is rotated, and who is refused is tried again with what the file holds now.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING

from shared.core.google_cloud import GoogleCloud, google_cloud_by
from shared.errors import ConfigError
from shared.running import Running, running_as
from shared.setting_files import RememberedFiles, read_file
from shared.setting_reader import raw_setting, read_settings, read_what_can_be
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "GoogleCloud",
    "Running",
    "Settings",
    "command_environment",
    "current_settings",
    "google_cloud",
    "load_settings",
    "loader_environment",
    "raw_setting",
    "recent_settings",
    "running",
    "settings_again",
    "settings_now",
    "settings_with_faults",
]

_FILES = RememberedFiles()
_LOADER_NAMES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL")


def load_settings(environment: Mapping[str, str], read: Callable[[str], bytes] = read_file) -> Settings:
    """Read all settings.

    Args:
        environment: Usually `os.environ`.
        read: Reads a file that `<NAME>_FILE` names.

    Raises:
        ConfigError: `CONFIG_INVALID`, naming every setting that is wrong and what it should be; never its value.
    """
    values = read_settings(fields(Settings), environment, read)
    return Settings(**values)  # type: ignore[arg-type] # each field's own parser made its value


def current_settings() -> Settings:
    """Read all settings from this process's environment, as they are now."""
    return load_settings(os.environ)


def recent_settings() -> Settings:
    """Read all settings from this process's environment, of files what they held at most half a minute ago.

    Settings that are wrong are read again, as `settings_again` does.
    """
    try:
        return load_settings(os.environ, _FILES.recent)
    except ConfigError:
        return settings_again()


def settings_again() -> Settings:
    """Read all settings again since somebody was refused by the recent ones; not more often than is good for us."""
    return load_settings(os.environ, _FILES.again)


def settings_now() -> Settings:
    """Read all settings as they are now, for who asks about them."""
    return load_settings(os.environ, _FILES.now)


def settings_with_faults() -> tuple[Settings, dict[str, str]]:
    """Read all settings from this process's environment; those that are wrong have their defaults.

    Returns:
        The settings, and what is wrong, by the setting's name; never its value.
    """
    values, faults = read_what_can_be(fields(Settings), os.environ, _FILES.recent)
    return Settings(**values), faults  # type: ignore[arg-type] # each field's own parser made its value


def running() -> Running:
    """Return as what this process runs, by its environment."""
    return running_as(os.environ)


def google_cloud() -> GoogleCloud:
    """Return how Google Cloud is reached from here, by this process's environment."""
    return google_cloud_by(os.environ)


def loader_environment() -> dict[str, str]:
    """Return what a child process of ours needs to find its interpreter's libraries and texts; no setting, no secret."""
    return {name: os.environ[name] for name in _LOADER_NAMES if name in os.environ}


def command_environment() -> dict[str, str]:
    """Return what a command of the operator's gets of this process's environment: all of it but our own settings.

    It may need whatever the gateway beside us is configured by; our keys are nobody else's.
    """
    names = {field.metadata["name"] for field in fields(Settings)}
    return {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in names}
