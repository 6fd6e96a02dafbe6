"""Drawings stay inside their boxes, and a gap is a gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.dashboard.charts import BAR_WIDTH, SPARK_HEIGHT, SPARK_WIDTH, TIMELINE_HEIGHT, bars, spark

VALUES = st.lists(st.none() | st.floats(0, 1e9), max_size=40)


@given(VALUES)
def test_a_sparkline_stays_inside_its_box(values: list[float | None]) -> None:
    found = spark(values)
    points = [tuple(map(float, pair.split(","))) for line in found.lines for pair in line.split()] + list(found.dots)
    assert all(0 <= x <= SPARK_WIDTH and 0 <= y <= SPARK_HEIGHT for x, y in points)
    assert len(points) == sum(value is not None for value in values)


def test_days_without_a_value_part_the_line() -> None:
    found = spark([1, 2, None, 3, None, 4, 5])
    assert (len(found.lines), len(found.dots)) == (2, 1)


def test_a_value_that_never_changes_is_a_line_in_the_middle() -> None:
    assert spark([7, 7, 7]).lines == ("0.0,14.0 60.0,14.0 120.0,14.0",)


@given(st.lists(st.none() | st.integers(0, 10**12), max_size=60))
def test_bars_stand_side_by_side_and_leave_room_for_their_signs(took: list[int | None]) -> None:
    found = bars(took)
    assert [bar.x for bar in found] == [place * BAR_WIDTH for place in range(len(took))]
    assert all(bar.y + bar.height == TIMELINE_HEIGHT and bar.y >= 14 for bar in found)


def test_what_took_longer_has_the_higher_bar() -> None:
    quick, slow = bars([200, 20_000])
    assert quick.height < slow.height
