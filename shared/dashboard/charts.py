"""The geometry of the drawings, in whole units of their view boxes: numbers in, points out. Colours are the style's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SPARK_WIDTH, SPARK_HEIGHT = 120, 28
BAR_WIDTH, TIMELINE_HEIGHT = 14, 96
_FLOOR = 12
_LOW_MS, _HIGH_MS = 100.0, 60_000.0
"""The timeline's scale: a logarithm between a tenth of a second and a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark:
    """A sparkline: polylines of `x,y` (one for each run of days without a gap), and single days as dots."""

    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]


def spark(values: Sequence[float | None]) -> Spark:
    """Draw a row of values from their least to their greatest.

    Args:
        values: One a day, oldest first; None leaves a gap.
    """
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    step = SPARK_WIDTH / max(1, len(values) - 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            share = (value - low) / (high - low) if high > low else 0.5
            runs[-1].append((round(place * step, 1), round(2 + (1 - share) * (SPARK_HEIGHT - 4), 1)))
    lines = tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1)
    return Spark(lines=lines, dots=tuple(run[0] for run in runs if len(run) == 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One deployment's bar: `x`, `y` and `height` in units of the view box."""

    x: int
    y: int
    height: int


def bars(milliseconds: Sequence[int | None]) -> list[Bar]:
    """Draw the timeline's bars by latency.

    Args:
        milliseconds: How long each took, oldest first; None, not known, gives the lowest bar.
    """
    return [_bar(place, value) for place, value in enumerate(milliseconds)]


def _bar(place: int, value: int | None) -> Bar:
    share = 0.0
    if value is not None:
        share = math.log(min(max(value, _LOW_MS), _HIGH_MS) / _LOW_MS) / math.log(_HIGH_MS / _LOW_MS)
    height = round(_FLOOR + share * (TIMELINE_HEIGHT - _FLOOR - 14))
    return Bar(x=place * BAR_WIDTH, y=TIMELINE_HEIGHT - height, height=height)
