"""`make history`: play a repository's whole history through the product, with webhooks lost and doubled at random.

    make history REPO=../my-skills ARGS="--seed 1 --lose 0.3 --double 0.3"

Without REPO a history is made up. Ends with 0 when the volume held what the commits hold, the last one above all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.history.made_up import make_history
from tests.history.play import Script, play


def main() -> int:
    """Play and print the report."""
    options = _parser().parse_args()
    script = Script(seed=options.seed, lose=options.lose, double=options.double)
    with tempfile.TemporaryDirectory(prefix="skill-sync-history-") as folder:
        repository = Path(options.repo) if options.repo else make_history(Path(folder) / "made-up").path
        report = play(Path(folder) / "stage", repository, options.branch or "HEAD", script)
    print("\n".join(f"{name.replace('_', ' '):<18}{value}" for name, value in asdict(report).items()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make history", description=__doc__)
    parser.add_argument("--repo", default="", help="path of a git repository (default: one is made up)")
    parser.add_argument("--branch", default="", help="default: what is checked out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lose", type=float, default=0.3, help="share of webhook calls that are lost")
    parser.add_argument("--double", type=float, default=0.3, help="share of webhook calls that are made twice")
    return parser


if __name__ == "__main__":
    sys.exit(main())
