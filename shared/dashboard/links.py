"""Addresses that pages link to: lines and commits on GitHub, sections of the runbook, other pages of our own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from shared.core.alert_kinds import RUNBOOK

_SHA = re.compile(r"[0-9a-f]{40}")
_MAX_PATH_CHARS = 400
_API = "/api/v3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where things are to be found.

    Args:
        forge: The repository's address for browsers, empty where it is not on GitHub.
        runbook: The address of the folder of runbooks, empty where none is known.
    """

    forge: str = ""
    runbook: str = ""

    def line(self, commit: object, path: object, line: object = 0) -> str:
        """Return the address of a file's line at a commit; empty where there is none."""
        encoded = quote(str(path).encode("utf-8", "surrogatepass"), safe="/")
        if not self.commit(commit) or not path or len(encoded) > _MAX_PATH_CHARS:
            return ""
        number = f"#L{line}" if isinstance(line, int) and line > 0 else ""
        # GitHub renders Markdown without lines unless the source is asked for.
        return f"{self.forge}/blob/{commit}/{encoded}{'?plain=1' if number else ''}{number}"

    def commit(self, commit: object) -> str:
        """Return the address of a commit; empty where there is none."""
        return f"{self.forge}/commit/{commit}" if self.forge and _SHA.fullmatch(str(commit)) else ""

    def compare(self, base: object, head: object) -> str:
        """Return the address of what lies between two commits; empty where there is none."""
        return f"{self.forge}/compare/{base}...{head}" if self.commit(base) and self.commit(head) else ""

    def section(self, name: str) -> str:
        """Return the address of a section of the runbook of operations; empty where none is known."""
        file = RUNBOOK.rpartition("/")[2]
        return f"{self.runbook.rstrip('/')}/{file}#{name}" if self.runbook else ""


def forge_of(api_url: str, repo: str) -> str:
    """Return the address at which browsers find a repository whose API is at `api_url`; empty where that cannot be told.

    Args:
        api_url: `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise Server.
        repo: `<owner>/<name>`.
    """
    parts = urlsplit(api_url)
    if parts.scheme != "https" or not parts.hostname:
        return ""
    if parts.hostname == "api.github.com":
        return f"https://github.com/{quote(repo)}"
    return f"https://{parts.netloc}/{quote(repo)}" if parts.path.rstrip("/") == _API else ""


def address(path: str, fragment: str = "", **query: object) -> str:
    """Return the address of one of our own pages; what is empty stays out of the query.

    Args:
        path: The page.
        fragment: The place on it.
        query: Its parameters.
    """
    text = urlencode({key: str(value) for key, value in query.items() if value}, errors="backslashreplace")
    return f"{path}{'?' if text else ''}{text}{'#' if fragment else ''}{fragment}"
