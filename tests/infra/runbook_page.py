"""A runbook as its tests read it: the commands that stand on the page, in order, each with the section that it belongs to.

A command is one logical line of a block that is marked `sh`; comments and empty lines are none, and a backslash at the end of
a line joins the next one. Blocks of any other mark are answers, queries or files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

RUNBOOKS = Path(__file__).resolve().parents[2] / "infra" / "runbooks"
_HEADING = re.compile(r"#{2,4} +(?P<title>.+)")
_FENCE = re.compile(r"\s*```(?P<mark>\w*)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a page. `line` is where it begins, from 1; `section` the heading above it, without its marks."""

    page: str
    section: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.text}"


def commands(page: str, section: str | None = None) -> list[Command]:
    """Read a page's commands.

    Args:
        page: The file's name in `infra/runbooks`.
        section: Only those below this heading; None for all of them.
    """
    found: list[Command] = []
    heading, mark, started, joined = "", None, 0, ""
    for number, line in enumerate((RUNBOOKS / page).read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.fullmatch(line)
        if fence is not None:
            mark = fence["mark"] if mark is None else None
        elif mark is None:
            title = _HEADING.fullmatch(line)
            heading = title["title"] if title else heading
        elif mark == "sh" and (joined or (line.strip() and not line.lstrip().startswith("#"))):
            started = started if joined else number
            joined = f"{joined} {line.strip()}".strip()
            if joined.endswith("\\"):
                joined = joined.removesuffix("\\").rstrip()
                continue
            found.append(Command(page=page, section=heading, line=started, text=joined))
            joined = ""
    return [command for command in found if section in {None, command.section}]


def headings(page: str) -> list[str]:
    """List a page's sections and subsections."""
    text = re.sub(r"```.*?```", "", (RUNBOOKS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return [found["title"] for line in text.splitlines() if (found := _HEADING.fullmatch(line))]
