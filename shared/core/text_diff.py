"""What changed between two texts, line by line, for people: within bounds of size and time, whatever the texts hold.

Comparing takes time by the square of what lies between the common beginning and the common end, so that part is bounded;
beyond it everything counts as replaced, which is true as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice, takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES = 256 * 1024
MAX_COMPARED = 400
"""Lines between common beginning and end, of either text, that are compared one by one: a fifth of a second at worst."""
MAX_SHOWN = 200
MAX_LINE_CHARS = 400
_CONTEXT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffLine:
    """One line: `mark` is `+`, `-` or a blank, or `@` where lines between were left out; numbers count from 1."""

    mark: str
    text: str
    old: int | None = None
    new: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDiff:
    """The lines that are shown, and how many came and went in all. `note` says in words what could not be shown."""

    lines: tuple[DiffLine, ...] = ()
    added: int = 0
    removed: int = 0
    note: str = ""


def text_diff(old: bytes, new: bytes) -> TextDiff:
    """Compare two texts.

    Args:
        old: The former one; empty where there was none.
        new: The newer one; empty where there is none any more.
    """
    if max(len(old), len(new)) > MAX_BYTES:
        return TextDiff(note=f"larger than {MAX_BYTES // 1024} KiB: not compared here")
    before, after = _lines(old), _lines(new)
    blocks = _blocks(before, after)
    changed = [block for block in blocks if block[0] != "equal"]
    shown = tuple(islice(_shown(blocks, before, after), MAX_SHOWN + 1))
    return TextDiff(
        lines=shown[:MAX_SHOWN],
        added=sum(d - c for _, _, _, c, d in changed),
        removed=sum(b - a for _, a, b, _, _ in changed),
        note=f"only the first {MAX_SHOWN} lines are shown" if len(shown) > MAX_SHOWN else "",
    )


def _lines(data: bytes) -> list[str]:
    # Only what git takes for the end of a line is one: a stray U+2028 is shown as what it is.
    lines = data.decode("utf-8", "backslashreplace").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


Block = tuple[str, int, int, int, int]


def _blocks(before: Sequence[str], after: Sequence[str]) -> list[Block]:
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if max(len(old), len(new)) <= MAX_COMPARED:
        found: list[Block] = [
            (tag, head + a, head + b, head + c, head + d)
            for tag, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes()
        ]
    else:
        found = [("replace", head, head + len(old), head, head + len(new))]
    behind_old, behind_new = head + len(old), head + len(new)
    first: list[Block] = [("equal", 0, head, 0, head)] if head else []
    last: list[Block] = [("equal", behind_old, len(before), behind_new, len(after))] if tail else []
    return [*first, *found, *last]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))


def _shown(blocks: Sequence[Block], before: Sequence[str], after: Sequence[str]) -> Iterator[DiffLine]:
    for place, (tag, a, b, c, d) in enumerate(blocks):
        if tag == "equal":
            # Nothing stands before the first block and behind the last one that would need its lines around it.
            lead = 0 if place == 0 else _CONTEXT
            trail = 0 if place == len(blocks) - 1 else _CONTEXT
            yield from _equal(before, range(a, b), c - a, lead, trail)
            continue
        yield from (DiffLine(mark="-", text=_cut(before[at]), old=at + 1) for at in range(a, b))
        yield from (DiffLine(mark="+", text=_cut(after[at]), new=at + 1) for at in range(c, d))


def _equal(before: Sequence[str], rows: range, shift: int, lead: int, trail: int) -> Iterator[DiffLine]:
    whole = len(rows) <= lead + trail
    first, last = (rows, range(0)) if whole else (rows[:lead], rows[len(rows) - trail :])
    for part in (first, None, last):
        if part is not None:
            yield from (DiffLine(mark=" ", text=_cut(before[at]), old=at + 1, new=at + 1 + shift) for at in part)
        elif not whole:
            yield DiffLine(mark="@", text=f"{len(rows) - lead - trail} lines that did not change")


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]} … {len(line) - MAX_LINE_CHARS} more"
