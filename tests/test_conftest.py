from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from pathlib import Path

BLOCKED = "tests stay on this machine"


@pytest.mark.parametrize("call", ["connect", "connect_ex"])
@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, ("192.0.2.1", 80)),
        (socket.AF_INET, ("0.0.0.0", 80)),  # noqa: S104 - as a target, not to listen on
        (socket.AF_INET, ("example.com", 80)),
        (socket.AF_INET6, ("2001:db8::1", 80)),
    ],
)
def test_no_test_connects_to_another_machine(call: str, family: int, address: tuple[str, int]) -> None:
    with socket.socket(family) as sock, pytest.raises(RuntimeError, match=BLOCKED):
        getattr(sock, call)(address)


def test_no_test_sends_a_datagram_to_another_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(RuntimeError, match=BLOCKED):
        sock.sendto(b"x", ("192.0.2.1", 53))


@pytest.mark.parametrize("look_up", ["getaddrinfo", "gethostbyname"])
def test_no_test_looks_up_a_name(look_up: str) -> None:
    with pytest.raises(RuntimeError, match=BLOCKED):
        getattr(socket, look_up)("example.com", *([80] if look_up == "getaddrinfo" else []))


def test_the_block_is_no_outage_that_code_could_go_on_after() -> None:
    with socket.socket() as sock, pytest.raises(RuntimeError) as caught:
        sock.connect(("192.0.2.1", 80))
    assert not isinstance(caught.value, OSError)


def test_a_server_on_loopback_can_be_reached_by_number_and_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, port)).close()


def test_a_unix_socket_can_be_reached(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_hypothesis_has_no_deadline_that_a_slow_machine_could_break() -> None:
    assert hypothesis.settings.default is not None
    assert hypothesis.settings.default.deadline is None
