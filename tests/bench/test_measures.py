"""What the benchmark counts is counted right: chains of requests, percentiles, targets that are met and missed."""

from __future__ import annotations

import json
import math
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.measures import Request, Sample, Scene, document, in_sequence, percentile, table, traffic
from tests.bench.targets import verdicts


def request(started: float, ended: float, status: int = 200) -> Request:
    return Request(what="GET x", status=status, started=started, ended=ended, sent=10, received=100)


def sample(*, github: int = 3, store: int = 10, file: float = 900.0, status: int = 200) -> Sample:
    # The store's requests stand two by two side by side.
    pairs = [request(number // 2, number // 2 + 0.9) for number in range(store)]
    asked = [request(number, number + 0.9, status) for number in range(github)]
    return Sample(github=traffic(asked), store=traffic(pairs), answer=500.0, pointer=400.0, file=file)


def scene(**changed: object) -> Scene:
    plain: dict[str, object] = {
        "skills": 1000,
        "github_round_trip": 80.0,
        "store_round_trip": 25.0,
        "first_seconds": 4.0,
        "first_file_seconds": 9.0,
        "peak_memory_mb": 150.0,
        "pushes": [sample()] * 20,
        "polls": [sample(github=1, status=304)] * 3,
    }
    return Scene(**{**plain, **changed})  # type: ignore[arg-type]


def missed(found: Scene) -> list[str]:
    return [verdict.text for verdict in verdicts(found) if not verdict.met]


@pytest.mark.parametrize(
    ("spans", "depth"),
    [
        ([], 0),
        ([(0, 1)], 1),
        ([(0, 1), (1, 2), (2, 3)], 3),
        ([(0, 1), (0, 1), (0, 1)], 1),
        ([(0, 9), (1, 2), (3, 4)], 2),
        ([(0, 2), (1, 3), (2, 4), (3, 5)], 2),
    ],
)
def test_requests_side_by_side_count_once(spans: list[tuple[float, float]], depth: int) -> None:
    assert in_sequence([request(*span) for span in spans]) == depth


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)), max_size=7))
def test_the_chain_is_the_longest_there_is(spans: list[tuple[int, int]]) -> None:
    requests = [request(start, start + length) for start, length in spans]

    def is_chain(chosen: tuple[Request, ...]) -> bool:
        ordered = sorted(chosen, key=lambda each: each.started)
        return all(one.ended <= two.started for one, two in pairwise(ordered))

    sizes = [size for size in range(len(requests) + 1) if any(map(is_chain, combinations(requests, size)))]
    assert in_sequence(requests) == max(sizes)


def test_percentiles_are_nearest_ranks() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.95, 1.0, 0.0)] == [50.0, 95.0, 100.0, 1.0]
    assert math.isnan(percentile([], 0.5))


def test_traffic_sums_up_and_keeps_the_statuses_in_order() -> None:
    found = traffic([request(2, 3, 304), request(0, 1, 200)])
    assert (found.requests, found.depth, found.sent, found.received) == (2, 2, 20, 200)
    assert found.statuses == (200, 304)


def test_a_scene_within_its_budget_misses_nothing() -> None:
    assert missed(scene()) == []


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"pushes": [sample()] * 19 + [sample(github=4)]}, "GitHub 4 times"),
        ({"pushes": [sample()] * 19 + [sample(store=11)]}, "store 11 times"),
        ({"pushes": [sample(store=14)]}, "7 of these in sequence"),
        ({"pushes": [sample()] * 18 + [sample(file=1500.0)] * 2}, "push to file p95 1500 ms"),
        ({"polls": [sample(github=1, status=304), sample(github=1)]}, "unchanged poll"),
        ({"polls": [sample(github=2, status=304)]}, "unchanged poll"),
        ({"peak_memory_mb": 200.0}, "peak memory"),
    ],
)
def test_every_target_can_be_missed(changed: dict[str, object], word: str) -> None:
    assert any(word in text for text in missed(scene(**changed)))


def test_memory_is_judged_at_a_thousand_skills_and_sequence_only_with_round_trips() -> None:
    assert missed(scene(skills=64, peak_memory_mb=300.0)) == []
    assert missed(scene(store_round_trip=0.0, pushes=[sample(file=9000.0)])) == []


def test_table_and_document_hold_every_scene() -> None:
    scenes = [scene(), scene(skills=64)]
    lines = table(scenes).splitlines()
    assert [line.split("  ")[0] for line in lines[1:5]] == [
        "push to pointer",
        "push to answer",
        "push to file",
        "unchanged poll",
    ]
    assert "900" in lines[3]
    assert "peak 150 MB (1000, 80/25)" in lines[5]
    assert len({len(line) for line in lines if "first deployment" not in line}) == 1
    held = json.loads(json.dumps(document(scenes)))
    assert [each["skills"] for each in held["scenes"]] == [1000, 64]
    assert held["scenes"][0]["pushes"][0]["store"]["requests"] == 10
