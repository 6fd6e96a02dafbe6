"""What a command that does not talk to the functions prints: lines for people, or one JSON document with `--json`.

A line is printed as it is, however long, as some are there to be pasted. What comes from the functions is `screen`'s business.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.errors import SkillSyncError


class Output:
    """Standard output for the result; with `--json` nothing else stands there.

    Args:
        as_json: Print the result as one JSON document.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def say(self, *lines: str) -> None:
        """Print what is not the result: with `--json` to standard error."""
        for line in lines:
            print(line, file=sys.stderr if self.as_json else sys.stdout)

    def result(self, document: Mapping[str, object], *lines: str) -> None:
        """Print the result: the document with `--json`, else the lines."""
        if self.as_json:
            print(json.dumps(document, indent=2))
            return
        for line in lines:
            print(line)

    def refuse(self, error: SkillSyncError) -> None:
        """Say why nothing came of it."""
        print(f"error: {error.message} [{error.code}]", file=sys.stderr)
        if self.as_json:
            print(json.dumps({"error": error.message, "code": error.code}, indent=2))

    def answer(self, question: str) -> str:
        """Ask the person at the terminal; empty where there is none."""
        if not sys.stdin.isatty():
            return ""
        print(question, end="", flush=True, file=sys.stderr)
        return sys.stdin.readline().strip()
