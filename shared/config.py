"""The only place that reads the environment; what can be set is in `settings`, and how one is read in `setting_reader`.

Settings are read afresh for every call, so that a rotated secret needs no restart.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING

from shared.running import Running, running_as
from shared.setting_reader import raw_setting, read_settings
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Running",
    "Settings",
    "command_environment",
    "current_settings",
    "load_settings",
    "loader_environment",
    "raw_setting",
    "running",
]

_LOADER_NAMES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL")


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read all settings.

    Args:
        environment: Usually `os.environ`.

    Raises:
        ConfigError: `CONFIG_INVALID`, naming every setting that is wrong and what it should be; never its value.
    """
    values = read_settings(fields(Settings), environment)
    return Settings(**values)  # type: ignore[arg-type] # each field's own parser made its value


def current_settings() -> Settings:
    """Read all settings from this process's environment, as they are now."""
    return load_settings(os.environ)


def running() -> Running:
    """Return as what this process runs, by its environment."""
    return running_as(os.environ)


def loader_environment() -> dict[str, str]:
    """Return what a child process of ours needs to find its interpreter's libraries and texts; no setting, no secret."""
    return {name: os.environ[name] for name in _LOADER_NAMES if name in os.environ}


def command_environment() -> dict[str, str]:
    """Return what a command of the operator's gets of this process's environment: all of it but our own settings.

    It may need whatever the gateway beside us is configured by; our keys are nobody else's.
    """
    names = {field.metadata["name"] for field in fields(Settings)}
    return {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in names}
