"""How judge_process and judge_child talk: a length of eight bytes, then so many bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

MAX_FRAME_BYTES = 256 * 2**20
_LENGTH_BYTES = 8


class FrameError(Exception):
    """The other side closed the connection within a frame, or sent what is no frame."""


def write_frame(connection: socket.socket, data: bytes) -> None:
    """Send one frame; errors are the socket's."""
    connection.sendall(len(data).to_bytes(_LENGTH_BYTES, "big"))
    connection.sendall(data)


def read_frame(connection: socket.socket) -> bytes | None:
    """Receive one frame; None when the other side closed the connection before it.

    Raises:
        FrameError: it closed within the frame, or announced more than `MAX_FRAME_BYTES`.
    """
    head = _read(connection, _LENGTH_BYTES)
    if not head:
        return None
    size = int.from_bytes(head, "big")
    if len(head) < _LENGTH_BYTES or size > MAX_FRAME_BYTES:
        raise FrameError
    data = _read(connection, size)
    if len(data) < size:
        raise FrameError
    return data


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(min(size - len(data), 2**20))
        if not part:
            break
        data += part
    return bytes(data)
