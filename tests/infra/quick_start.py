"""README's quick start as its tests read it: the shell blocks in order, each with its section and its step."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
HERE, CLOUD = "On this machine: two commands", "In the cloud: ten steps"
_STEP = re.compile(r"(\d+)\. ")
_FENCE = re.compile(r" *```(?P<mark>\w*)")
_CODE, _CODE_IN_A_STEP = " " * 4, " " * 8
"""What would make a line of text a block of code without a fence, which no test would see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block. `step` is the number of the list's item, 0 outside of a list; `line` where the block begins, from 1."""

    section: str
    step: int
    line: int
    text: str

    def __str__(self) -> str:
        return f"README.md:{self.line} (step {self.step})\n{self.text}"


class UnfencedError(ValueError):
    """A block that nobody would run."""


def blocks(page: str) -> list[Block]:
    """Read the blocks of a page's section `Quick start`.

    Raises:
        UnfencedError: a block has another mark than `sh`, or none, or no fence.
    """
    found: list[Block] = []
    chapter = section = ""
    step, fenced, started = 0, False, 0
    held: list[str] = []
    for number, line in enumerate(page.splitlines(), start=1):
        if fence := _FENCE.fullmatch(line):
            if fenced and chapter == "Quick start":
                text = textwrap.dedent("\n".join(held))
                found.append(Block(section=section, step=step, line=started + 1, text=text))
            if not fenced and chapter == "Quick start" and fence["mark"] != "sh":
                raise UnfencedError(f"line {number}: expected ```sh")
            fenced, started, held = not fenced, number, []
        elif fenced:
            held.append(line)
        elif line.startswith("#"):
            chapter = line.removeprefix("## ") if line.startswith("## ") else chapter
            section, step = line.lstrip("# "), 0
        elif chapter == "Quick start":
            step = int(item[1]) if (item := _STEP.match(line)) else step if line.startswith(" ") or not line else 0
            if line.startswith(_CODE_IN_A_STEP if step else _CODE):
                raise UnfencedError(f"line {number}: expected a block of commands between ```sh and ```")
    return found


def quick_start(section: str) -> list[Block]:
    """The blocks of README's section."""
    return [block for block in blocks(README.read_text(encoding="utf-8")) if block.section == section]
