"""Where a repository on GitHub lives: its API, its git address, and the hosts that its archives may come from. No I/O."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from shared.errors import ConfigError

_ENTERPRISE_PATH: Final = "/api/v3"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One repository as GitHub's REST API names it.

    Args:
        api_url: `https://api.github.com`, or `https://HOST/api/v3` on an Enterprise Server; http on loopback hosts only.
        owner: The account that owns it.
        name: Its name there.

    Raises:
        ConfigError: `GITHUB_API_URL_INVALID`, `GITHUB_REPO_INVALID`.

    Source:
        https://docs.github.com/en/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api
    """

    api_url: str
    owner: str
    name: str

    def __post_init__(self) -> None:
        _split(self.api_url)
        if not all(_NAME.fullmatch(part) and part.strip(".") for part in (self.owner, self.name)):
            message = "GITHUB_OWNER and GITHUB_REPO: expected names of letters, digits, dots, dashes and underscores"
            raise ConfigError("GITHUB_REPO_INVALID", message)

    @property
    def rest_url(self) -> str:
        """The address of the repository in the API; also how messages name it."""
        return f"{self.api_url.rstrip('/')}/repos/{self.owner}/{self.name}"

    @property
    def git_url(self) -> str:
        """The address for the git protocol: `https://github.com/OWNER/NAME.git`, or on the Enterprise Server's own host."""
        scheme, host, port = self._git_host()
        return f"{scheme}://{host}{port}/{self.owner}/{self.name}.git"

    @property
    def download_origins(self) -> frozenset[str]:
        """From which origins (`scheme://host[:port]`) an archive of this repository may be downloaded."""
        scheme, host, port = self._git_host()
        return frozenset({f"{scheme}://{host}{port}", f"{scheme}://codeload.{host}{port}"})

    def _git_host(self) -> tuple[str, str, str]:
        parts = _split(self.api_url)
        host = parts.hostname or ""
        if parts.path.rstrip("/") != _ENTERPRISE_PATH:
            host = host.removeprefix("api.")
        host = f"[{host}]" if ":" in host else host
        return parts.scheme, host, "" if parts.port is None else f":{parts.port}"


def origin_of(url: str) -> str | None:
    """Return a URL's `scheme://host[:port]` as `download_origins` writes it; None where nothing may be sent.

    Args:
        url: An address that somebody else has named: credentials in it, or anything unreadable, make it None.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or "\\" in url:
        return None
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in {None, usual} else f":{port}")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    """Split an API's address; a wrong one is refused without repeating it, as it may hold a password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        right = parts.path.rstrip("/") in {"", _ENTERPRISE_PATH} and parts.port != 0
    except ValueError:
        right, host, parts = False, "", SplitResult("", "", "", "", "")
    plain = url.isascii() and url.isprintable() and not {"@", "?", "#", "\\", " "} & set(url)
    if not (right and plain and host and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))):
        message = "GITHUB_API_URL: expected https://api.github.com or https://HOST/api/v3 (http on this machine only)"
        raise ConfigError("GITHUB_API_URL_INVALID", message)
    return parts
