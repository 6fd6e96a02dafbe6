"""What the fixtures promise to other tests, on the real server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import neo4j
import pytest
from neo4j.exceptions import AuthError, ClientError, ServiceUnavailable

from tests.neo4j.processes import create_arguments

if TYPE_CHECKING:
    from tests.neo4j.server import OwnServer, Server


def count(server: Server) -> int:
    with server.driver() as driver:
        return int(driver.execute_query("MATCH (n) RETURN count(n) AS n", result_transformer_=neo4j.Result.single)["n"])


def create(server: Server, name: str) -> None:
    with server.driver() as driver:
        driver.execute_query("CREATE (:Told {name: $name})", name=name)


def test_it_is_a_real_server_of_the_community_edition(graph_server: Server) -> None:
    with graph_server.driver() as driver:
        assert driver.get_server_info().agent.startswith("Neo4j/5.26.")
        edition = driver.execute_query("CALL dbms.components() YIELD edition", result_transformer_=neo4j.Result.value)
    assert edition == ["community"]


def test_what_is_written_is_read_back(graph_server: Server) -> None:
    create(graph_server, "blue")
    with graph_server.driver() as driver:
        names = driver.execute_query("MATCH (n:Told) RETURN n.name", result_transformer_=neo4j.Result.value)
    assert names == ["blue"]


@pytest.mark.parametrize("time_", [1, 2])
def test_each_test_gets_a_database_without_nodes_constraints_and_indexes(graph_server: Server, time_: int) -> None:
    with graph_server.driver() as driver:
        for shown in ("CONSTRAINTS", "INDEXES"):
            names = driver.execute_query(
                f"SHOW {shown} YIELD name, type WHERE type <> 'LOOKUP'", result_transformer_=neo4j.Result.value
            )
            assert names == []
        assert count(graph_server) == 0
        driver.execute_query("CREATE CONSTRAINT one FOR (n:Told) REQUIRE n.name IS UNIQUE")
        driver.execute_query("CREATE INDEX two FOR (n:Told) ON (n.time)")
        driver.execute_query("CREATE (:Told {name: $time})-[:BY]->(:Teller)", time=time_)


def test_a_transaction_left_open_does_not_keep_the_database_from_being_emptied(graph_server: Server) -> None:
    create(graph_server, "blue")
    with graph_server.driver() as driver, driver.session() as session:
        left = session.begin_transaction()
        left.run("MATCH (n:Told) SET n.name = 'locked'").consume()
        graph_server.empty()
        assert count(graph_server) == 0
        with pytest.raises(neo4j.exceptions.Neo4jError, match="terminated"):
            left.run("RETURN 1").consume()


def test_a_wrong_password_is_refused_with_the_servers_own_code(graph_server: Server) -> None:
    with graph_server.driver(auth=(graph_server.user, "wrong")) as driver, pytest.raises(AuthError) as caught:
        driver.verify_connectivity()
    assert caught.value.code == "Neo.ClientError.Security.Unauthorized"


def test_three_wrong_passwords_before_do_not_keep_the_database_from_being_emptied(graph_server: Server) -> None:
    create(graph_server, "blue")
    for _ in range(4):
        with graph_server.driver(auth=(graph_server.user, "wrong")) as driver, pytest.raises(ClientError) as caught:
            driver.verify_connectivity()
    assert caught.value.code == "Neo.ClientError.Security.AuthenticationRateLimit"
    graph_server.empty()
    assert count(graph_server) == 0


def test_data_survive_a_stop_and_a_start_on_the_same_address(stoppable_graph_server: OwnServer) -> None:
    create(stoppable_graph_server, "blue")
    address = stoppable_graph_server.uri
    stoppable_graph_server.stop()
    with stoppable_graph_server.driver() as driver, pytest.raises(ServiceUnavailable):
        driver.verify_connectivity()
    stoppable_graph_server.start()
    assert stoppable_graph_server.uri == address
    assert count(stoppable_graph_server) == 1


def test_data_survive_a_crash(stoppable_graph_server: OwnServer) -> None:
    create(stoppable_graph_server, "blue")
    with stoppable_graph_server.driver() as driver, driver.session() as session:
        session.begin_transaction().run("CREATE (:Told)").consume()
        stoppable_graph_server.kill()
        with pytest.raises(ServiceUnavailable):
            driver.verify_connectivity()
    stoppable_graph_server.start()
    assert count(stoppable_graph_server) == 1


def test_a_server_left_stopped_is_started_for_the_next_test(
    stoppable_graph_server: OwnServer, request: pytest.FixtureRequest
) -> None:
    stoppable_graph_server.kill()
    server = request.getfixturevalue("graph_server")
    assert count(server) == 0


def test_a_started_server_is_not_started_again(stoppable_graph_server: OwnServer) -> None:
    create(stoppable_graph_server, "blue")
    started = time.monotonic()
    stoppable_graph_server.start()
    assert time.monotonic() - started < 2
    assert count(stoppable_graph_server) == 1


def test_a_container_gets_the_settings_as_the_image_spells_them() -> None:
    arguments = create_arguments("name", "neo4j:5-community", 1234)
    assert arguments[-1] == "neo4j:5-community"
    assert "127.0.0.1:1234:7687" in arguments
    assert "NEO4J_dbms_usage__report_enabled=false" in arguments
    assert "NEO4J_server_bolt_advertised__address=127.0.0.1:1234" in arguments
