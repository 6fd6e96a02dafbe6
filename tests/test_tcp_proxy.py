"""The proxy before a server that echoes, and before the real Neo4j."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import neo4j
import pytest
from neo4j.exceptions import DriverError, IncompleteCommit, ServiceUnavailable

from tests.tcp_proxy import TcpProxy, Trap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.neo4j.server import Server

PATIENCE_SECONDS = 10.0
BRIEFLY = 0.2
# The whole message in Bolt: its length, a structure without fields, its signature, the end.
COMMIT = b"\x00\x02\xb0\x12\x00\x00"


@contextmanager
def echo() -> Iterator[int]:
    """Send back what comes, one connection after the other."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    while data := connection.recv(100):
                        connection.sendall(data)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_SECONDS)


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    with echo() as port, TcpProxy(port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_SECONDS) as client:
        yield client


def ask(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return client.recv(100)


def test_bytes_pass_unaltered(client: socket.socket, proxy: TcpProxy) -> None:
    assert ask(client, b"one") == b"one"
    assert ask(client, b"two") == b"two"
    assert proxy.connections == 1


def test_what_is_held_passes_after_the_stall(client: socket.socket, proxy: TcpProxy) -> None:
    proxy.stall()
    client.settimeout(BRIEFLY)
    with pytest.raises(TimeoutError):
        ask(client, b"one")
    client.settimeout(PATIENCE_SECONDS)
    proxy.resume()
    assert client.recv(100) == b"one"


def test_a_delay_holds_each_piece_both_ways(client: socket.socket, proxy: TcpProxy) -> None:
    proxy.delay_seconds = 0.05
    started = time.monotonic()
    assert ask(client, b"one") == b"one"
    assert time.monotonic() - started >= 0.1


def test_a_drip_comes_byte_by_byte(client: socket.socket, proxy: TcpProxy) -> None:
    proxy.delay_seconds, proxy.piece_bytes = 0.05, 1
    client.sendall(b"one")
    assert [client.recv(100) for _ in range(3)] == [b"o", b"n", b"e"]


def test_a_cut_resets_open_connections_and_lets_new_ones_pass(client: socket.socket, proxy: TcpProxy) -> None:
    assert ask(client, b"one") == b"one"
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_SECONDS) as second:
        assert ask(second, b"two") == b"two"


def test_a_trap_springs_once_and_only_on_its_match(client: socket.socket, proxy: TcpProxy) -> None:
    proxy.fail(Trap(b"two", then="cut"))
    assert ask(client, b"one") == b"one"
    assert not proxy.sprung.is_set()
    with pytest.raises(ConnectionResetError):
        ask(client, b"two")
    assert proxy.sprung.is_set()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_SECONDS) as second:
        assert ask(second, b"two") == b"two"


def test_a_server_that_is_not_there_resets_the_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with (
        TcpProxy(port) as proxy,
        pytest.raises(ConnectionError),  # by connect() already, if the proxy is quick
        socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_SECONDS) as client,
    ):
        assert ask(client, b"one") == b""


def test_the_end_of_the_proxy_lets_nothing_through_that_was_held(graph_server: Server) -> None:
    with (
        TcpProxy(graph_server.port) as proxy,
        graph_server.driver(through=proxy) as driver,
        driver.session() as session,
    ):
        transaction = session.begin_transaction()
        transaction.run("CREATE (:Told)").consume()
        proxy.fail(Trap(COMMIT, deliver=False))
        with pytest.raises(DriverError):
            _cut_when_sprung(proxy, transaction.commit)
    assert _nodes(graph_server) == 0


def test_a_commit_whose_answer_is_lost_has_happened(graph_server: Server, graph_proxy: TcpProxy) -> None:
    with graph_server.driver(through=graph_proxy) as driver, driver.session() as session:
        transaction = session.begin_transaction()
        transaction.run("CREATE (:Told)").consume()
        graph_proxy.fail(Trap(COMMIT, then="cut"))
        with pytest.raises(IncompleteCommit):
            transaction.commit()
    assert _nodes(graph_server) == 1


def test_a_server_that_stalls_from_the_beginning_is_given_up_in_time(
    graph_server: Server, graph_proxy: TcpProxy
) -> None:
    graph_proxy.stall()
    started = time.monotonic()
    with (
        graph_server.driver(through=graph_proxy, connection_acquisition_timeout=0.5) as driver,
        pytest.raises(ServiceUnavailable),
    ):
        driver.verify_connectivity()
    assert 0.4 < time.monotonic() - started < 5


def test_a_query_that_stalls_is_left_in_time_by_the_async_driver(graph_server: Server, graph_proxy: TcpProxy) -> None:
    async def ask_and_wait() -> None:
        uri, auth = f"bolt://127.0.0.1:{graph_proxy.port}", (graph_server.user, graph_server.password)
        async with neo4j.AsyncGraphDatabase.driver(uri, auth=auth) as driver, driver.session() as session:
            await (await session.run("RETURN 1")).consume()
            graph_proxy.fail(Trap(b"RETURN 42"))
            # The blocking driver has no limit of its own here: it waits as long as the server once told it to, or for ever.
            async with asyncio.timeout(0.5):
                await (await session.run("RETURN 42")).consume()

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(ask_and_wait())
    assert graph_proxy.sprung.is_set()
    assert time.monotonic() - started < 5


def _cut_when_sprung(proxy: TcpProxy, work: Callable[[], None]) -> None:
    def cut() -> None:
        assert proxy.sprung.wait(PATIENCE_SECONDS)
        proxy.cut()

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        work()
    finally:
        thread.join()


def _nodes(server: Server) -> int:
    with server.driver() as driver:
        return len(driver.execute_query("MATCH (n) RETURN n").records)
