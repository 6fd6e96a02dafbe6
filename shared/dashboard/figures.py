"""The key figures beside their targets, each with its last 30 days as a line and as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dashboard import words
from shared.dashboard.charts import Spark, spark
from shared.dashboard.members import items
from shared.dashboard.times import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.dashboard.words import Word

_MET = {
    True: words.Word(text="met", sign="✓", tone="good"),
    False: words.Word(text="missed", sign="✕", tone="bad"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One key figure. `days` has a day and its value in words; `trend` says in words what the line shows."""

    key: str
    name: str
    value: str
    target: str
    word: Word
    spark: Spark
    trend: str
    days: tuple[tuple[str, str], ...]


def figures(kpis: object, days: Mapping[str, Sequence[tuple[str, float | None]]]) -> tuple[Figure, ...]:
    """Describe the key figures.

    Args:
        kpis: As `core.kpis.kpis` sums them up.
        days: Each indicator's value on each day, as `core.kpis.history` returns them.
    """
    found = [each for each in items(kpis, "indicators") if isinstance(each, dict)]
    return tuple(_figure(each, days.get(str(each.get("name")), ())) for each in found)


def _figure(told: Mapping[str, object], days: Sequence[tuple[str, float | None]]) -> Figure:
    unit, name = str(told.get("unit")), str(told.get("name"))
    measured = [value for _, value in days if value is not None]
    trend = "nothing was measured"
    if measured:
        trend = f"days measured: {len(measured)}; from {_amount(min(measured), unit)} to {_amount(max(measured), unit)}"
    met = told.get("met")
    return Figure(
        key=name.replace("_", "-"),
        name=words.INDICATORS.get(name, name),
        value=_amount(told.get("value"), unit),
        target=_target(str(told.get("target")), unit),
        word=_MET[met] if isinstance(met, bool) else words.NOTHING,
        spark=spark([value for _, value in days]),
        trend=trend,
        days=tuple((day, _amount(value, unit)) for day, value in days),
    )


def _amount(value: object, unit: str) -> str:
    if not isinstance(value, int | float):
        return "·"
    return f"{100 * value:.4g} %" if unit == "ratio" else duration(value)


def _target(text: str, unit: str) -> str:
    comparison, _, bound = text.partition(" ")
    try:
        return f"{comparison} {_amount(float(bound), unit)}"
    except ValueError:
        return text
