"""A stand-in for Google's provider that only knows its schema, as Terraform's plugin protocol asks for it.

Terraform checks a configuration against the schema by itself, and `mock_provider` makes up what a real provider would fill
in; so nothing else is ever asked here. Source: the file tfplugin6.proto of Terraform's documentation for plugins.
"""

from __future__ import annotations

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA = json.loads((Path(__file__).parent / "schema.json").read_text())
_MODES = {"single": 1, "list": 2, "set": 3}
_SERVICE = "tfplugin6.Provider"
_MAX_MESSAGE_BYTES = 64 * 2**20


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """Serve on a socket of its own; yield the environment that leads Terraform to it."""
    with tempfile.TemporaryDirectory(prefix="tf-") as folder:
        address = f"{folder}/s"
        server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", _MAX_MESSAGE_BYTES)])
        server.add_generic_rpc_handlers((_answers(),))
        server.add_insecure_port(f"unix:{address}")
        server.start()
        reached = {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "unix", "String": address},
        }
        try:
            yield {"TF_REATTACH_PROVIDERS": json.dumps({"hashicorp/google": reached})}
        finally:
            server.stop(None).wait()


def _answers() -> grpc.GenericRpcHandler:
    whole = _whole_schema()
    answers: dict[str, Callable[[bytes], bytes]] = {
        "GetProviderSchema": lambda _: whole,
        "ValidateProviderConfig": lambda _: b"",
        "ValidateResourceConfig": lambda _: b"",
        "ValidateDataResourceConfig": lambda _: b"",
        "StopProvider": lambda _: b"",
    }
    return grpc.method_handlers_generic_handler(
        _SERVICE,
        {
            name: grpc.unary_unary_rpc_method_handler(lambda asked, _, answer=answer: answer(asked))
            for name, answer in answers.items()
        },
    )


def _whole_schema() -> bytes:
    provider = _field(1, _schema(SCHEMA["provider"]))
    kinds = [
        _field(number, _text(1, name) + _field(2, _schema(block)))
        for number, key in ((2, "resources"), (3, "data"))
        for name, block in SCHEMA[key].items()
    ]
    return provider + b"".join(kinds)


def _schema(block: dict[str, Any]) -> bytes:
    return _field(2, _block(block))


def _block(block: dict[str, Any]) -> bytes:
    attributes = [_field(2, _attribute(name, each)) for name, each in block["attributes"].items()]
    nested = [_field(3, _nested(name, each)) for name, each in block["blocks"].items()]
    return b"".join(attributes + nested)


def _attribute(name: str, told: dict[str, Any]) -> bytes:
    required = told.get("required")  # missing where nobody may set it
    flags = [4] if required else [] if required is None else [5]
    flags += [6] if told.get("computed") else []
    return _text(1, name) + _text(2, json.dumps(told["type"])) + b"".join(_number(flag, 1) for flag in flags)


def _nested(name: str, told: dict[str, Any]) -> bytes:
    counted = told["mode"] != "single"
    least = _number(4, 1) if told["required"] and counted else b""
    most = _number(5, 1) if told["one"] and counted else b""
    return _text(1, name) + _field(2, _block(told)) + _number(3, _MODES[told["mode"]]) + least + most


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, content: bytes) -> bytes:
    # A field of Protocol Buffers: its number with the wire type 2, the length, the content.
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
