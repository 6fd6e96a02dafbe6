"""Looking at the gateway: what GATEWAY_PROBE may be, and what is promised whichever it is.

An http or https URL is asked by `probe_url`, everything else is a command line that `probe_command` runs.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Protocol

import httpx

from shared.errors import ConfigError
from shared.puller.probe_command import CommandProbe
from shared.puller.probe_url import UrlProbe
from shared.puller.sighting import Listed, Sighting

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Listed", "Probe", "Sighting", "check_probe", "make_probe"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MAX_PORT = 65_535


class Probe(Protocol):
    """Looks at one gateway."""

    def look(self) -> Sighting:
        """Ask the gateway how it is and what it has loaded.

        Returns:
            What was seen, within the probe's time (5 s for a URL, 20 s for a command) and whatever the gateway does; nothing
            is raised. The code `gateway_look_stopped` says that this process was asked to end, and nothing of the gateway.
        """
        ...


def check_probe(value: str) -> None:
    """Make sure that a probe can be made of GATEWAY_PROBE, without asking or running anything.

    Raises:
        ConfigError: `CONFIG_INVALID`; the value is never repeated, for it may hold a token.
    """
    _url_of(value) or _arguments_of(value)


def make_probe(value: str, *, stopping: Callable[[], bool] | None = None) -> Probe:
    """Make the probe that GATEWAY_PROBE names.

    Args:
        value: A URL, in which a user and password may stand, or a command line with quotes as a POSIX shell reads them.
        stopping: Whether this process was asked to end; looks end early then. None means that it never is.

    Raises:
        ConfigError: `CONFIG_INVALID`, as for `check_probe`.
    """
    url = _url_of(value)
    return UrlProbe(url, stopping=stopping) if url else CommandProbe(_arguments_of(value), stopping=stopping)


def _url_of(value: str) -> str:
    """Return the URL; an empty text when it is a command."""
    text = value.strip()
    scheme = _SCHEME.match(text)
    if scheme is None:
        return ""
    if scheme[1].lower() not in {"http", "https"}:
        raise _invalid("a URL must begin with http:// or https://")
    try:
        url = httpx.URL(text)
        port = 1 if url.port is None else url.port
        usable = bool(url.host) and 0 < port <= _MAX_PORT and not any(char.isspace() for char in text)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable or url.fragment:
        raise _invalid("it is not a URL that can be asked")
    return text


def _arguments_of(value: str) -> list[str]:
    try:
        arguments = shlex.split(value)
    except ValueError:
        raise _invalid("a quote in the command is not closed") from None
    if not arguments or not arguments[0] or "\0" in value:
        raise _invalid("there is no command in it")
    return arguments


def _invalid(why: str) -> ConfigError:
    return ConfigError("CONFIG_INVALID", f"GATEWAY_PROBE: expected an http or https URL, or a command; {why}")
