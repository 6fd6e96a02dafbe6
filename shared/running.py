"""As what a process runs: which project, function and channel. The log says so in every line of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.setting_reader import raw_setting

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """As what this process runs; None where nobody says so."""

    project: str | None
    function: str | None
    channel: str | None
    on_cloud_run: bool = False


def running_as(environment: Mapping[str, str]) -> Running:
    """Read as what a process runs.

    Google sets `FUNCTION_TARGET` and `K_SERVICE` (https://cloud.google.com/run/docs/container-contract#env-vars); whoever
    deploys may set `GOOGLE_CLOUD_PROJECT`.

    Args:
        environment: Usually `os.environ`.
    """
    try:
        channel = raw_setting(environment, "CHANNEL")
    except (OSError, ValueError):  # whoever needs the settings is told
        channel = None
    return Running(
        project=environment.get("GOOGLE_CLOUD_PROJECT") or None,
        function=environment.get("FUNCTION_TARGET") or environment.get("K_SERVICE") or None,
        channel=channel,
        on_cloud_run=bool(environment.get("K_SERVICE")),
    )
