"""Two logins on a real Neo4j server: the newest is used, the other one when that is refused, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.adapters.neo4j_audit import KNOWN_SECONDS, Neo4jAudit
from shared.core.logins import Login
from shared.core.plain_text import fingerprint
from shared.errors import SkillSyncError
from tests.fakes.neo4j_graph import CHANNEL, REPO
from tests.neo4j.second_user import administrator, drop, second_user
from tests.stage import free_port

if TYPE_CHECKING:
    from tests.neo4j.server import Server

UNKNOWN = Login(user="skill_sync_nobody", password="n" * 40)


class Counted:
    """The adapter with those logins, and the fingerprints of what was refused."""

    def __init__(self, server: Server, *logins: Login, uri: str = "") -> None:
        self.now = 0.0
        self.audit = Neo4jAudit(uri or server.uri, logins, channel=CHANNEL, repo=REPO, clock=lambda: self.now)

    def look(self) -> None:
        with self.audit.open(20.0) as session:
            session.state()

    def code(self) -> str:
        with pytest.raises(SkillSyncError) as raised:
            self.look()
        return raised.value.code


def refusals(capsys: pytest.CaptureFixture[str]) -> int:
    """How many refused logins were logged, for the password of `UNKNOWN`; no password ever is."""
    out = capsys.readouterr().out
    assert UNKNOWN.password not in out
    return out.count(f'"fingerprint": "{fingerprint(UNKNOWN.password)}"')


def test_a_refused_login_is_followed_by_the_other_one_and_told_by_its_fingerprint(
    graph_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = Counted(graph_server, UNKNOWN, administrator(graph_server))
    counted.look()
    assert refusals(capsys) == 1


def test_a_refused_login_costs_a_connection_once_a_minute(
    graph_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = Counted(graph_server, UNKNOWN, administrator(graph_server))
    for _ in range(3):
        counted.look()
    assert refusals(capsys) == 1
    counted.now = KNOWN_SECONDS
    counted.look()
    counted.look()
    assert refusals(capsys) == 1


def test_users_are_flipped_without_a_gap(graph_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with second_user(graph_server) as second:
        counted = Counted(graph_server, second, administrator(graph_server))
        counted.look()
        assert refusals(capsys) == 0
        drop(graph_server)
        counted.look()


def test_the_login_that_is_remembered_is_given_up_when_it_is_refused_itself(graph_server: Server) -> None:
    with second_user(graph_server) as second:
        # The second user is the old one here: it is remembered while the newest is not there yet, and dropped then.
        counted = Counted(graph_server, UNKNOWN, second, administrator(graph_server))
        counted.look()
        drop(graph_server)
        counted.look()


def test_a_user_who_must_change_the_password_first_is_as_good_as_refused(graph_server: Server) -> None:
    with second_user(graph_server, must_change=True) as second:
        Counted(graph_server, second, administrator(graph_server)).look()


def test_when_both_are_refused_the_graph_is_closed_to_us(
    graph_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = Counted(graph_server, UNKNOWN, Login(user="skill_sync_other", password="o" * 40))
    assert counted.code() == "AUDIT_DENIED"
    assert refusals(capsys) == 1


def test_a_server_that_is_not_there_is_not_asked_a_second_time(
    graph_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = Counted(graph_server, UNKNOWN, administrator(graph_server), uri=f"bolt://127.0.0.1:{free_port()}")
    assert counted.code() == "AUDIT_UNAVAILABLE"
    assert refusals(capsys) == 0
