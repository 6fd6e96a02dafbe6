"""What was tried and how it ended, as a table: the mark by word and colour, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from shared.cli.screen import BAD, DOUBTFUL, GOOD, QUIET, cell, line, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from shared.cli.client import Document
    from shared.core.credentials import Check

_STYLES = {"ok": GOOD, "warn": DOUBTFUL, "fail": BAD}


def described(check: Check) -> Document:
    """Return a check of ours as the functions tell theirs."""
    return {**asdict(check), "mark": check.mark.value}


def is_failed(check: object) -> bool:
    """Whether a check failed; one that cannot be understood did."""
    return not isinstance(check, dict) or check.get("mark") not in ("ok", "warn")


def checks(found: Sequence[object]) -> Iterator[RenderableType]:
    """Yield the checks as a table; nothing where there are none."""
    if found:
        yield table(("", "check", "what was found", "what to do"), (_row(_read(each)) for each in found))


def by_area(found: Sequence[object]) -> Iterator[RenderableType]:
    """Yield one table with the checks of each area together, in the order in which the areas come."""
    areas = dict.fromkeys(str(_read(each).get("area") or "") for each in found)
    rows: list[tuple[object, ...]] = []
    for area in areas:
        named = area
        for each in found:
            read = _read(each)
            if str(read.get("area") or "") == area:
                rows.append((cell(named, "bold"), *_row(read)))
                named = ""
    yield table(("area", "", "check", "what was found", "what to do"), rows)


def _row(check: Mapping[str, object]) -> tuple[object, ...]:
    code = check.get("code")
    said = line(check.get("text"), *([cell(f"[{code}]", QUIET)] if code else []))
    return _mark(check.get("mark")), check.get("name"), said, check.get("fix")


def _mark(mark: object) -> Text:
    return cell(mark, _STYLES.get(str(mark), BAD))


def _read(check: object) -> Mapping[str, object]:
    return check if isinstance(check, dict) else {}
