"""How fast the audit graph catches up: a store with many deployments that it lacks, and a real Neo4j server."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shared.adapters.neo4j_audit import Neo4jAudit
from shared.adapters.sqlite_store import SqliteStore
from shared.adapters.threads import in_threads
from shared.core.canonical import digest_of
from shared.core.logins import Login
from shared.core.manifest import manifest_bytes
from shared.core.names import CURRENT, object_name, record_name
from shared.core.pointer import Move, next_pointer, sign_pointer
from shared.model import Action, CommitSha, Digest, ManifestRef, SkillId, Status, TreeId, Trigger
from shared.service.audit import catch_up
from shared.service.context import Deadline
from tests.bench.targets import Verdict
from tests.core.samples import a_live_skill, a_manifest
from tests.fakes.world import REPO, SIGNER, TRUST, World
from tests.neo4j.choice import JARS, FromJars, Nothing, choose, image, java_command, look
from tests.neo4j.processes import Container, JavaProcess
from tests.neo4j.server import OwnServer, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.model import Manifest, Pointer

RECORDS, SKILLS = 10_000, 50
SERVER_OPTIONS = ("-Xms256m", "-Xmx512m")
"""As a server runs that is to stay: with all of Java's compilers."""
LEAST_A_SECOND = 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How many records the graph lacked, and how long it took to have them, reading the store and all."""

    records: int
    seconds: float
    again_seconds: float

    @property
    def a_second(self) -> float:
        """Records a second."""
        return self.records / self.seconds


def measure(records: int = RECORDS) -> Measured:
    """Feed a graph from nothing; then once more, when nothing is pending."""
    with tempfile.TemporaryDirectory(prefix="skill-sync-bench-") as folder, _server(Path(folder)) as server:
        world = World(store=SqliteStore(Path(folder) / "store.db"))
        world.together = in_threads
        _fill(world, records)
        server.empty()
        world.audit = Neo4jAudit(
            server.uri, [Login(user=server.user, password=server.password)], channel="prod", repo=REPO
        )
        seconds = _fed(world)
        again = _fed(world)
        with server.driver() as driver:
            (found,) = driver.execute_query(
                "MATCH (d:SkillDeployment)-[:DEPLOYED]->() RETURN count(DISTINCT d) AS n"
            ).records
        assert found["n"] == records
        assert world.summary.audit == {"deployment": f"1-{records}"}
    return Measured(records=records, seconds=seconds, again_seconds=again)


def told(found: Measured) -> str:
    """Tell it for people."""
    return (
        f"projection, {found.records} deployments of {SKILLS} skills that the graph lacked, a real Neo4j server: "
        f"{found.seconds:.1f} s, {found.a_second:,.0f} records/s; with none lacking {1000 * found.again_seconds:.0f} ms"
    )


def verdicts(found: Measured) -> Iterator[Verdict]:
    """Judge the figures."""
    rate = found.a_second
    yield Verdict(text=f"projection {rate:,.0f} records/s ({LEAST_A_SECOND:,.0f})", met=rate >= LEAST_A_SECOND)


def _fed(world: World) -> float:
    started = time.perf_counter()
    catch_up(world.context, Deadline(world.clock, 3600.0))
    return time.perf_counter() - started


def _fill(world: World, records: int) -> None:
    """Write what so many one-skill pushes would have left, without pushing them."""
    manifest = a_manifest(*(a_live_skill(f"skill-{number:03d}") for number in range(SKILLS)))
    pointer: Pointer | None = None
    envelope = b""
    for number in range(records):
        manifest = _changed(manifest, number)
        data = manifest_bytes(manifest)
        digest = digest_of(data)
        world.clock.move(30)
        move = Move(
            action=Action.DEPLOY,
            status=Status.SUCCESS,
            trigger=Trigger.WEBHOOK,
            commit=CommitSha(f"{number:040x}"),
            manifest=ManifestRef(sha256=digest, size=len(data), skills=SKILLS),
            token=f"{number:032x}",
        )
        pointer = next_pointer(pointer, move, trust=TRUST, now=world.clock.now(), poll_seconds=300.0)
        envelope = sign_pointer(pointer, SIGNER)
        world.store.put(object_name(digest), data, if_generation=0)
        world.store.put(record_name(pointer.deployment), envelope, if_generation=0)
    world.store.put(CURRENT, envelope, if_generation=0)


def _changed(manifest: Manifest, number: int) -> Manifest:
    key = SkillId(f"skill-{number % SKILLS:03d}")
    tree, archive = TreeId(f"{number + 1:040x}"), Digest(f"{number + 1:064x}")
    skill = replace(manifest.skills[key], tree=tree, archive=archive, version=f"1.{number}.0")
    return replace(manifest, skills={**manifest.skills, key: skill})


@contextmanager
def _server(folder: Path) -> Iterator[Server]:
    found = choose(look(), ours=True)
    assert not isinstance(found, Nothing), found.reason
    data = folder / "neo4j"
    data.mkdir()
    runner = (
        JavaProcess(java_command(), JARS, data, SERVER_OPTIONS) if isinstance(found, FromJars) else Container(image())
    )
    server = OwnServer(runner)
    try:
        server.start()
        yield server
    finally:
        server.remove()
