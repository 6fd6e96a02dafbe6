"""What the dashboard is measured on is as large as it says, and each target can be met and missed."""

from __future__ import annotations

import pytest

from shared.core.manifest import parse_manifest
from shared.core.names import object_name
from tests.bench.dashboard import SKILLS, WITHHELD, Measured, Page, put_bundle, told, verdicts
from tests.fakes.memory_store import MemoryStore


def measured(milliseconds: float = 5.0, size: int = 1000, status: int = 200) -> Measured:
    good = Page(path="/", status=200, bytes=1000, calls=[1.0])
    other = Page(path="/?q=x", status=status, bytes=size, calls=[milliseconds])
    return Measured(deployments=10_000, skills=SKILLS, first_ms=9.0, pages=[good, other])


def test_the_bundle_is_as_large_as_it_says() -> None:
    store = MemoryStore()
    ref = put_bundle(store)
    stored = store.get(object_name(ref.sha256))
    assert stored is not None
    manifest = parse_manifest(stored.data)
    assert (len(manifest.skills), len(manifest.withheld), ref.skills) == (SKILLS, WITHHELD, SKILLS)


@pytest.mark.parametrize(
    ("found", "met"),
    [
        (measured(), [True, True, True]),
        (measured(milliseconds=300.0), [False, True, True]),
        (measured(size=150_000), [True, False, True]),
        (measured(status=503), [True, True, False]),
    ],
)
def test_each_target_can_be_met_and_missed(found: Measured, met: list[bool]) -> None:
    assert [verdict.met for verdict in verdicts(found)] == met


def test_it_is_told_a_line_a_page() -> None:
    assert told(measured()).splitlines() == [
        "dashboard, 10,000 deployments and 2,000 skills, first page 9 ms",
        "  /                                p50   1.0 ms, p95   1.0 ms,   1.0 KB",
        "  /?q=x                            p50   5.0 ms, p95   5.0 ms,   1.0 KB",
    ]
