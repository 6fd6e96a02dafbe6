"""The fixtures on a real Neo4j server, for every test that asks; nothing starts before one does.

`graph_server` is the shared server with an empty database, `stoppable_graph_server` the same but surely ours, and
`graph_proxy` a proxy before the first.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.neo4j.choice import JARS, FromImage, FromJars, Given, Nothing, choose, image, java_command, look
from tests.neo4j.processes import Container, JavaProcess
from tests.neo4j.server import USER, OwnServer, Server
from tests.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.neo4j.choice import Choice, Facts


@pytest.fixture(scope="session")
def _graph_facts() -> Facts:
    return look()


@pytest.fixture(scope="session")
def _shared_graph_server(_graph_facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    choice = _there(choose(_graph_facts))
    if isinstance(choice, Given):
        names = os.environ.get("NEO4J_TEST_USER", USER), os.environ.get("NEO4J_TEST_PASSWORD", "")
        yield Server(choice.uri, *names)
        return
    with _running(choice, tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="session")
def _own_graph_server(
    _shared_graph_server: Server, _graph_facts: Facts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnServer]:
    # A restart takes most of a first start's time: a second server beside the shared one would only cost memory.
    if isinstance(_shared_graph_server, OwnServer):
        yield _shared_graph_server
        return
    with _running(_there(choose(_graph_facts, ours=True)), tmp_path_factory) as server:
        yield server


@pytest.fixture
def graph_server(_shared_graph_server: Server) -> Server:
    """A real Neo4j server with an empty database."""
    if isinstance(_shared_graph_server, OwnServer):
        _shared_graph_server.start()
    _shared_graph_server.empty()
    return _shared_graph_server


@pytest.fixture
def stoppable_graph_server(_own_graph_server: OwnServer) -> OwnServer:
    """A real Neo4j server with an empty database that the test may stop, kill and start; it need not start it again."""
    _own_graph_server.start()
    _own_graph_server.empty()
    return _own_graph_server


@pytest.fixture
def graph_proxy(graph_server: Server) -> Iterator[TcpProxy]:
    """A proxy before `graph_server`; `graph_server.driver(through=graph_proxy)` goes through it."""
    with TcpProxy(graph_server.port) as proxy:
        yield proxy


def _there(choice: Choice) -> Given | FromJars | FromImage:
    if isinstance(choice, Nothing):
        (pytest.fail if choice.fails else pytest.skip)(choice.reason)
    return choice


@contextmanager
def _running(choice: Choice, folders: pytest.TempPathFactory) -> Iterator[OwnServer]:
    by_java = isinstance(choice, FromJars)
    server = OwnServer(JavaProcess(java_command(), JARS, folders.mktemp("neo4j")) if by_java else Container(image()))
    try:
        server.start()
        yield server
    finally:
        server.remove()
