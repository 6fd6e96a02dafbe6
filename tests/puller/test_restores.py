"""Restores for real: a SQLite store, a volume, a Neo4j server, and the operator's own tool; each ends READY at the head."""

from __future__ import annotations

import shutil
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING

import pytest

from shared.adapters.operator_key import open_operator_key
from shared.adapters.sqlite_store import SqliteStore
from shared.cli import trust_home
from shared.cli.trust_home import Line
from shared.core.states import Condition
from shared.errors import PausedError
from shared.service.audit import catch_up
from shared.service.context import Deadline
from tests.fakes.neo4j_graph import Snapshot, dumped, put_back, real, snapshot
from tests.fakes.world import MAIN, REPO, SIGNER, World, skill
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from pathlib import Path

    from shared.adapters.signer import Ed25519Signer
    from shared.cli.trust_home import TrustHome
    from shared.core.states import State
    from tests.neo4j.server import Server

PASSPHRASE = "correct horse battery"


def operator_of(home: TrustHome) -> Ed25519Signer:
    """The operator's key, opened."""
    return open_operator_key(home.path / trust_home.KEY, PASSPHRASE)


class Installation:
    """Functions over a SQLite file, a volume, and an operator with a folder; `snapshot` and `restore` copy real files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.graph: tuple[Server, Snapshot]
        self.world = World(store=SqliteStore(folder / "bucket" / "store.db"))
        line = Line(channel="prod", repo=REPO, ref=MAIN)
        self.home = trust_home.begin(folder / "operator", PASSPHRASE, line, SIGNER.public_key, SIGNER.key_id)
        self.anchor = self.world.trust = self.home.newest
        trust_home.push(self.home, self.world.store)
        self.edge = self._follow()

    def _follow(self) -> Edge:
        return Edge(self.folder / "volume", self.world, anchor=self.anchor)

    def snapshot(self, *parts: str) -> None:
        for part in parts:
            shutil.copytree(self.folder / part, self.folder / f"{part}.snapshot", symlinks=True)

    def restore(self, *parts: str) -> None:
        """Put the copies back; whoever works on them begins anew, as after a real restore."""
        for part in parts:
            if part == "graph":
                put_back(*self.graph)
                continue
            shutil.rmtree(self.folder / part)
            shutil.copytree(self.folder / f"{part}.snapshot", self.folder / part, symlinks=True)
        self.world.store = SqliteStore(self.folder / "bucket" / "store.db")
        self.world.trust = self.anchor
        self.edge = self._follow()

    def go_on(self, rounds: int = 3) -> None:
        """Poll and look in turn, a minute apart, as time goes by."""
        for _ in range(rounds):
            with suppress(PausedError):
                self.world.poll()
            catch_up(self.world.context, Deadline(self.world.clock, 60.0))
            self.edge.look()
            self.world.clock.move(61)

    def bump(self) -> None:
        """What the operator does: sign a new epoch and upload it."""
        following = trust_home.draft(self.home, epoch=self.home.newest.epoch + 1, reason="a restore")
        self.home = trust_home.sign(self.home, following, operator_of(self.home))
        trust_home.push(self.home, self.world.store)

    def states(self) -> tuple[State, State]:
        return self.world.survey().state, self.edge.follower.standing

    def conditions(self) -> tuple[Condition, Condition]:
        functions, puller = self.states()
        return functions.condition, puller.condition

    def is_at_head(self) -> bool:
        files = self.world.repository.files(self.world.repository.head)
        tree = {path: data for path, data in self.edge.files().items() if "/" in path}
        return tree == files == {path: data for path, data in self.edge.wanted().items() if "/" in path}


def built(folder: Path, server: Server | None = None) -> Installation:
    """Snapshots are of deployment 1-2; 1-4 is live and installed, and reported."""
    made = Installation(folder)
    made.world.audit = None if server is None else real(server)
    for text in ("One.", "Two."):
        made.world.deploy(skill("a", text), skill("b"))
        made.edge.look()
    made.snapshot("bucket", "volume")
    if server is not None:
        made.graph = (server, snapshot(server))
    for text in ("Three.", "Four."):
        made.world.clock.move(61)
        made.world.deploy(skill("a", text), skill("b"))
        made.edge.look()
    made.world.clock.move(61)
    made.edge.look()
    return made


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Without an audit graph."""
    return built(tmp_path)


@pytest.fixture
def graphed(tmp_path: Path, graph_server: Server) -> Installation:
    """With an audit graph on a real server."""
    return built(tmp_path, graph_server)


READY = (Condition.READY, Condition.READY)
PAUSED = (Condition.PAUSED, Condition.PAUSED)


PARTS = [
    tuple(part for part, taken in zip(("bucket", "volume", "graph"), which, strict=True) if taken)
    for which in product((False, True), repeat=3)
]


@pytest.mark.parametrize("pushes", [False, True], ids=["same head", "new commit"])
@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: "+".join(parts) or "nothing")
def test_any_restore_ends_ready_at_the_head_with_a_whole_graph(
    graphed: Installation, graph_server: Server, parts: tuple[str, ...], *, pushes: bool
) -> None:
    # Where the bucket alone forgot, and anybody else remembers, a person must say that this was meant.
    needs_operator = "bucket" in parts and parts != ("bucket", "volume", "graph")
    graphed.restore(*parts)
    if pushes:
        graphed.world.push(skill("a", "Five."), skill("b"))
    if needs_operator:
        graphed.edge.look()
        graphed.go_on()
        assert graphed.conditions()[0] is Condition.PAUSED
        assert graphed.states()[0].reasons == ("mismatch_detected",)
        graphed.bump()
    graphed.go_on()
    assert graphed.conditions() == READY
    assert graphed.is_at_head()
    assert graphed.world.pointer.epoch == (2 if needs_operator else 1)
    held = dumped(graph_server)
    assert held.head is not None
    assert held.head[:2] == held.position.number == (graphed.world.pointer.epoch, graphed.world.pointer.seq)
    assert graphed.world.summary.audit == {"deployment": graphed.world.pointer.deployment}


@pytest.mark.parametrize("pushes", [False, True], ids=["same head", "new commit"])
@pytest.mark.parametrize(
    ("parts", "needs_operator"),
    [(("bucket",), True), (("volume",), False), (("bucket", "volume"), False)],
    ids=["bucket", "volume", "both"],
)
def test_a_restore_ends_ready_at_the_head(
    installation: Installation, parts: tuple[str, ...], *, needs_operator: bool, pushes: bool
) -> None:
    before = installation.edge.files()
    installation.restore(*parts)
    if pushes:
        installation.world.push(skill("a", "Five."), skill("b"))
    if needs_operator:
        # The puller refuses first; its report tells the functions.
        installation.edge.look()
        installation.go_on()
        assert installation.conditions() == PAUSED
        assert [state.reasons for state in installation.states()] == [("mismatch_detected",)] * 2
        assert installation.edge.files() == before
        installation.bump()
    installation.go_on()
    assert installation.conditions() == READY
    assert installation.is_at_head()
    assert installation.world.pointer.epoch == (2 if needs_operator else 1)


def test_a_webhook_that_comes_before_anybody_noticed_the_rewind_moves_no_volume(installation: Installation) -> None:
    before = installation.edge.files()
    installation.restore("bucket")
    installation.world.deploy(skill("a", "Five."), skill("b"))  # 1-3 once more, with another content
    installation.edge.look()
    assert installation.edge.files() == before
    installation.go_on()
    assert installation.conditions() == PAUSED
    installation.bump()
    installation.go_on()
    assert installation.conditions() == READY
    assert installation.is_at_head()


def test_a_fork_that_overtakes_the_volume_is_a_violation_that_must_be_acknowledged(installation: Installation) -> None:
    before = installation.edge.files()
    installation.restore("bucket")
    for number in range(4):
        installation.world.deploy(skill("a", f"Fork {number}."), skill("b"))
    installation.go_on()
    assert [state.reasons for state in installation.states()] == [("monotonic_violation",)] * 2
    assert installation.edge.files() == before
    installation.bump()
    installation.go_on()
    assert installation.conditions() == PAUSED
    acknowledged = trust_home.draft(installation.home, ack=1, incident="INC-1", reason="seen")
    operator = operator_of(installation.home)
    installation.home = trust_home.sign(installation.home, acknowledged, operator)
    trust_home.push(installation.home, installation.world.store)
    installation.go_on()
    assert installation.conditions() == READY
    assert installation.is_at_head()


def test_a_bucket_that_is_taken_back_over_an_epoch_gets_its_trust_again(installation: Installation) -> None:
    installation.bump()
    installation.go_on()
    assert installation.world.pointer.deployment == "2-1"
    installation.restore("bucket")  # to a time before the epoch was opened: trust/2 is gone too
    installation.edge.look()
    installation.go_on()
    assert installation.conditions() == PAUSED
    found = installation.world.survey()
    assert found.verdict.against is not None
    assert found.verdict.against.pointer.epoch == 2
    trust_home.push(installation.home, installation.world.store)
    installation.go_on()
    assert installation.conditions() == PAUSED  # in epoch 2 now, where the puller remembers 2-1
    installation.bump()
    installation.go_on()
    assert installation.conditions() == READY
    assert installation.world.pointer.epoch == 3
    assert installation.is_at_head()


@pytest.mark.parametrize("bumps", [0, 1, 2])
def test_a_puller_that_was_offline_past_the_catch_up_follows_again(installation: Installation, bumps: int) -> None:
    for _ in range(bumps):
        installation.bump()
        installation.world.poll()
    for number in range(60):
        installation.world.deploy(skill("a", f"Number {number}."), skill("b"))
        installation.world.clock.move(600)
    installation.world.poll()
    installation.go_on()
    assert installation.conditions() == READY
    assert installation.is_at_head()


def test_a_volume_that_is_restored_after_an_epoch_was_opened_follows_again(installation: Installation) -> None:
    installation.bump()
    installation.go_on()
    installation.restore("volume")
    installation.go_on()
    assert installation.conditions() == READY
    assert installation.edge.trust.newest.epoch == 2
    assert installation.is_at_head()
