"""A TCP proxy on 127.0.0.1 before any server: it delays, drips, stalls, cuts or loses an answer, and knows no protocol.

    with TcpProxy(server_port) as proxy:
        proxy.fail(Trap(match=b"COMMIT", then="stall"))
        ...  # talk to 127.0.0.1:proxy.port

Bytes are held, never altered: what passes after `resume()` is what was sent.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass
from typing import Literal, Self

MOST_BYTES = 65_536
CONNECT_SECONDS = 5.0
END_SECONDS = 10.0
# A linger of no time at all: close() sends a reset instead of an orderly end.
RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Trap:
    """What goes wrong once, when a client sends something.

    Args:
        match: The bytes in a client's piece (64 KiB at most) that spring the trap.
        then: Everything is held from here on, as with `stall()`; or this connection is cut.
        deliver: Whether the server gets the request. If so, only its answer is lost: the trap springs when the answer comes.
    """

    match: bytes
    then: Literal["stall", "cut"] = "stall"
    deliver: bool = True


class TcpProxy:
    """Passes connections on to a port of 127.0.0.1; the switches may be turned at any time.

    Args:
        target: The port of the server behind.

    Attributes:
        delay_seconds: How long each piece waits on its way, in both directions.
        piece_bytes: How much passes at once; 1 with a delay lets the bytes drip.
        connections: How many connections were accepted.
        sprung: Set as soon as a trap has sprung.
    """

    def __init__(self, target: int) -> None:
        self.delay_seconds = 0.0
        self.piece_bytes = MOST_BYTES
        self.connections = 0
        self.sprung = threading.Event()
        self._target = target
        self._traps: list[Trap] = []
        self._flows = threading.Event()
        self._flows.set()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[_Connection] = set()
        self._pumps: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        # close() alone would leave accept() waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        # In this order, what is still held reaches nobody: a request let through now would fall into the next test.
        self.cut()
        self.resume()
        for pump in self._pumps:
            pump.join(END_SECONDS)
            assert not pump.is_alive()

    def stall(self) -> None:
        """Hold every byte in both directions; connections stay open, and new ones are accepted and hear nothing."""
        self._flows.clear()

    def resume(self) -> None:
        """Let what was held pass."""
        self._flows.set()

    def cut(self) -> None:
        """Reset every connection that is open; new ones pass as before."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.reset()

    def fail(self, trap: Trap) -> None:
        """Set a trap for the next request that fits."""
        with self._lock:
            self.sprung.clear()
            self._traps.append(trap)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed by __exit__
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=CONNECT_SECONDS)
            except OSError:  # nobody behind: the client learns it by a reset
                _reset(client)
                continue
            self._pass(_Connection(client, server))

    def _pass(self, connection: _Connection) -> None:
        with self._lock:
            self.connections += 1
            self._open.add(connection)
        for ends in ((connection.client, connection.server), (connection.server, connection.client)):
            pump = threading.Thread(target=self._pump, args=(connection, *ends), daemon=True)
            self._pumps.append(pump)
            pump.start()

    def _pump(self, connection: _Connection, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(MOST_BYTES):
                if not self._may_pass(connection, data, from_client=source is connection.client):
                    return
                for start in range(0, len(data), self.piece_bytes):
                    self._stopping.wait(self.delay_seconds)
                    self._flows.wait()
                    if self._stopping.is_set():
                        return
                    sink.sendall(data[start : start + self.piece_bytes])
        except OSError:  # either side has hung up, or we have cut
            pass
        finally:
            connection.end()
            with self._lock:
                self._open.discard(connection)

    def _may_pass(self, connection: _Connection, data: bytes, *, from_client: bool) -> bool:
        trap = connection.answer_lost
        if from_client:
            trap = self._sprung_by(data)
            if trap is not None and trap.deliver:
                connection.answer_lost = trap
                return True
        if trap is None:
            return True
        connection.answer_lost = None
        if trap.then == "stall":
            self.stall()
            self.sprung.set()
            return True
        # Set first: who learns of the cut by the reset finds it set.
        self.sprung.set()
        connection.reset()
        return False

    def _sprung_by(self, data: bytes) -> Trap | None:
        with self._lock:
            for trap in self._traps:
                if trap.match in data:
                    self._traps.remove(trap)
                    return trap
        return None


class _Connection:
    """The two halves of one connection, and the trap that waits for its next answer."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.answer_lost: Trap | None = None
        self._cut = False
        for half in (client, server):
            half.settimeout(None)
            half.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reset(self) -> None:
        """End both halves with a reset, as a crashed machine's neighbour would."""
        self._cut = True
        for half in (self.client, self.server):
            _reset(half)

    def end(self) -> None:
        """End both halves in order, unless somebody is cutting them: an orderly end would come before the reset."""
        if self._cut:
            return
        for half in (self.client, self.server):
            _shut_down(half, socket.SHUT_RDWR)
            half.close()


def _reset(half: socket.socket) -> None:
    try:
        half.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    except OSError:  # closed already
        return
    # Wakes the thread that reads from it; close() would leave it waiting.
    _shut_down(half, socket.SHUT_RD)
    half.close()


def _shut_down(half: socket.socket, how: int) -> None:
    try:
        half.shutdown(how)
    except OSError:  # the other side was faster
        return
