"""Reads every SKILL.md and every flat file over and over, as a gateway would, and tells what was missing, empty or half.

    python -m tests.puller.reader FOLDER a b     # ends when standard input does; a and b must never be missing

Each file proves itself: `whole` ends a text with the digest of all that stands before.
"""

from __future__ import annotations

import hashlib
import json
import select
import sys
from pathlib import Path


def whole(text: str) -> bytes:
    """Return a file that `is_whole`."""
    data = text.encode()
    return data + b"\n" + hashlib.sha256(data).hexdigest().encode()


def is_whole(data: bytes) -> bool:
    """Whether this is all of a file that `whole` made."""
    text, _, digest = data.rpartition(b"\n")
    return hashlib.sha256(text).hexdigest().encode() == digest


def read_until_told(folder: Path, stable: list[str]) -> dict[str, object]:
    """Read until standard input ends.

    Args:
        folder: The skills folder.
        stable: Ids of the skills that are there all the time; others may come and go, but never by halves.

    Returns:
        How often all was read, how many different contents were seen, and each fault once.
    """
    faults: set[str] = set()
    contents: set[bytes] = set()
    rounds = 0
    must = {folder / name for key in stable for name in (f"{key}.md", f"{key}/SKILL.md")}
    while not select.select([sys.stdin], [], [], 0)[0]:
        for path in {*must, *folder.glob("*.md"), *folder.glob("*/SKILL.md")}:
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                faults |= {f"{path.name} of {path.parent.name} is missing"} if path in must else set()
                continue
            contents.add(data)
            if not is_whole(data):
                faults.add(f"{path.name} of {path.parent.name} has {len(data)} bytes and is not whole")
        rounds += 1
    return {"rounds": rounds, "contents": len(contents), "faults": sorted(faults)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read_until_told(Path(sys.argv[1]), sys.argv[2:])))
