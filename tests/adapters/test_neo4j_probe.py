"""The audit graph's logins are tried on a real Neo4j server: what proves one, what does not, and that nothing is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from shared import wiring
from shared.adapters.neo4j_probe import GraphProbe
from shared.config import load_settings
from shared.core.credentials import Mark
from shared.core.logins import Login
from tests.neo4j.second_user import PASSWORD, administrator, second_user
from tests.stage import free_port
from tests.tcp_proxy import Trap

if TYPE_CHECKING:
    from shared.core.credentials import Check
    from tests.neo4j.server import Server
    from tests.tcp_proxy import TcpProxy

SECONDS = 20.0
FORM, WRITES, REFUSES, OTHER = (
    "password-is-well-formed",
    "newest-login-writes",
    "made-up-password-is-refused",
    "other-login-still-works",
)
NOBODY = Login(user="skill_sync_nobody", password="n" * 40)


def told(checks: list[Check]) -> list[tuple[str, str, str]]:
    assert all(check.fix and check.text for check in checks if check.mark is not Mark.OK)
    assert all(PASSWORD not in str(check) and NOBODY.password not in str(check) for check in checks)
    return [(check.name, check.mark.value, check.code) for check in checks]


def left_behind(server: Server) -> int:
    with server.driver() as driver:
        return int(driver.execute_query("MATCH (n) RETURN count(n) AS found").records[0]["found"])


def test_a_login_that_writes_beside_one_that_still_works_is_well(graph_server: Server) -> None:
    with second_user(graph_server) as second:
        checks = GraphProbe(graph_server.uri, [second, administrator(graph_server)])(SECONDS)
    assert told(checks) == [(FORM, "ok", ""), (WRITES, "ok", ""), (REFUSES, "ok", ""), (OTHER, "ok", "")]
    assert left_behind(graph_server) == 0


def test_a_login_that_is_refused_fails_even_where_the_other_one_works(graph_server: Server) -> None:
    checks = GraphProbe(graph_server.uri, [NOBODY, administrator(graph_server)])(SECONDS)
    assert told(checks) == [(FORM, "ok", ""), (WRITES, "fail", "AUDIT_DENIED"), (OTHER, "ok", "")]


def test_a_user_who_must_change_the_password_first_fails(graph_server: Server) -> None:
    with second_user(graph_server, must_change=True) as second:
        checks = GraphProbe(graph_server.uri, [second])(SECONDS)
    assert told(checks) == [(FORM, "ok", ""), (WRITES, "fail", "AUDIT_DENIED")]
    assert "CHANGE NOT REQUIRED" in checks[1].fix


def test_an_old_login_that_is_refused_is_a_warning(graph_server: Server) -> None:
    with second_user(graph_server) as second:
        checks = GraphProbe(graph_server.uri, [second, NOBODY])(SECONDS)
    assert told(checks)[1:] == [(WRITES, "ok", ""), (REFUSES, "ok", ""), (OTHER, "warn", "OLD_LOGIN_REFUSED")]


def test_a_server_that_lets_any_password_in_proves_nothing(graph_server: Server) -> None:
    with second_user(graph_server) as second:
        checks = GraphProbe(graph_server.uri, [second], made_up=lambda: PASSWORD)(SECONDS)
    assert told(checks)[1:] == [(WRITES, "ok", ""), (REFUSES, "fail", "MADE_UP_PASSWORD_ACCEPTED")]


@pytest.mark.parametrize(
    ("password", "code"), [("short", "VALUE_TOO_SHORT"), (f"{'a' * 20} {'b' * 20}", "VALUE_HAS_BLANKS")]
)
def test_a_password_of_a_weak_form_fails(graph_server: Server, password: str, code: str) -> None:
    checks = GraphProbe(graph_server.uri, [Login(user=NOBODY.user, password=password)])(SECONDS)
    assert checks[0].mark is Mark.FAIL
    assert checks[0].code == code


@pytest.mark.parametrize("word", [b"SkillSyncProbe {id: $id}) DELETE", b"CREATE (:SkillSyncProbe"])
@pytest.mark.parametrize("deliver", [True, False])
def test_a_probe_that_is_cut_off_leaves_nothing_behind(
    graph_server: Server, graph_proxy: TcpProxy, word: bytes, *, deliver: bool
) -> None:
    graph_proxy.fail(Trap(match=word, then="cut", deliver=deliver))
    # The driver tries a transaction again after a cut: however it ends, no node stays.
    GraphProbe(f"bolt://127.0.0.1:{graph_proxy.port}", [administrator(graph_server)])(SECONDS)
    assert graph_proxy.sprung.is_set()
    assert left_behind(graph_server) == 0


def test_a_silent_server_is_given_up_in_time(graph_server: Server, graph_proxy: TcpProxy) -> None:
    graph_proxy.stall()
    started = time.monotonic()
    logins = [administrator(graph_server), NOBODY]
    checks = GraphProbe(f"bolt://127.0.0.1:{graph_proxy.port}", logins)(1.0)
    assert time.monotonic() - started < 1.0 + 2.5
    assert told(checks)[-2:] == [(WRITES, "fail", "AUDIT_TOO_SLOW"), (OTHER, "warn", "AUDIT_TOO_SLOW")]


def test_nobody_at_the_address_fails_with_what_to_do() -> None:
    checks = GraphProbe(f"bolt://127.0.0.1:{free_port()}", [NOBODY])(SECONDS)
    assert told(checks) == [(FORM, "ok", ""), (WRITES, "fail", "AUDIT_UNAVAILABLE")]
    assert "NEO4J_URI" in checks[1].fix


def test_a_private_name_of_railways_is_named_as_the_cause() -> None:
    # No name is looked up in time: the answer is the same as where there is none.
    checks = GraphProbe("bolt://neo4j.railway.internal:7687", [NOBODY])(0.0)
    assert checks[1].mark is Mark.FAIL
    assert "names a host in .railway.internal" in checks[1].fix


def test_the_settings_pair_users_and_passwords_for_the_probe(graph_server: Server) -> None:
    assert wiring.graph_probe(load_settings({})) is None
    with second_user(graph_server) as second:
        settings = {
            "NEO4J_URI": graph_server.uri,
            "NEO4J_USER": f"{second.user}\n{graph_server.user}",
            "NEO4J_PASSWORD": f"{second.password}\n{graph_server.password}",
        }
        probe = wiring.graph_probe(load_settings(settings))
        assert probe is not None
        assert {mark for _, mark, _ in told(probe(SECONDS))} == {"ok"}
