"""The only place that reads the environment, and the files that `<NAME>_FILE` points to; what can be set is in `settings`.

Settings are read afresh for every call, so that a rotated secret needs no restart.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import ConfigError
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "command_environment", "current_settings", "load_settings", "loader_environment"]

MAX_SECRET_FILE_BYTES = 64 * 1024
_LOADER_NAMES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL")


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read all settings.

    Args:
        environment: Usually `os.environ`.

    Raises:
        ConfigError: `CONFIG_INVALID`, naming every setting that is wrong and what it should be; never its value.
    """
    values: dict[str, object] = {}
    faults: list[str] = []
    for field in fields(Settings):
        name, parse = field.metadata["name"], field.metadata["parse"]
        try:
            text = _raw(environment, name)
            text = field.metadata["default"] if text is None else text
            values[field.name] = None if text is None else parse(text)
        except (ValueError, OSError) as error:
            faults.append(f"{name}: {error.strerror if isinstance(error, OSError) else _expected(field.type, error)}")
    if faults:
        raise ConfigError("CONFIG_INVALID", "; ".join(faults))
    return Settings(**values)  # type: ignore[arg-type] # each field's own parser made its value


def current_settings() -> Settings:
    """Read all settings from this process's environment, as they are now."""
    return load_settings(os.environ)


def loader_environment() -> dict[str, str]:
    """Return what a child process of ours needs to find its interpreter's libraries and texts; no setting, no secret."""
    return {name: os.environ[name] for name in _LOADER_NAMES if name in os.environ}


def command_environment() -> dict[str, str]:
    """Return what a command of the operator's gets of this process's environment: all of it but our own settings.

    It may need whatever the gateway beside us is configured by; our keys are nobody else's.
    """
    names = {field.metadata["name"] for field in fields(Settings)}
    return {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in names}


def _raw(environment: Mapping[str, str], name: str) -> str | None:
    path = environment.get(f"{name}_FILE")
    if not path:
        return environment.get(name, "").strip() or None
    with Path(path).open("rb") as stream:
        data = stream.read(MAX_SECRET_FILE_BYTES + 1)
    if len(data) > MAX_SECRET_FILE_BYTES:
        raise ValueError(f"a file of at most {MAX_SECRET_FILE_BYTES} bytes")
    try:
        return data.decode().strip() or None
    except UnicodeDecodeError:
        raise ValueError("a file in UTF-8") from None


def _expected(kind: object, error: ValueError) -> str:
    # An enum's own message repeats the value; ours says what was expected.
    text = str(error)
    if " is not a valid " in text or "could not convert" in text:
        return {"ValidationPolicy": "per_skill or all_or_nothing", "VersionPolicy": "strict, declared or derived"}.get(
            str(kind), "a number"
        )
    return f"expected {text}"
