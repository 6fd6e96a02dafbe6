"""A whole history through the product, over REST and over git, while webhooks are lost and doubled: the end is the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.history.made_up import make_history
from tests.history.play import Script, play

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", [3, 5])
def test_a_history_with_webhooks_lost_and_doubled_ends_equal_to_its_head(tmp_path: Path, seed: int) -> None:
    repo = make_history(tmp_path / "made-up")
    report = play(tmp_path / "stage", repo.path, "HEAD", Script(seed=seed, lose=0.4, double=0.4))
    assert (report.commits, report.skills) == (13, 5)
    assert report.lost > 0
    assert report.delivered + report.lost > report.commits, "some came twice"
    assert report.recorded_as_lost <= report.lost
    assert (report.asked_rest > 0, report.fetched_by_git) == (True, 0)


def test_a_history_ends_equal_to_its_head_while_the_rest_api_is_down(tmp_path: Path) -> None:
    repo = make_history(tmp_path / "made-up")
    report = play(tmp_path / "stage", repo.path, "HEAD", Script(seed=1, lose=0.2, double=0.2, refuse=True))
    assert (report.commits, report.skills) == (13, 5)
    assert report.fetched_by_git > 0
