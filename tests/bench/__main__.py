"""`make bench`: how fast a push becomes a file, what that costs in requests, bytes and memory, and the same of the puller.

    make bench ARGS="--skills 64,1000 --round-trips 80/25,0/0 --pushes 50 --json bench.json"

Exits with 1 when a target of architecture.md's budget is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import cold_start, dashboard, health, projection, puller, puller_measures, validation
from tests.bench.measures import document, table
from tests.bench.play import play
from tests.bench.targets import verdicts
from tests.stage import RoundTrips

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.targets import Verdict


def main() -> int:
    """Play all scenes, print the table and the verdicts, write the JSON."""
    options = _parser().parse_args()
    scenes = []
    for size in options.skills:
        for trips in options.round_trips:
            print(
                f"{size} skills, GitHub {trips.github:g} ms, store {trips.store:g} ms ...", file=sys.stderr, flush=True
            )
            with tempfile.TemporaryDirectory(prefix="skill-sync-bench-") as folder:
                scenes.append(play(Path(folder), size, trips, pushes=options.pushes, polls=options.polls))
    if scenes:
        print(table(scenes))
    found = [verdict for scene in scenes for verdict in verdicts(scene)]
    results = document(scenes)
    for part in _parts(options):
        print("\n" + part.told)
        found += part.verdicts
        results[part.name] = part.figures
    print("\n" + "\n".join(f"{'ok    ' if verdict.met else 'MISSED'}  {verdict.text}" for verdict in found))
    results["targets"] = [{"text": each.text, "met": each.met} for each in found]
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {options.json}")
    return 0 if all(verdict.met for verdict in found) else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What one more thing that was measured has to tell."""

    name: str
    told: str
    verdicts: list[Verdict]
    figures: dict[str, object]


def _parts(options: argparse.Namespace) -> Iterator[_Part]:
    if options.cold_starts:
        print(f"cold starts, {options.cold_starts} rounds ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="skill-sync-bench-") as folder:
            began = cold_start.measure(Path(folder), rounds=options.cold_starts)
        judged = [*cold_start.verdicts(began)]
        yield _Part(name="cold_start", told=cold_start.told(began), verdicts=judged, figures=asdict(began))
    if not options.without_validation:
        gate = validation.measure()
        yield _Part(
            name="validation", told=validation.told(gate), verdicts=[*validation.verdicts(gate)], figures=asdict(gate)
        )
    if options.history:
        print(f"/health, {options.history} deployments ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="skill-sync-bench-") as folder:
            asked = health.measure(Path(folder), deployments=options.history)
        yield _Part(name="health", told=health.told(asked), verdicts=[*health.verdicts(asked)], figures=asdict(asked))
        print(f"dashboard, {options.history} deployments ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="skill-sync-bench-") as folder:
            pages = dashboard.measure(Path(folder), deployments=options.history)
        judged = [*dashboard.verdicts(pages)]
        yield _Part(name="dashboard", told=dashboard.told(pages), verdicts=judged, figures=asdict(pages))
    if options.projection:
        print(f"projection, {options.projection} deployments ...", file=sys.stderr, flush=True)
        fed = projection.measure(options.projection)
        yield _Part(
            name="projection", told=projection.told(fed), verdicts=[*projection.verdicts(fed)], figures=asdict(fed)
        )
    if not options.without_puller:
        print(f"puller, {options.puller_skills} skills ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="skill-sync-bench-") as folder:
            volume = puller.measure(Path(folder), skills=options.puller_skills)
        judged = [*puller_measures.verdicts(volume)]
        yield _Part(name="puller", told=puller_measures.told(volume), verdicts=judged, figures=asdict(volume))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--skills", type=_sizes, default=[64, 1000], help="sizes of the repository, with commas; empty for none"
    )
    parser.add_argument(
        "--round-trips", type=_trips, default=_trips("80/25,0/0"), help="ms to GitHub / ms to the store, with commas"
    )
    parser.add_argument("--pushes", type=int, default=50, help="one-file pushes a scene (default: %(default)s)")
    parser.add_argument("--polls", type=int, default=10, help="unchanged polls a scene (default: %(default)s)")
    parser.add_argument(
        "--cold-starts",
        type=int,
        default=cold_start.ROUNDS,
        help="starts of each function that is compared; 0 leaves it out (default: %(default)s)",
    )
    parser.add_argument("--without-validation", action="store_true", help="leave out what the gate can do")
    parser.add_argument(
        "--history",
        type=int,
        default=10_000,
        help="deployments on record for /health and the dashboard; 0 leaves it out (%(default)s)",
    )
    parser.add_argument(
        "--projection",
        type=int,
        default=10_000,
        help="deployments that the audit graph lacks; 0 leaves it out (default: %(default)s)",
    )
    parser.add_argument(
        "--puller-skills", type=int, default=10_000, help="skills on the puller's volume (default: %(default)s)"
    )
    parser.add_argument("--without-puller", action="store_true", help="leave out what the puller can do")
    parser.add_argument("--json", type=Path, default=Path(".data/bench.json"), help="default: %(default)s")
    return parser


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _trips(text: str) -> list[RoundTrips]:
    pairs = [part.split("/") for part in text.split(",")]
    return [RoundTrips(github=float(github), store=float(store)) for github, store in pairs]


if __name__ == "__main__":
    sys.exit(main())
