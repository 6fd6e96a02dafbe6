"""Staging thousands of skills: several downloads at once, and never more of them in memory than a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.core.archive import MAX_ARCHIVE_BYTES
from shared.puller.downloads import MAX_DOWNLOADS, has_room
from shared.puller.follow import Result
from tests.core.samples import a_live_skill
from tests.fakes.world import skill
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from shared.model import LiveSkill


def test_no_more_archives_are_fetched_ahead_than_may_wait(tmp_path: Path) -> None:
    edge = Edge(tmp_path, layouts=("tree",))
    edge.world.deploy(*(skill(f"s{number:02d}") for number in range(60)))
    staging = edge.folder / ".skill-sync" / "staging"
    manifest = edge.world.pointer.manifest.sha256
    asked: list[str] = []
    ahead: list[int] = []

    def note(request: httpx.Request) -> None:
        if "/v1/objects/" in request.url.path and manifest not in request.url.path:
            asked.append(request.url.path)
            ahead.append(len(asked) - len(list(staging.iterdir()) if staging.exists() else []))

    edge.function.fault = note
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()
    assert len(asked) == 60
    # One more is being unpacked while the next is asked for.
    assert max(ahead) <= MAX_DOWNLOADS + 1


@pytest.mark.parametrize(
    ("sizes", "following", "fits"),
    [
        ([], 1, True),
        ([1] * (MAX_DOWNLOADS - 1), 1, True),
        ([1] * MAX_DOWNLOADS, 1, False),
        ([MAX_ARCHIVE_BYTES - 1], 1, True),
        ([MAX_ARCHIVE_BYTES], 1, False),
        ([1], MAX_ARCHIVE_BYTES, False),
    ],
)
def test_what_is_under_way_is_bounded_in_number_and_in_bytes(*, sizes: list[int], following: int, fits: bool) -> None:
    def of(size: int) -> LiveSkill:
        return a_live_skill("a", archive_size=size)

    assert has_room([of(size) for size in sizes], of(following)) is fits
