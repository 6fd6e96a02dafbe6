"""Words for tests about what people do to the files of a volume, and what a puller then makes of it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.puller.edge import Edge

WORK = b"a person's work"
PACE = 2.0
MINUTE = 60.0


def a_minute(edge: Edge, *, until: Callable[[], bool] = bool) -> float:
    """Look at normal pace for a minute, or until something is so; returns how many seconds that took."""
    passed = 0.0
    while passed < MINUTE and not until():
        edge.world.clock.move(PACE)
        passed += PACE
        edge.look()
    return passed


def told(edge: Edge) -> list[tuple[str, str, str]]:
    """Everything that was reported of drift: path, what, action."""
    listed = [each for report in edge.function.reports for each in report.get("drift", [])]  # type: ignore[attr-defined]
    return [(each["path"], each["what"], each["action"]) for each in listed]


def restore(edge: Edge, deployment: str) -> None:
    """What the README tells an operator to do."""
    sources = sorted((edge.backups / deployment).iterdir())
    subprocess.run(["cp", "-r", *sources, edge.skills], check=True, timeout=30)


def write_unseen(path: Path, data: bytes) -> None:
    """Change a file's content without changing its size or its time."""
    before = path.stat()
    assert before.st_size == len(data)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def kept_somewhere(edge: Edge, data: bytes) -> bool:
    """Whether a content is still in place, or in the backups."""
    roots = (edge.skills, edge.backups)
    return any(
        path.is_file() and not path.is_symlink() and path.read_bytes() == data
        for root in roots
        for path in root.rglob("*")
    )
