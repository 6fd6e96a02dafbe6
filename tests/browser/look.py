"""Pictures of the dashboard: where they are kept, and which look the two in README show."""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "dist" / "screenshots"
SHOWN = ROOT / "infra" / "dashboard"
IN_README = ("ready-light.png", "paused-dark.png")
NOTED = SHOWN / "look.sha256"


def digest_of_the_look() -> str:
    """What pictures depend on: templates, styles and script."""
    folder = ROOT / "shared" / "dashboard"
    files = sorted([*(folder / "templates").iterdir(), *(folder / "static").iterdir()])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
